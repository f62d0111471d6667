"""Pictures of the ``knn`` analysis."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from vitan.analysis.figures import Drawable, Drawing, Plot
from vitan.analysis.recordings import said

from ..plotting import pages as plots
from ..plotting.bands import LEGEND, SweepPanel, draw_sweep, sweep_page
from ..plotting.pixels import Array
from .probe import METRICS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WORDS = {"knn-top1": "top-1", "knn-top5": "top-5"}
_NAMED = 6  # classes whose names stand at either end


def draw(drawables: Sequence[Drawable]) -> Iterable[Drawing]:
    """Of one model accuracy for every k and for every class; of several the accuracies for the first k, over depth."""
    if len(drawables) == 1:
        yield Plot(name="knn", figure=_one(drawables[0]))
        return
    panels = [
        SweepPanel(_WORDS[metric], "accuracy (%)", [_first_k(drawable, metric) for drawable in drawables])
        for metric in METRICS
    ]
    ks = {int(drawable.result.arrays["k"][0]) for drawable in drawables}
    note = f"{_data(drawables[0])}, k = {', '.join(map(str, sorted(ks)))}, {drawables[0].view.name} view"
    figure = sweep_page(drawables, panels, title="Do the nearest neighbours tell the class?", subtitle=note)
    yield Plot(name="compare-knn", figure=figure)


def _one(drawable: Drawable) -> Figure:
    arrays = drawable.result.arrays
    figure = plots.page(5.6)
    note = f"{_data(drawable)}, {_token(drawable)}, temperature {drawable.options.temperature:g}"
    larger = sorted(set(drawable.options.k) - set(arrays["k"].tolist()))
    note += f"; too large for this bank: k = {', '.join(map(str, larger))}" if larger else ""
    note = f"{note}\n{LEGEND}"
    plots.head(figure, f"{plots.model_label(drawable.model)}: do the nearest neighbours tell the class?", note)
    grid = figure.add_gridspec(2, 2, height_ratios=(1, 1.1))
    for column, metric in enumerate(METRICS):
        _over_blocks(figure.add_subplot(grid[0, column]), drawable, metric)
    _classes(figure.add_subplot(grid[1, :]), drawable, arrays["class-top1"][0])
    return figure


def _over_blocks(axes: Axes, drawable: Drawable, metric: str) -> None:
    arrays, blocks = drawable.result.arrays, np.asarray(drawable.model.blocks)
    shades = plots.CATEGORIES
    for i in sorted(range(len(arrays["k"])), key=lambda i: int(arrays["k"][i])):
        look = plots.Look(f"k = {arrays['k'][i]}", plots.rgb(shades[i % len(shades)]), plots.MARKERS[i % 4], "-", i > 3)
        draw_sweep(axes, blocks, arrays[metric][i], arrays["may-be-best"][METRICS.index(metric), i], look)
        axes.lines[-2].set_label(look.label)
    plots.tidy(axes, f"{_WORDS[metric]} accuracy", "block", "%")
    plots.number_ticks(axes, drawable.model.blocks)
    axes.legend(fontsize=plots.TICK, frameon=False)


def _classes(axes: Axes, drawable: Drawable, accuracy: Array) -> None:
    """The classes in order of their accuracy at the best block, those at both ends by name."""
    arrays = drawable.result.arrays
    means = arrays[METRICS[0]][0, :, 0]
    if np.isnan(means).all():
        axes.set_visible(False)
        return
    best = int(np.nanargmax(means))
    shares = accuracy[best]
    there = np.flatnonzero(~np.isnan(shares))
    order = there[np.argsort(-shares[there], kind="stable")]
    names = drawable.dataset.classes() or [str(number) for number in range(len(shares))]
    axes.bar(np.arange(len(order)), shares[order], width=1.0 if len(order) > 60 else 0.8, color=plots.CATEGORIES[0])
    axes.margins(x=0.01)
    axes.axhline(float(means[best]), color=plots.INK, linestyle=":", linewidth=0.8)
    k, block = int(arrays["k"][0]), drawable.model.blocks[best]
    plots.tidy(axes, f"top-1 of each class, block {block}, k = {k} (dotted: over all queries)", "", "%")
    if len(order) <= 30:
        axes.set_xticks(range(len(order)), [names[c] for c in order], rotation=90)
    else:
        axes.set_xticks([])
        ends = ("; ".join(f"{names[c]} {shares[c]:.0f}" for c in part) for part in (order[:_NAMED], order[-_NAMED:]))
        axes.set_xlabel("\n".join(f"{word}: {text}" for word, text in zip(("best", "worst"), ends, strict=True)))
        axes.xaxis.label.set_fontsize(plots.TICK)


def _first_k(drawable: Drawable, metric: str) -> tuple[Array, Array]:
    arrays = drawable.result.arrays
    return arrays[metric][0], arrays["may-be-best"][METRICS.index(metric), 0]


def _token(drawable: Drawable) -> str:
    token = next(record.token for record in drawable.result.records if record.metric == "knn-bank")
    return said(token, drawable.options.token)


def _data(drawable: Drawable) -> str:
    count = {r.metric: int(r.value) for r in drawable.result.records if r.metric in ("knn-bank", "knn-queries")}
    return f"{count['knn-queries']} queries, bank of {count['knn-bank']} from {drawable.dataset_name}"
