"""``vitan compare``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..app import plugin_option, plugins_of
from ..names import complete_analyses

if TYPE_CHECKING:
    from ...engine.runner import Outcome


@click.command(short_help="Compare models from results that are there; no model is run.")
@click.argument("analyses", nargs=-1, metavar="[ANALYSIS]...", shell_complete=complete_analyses)
@click.option("-m", "--model", "models", multiple=True, metavar="MODEL", help="Only these, in this order.")
@click.option("-d", "--dataset", metavar="DATASET", help="Only results on this dataset, as its folder is called.")
@click.option(
    "-r",
    "--results",
    type=click.Path(path_type=Path),
    default=Path("results"),
    show_default=True,
    help="Folder that 'vitan run' has written.",
)
@click.option("--no-figures", is_flag=True, help="Write numbers only.")
@plugin_option
@click.pass_context
def compare(
    ctx: click.Context,
    /,
    analyses: tuple[str, ...],
    models: tuple[str, ...],
    dataset: str | None,
    results: Path,
    no_figures: bool,
    plugin_files: tuple[Path, ...],
) -> None:
    """Draw and tabulate models beside one another, from what earlier runs have left.

    Needs neither weights nor pictures (but for figures that show some). Results that were made on other images, in
    another order or view, or with other options are refused, naming what differs.

    \b
    vitan compare                      everything in results/
    vitan compare cka -m dino-B16 -m mae-B16
    """  # \b keeps click from joining the lines
    from ...results.read import check_alike
    from ...results.write import write_comparisons, write_root
    from ..tables import many_models

    groups = _read(ctx, analyses, models, dataset, results, plugin_files)
    for group in groups:
        check_alike(group)
    for group in groups:
        written = write_comparisons(group, results, figures=not no_figures)
        click.echo("\n".join(many_models(group)) + "\n")
        for path in written:
            click.echo(f"pictures  {path}")
    click.echo(f"numbers   {write_root(results)}")


def _read(
    ctx: click.Context,
    analyses: tuple[str, ...],
    models: tuple[str, ...],
    dataset: str | None,
    results: Path,
    plugin_files: tuple[Path, ...],
) -> list[list[Outcome]]:
    """Outcomes of at least two models each, by dataset and analysis; raises ``UsageError`` where there are none."""
    from ...engine.store import Store
    from ...errors import UsageError
    from ...files import slug, states_dir
    from ...results.read import find, read_outcome

    plugins, store = plugins_of(ctx, plugin_files), Store(states_dir())
    folders = [
        folder
        for analysis in [plugins.probes.get(name).name for name in analyses] or ["*"]
        for model in map(slug, models or ["*"])
        for folder in find(results, analysis, slug(dataset) if dataset else "*", model if models else "*")
    ]
    by_question: dict[tuple[str, str], list[Path]] = {}
    for folder in folders:
        by_question.setdefault((folder.parent.name, folder.name), []).append(folder)
    several = [group for group in by_question.values() if len(group) > 1]
    if not several:
        raise UsageError(f"{results} holds no analysis of two models on one dataset; run a second model first")
    return [[read_outcome(folder, plugins, store) for folder in group] for group in several]
