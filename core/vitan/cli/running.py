"""What the commands that run a plan have in common: their options, the run itself, and how they end."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ..results.drawn import CHOICES, Figures
from .app import say_error
from .plugin_options import PluginOption, flags_as_typed
from .tables import pictures

if TYPE_CHECKING:
    from .. import Plan
    from ..errors import VitanError
    from ..registry.plugins import Plugins
    from ..results.results import Results
    from .progress import Bars, Lines

_Command = TypeVar("_Command", bound=Callable[..., Any])

output_option = click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=Path("results"),
    show_default=True,
    help="Folder for records and figures.",
)


def figures_option(default: Figures) -> Callable[[_Command], _Command]:
    """``--figures``, with what is drawn where it is not given."""
    return click.option(
        "--figures",
        type=click.Choice(CHOICES),
        default=default,
        show_default=True,
        help="Draw every figure, only those that compare models, or none.",
    )


def carry_out(
    plan: Plan, output: Path, *, figures: Figures, plugins: Plugins, progress: Bars | Lines, **how: Any
) -> Results:
    """Run a plan and tell ``progress``; raises ``click.Abort`` where the user ends it. ``how`` changes no number."""
    from .. import api

    with telling(progress):
        return api.run_plan(plan, output=output, figures=figures, plugins=plugins, progress=progress, **how)


@contextmanager
def telling(progress: Bars | Lines) -> Iterator[None]:
    """Whatever is printed inside goes to stderr; raises ``click.Abort`` where the user ends it."""
    try:
        with redirect_stdout(sys.stderr):  # what a plugin prints is no part of what is read from stdout
            yield
    except KeyboardInterrupt:
        raise click.Abort("finished parts are kept, run the same command to go on") from None
    finally:
        progress.close()


def say_where(found: Results, output: Path) -> None:
    """Where pictures and numbers are."""
    for path in pictures(found, output):
        click.echo(f"pictures  {path}")
    click.echo(f"numbers   {output / 'records.csv'}")


def leave(ctx: click.Context, found: Results, brought: Sequence[PluginOption] = ()) -> None:
    """Say what failed, and end the command accordingly; options are named as they were ``brought`` and typed."""
    fail_with(ctx, found.failed, brought)


def fail_with(ctx: click.Context, failed: Mapping[str, VitanError], brought: Sequence[PluginOption] = ()) -> None:
    """Say what failed of what, and end the command accordingly."""
    for name, failure in failed.items():
        say_error(failure, f"{name}: {flags_as_typed(str(failure), brought)}")
    ctx.exit(1 if failed else 0)
