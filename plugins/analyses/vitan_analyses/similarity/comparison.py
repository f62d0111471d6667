"""Pictures between models: last blocks by every measure, and blocks against blocks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from vitan.figures import Drawable, Drawing, Plot
from vitan.results import Result

from .. import plots
from ..cka.figures import block_map, model_map, similarity_bar
from ..drawing import Array
from ..pooled import KINDS
from .figures import gap, note, say, title
from .measures import MEASURES, Measure
from .null import LEVEL

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ACROSS = 4  # panels in a row
_CELL = 0.21  # inches that a number in a cell needs
_PAIRS = 3  # pairs of models on a page


def draw_comparison(drawables: Sequence[Drawable], result: Result) -> Iterator[Drawing]:
    """For CLS and the mean patch: the last blocks of all models, and blocks against blocks where these were compared."""
    measures = [m for m in MEASURES.values() if any(name.startswith(f"{m.name}-last") for name in result.arrays)]
    for kind in KINDS:
        known = [np.isfinite(result.arrays[f"{m.name}-last-{kind}"]).any() for m in measures]
        if not any(known):
            continue
        yield Plot(name=f"compare-similarity-last-{kind}", figure=_last(drawables, result, measures, kind))
        pairs = [
            (a, b)
            for a, b in combinations(drawables, 2)
            if f"{measures[0].name}-{kind} {a.model.name} {b.model.name}" in result.arrays
        ]
        for start in range(0, len(pairs), _PAIRS):
            number = f"-{start // _PAIRS + 1}" if len(pairs) > _PAIRS else ""
            figure = _blocks(result, measures, kind, pairs[start : start + _PAIRS])
            yield Plot(name=f"compare-similarity-{kind}{number}", figure=figure)


def _last(drawables: Sequence[Drawable], result: Result, measures: Sequence[Measure], kind: str) -> Figure:
    """Model by model; where there is a null, beside each map the calibrated one."""
    names = [plots.model_label(drawable.model) for drawable in drawables]
    tested = f"{measures[0].name}-last-{kind}-p" in result.arrays
    wide = len(names) > 12
    across = min(_ACROSS // 2 if wide else _ACROSS, len(measures) * (2 if tested else 1))
    count = len(measures) * (2 if tested else 1)
    rows = -(-count // across)
    longest = 0.045 * max(map(len, names))  # inches, as names are slanted
    side = (plots.PAGE - 0.9 - 1.4 * longest) / _ACROSS * (2 if wide else 1)
    figure = plots.page(rows * (side + 0.25) + longest + 0.9, 0.9 + 1.4 * longest + across * side)
    plots.head(figure, f"How alike are the last blocks? {KINDS[kind]}", _last_note(drawables[0], tested))
    panels = figure.subplots(rows, across, squeeze=False)
    for axes in panels.ravel()[count:]:
        axes.set_visible(False)
    for place, measure in enumerate(measures):
        metric, step = f"{measure.name}-last-{kind}", 2 if tested else 1
        written = side / len(names) >= _CELL
        axes = panels.ravel()[place * step]
        model_map(axes, result.arrays[metric], names, title=title(measure, result), written=written)
        if tested:
            _mark(axes, result.arrays[f"{metric}-p"])
            twin = panels.ravel()[place * step + 1]
            model_map(twin, result.arrays[f"{metric}-calibrated"], names, title="calibrated", written=written)
        if reason := gap(result, metric):
            say(axes, reason)
    _outer_labels(panels, count)
    similarity_bar(figure, panels.ravel()[:count], "similarity")
    return figure


def _mark(axes: Axes, p: Array) -> None:
    """A dot in the corner of every pair whose p-value is low."""
    rows, columns = np.nonzero(np.nan_to_num(p, nan=1.0) <= LEVEL)
    axes.scatter(columns + 0.34, rows - 0.34, s=4, color="white", edgecolor="black", linewidth=0.4)


def _outer_labels(panels: Array, count: int) -> None:
    """Names of models at the left and below alone."""
    across = panels.shape[1]
    for place, axes in enumerate(panels.ravel()[:count]):
        if place % across:
            axes.set_yticklabels([])
        if place + across < count:
            axes.set_xticklabels([])


def _last_note(drawable: Drawable, tested: bool) -> str:
    if not tested:
        return note(drawable)
    options = drawable.options
    permutations = getattr(options, "permutations", 0)
    return (
        f"{note(drawable)}; {permutations} permutations\n"
        f"dot: p at most {LEVEL:g}; calibrated: 0 for what chance explains, 1 for equal features"
    )


def _blocks(
    result: Result, measures: Sequence[Measure], kind: str, pairs: Sequence[tuple[Drawable, Drawable]]
) -> Figure:
    """A row for each measure and a column for each pair; of a single pair, measures beside one another."""
    single = len(pairs) == 1
    across = min(_ACROSS, len(measures)) if single else len(pairs)
    cells = [(measure, pair) for measure in measures for pair in pairs]
    rows = -(-len(cells) // across)
    side = 1.75 if single else 1.5
    figure = plots.page(rows * side + 0.7, max(across * side + 0.9, 4.2))
    plots.head(figure, f"Blocks against blocks, {KINDS[kind]}", note(pairs[0][0]))
    panels = figure.subplots(rows, across, squeeze=False)
    for axes in panels.ravel()[len(cells) :]:
        axes.set_visible(False)
    for place, (measure, (a, b)) in enumerate(cells):
        axes, values = panels.ravel()[place], result.arrays[f"{measure.name}-{kind} {a.model.name} {b.model.name}"]
        above = title(measure, result) if place % across == 0 or single else ""
        x, y = plots.model_label(b.model), plots.model_label(a.model)
        block_map(axes, values, a.model.blocks, b.model.blocks, title=above, x=x, y=y)
        if not np.isfinite(values).any():
            say(axes, gap(result, f"{measure.name}-last-{kind}") or "not defined")
    similarity_bar(figure, panels.ravel()[: len(cells)], "similarity")
    return figure
