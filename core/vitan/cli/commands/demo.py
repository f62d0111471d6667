"""``vitan demo``."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from pathlib import Path

import click

from ...errors import UsageError
from ..app import plugins_of, say_error
from ..progress import reporter
from ..tables import pictures
from .table import best_table

_NAME = "demo"


@click.command(short_help="Compare the models that come with vitan; nothing is fetched.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=Path("results"),
    show_default=True,
    help="Folder for records and figures.",
)
@click.option("--no-figures", is_flag=True, help="Write numbers only.")
@click.pass_context
def demo(ctx: click.Context, output: Path, no_figures: bool) -> None:
    """Compare the tiny models that come with vitan: six ways to train one network, and the same network untrained.

    It runs the recipe 'demo', which 'vitan show demo' prints, and ends with the best block of each for every task.
    'vitan table' shows more metrics.
    """
    from ... import api

    plugins = plugins_of(ctx)
    plan, progress = api.read_plan(plugins.recipes.get(_NAME).plan), reporter()
    try:
        with redirect_stdout(sys.stderr):
            found = api.run_plan(plan, output=output, figures=not no_figures, plugins=plugins, progress=progress)
    except KeyboardInterrupt:
        raise click.Abort("finished parts are kept, run the same command to go on") from None
    finally:
        progress.close()
    first = {metric for each in found for metric in each.result.headline}
    if not (best := [each for each in api.best_blocks(found) if each.task.metric in first]):
        raise UsageError("no task of the demo gave a number; what failed is above")
    for line in best_table(best):
        click.echo(line)
    click.echo()
    for path in pictures(found, output):
        click.echo(f"pictures  {path}")
    click.echo(f"numbers   {output / 'records.csv'}")
    for name, failure in found.failed.items():
        say_error(failure, f"{name}: {failure}")
    ctx.exit(1 if found.failed else 0)
