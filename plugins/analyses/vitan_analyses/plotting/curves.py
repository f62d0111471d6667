"""Curves over depth: one line for each model, and the pages that they are drawn on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np
from matplotlib.lines import Line2D

from vitan.analysis.figures import Drawable

from . import pages as plots
from .pixels import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Depths at which the curves of a family are averaged, as in the published figures.
POINTS = 500


@dataclass(frozen=True)
class Panel:
    """One panel of a page: a curve for each model, in order, or None; and a line across, such as chance.

    ``floors`` are curves of what chance reaches, one for each model, drawn dotted in its colour.
    """

    title: str
    unit: str
    curves: Sequence[Array | None]
    across: float | None = None
    floors: Sequence[Array | None] = ()


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


def resample(where: Array, curve: Array, points: int = POINTS) -> Array:
    """A curve over depth at evenly spaced depths from 0 to 1, by straight lines between its blocks.

    ``where`` are the depths of the blocks, ascending; what lies outside them is NaN. Models of different depth then
    have values at the same places, and can be averaged; the published curves of families are made so.
    """
    sampled: Array = np.interp(np.linspace(0, 1, points), where, curve, left=np.nan, right=np.nan)
    return sampled


def line_page(drawables: Sequence[Drawable], panels: Sequence[Panel], *, title: str, subtitle: str = "") -> Figure:
    """A page of panels with a line for each model over depth, and one legend."""
    models = looks(drawables)

    def draw(axes: Axes, panel: Panel) -> None:
        for drawable, look, curve in zip(drawables, models, panel.curves, strict=True):
            if curve is not None:
                axes.plot(depth(drawable), curve, **pen(look))
        for drawable, look, floor in zip(drawables, models, panel.floors or [None] * len(models), strict=True):
            if floor is not None:
                axes.plot(depth(drawable), floor, color=look.colour, linestyle=":", linewidth=0.9)
        _across(axes, panel)

    return panel_page(panels, draw, legend(models), title=title, subtitle=subtitle)


def legend(models: Sequence[plots.Look]) -> list[Line2D]:
    """A line for each model, as it is drawn."""
    return [Line2D([], [], label=look.label, **pen(look)) for look in models]


def family_page(
    drawables: Sequence[Drawable], panels: Sequence[Panel], *, title: str, subtitle: str = ""
) -> Figure | None:
    """The same page with the mean of each family, its models faint behind it; None where every model is alone."""
    families = list(dict.fromkeys((drawable.model.family, drawable.dataset_name) for drawable in drawables))
    if len(families) == len(drawables):
        return None
    members = {
        family: [i for i, d in enumerate(drawables) if (d.model.family, d.dataset_name) == family]
        for family in families
    }
    firsts = [drawables[own[0]] for own in members.values()]
    several = len({name for _, name in families}) > 1
    labels = [d.model.label or d.model.family for d in firsts]
    labels = [f"{label}, {d.dataset_name}" for label, d in zip(labels, firsts, strict=True)] if several else labels
    styles = plots.looks([drawable.model for drawable in firsts], labels)

    def draw(axes: Axes, panel: Panel) -> None:
        for own, look in zip(members.values(), styles, strict=True):
            for curves, style in ((panel.curves, "-"), (panel.floors or [None] * len(drawables), ":")):
                known = [(depth(drawables[i]), curve) for i in own if (curve := curves[i]) is not None]
                for where, curve in known if len(known) > 1 and style == "-" else ():
                    axes.plot(where, curve, color=look.colour, linewidth=0.6, alpha=0.35)
                if known:
                    mean = np.mean([resample(where, curve) for where, curve in known], axis=0)
                    axes.plot(np.linspace(0, 1, POINTS), mean, color=look.colour, linestyle=style, linewidth=1.5)
        _across(axes, panel)

    handles = [
        Line2D([], [], label=f"{look.label} ({len(own)})", color=look.colour, linewidth=1.5)
        for look, own in zip(styles, members.values(), strict=True)
    ]
    return panel_page(panels, draw, handles, title=title, subtitle=subtitle)


class Titled(Protocol):
    """What every kind of panel has."""

    @property
    def title(self) -> str:
        """What it shows."""

    @property
    def unit(self) -> str:
        """What its values are in."""


T = TypeVar("T", bound=Titled)


def panel_page(
    panels: Sequence[T],
    draw: Callable[[Axes, T], None],
    handles: Sequence[Line2D],
    *,
    title: str,
    subtitle: str = "",
    height: tuple[float, float] = (0.5, 1.8),
) -> Figure:
    """Panels, three in a row, that ``draw`` fills; a legend of ``handles`` below.

    ``height`` is in inches: of the headings, and of each row.
    """
    columns = min(3, len(panels))
    rows = -(-len(panels) // columns)
    tall = height[0] + height[1] * rows + 0.18 * -(-len(handles) // 4)
    figure = plots.page(tall, plots.PAGE * max(columns, 2) / 3)
    plots.head(figure, title, subtitle)
    places = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, panel in zip(places, panels, strict=False):
        draw(axes, panel)
        plots.tidy(axes, panel.title, y=panel.unit)
    for axes in places[max(0, len(panels) - columns) : len(panels)]:
        axes.set_xlabel("depth (first block 0, last block 1)", fontsize=plots.LABEL)
    for axes in places[len(panels) :]:
        axes.set_visible(False)
    figure.legend(
        handles=handles, loc="outside lower center", ncols=4, fontsize=plots.LABEL, frameon=False, handlelength=3.5
    )
    return figure


def _across(axes: Axes, panel: Panel) -> None:
    if panel.across is not None:
        axes.axhline(panel.across, color=plots.INK, linestyle=":", linewidth=0.8)
