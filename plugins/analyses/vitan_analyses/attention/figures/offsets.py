"""A page on where heads look from a patch: the mean step of each head, and the heads with the longest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vitan.analysis.figures import Drawable, Plot

from ...plotting import pages as plots
from ...plotting.pixels import MAPS, Array, stretch
from .overview import facts

_NUMBERED = 6


def draw(drawable: Drawable) -> Iterator[Plot]:
    """The page, if there are offsets."""
    offsets = drawable.result.arrays.get("attention-offset")
    if offsets is not None:
        yield Plot(name="offsets", figure=_page(drawable, np.asarray(offsets)))


def _page(drawable: Drawable, offsets: Array) -> Figure:
    """``offsets`` is (block, head, component) with x, y and the length."""
    blocks = drawable.model.blocks
    farthest = np.argsort(-offsets[..., 2].ravel(), kind="stable")[:_NUMBERED]
    places = [divmod(int(place), offsets.shape[1]) for place in farthest]
    figure = plots.page(4.6)
    title = f"Where the heads of {plots.model_label(drawable.model)} look from a patch, on average"
    plots.head(figure, title, facts(drawable))
    left, right = figure.subfigures(1, 2, width_ratios=[1.9, 1.0], squeeze=False)[0]
    axes = left.subplots()
    _compass(axes, offsets, places)
    plots.depth_bar(left, [axes], blocks)
    aligned = drawable.result.arrays.get("aligned-attention")
    if aligned is None:
        return figure
    panels = right.subplots(3, 2).ravel()
    for number, (panel, (row, head)) in enumerate(zip(panels, places, strict=False), 1):
        panel.imshow(stretch(np.asarray(aligned[row, head])), interpolation="none", cmap=MAPS)
        panel.set_title(f"{number}: block {blocks[row]}, head {head}", fontsize=plots.LABEL, loc="left")
    for panel in panels:
        panel.set_axis_off()
    return figure


def _compass(axes: Axes, offsets: Array, places: Sequence[tuple[int, int]]) -> None:
    """A point for each head, right and down as in the picture; those at ``places`` are numbered."""
    reach = 1.08 * max(float(np.abs(offsets[..., :2]).max()), 1e-6)
    angle = np.linspace(0, 2 * np.pi, 181)
    for radius in _rings(reach):
        axes.plot(radius * np.cos(angle), radius * np.sin(angle), color="#e0e0e0", linewidth=0.5, zorder=0)
    axes.axhline(0, color="#cccccc", linewidth=0.5, zorder=0)
    axes.axvline(0, color="#cccccc", linewidth=0.5, zorder=0)
    plots.points(axes, offsets[..., 0], offsets[..., 1])
    points = np.array([offsets[place][:2] for place in places])
    for number, (x, y) in enumerate(_beside(points, offsets[..., :2].reshape(-1, 2), reach / 22), 1):
        axes.text(x, y, str(number), fontsize=plots.LABEL, ha="center", va="center")
    plots.tidy(
        axes,
        x="← left      mean offset (grid widths)      right →",
        y="← down      mean offset (grid widths)      up →",
    )
    axes.grid(visible=False)
    axes.set(xlim=(-reach, reach), ylim=(reach, -reach), aspect="equal")


def _rings(reach: float) -> Array:
    """Round radii up to the corner of the plot."""
    step = 10 ** np.floor(np.log10(reach))
    step = step / 2 if reach / step < 2 else step
    rings: Array = np.arange(1, int(reach * 2**0.5 / step) + 1) * step
    return rings


def _beside(points: Array, others: Array, away: float) -> Array:
    """A place for the label of each of ``points`` (point, 2), so far away from it, where least else is near."""
    angles = np.arange(8) * np.pi / 4
    around = away * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    taken = others
    for point in points:
        candidates = point + around
        room = np.linalg.norm(candidates[:, None] - taken, axis=-1).min(axis=1)
        taken = np.concatenate([taken, candidates[room.argmax()][None]])
    return taken[len(others) :]
