"""Curves over depth: one line for each model, and the pages that they are drawn on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.lines import Line2D

from vitan.figures import Drawable

from . import plots
from .drawing import Array

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Panel:
    """One panel of a page: a curve for each model, in order, or None; and a line across, such as chance."""

    title: str
    unit: str
    curves: list[Array | None]
    across: float | None = None


def depth(drawable: Drawable) -> Array:
    """Where the blocks lie between the first (0) and the last (1) of the model."""
    return np.asarray(drawable.model.blocks) / max(drawable.model.depth - 1, 1)


def looks(drawables: Sequence[Drawable]) -> list[plots.Look]:
    """A look for each result; its label names the dataset where there is more than one."""
    several = len({drawable.dataset_name for drawable in drawables}) > 1
    names = [plots.model_label(drawable.model) for drawable in drawables]
    labels = [f"{n}, {d.dataset_name}" if several else n for n, d in zip(names, drawables, strict=True)]
    return plots.looks([drawable.model for drawable in drawables], labels)


def pen(look: plots.Look) -> dict[str, Any]:
    """The arguments of matplotlib's ``plot`` for a model's line."""
    return {
        "color": look.colour,
        "marker": look.marker,
        "linestyle": look.dashes,
        "linewidth": 1.1,
        "markersize": 3.2,
        "markerfacecolor": "white" if look.hollow else look.colour,
        "markeredgewidth": 0.8,
    }


def line_page(drawables: Sequence[Drawable], panels: Sequence[Panel], *, title: str, subtitle: str = "") -> Figure:
    """A page of panels with a line for each model over depth, and one legend."""
    columns = min(3, len(panels))
    rows = -(-len(panels) // columns)
    models = looks(drawables)
    figure = plots.page(0.5 + 1.8 * rows + 0.18 * -(-len(models) // 4), plots.PAGE * max(columns, 2) / 3)
    plots.head(figure, title, subtitle)
    places = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, panel in zip(places, panels, strict=False):
        for drawable, look, curve in zip(drawables, models, panel.curves, strict=True):
            if curve is not None:
                axes.plot(depth(drawable), curve, **pen(look))
        if panel.across is not None:
            axes.axhline(panel.across, color=plots.INK, linestyle=":", linewidth=0.8)
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
