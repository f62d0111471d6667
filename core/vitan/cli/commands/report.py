"""``vitan report``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ...results.drawn import CHOICES
from ..app import complete_files
from ..text import size

if TYPE_CHECKING:
    from ...results.drawn import Figures


@click.command(short_help="Write results as one HTML page.")
@click.argument(
    "results", type=click.Path(path_type=Path), default=Path("results"), required=False, shell_complete=complete_files
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), metavar="FILE", help="Page to write.  [default: in RESULTS]"
)
@click.option(
    "--figures",
    type=click.Choice(CHOICES),
    default="all",
    show_default=True,
    help="Show every figure, only those that compare models, or none.",
)
def report(results: Path, output: Path | None, figures: Figures) -> None:
    """Write what lies below RESULTS as one HTML file: how it was made, all numbers, all figures.

    The page needs no other file and no network: send it, or open it years later.

    \b
    vitan report                                results/report.html
    vitan report -o six.html --figures none     numbers alone
    """  # \b keeps click from joining the lines
    from ... import api

    written = api.report(results, output=output, figures=figures)
    click.echo(f"{written}  {size(written.stat().st_size)}")
