"""``vitan verify``."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from ..app import plugins_of
from ..text import columns

if TYPE_CHECKING:
    from ...registry.plugins import Plugins


@dataclass(frozen=True)
class Anchor:
    """A number that is known by mathematics alone, and what the code makes of it."""

    analysis: str
    what: str
    expected: float
    got: float
    tolerance: float

    @property
    def ok(self) -> bool:
        """Whether it is as it must be; never for nan."""
        return abs(self.got - self.expected) <= self.tolerance


@click.command(short_help="Check the maths against known numbers, offline.")
@click.option(
    "--device", help="Compare this device (cuda, mps) with the CPU instead, by a small job of every analysis."
)
@click.option(
    "--precision",
    type=click.Choice(["ieee", "tf32", "bf16"]),
    default="ieee",
    show_default=True,
    help="How the device multiplies float32.",
)
@click.option("-m", "--model", metavar="MODEL", help="On this model.  [default: one that comes with vitan]")
@click.pass_context
def verify(ctx: click.Context, device: str | None, precision: str, model: str | None) -> None:
    """Compare every analysis with numbers that are known by mathematics; needs no weights and no network.

    With --device every analysis is run there and on the CPU, on drawn pictures. Of its numbers 98 % must be within a
    thousandth of the largest of their metric.
    """
    if device is not None:
        ctx.exit(_verify_device(plugins_of(ctx), device, precision, model))
    anchors = list(_anchors(plugins_of(ctx)))
    if not anchors:
        click.echo("no analysis that is installed has anchors")
        return
    head = ("analysis", "what", "expected", "got", "within", "")
    rows = [(a.analysis, a.what, f"{a.expected:.8g}", f"{a.got:.8g}", f"{a.tolerance:.0e}", _word(a)) for a in anchors]
    for line in columns([head, *rows], right=(2, 3, 4)):
        click.secho(line, fg="red" if line.endswith("FAILED") else None)
    failed = sum(not anchor.ok for anchor in anchors)
    click.echo(f"\n{len(anchors) - failed} of {len(anchors)} are as they must be")
    ctx.exit(1 if failed else 0)


def _verify_device(plugins: Plugins, device: str, precision: str, model: str | None) -> int:
    """Print how each analysis fares as soon as it is known; returns the exit code."""
    from ... import api

    failed = 0
    for each in api.verify_device(device, model=model, precision=precision, plugins=plugins):
        line = (
            f"{each.analysis:20s} {each.numbers:6d} numbers, {each.share:6.1%} near, the worst off by {each.off:.0e}, "
            f"{each.speed:6.1f} images/s on {each.dataset}"
        )
        text = f"{each.analysis:20s} {each.error}" if each.error else line
        click.secho(f"{text}{'' if each.ok else '  FAILED'}", fg=None if each.ok else "red")
        failed += not each.ok
    click.echo(f"\n{device} does not agree with the CPU in {failed}" if failed else f"\n{device} agrees with the CPU")
    return 1 if failed else 0


def _word(anchor: Anchor) -> str:
    return "ok" if anchor.ok else "FAILED"


def _anchors(plugins: Plugins) -> Iterator[Anchor]:
    """All numbers of all analyses; an analysis whose code fails on the way has one that is not as it must be."""
    for _, spec in plugins.probes:
        try:
            for what, expected, got, tolerance in spec.anchors() if spec.anchors else ():
                yield Anchor(spec.name, what, float(expected), float(got), float(tolerance))
        except Exception as error:  # whatever a plugin raises
            why = " ".join(f"{type(error).__name__}: {error}".split())
            yield Anchor(spec.name, f"could not be computed ({why})", math.nan, math.nan, 0.0)
