"""``vitan demo``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ...errors import UsageError
from ..app import plugins_of
from ..progress import reporter
from ..running import carry_out, figures_option, leave, output_option, say_where
from ..tables import best_of_models

if TYPE_CHECKING:
    from ...results.drawn import Figures

_NAME = "demo"


@click.command(short_help="Compare the models that come with vitan; nothing is fetched.")
@output_option
@figures_option("comparisons")
@click.pass_context
def demo(ctx: click.Context, output: Path, figures: Figures) -> None:
    """Compare the tiny models that come with vitan: six ways to train one network, and the same network untrained.

    It runs the recipe 'demo', which 'vitan show demo' prints, and ends with the best block of each for every task, and
    a page with all of it.
    'vitan table' has more metrics and intervals, 'vitan run --plan' of that recipe the figures of each model.
    """
    from ... import api

    plugins = plugins_of(ctx)
    plan = api.read_plan(plugins.recipes.get(_NAME).plan)
    found = carry_out(plan, output, figures=figures, plugins=plugins, progress=reporter())
    first = {metric for each in found for metric in each.result.headline[:1]}
    if not (best := [each for each in api.best_blocks(found) if each.task.metric in first]):
        raise UsageError("no task of the demo gave a number; what failed is above")
    for line in best_of_models(best):
        click.echo(line)
    click.echo()
    say_where(found, output)
    click.echo(f"report    {api.report(output, figures=figures)}")
    leave(ctx, found)
