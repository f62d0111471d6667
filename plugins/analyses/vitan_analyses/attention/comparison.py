"""Models side by side: one line each over depth, and every head as a point."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.lines import Line2D

from vitan.figures import Drawable, Plot

from .. import plots
from ..drawing import Array
from .geometry import uniform_distance
from .readings import HEAD_METRICS, TITLES, block_values, head_values, unit

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_BREAKOUTS = ("attention-distance", "entropy", "patch-to-cls", "position-deviation")


def draw(drawables: Sequence[Drawable]) -> Iterator[Plot]:
    """A page of lines, and for some metrics a page with a panel for each model."""
    looks = plots.looks([drawable.model for drawable in drawables], _labels(drawables))
    panels = list(_panels(drawables))
    if panels:
        yield Plot(name="compare-blocks", figure=_line_page(drawables, looks, panels))
    for name in _BREAKOUTS:
        shown = [(d, look) for d, look in zip(drawables, looks, strict=True) if head_values(d, name) is not None]
        if shown:
            yield Plot(name=f"compare-heads-{name}", figure=_breakout(name, shown))


def depth(drawable: Drawable) -> Array:
    """Where the blocks lie between the first (0) and the last (1) of the model."""
    return np.asarray(drawable.model.blocks) / max(drawable.model.depth - 1, 1)


def _labels(drawables: Sequence[Drawable]) -> list[str]:
    """Display names, with the dataset where there is more than one."""
    several = len({drawable.dataset_name for drawable in drawables}) > 1
    names = [plots.model_label(drawable.model) for drawable in drawables]
    return [f"{n}, {d.dataset_name}" if several else n for n, d in zip(names, drawables, strict=True)]


@dataclass(frozen=True)
class _Panel:
    title: str
    unit: str
    curves: list[Array | None]  # one for each model, in order


def _panels(drawables: Sequence[Drawable]) -> Iterator[_Panel]:
    """A panel for each metric that some model has; distance also as a multiple of that of uniform attention."""
    for name, title in TITLES.items():
        curves = [block_values(drawable, name) for drawable in drawables]
        known = [drawable for drawable, curve in zip(drawables, curves, strict=True) if curve is not None]
        if not known:
            continue
        yield _Panel(title, unit(known[0], name), curves)
        if name == "attention-distance":
            uniform = [uniform_distance(drawable.model.layout.grid) for drawable in drawables]
            shares = [None if curve is None else curve / of for curve, of in zip(curves, uniform, strict=True)]
            yield _Panel(title, "uniform attention = 1", shares)


def _line_page(drawables: Sequence[Drawable], looks: list[plots.Look], lines: list[_Panel]) -> Figure:
    columns = min(3, len(lines))
    rows = -(-len(lines) // columns)
    legend_rows = -(-len(looks) // 4)
    figure = plots.page(0.5 + 1.8 * rows + 0.18 * legend_rows, plots.PAGE * max(columns, 2) / 3)
    plots.head(figure, "Attention over depth, mean over heads and pictures")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, panel in zip(panels, lines, strict=False):
        for drawable, look, curve in zip(drawables, looks, panel.curves, strict=True):
            if curve is not None:
                axes.plot(depth(drawable), curve, **_pen(look))
        plots.tidy(axes, panel.title, y=panel.unit)
    for axes in panels[max(0, len(lines) - columns) : len(lines)]:
        axes.set_xlabel("depth (first block 0, last block 1)", fontsize=plots.LABEL)
    for axes in panels[len(lines) :]:
        axes.set_visible(False)
    handles = [Line2D([], [], label=look.label, **_pen(look)) for look in looks]
    figure.legend(
        handles=handles, loc="outside lower center", ncols=4, fontsize=plots.LABEL, frameon=False, handlelength=3.5
    )
    return figure


def _breakout(name: str, shown: list[tuple[Drawable, plots.Look]]) -> Figure:
    """A panel for each model: its heads as points, and their mean as a line."""
    columns = min(3 if len(shown) <= 9 else 4, len(shown))
    rows = -(-len(shown) // columns)
    figure = plots.page(0.5 + 1.7 * rows, plots.PAGE * max(columns, 2) / max(columns, 3))
    plots.head(figure, f"Every head: {HEAD_METRICS[name]}", _note(shown[0][0], name))
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).ravel()
    for axes, (drawable, look) in zip(panels, shown, strict=False):
        values, x = head_values(drawable, name), depth(drawable)
        assert values is not None
        axes.plot(
            np.repeat(x, values.shape[1]),
            values.ravel(),
            "o",
            color=look.colour,
            markersize=2.5,
            alpha=0.5,
            markeredgewidth=0,
        )
        axes.plot(x, values.mean(axis=1), color=look.colour, linewidth=1.4)
        plots.tidy(axes, look.label)
    for axes in panels[max(0, len(shown) - columns) : len(shown)]:
        axes.set_xlabel("depth", fontsize=plots.LABEL)
        axes.tick_params(labelbottom=True)
    for axes in panels[len(shown) :]:
        axes.set_visible(False)
    return figure


def _pen(look: plots.Look) -> dict[str, Any]:
    fill = "white" if look.hollow else look.colour
    return {
        "color": look.colour,
        "marker": look.marker,
        "linestyle": look.dashes,
        "linewidth": 1.1,
        "markersize": 3.2,
        "markerfacecolor": fill,
        "markeredgewidth": 0.8,
    }


def _note(drawable: Drawable, name: str) -> str:
    measure = unit(drawable, name)
    words = "a dot for each head, mean over pictures; the line is the mean over heads"
    return f"in {measure}; {words}" if measure else words
