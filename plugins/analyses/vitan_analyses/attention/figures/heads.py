"""Pages of numbers per head: heat maps, curves over ranks and blocks, and one number against another."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from vitan.analysis.figures import Drawable, Plot

from ...plotting import pages as plots
from ...plotting.pixels import Array, own_scale
from .overview import facts
from .readings import HEAD_METRICS, head_values, unit

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: The metrics of the scatter plots: each against each, as published; then most of them against the entropy.
_PAIRED = ("attention-distance", "patch-to-cls", "position-deviation", "offset-length")
_RANKED = ("attention-distance", "entropy", "patch-to-cls", "position-deviation")


def draw(drawable: Drawable) -> Iterator[Plot]:
    """The pages for which there are numbers."""
    values = {name: found for name in HEAD_METRICS if (found := head_values(drawable, name)) is not None}
    if values:
        yield Plot(name="heads", figure=_summary(drawable, values, ranked=False))
        yield Plot(name="heads-sorted", figure=_summary(drawable, values, ranked=True))
    if any(name in values for name in _RANKED):
        yield Plot(name="heads-by-rank", figure=_ranks(drawable, {n: values[n] for n in _RANKED if n in values}))
    pairs = _pairs(values)
    if pairs:
        yield Plot(name="heads-scatter", figure=_scatter(drawable, values, pairs))


def _summary(drawable: Drawable, values: dict[str, Array], *, ranked: bool) -> Figure:
    """A heat map for every metric, heads in their own order or ascending within each block."""
    columns = min(4 if len(values) > 6 else 3, len(values))
    rows = -(-len(values) // columns)
    figure = plots.page(
        0.6 + rows * (2.1 if len(drawable.model.blocks) <= 16 else 2.9), plots.PAGE * min(columns, 3) / 3
    )
    order = "ascending within each block" if ranked else "in the model's order"
    plots.head(figure, f"Heads of {plots.model_label(drawable.model)}, {order}", facts(drawable))
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, (name, numbers) in zip(panels, values.items(), strict=False):
        shown = np.sort(numbers, axis=1) if ranked else numbers
        plots.heat_map(
            axes,
            shown,
            drawable.model.blocks,
            title=HEAD_METRICS[name],
            scale=own_scale(numbers),
            x="rank of the head" if ranked else "head",
        )
        plots.colour_bar(figure, axes, own_scale(numbers), unit(drawable, name))
    for axes in panels[len(values) :]:
        axes.set_visible(False)
    return figure


def _ranks(drawable: Drawable, values: dict[str, Array]) -> Figure:
    """For each metric the heads of every block by rank, and mean, smallest and largest over the blocks."""
    blocks = list(drawable.model.blocks)
    figure = plots.page(0.6 + 1.75 * len(values))
    plots.head(figure, f"Heads of {plots.model_label(drawable.model)} by rank and by block", facts(drawable))
    panels = figure.subplots(len(values), 2, squeeze=False)
    colours = plots.depth_colours(len(blocks))
    for (by_rank, by_block), (name, numbers) in zip(panels, values.items(), strict=True):
        for row, line in enumerate(np.sort(numbers, axis=1)):
            by_rank.plot(line, color=colours[row], marker=plots.MARKERS[row % 4], markersize=2.2, linewidth=0.8)
        plots.tidy(by_rank, HEAD_METRICS[name], y=unit(drawable, name))
        plots.number_ticks(by_rank, range(numbers.shape[1]))
        by_block.fill_between(blocks, numbers.min(axis=1), numbers.max(axis=1), color="#d9e8f2", linewidth=0)
        for label, line, dashes in (
            ("largest head", numbers.max(axis=1), "--"),
            ("mean of the block", numbers.mean(axis=1), "-"),
            ("smallest head", numbers.min(axis=1), ":"),
        ):
            by_block.plot(blocks, line, dashes, color="#0072B2", linewidth=1.1, label=label)
        plots.tidy(by_block)
        plots.number_ticks(by_block, blocks)
    panels[0, 1].legend(
        fontsize=plots.TICK,
        frameon=False,
        handlelength=1.8,
        ncols=3,
        loc="lower left",
        bbox_to_anchor=(0, 1),
        borderaxespad=0.1,
        columnspacing=1.2,
    )
    panels[-1, 0].set_xlabel("rank of the head within its block", fontsize=plots.LABEL)
    panels[-1, 1].set_xlabel("block", fontsize=plots.LABEL)
    plots.depth_bar(figure, list(panels[:, 0]), blocks)
    return figure


def _pairs(values: dict[str, Array]) -> list[tuple[str, str]]:
    known = [name for name in _PAIRED if name in values]
    pairs = [(a, b) for i, a in enumerate(known) for b in known[i + 1 :]]
    return pairs + [(a, "entropy") for a in known if "entropy" in values and a != "position-deviation"]


def _scatter(drawable: Drawable, values: dict[str, Array], pairs: list[tuple[str, str]]) -> Figure:
    blocks = list(drawable.model.blocks)
    columns = min(3, len(pairs))
    rows = -(-len(pairs) // columns)
    figure = plots.page(0.7 + 2.05 * rows, plots.PAGE * max(columns, 2) / 3)
    plots.head(figure, f"Heads of {plots.model_label(drawable.model)}, one number against another", facts(drawable))
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, (a, b) in zip(panels, pairs, strict=False):
        plots.points(axes, values[a], values[b])
        plots.tidy(axes, x=_label(drawable, a), y=_label(drawable, b))
    for axes in panels[len(pairs) :]:
        axes.set_visible(False)
    plots.depth_bar(figure, list(panels[: len(pairs)]), blocks)
    return figure


def _label(drawable: Drawable, name: str) -> str:
    measure = unit(drawable, name)
    return f"{HEAD_METRICS[name]} ({measure})" if measure else HEAD_METRICS[name]
