"""Layer sweeps drawn: a score over depth with its interval, and rings around the blocks that may be the best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from matplotlib.lines import Line2D

from vitan.figures import Drawable

from . import plots
from .curves import depth, looks, pen
from .drawing import Array

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
    columns = min(3, len(panels))
    rows = -(-len(panels) // columns)
    models = looks(drawables)
    figure = plots.page(0.75 + 2.0 * rows + 0.18 * -(-len(models) // 4), plots.PAGE * max(columns, 2) / 3)
    plots.head(figure, title, f"{subtitle}\n{LEGEND}")
    places = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, panel in zip(places, panels, strict=False):
        for drawable, look, sweep in zip(drawables, models, panel.sweeps, strict=True):
            if sweep is not None:
                draw_sweep(axes, depth(drawable), *sweep, look)
        plots.tidy(axes, panel.title, y=panel.unit)
    for axes in places[max(0, len(panels) - columns) : len(panels)]:
        axes.set_xlabel("depth (first block 0, last block 1)", fontsize=plots.LABEL)
    for axes in places[len(panels) :]:
        axes.set_visible(False)
    handles = [Line2D([], [], label=look.label, **pen(look)) for look in models]
    figure.legend(
        handles=handles, loc="outside lower center", ncols=4, fontsize=plots.LABEL, frameon=False, handlelength=3.5
    )
    return figure
