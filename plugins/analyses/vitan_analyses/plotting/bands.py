"""Layer sweeps drawn: a score over depth with its interval, and rings around the blocks that may be the best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vitan.analysis.figures import Drawable

from . import pages as plots
from .curves import depth, legend, looks, panel_page, pen
from .pixels import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: What the marks of a sweep mean, for the small print of a page.
LEGEND = "bands: 95 % bootstrap over queries; rings: blocks that cannot be told from the best"


@dataclass(frozen=True)
class SweepPanel:
    """One panel: for each model, in order, mean, low and high as (block, 3), and which blocks may be best; or None."""

    title: str
    unit: str
    sweeps: list[tuple[Array, Array] | None]


def draw_sweep(axes: Axes, x: Array, bounds: Array, best: Array, look: plots.Look) -> None:
    """One model's line: ``bounds`` (block, 3) over ``x`` (block,), rings where ``best`` (block,)."""
    mean, low, high = bounds.T
    axes.plot(x, mean, **pen(look))
    axes.fill_between(x, low, high, color=look.colour, alpha=0.15, linewidth=0)
    axes.plot(
        x[best], mean[best], linestyle="", marker="o", markersize=7.5, markerfacecolor="none",
        markeredgecolor=look.colour, markeredgewidth=0.8,
    )  # fmt: skip


def sweep_page(drawables: Sequence[Drawable], panels: Sequence[SweepPanel], *, title: str, subtitle: str) -> Figure:
    """A page of panels, a line with its band for each model over depth, and one legend. ``LEGEND`` is added below."""
    models = looks(drawables)

    def draw(axes: Axes, panel: SweepPanel) -> None:
        for drawable, look, sweep in zip(drawables, models, panel.sweeps, strict=True):
            if sweep is not None:
                draw_sweep(axes, depth(drawable), *sweep, look)

    small_print = f"{subtitle}\n{LEGEND}"
    return panel_page(panels, draw, legend(models), title=title, subtitle=small_print, height=(0.75, 2.0))
