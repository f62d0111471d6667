"""Pictures of the ``retrieval`` analysis: scores over blocks, and what was found for some queries."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from vitan.analysis.figures import Drawable, Drawing, Plot
from vitan.analysis.recordings import said

from ..plotting import pages as plots
from ..plotting.bands import LEGEND, SweepPanel, draw_sweep, sweep_page
from ..plotting.pixels import Array
from .metrics import DEPTHS
from .sheets import sheet

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_TITLE = "Do the most similar pictures show the same thing?"


def draw(drawables: Sequence[Drawable]) -> Iterable[Drawing]:
    """Of one model its scores over blocks and a sheet of rankings; of several the scores over depth."""
    if len(drawables) == 1:
        (drawable,) = drawables
        yield Plot(name="retrieval", figure=_one(drawable))
        if (chosen := best_block(drawable)) is not None:
            protocol, block = chosen
            yield Plot(name="rankings", figure=sheet(drawable, protocol, protocols(drawable)[protocol], block))
        return
    common = [name for name in protocols(drawables[0]) if all(name in protocols(d) for d in drawables)]
    if not common:
        return
    panels = [SweepPanel(f"mAP, {name}", "", [_sweep(d, name) for d in drawables]) for name in common]
    note = f"{data(drawables[0])}, {drawables[0].view.name} view"
    yield Plot(name="compare-retrieval", figure=sweep_page(drawables, panels, title=_TITLE, subtitle=note))


def protocols(drawable: Drawable) -> list[str]:
    """The protocols that were scored, in the order of the arrays."""
    return [metric.removeprefix("map-") for metric in drawable.result.headline]


def best_block(drawable: Drawable) -> tuple[int, int] | None:
    """The protocol (medium, or the first that has any score) and the position of its best block."""
    names, maps = protocols(drawable), drawable.result.arrays["map"][..., 0]  # (protocol, block)
    order = sorted(range(len(names)), key=lambda i: (names[i] != "medium", i))
    found = next((i for i in order if not np.isnan(maps[i]).all()), None)
    return None if found is None else (found, int(np.nanargmax(maps[found])))


def data(drawable: Drawable) -> str:
    """How many queries and pictures there were, for small print."""
    gallery = next(int(r.value) for r in drawable.result.records if r.metric == "retrieval-gallery")
    return f"{len(drawable.result.arrays['query'])} queries among {gallery} pictures of {drawable.dataset_name}"


def _sweep(drawable: Drawable, name: str) -> tuple[Array, Array]:
    i = protocols(drawable).index(name)
    return drawable.result.arrays["map"][i], drawable.result.arrays["may-be-best"][i]


def _one(drawable: Drawable) -> Figure:
    names = protocols(drawable)
    token = next(r.token for r in drawable.result.records if r.metric == "retrieval-gallery")
    what = said(token, drawable.options.token)
    figure = plots.page(3.1)
    note = f"{data(drawable)}, {drawable.view.name} view, {what}\n{LEGEND}"
    plots.head(figure, f"{plots.model_label(drawable.model)}: {_TITLE.lower()}", note)
    left, right = figure.subplots(1, 2)
    blocks = np.asarray(drawable.model.blocks)
    for i, name in enumerate(names):
        draw_sweep(left, blocks, *_sweep(drawable, name), _look(i, name))
        left.lines[-2].set_label(name)
    plots.tidy(left, "mean average precision", "block")
    chosen = best_block(drawable)
    shown = chosen[0] if chosen else 0
    for i, depth in enumerate(DEPTHS):
        values = drawable.result.arrays["precision"][shown, i]  # (block, query)
        look = _look(i, f"at {depth}")
        empty = np.isnan(values).all(1)
        mean = np.where(empty, np.nan, np.nanmean(np.where(empty[:, None], 0, values), axis=1))
        right.plot(blocks, mean, color=look.colour, marker=look.marker, linewidth=1.1, markersize=3.2, label=look.label)
    plots.tidy(right, f"mean precision, {names[shown]}", "block")
    for axes in (left, right):
        _finish(axes, drawable)
    return figure


def _finish(axes: Axes, drawable: Drawable) -> None:
    plots.number_ticks(axes, drawable.model.blocks)
    axes.legend(fontsize=plots.TICK, frameon=False)


def _look(number: int, label: str) -> plots.Look:
    return plots.Look(label, plots.rgb(plots.CATEGORIES[number]), plots.MARKERS[number % 4], "-", False)
