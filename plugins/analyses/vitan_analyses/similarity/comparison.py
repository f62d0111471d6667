"""Pictures between models: last blocks by every measure, and blocks against blocks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from vitan.analysis.figures import Drawable, Drawing, Plot
from vitan.analysis.recordings import KINDS
from vitan.analysis.records import Result

from ..plotting import pages as plots
from ..plotting.pixels import Array
from ..plotting.similarity import block_map, model_map, similarity_bar
from .figures import note, title, with_values
from .measures import MEASURES, Measure
from .null import LEVEL

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ACROSS = 4  # panels in a row
_MANY = 12  # models, beyond which only half as many are,
_FEW = 3  # and only so many measures on a page
_CELL = 0.21  # inches that a number in a cell needs
_PAIRS = 3  # pairs of models on a page


def draw_comparison(drawables: Sequence[Drawable], result: Result) -> Iterator[Drawing]:
    """For CLS and the mean patch: the last blocks of all models, and all blocks of two where these were compared."""
    asked = [m for m in MEASURES.values() if f"{m.name}-last-patches" in result.arrays]
    for kind in KINDS:
        measures, missing = with_values(result, asked, "last", [kind])
        if not any(np.isfinite(result.arrays[f"{m.name}-last-{kind}"]).any() for m in measures):
            continue
        size = _FEW if len(drawables) > _MANY else len(measures)
        for start in range(0, len(measures), size):
            number = f"-{start // size + 1}" if len(measures) > size else ""
            figure = _last(drawables, result, measures[start : start + size], kind, missing)
            yield Plot(name=f"compare-similarity-last-{kind}{number}", figure=figure)
        pairs = [
            (a, b)
            for a, b in combinations(drawables, 2)
            if f"{measures[0].name}-{kind}" in result.between.get((a.model.name, b.model.name), {})
        ]
        for start in range(0, len(pairs), _PAIRS):
            number = f"-{start // _PAIRS + 1}" if len(pairs) > _PAIRS else ""
            figure = _blocks(result, measures, kind, pairs[start : start + _PAIRS])
            yield Plot(name=f"compare-similarity-{kind}{number}", figure=figure)


def _last(
    drawables: Sequence[Drawable], result: Result, measures: Sequence[Measure], kind: str, missing: Sequence[str]
) -> Figure:
    """Model by model; where there is a null, beside each map the calibrated one."""
    names = [plots.model_label(drawable.model) for drawable in drawables]
    tested = f"{measures[0].name}-last-{kind}-p" in result.arrays
    maps = [shown for measure in measures for shown in _maps(result, measure, kind, tested=tested)]
    most = _ACROSS // 2 if len(names) > _MANY else _ACROSS
    across, longest = min(most, len(maps)), 0.045 * max(map(len, names))  # inches, as names are slanted
    rows, side = -(-len(maps) // across), (plots.PAGE - 0.9 - 1.4 * longest) / most
    lines = [*missing, *([_tested(drawables[0])] if tested else [])]
    height = rows * (side + 0.25) + longest + 0.9 + 0.13 * len(lines)
    figure = plots.page(height, max(0.9 + 1.4 * longest + across * side, 5.6 if tested else 4.2))
    small_print = note(drawables[0], lines, [result.arrays[f"{m.name}-last-{kind}"] for m in measures])
    plots.head(figure, f"How alike are the last blocks? {KINDS[kind]}", small_print)
    panels = figure.subplots(rows, across, squeeze=False)
    for axes in panels.ravel()[len(maps) :]:
        axes.set_visible(False)
    for axes, (above, values, p) in zip(panels.ravel(), maps, strict=False):
        model_map(axes, values, names, title=above, written=side / len(names) >= _CELL)
        if p is not None:
            _mark(axes, p)
    _outer_labels(panels, len(maps))
    similarity_bar(figure, panels.ravel()[: len(maps)], "similarity")
    return figure


def _maps(result: Result, measure: Measure, kind: str, *, tested: bool) -> Iterator[tuple[str, Array, Array | None]]:
    """Title, values and p-values of each map of a measure."""
    metric = f"{measure.name}-last-{kind}"
    yield title(measure, result), result.arrays[metric], result.arrays.get(f"{metric}-p")
    if tested:
        yield "calibrated", result.arrays[f"{metric}-calibrated"], None


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


def _tested(drawable: Drawable) -> str:
    count = getattr(drawable.options, "permutations", 0)
    said = f"dot: p at most {LEVEL:g} in {count} permutations"
    return f"{said}; calibrated: 0 for what chance explains, 1 for equal features"


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
    maps = [result.between[a.model.name, b.model.name][f"{m.name}-{kind}"] for m, (a, b) in cells]
    plots.head(figure, f"Blocks against blocks, {KINDS[kind]}", note(pairs[0][0], maps=maps))
    panels = figure.subplots(rows, across, squeeze=False)
    for axes in panels.ravel()[len(cells) :]:
        axes.set_visible(False)
    for place, ((measure, (a, b)), values) in enumerate(zip(cells, maps, strict=True)):
        above = title(measure, result) if place % across == 0 or single else ""
        x, y = plots.model_label(b.model), plots.model_label(a.model)
        block_map(panels.ravel()[place], values, a.model.blocks, b.model.blocks, title=above, x=x, y=y)
    similarity_bar(figure, panels.ravel()[: len(cells)], "similarity")
    return figure
