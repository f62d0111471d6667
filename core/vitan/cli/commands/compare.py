"""``vitan compare``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..app import plugin_option, plugins_of
from ..names import complete_analyses
from ..progress import reporter
from ..running import figures_option

if TYPE_CHECKING:
    from ...results.drawn import Figures


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
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Folder to write to.  [default: --results]")
@figures_option("all")
@plugin_option
@click.pass_context
def compare(
    ctx: click.Context,
    /,
    analyses: tuple[str, ...],
    models: tuple[str, ...],
    dataset: str | None,
    results: Path,
    output: Path | None,
    figures: Figures,
    plugin_files: tuple[Path, ...],
) -> None:
    """Draw and tabulate models beside one another, from what earlier runs have left.

    Needs neither weights nor pictures (but for figures that show some). Results that were made on other images, in
    another order or view, or with other options are refused, naming what differs.

    \b
    vitan compare                      everything in results/
    vitan compare cka -m dino-B16 -m mae-B16
    """  # \b keeps click from joining the lines
    from ... import api
    from ..tables import many_models

    plugins = plugins_of(ctx, plugin_files)
    names = [plugins.probes.get(name).name for name in analyses]
    found = api.load_results(results, plugins=plugins)
    chosen: dict[str, Any] = {"models": models, "dataset": dataset, "output": output or results}
    progress = reporter()
    try:
        made = api.compare(found, names, **chosen, figures=figures, progress=progress)
    finally:
        progress.close()
    for each in made:
        click.echo("\n".join(many_models(each.findings)) + "\n")
        for path in each.pictures:
            click.echo(f"pictures  {path}")
    numbers = (output or results) / "records.csv"
    if numbers.is_file():
        click.echo(f"numbers   {numbers}")
