"""Models side by side: one line each over depth, and every head as a point."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from vitan.analysis.figures import Drawable, Plot

from ...plotting import pages as plots
from ...plotting.curves import Panel, depth, line_page, looks
from ..geometry import uniform_distance
from .readings import HEAD_METRICS, TITLES, block_values, head_values, unit
from .types import draw_types

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_BREAKOUTS = ("attention-distance", "entropy", "patch-to-cls", "position-deviation")


def draw(drawables: Sequence[Drawable]) -> Iterator[Plot]:
    """A page of lines, and for some metrics a page with a panel for each model."""
    panels = list(_panels(drawables))
    if panels:
        title = "Attention over depth, mean over heads and pictures"
        yield Plot(name="compare-blocks", figure=line_page(drawables, panels, title=title))
    types = draw_types(drawables)
    if types is not None:
        yield Plot(name="compare-head-types", figure=types)
    for name in _BREAKOUTS:
        known = zip(drawables, looks(drawables), strict=True)
        shown = [(drawable, look) for drawable, look in known if head_values(drawable, name) is not None]
        if shown:
            yield Plot(name=f"compare-heads-{name}", figure=_breakout(name, shown))


def _panels(drawables: Sequence[Drawable]) -> Iterator[Panel]:
    """A panel for each metric that some model has; distance also as a multiple of that of uniform attention."""
    for name, title in TITLES.items():
        curves = [block_values(drawable, name) for drawable in drawables]
        known = [drawable for drawable, curve in zip(drawables, curves, strict=True) if curve is not None]
        if not known:
            continue
        yield Panel(title, unit(known[0], name), curves)
        if name == "attention-distance":
            uniform = [uniform_distance(drawable.model.layout.grid) for drawable in drawables]
            shares = [None if curve is None else curve / of for curve, of in zip(curves, uniform, strict=True)]
            yield Panel(title, "uniform attention = 1", shares)


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


def _note(drawable: Drawable, name: str) -> str:
    measure = unit(drawable, name)
    words = "a dot for each head, mean over pictures; the line is the mean over heads"
    return f"in {measure}; {words}" if measure else words
