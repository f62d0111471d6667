"""Pairs of pictures side by side, with lines from points to what they found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.lines import Line2D

from vitan.analysis.figures import Drawable

from ..plotting import pages as plots
from ..plotting.pixels import Array
from .square import shown_size

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_PAIRS, _COLUMNS = 8, 2
_GAP = 0.04  # between the two pictures, as a share of their side


@dataclass(frozen=True)
class _Kind:
    """How a prediction is drawn; symbols differ as well as colours."""

    label: str
    colour: str
    marker: str
    dashes: Any


_RIGHT = _Kind("found", plots.CATEGORIES[0], "o", "-")
_SWAPPED = _Kind("missed: nearer to the point on the other side", plots.CATEGORIES[5], "^", "--")
_WRONG = _Kind("missed", plots.CATEGORIES[3], "X", "--")


def correspondences(drawable: Drawable, row: int, alpha: float) -> Figure:
    """One pair of each category, at most eight, with what the block at position ``row`` found."""
    arrays = drawable.result.arrays
    chosen = [_first_pair(arrays["category"] == i, arrays) for i in _spread(len(arrays["categories"]))]
    columns = min(_COLUMNS, len(chosen))
    rows = -(-len(chosen) // columns)
    figure = plots.page(0.75 + rows * 1.75, plots.PAGE * columns / _COLUMNS)
    block = drawable.model.blocks[row]
    title = f"{plots.model_label(drawable.model)}: what points found, block {block}"
    note = f"left: the points, right: the most similar pixels; found: within {alpha:g} of the object's box"
    plots.head(figure, title, note if columns > 1 else note.replace("; ", "\n"))
    places = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in places:
        axes.set_axis_off()
    for axes, points in zip(places, chosen, strict=False):
        _draw_pair(axes, drawable, points, row, alpha)
    handles = [_line(kind, label=kind.label) for kind in (_RIGHT, _SWAPPED, _WRONG)]
    figure.legend(
        handles=handles, loc="outside lower center", ncols=3 if columns > 1 else 1, fontsize=plots.LABEL, frameon=False
    )
    return figure


def _spread(count: int) -> list[int]:
    """At most eight of so many categories, evenly spread."""
    return sorted({round(i) for i in np.linspace(0, count - 1, min(_PAIRS, count))})


def _first_pair(of_category: Array, arrays: Mapping[str, Array]) -> Array:
    """The positions of the points of the category's first pair with several points (or of its first pair)."""
    points = np.flatnonzero(of_category)
    names = np.stack([arrays["image"][points], arrays["pair"][points]], 1)
    pairs, first, counts = np.unique(names, axis=0, return_index=True, return_counts=True)
    enough = np.flatnonzero(counts >= min(4, counts.max()))
    pair = pairs[enough[first[enough].argmin()]]
    chosen: Array = points[(names == pair).all(1)]
    return chosen


def _draw_pair(axes: Axes, drawable: Drawable, points: Array, row: int, alpha: float) -> None:
    arrays, side = drawable.result.arrays, drawable.view.size
    shift = np.array([side * (1 + _GAP), 0])
    sizes = [
        _show(axes, drawable, int(arrays[which][points[0]]), offset)
        for which, offset in (("image", 0.0), ("target", float(shift[0])))
    ]
    right = arrays["error"][row, points] < alpha * arrays["threshold"][points]
    for point, is_right in zip(points, right, strict=True):
        swapped = arrays["swapped"][row, point] == 1
        kind = _RIGHT if is_right else _SWAPPED if swapped else _WRONG
        start, end = arrays["source"][point], arrays["found"][row, point] + shift
        axes.add_line(_line(kind, [start[0], end[0]], [start[1], end[1]]))
    top = min((side - high) / 2 for _, high in sizes)
    axes.set_xlim(-1, side * (2 + _GAP))
    axes.set_ylim(side - top + 1, top - 1)
    axes.set_aspect("equal")
    name = arrays["categories"][arrays["category"][points[0]]]
    axes.set_title(f"{name}: {right.sum()} of {len(points)} found", fontsize=plots.TITLE, loc="left", color=plots.INK)


def _show(axes: Axes, drawable: Drawable, index: int, left: float) -> tuple[int, int]:
    """The picture without the margins of the view, at its place in the square; returns its size there."""
    side, picture = drawable.view.size, drawable.picture(index)[0].image
    width, height = shown_size(picture.size, side)
    x, y = left + (side - width) // 2, (side - height) // 2
    pixels = np.asarray(picture.resize((3 * width, 3 * height) if picture.width > 3 * width else picture.size))
    axes.imshow(pixels, extent=(x - 0.5, x + width - 0.5, y + height - 0.5, y - 0.5), interpolation="antialiased")
    return width, height


def _line(kind: _Kind, x: list[float] | None = None, y: list[float] | None = None, label: str = "") -> Line2D:
    return Line2D(
        x or [],
        y or [],
        color=kind.colour,
        linestyle=kind.dashes,
        linewidth=0.9,
        marker=kind.marker,
        markersize=4,
        markeredgewidth=0.5,
        markeredgecolor="white",
        label=label,
    )
