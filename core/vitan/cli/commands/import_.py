"""``vitan import``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..app import complete_files
from ..text import columns, count

if TYPE_CHECKING:
    from ...results.published import Published


@click.command("import", short_help="Read results that the published code wrote.")
@click.argument("folder", type=click.Path(path_type=Path), shell_complete=complete_files)
@click.option("-o", "--output", type=click.Path(path_type=Path), default=Path("results"), show_default=True)
def import_(folder: Path, output: Path) -> None:
    """Read results of the published code, so that they stand beside vitan's own.

    FOLDER holds a folder for each model, as all_results does: pickles of k-NN, retrieval and key points, and the CSV
    files of the DAVIS evaluation. Pickles are read without running anything in them. The numbers get the protocol
    "paper" and the names that vitan has for models, tasks and metrics.

    \b
    vitan import all_results
    vitan table
    """  # \b keeps click from joining the lines
    from ...errors import UsageError
    from ...results.published import read_published, write_published
    from ...results.write import write_root

    published = read_published(folder)
    try:
        write_published(published, output)
    except OSError as error:
        raise UsageError(
            f"--output {output}: nothing can be written there ({error.strerror}); choose another"
        ) from None
    for line in columns(_rows(published)):
        click.echo(line)
    for path in published.unknown:
        click.echo(f"not read: {path}: no result of a known name", err=True)
    click.echo(f"\nnumbers  {write_root(output)}")


def _rows(published: Published) -> list[tuple[str, ...]]:
    """Model, analysis, dataset, and how many blocks were read."""
    blocks: dict[tuple[str, str, str], set[int | None]] = {}
    for records in published.records.values():
        for record in records:
            blocks.setdefault((record.model, record.analysis, record.dataset), set()).add(record.block)
    return [(*key, count(len(numbers), "block")) for key, numbers in sorted(blocks.items())]
