"""How well points are found, and sides are told apart, by what the annotation says of a pair."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from vitan.analysis.figures import Drawable

from ..plotting import pages as plots
from ..plotting.curves import depth
from ..plotting.pixels import Array
from .points import FACTS
from .summary import CONDITION, PER_POINT, SWAPPED

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MARKERS = ("o", "^", "s", "D", "v", "x")


def conditions(drawable: Drawable, alpha: float, note: str) -> Figure | None:
    """PCK over all points and confusion of sides, a column for each fact that differs between pairs, or None."""
    curves = {metric: _curves(drawable, metric, at) for metric, at in ((PER_POINT, alpha), (SWAPPED, None))}
    facts = [fact for fact in FACTS if len(curves[PER_POINT].get(fact, ())) > 1]
    if not facts:
        return None
    figure = plots.page(0.6 + 1.8 * 2, max(2, len(facts)) * plots.PAGE / 4 + 0.4)
    plots.head(
        figure, f"{plots.model_label(drawable.model)}: what makes points hard to find", note.replace(", ", "\n", 1)
    )
    places = figure.subplots(2, len(facts), squeeze=False, sharey="row", sharex=True)
    for column, fact in enumerate(facts):
        words = fact.replace("_", " ")
        for row, (metric, title) in enumerate(((PER_POINT, f"PCK at {alpha:g}"), (SWAPPED, "left taken for right"))):
            axes = places[row, column]
            _draw(axes, depth(drawable), curves[metric].get(fact, {}))
            plots.tidy(axes, f"{title}\nby {words}", y="" if column else "%", x="depth" if row else "")
    return figure


def _draw(axes: Axes, x: Array, curves: Mapping[str, Array]) -> None:
    for i, (value, curve) in enumerate(curves.items()):
        colour, marker = plots.CATEGORIES[i % 6], _MARKERS[i % len(_MARKERS)]
        axes.plot(x, curve, color=colour, marker=marker, linewidth=1.1, markersize=3.2, label=value)
    if curves:
        axes.legend(fontsize=plots.TICK, frameon=False, handlelength=2)


def _curves(drawable: Drawable, metric: str, alpha: float | None) -> dict[str, dict[str, Array]]:
    """By fact and value, the metric in each block."""
    found: dict[str, dict[str, dict[int | None, float]]] = {}
    for record in drawable.result.records:
        if record.of == CONDITION and record.metric == metric and record.at == alpha:
            fact, _, value = record.name.partition(" ")
            found.setdefault(fact, {}).setdefault(value, {})[record.block] = record.value
    return {
        fact: {value: np.array([curve[block] for block in drawable.model.blocks]) for value, curve in values.items()}
        for fact, values in found.items()
    }
