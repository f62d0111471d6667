"""``vitan import``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ...errors import UsageError
from ..app import complete_files, plugins_of
from ..text import columns, count

if TYPE_CHECKING:
    from ...registry.plugins import Plugins
    from ...registry.specs import Imported, ImporterSpec


@click.command("import", short_help="Read results that another program wrote, such as the published code.")
@click.argument("folder", type=click.Path(path_type=Path), shell_complete=complete_files)
@click.option("--importer", metavar="NAME", help="How to read them, where several importers are installed.")
@click.option("-o", "--output", type=click.Path(path_type=Path), default=Path("results"), show_default=True)
@click.pass_context
def import_(ctx: click.Context, folder: Path, importer: str | None, output: Path) -> None:
    """Read results of another program, so that they stand beside vitan's own.

    The importer that comes with vitan reads those of the published code: FOLDER holds a folder for each model, as
    all_results does, with pickles of k-NN, retrieval and key points, and the CSV files of the DAVIS evaluation.
    Pickles are read without running anything in them. The numbers get the protocol "paper" and the names that vitan
    has for models, tasks and metrics.

    \b
    vitan import all_results
    vitan table
    """  # \b keeps click from joining the lines
    from ...files import given_path
    from ...registry.plugins import load_kind
    from ...results.folder import write_root
    from ...results.imported import write_imported

    found = load_kind(_choose(importer, plugins_of(ctx)))(given_path(folder))
    try:
        write_imported(found, output)
    except OSError as error:
        raise UsageError(
            f"--output {output}: nothing can be written there ({error.strerror}); choose another"
        ) from None
    for line in columns(_rows(found)):
        click.echo(line)
    for path in found.unknown:
        click.echo(f"not read: {path}: no result of a known name", err=True)
    click.echo(f"\nnumbers  {write_root(output)}")


def _choose(name: str | None, plugins: Plugins) -> ImporterSpec:
    """The importer of that name, or the only one."""
    if name is not None:
        return plugins.importers.get(name)
    known = [spec for _, spec in plugins.importers]
    if len(known) != 1:
        names = ", ".join(spec.name for spec in known)
        raise UsageError(f"choose with --importer how to read them: {names}" if names else "no importer is installed")
    return known[0]


def _rows(found: Imported) -> list[tuple[str, ...]]:
    """Model, analysis, dataset, and how many blocks were read."""
    blocks: dict[tuple[str, str, str], set[int | None]] = {}
    for records in found.records.values():
        for record in records:
            blocks.setdefault((record.model, record.analysis, record.dataset), set()).add(record.block)
    return [(*key, count(len(numbers), "block")) for key, numbers in sorted(blocks.items())]
