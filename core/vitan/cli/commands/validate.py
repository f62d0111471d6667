"""``vitan validate``."""

from __future__ import annotations

from pathlib import Path

import click

from ...errors import UsageError
from ..app import complete_files, data_root_option, plugins_of
from ..text import columns


@click.command(short_help="Check a plan without loading weights.")
@click.argument("plan", type=click.Path(path_type=Path), shell_complete=complete_files)
@data_root_option
@click.pass_context
def validate(ctx: click.Context, plan: Path) -> None:
    """Check a plan without loading any weights, and say what it comes down to."""
    from ... import api

    plugins, asked = plugins_of(ctx), api.read_plan(plan)
    if found := api.check(asked, plugins=plugins):
        raise UsageError(f"{plan} cannot be run:\n" + "\n".join(f"  {problem}" for problem in found))
    for line in columns(api.explain(asked, plugins=plugins)):
        click.echo(line)
