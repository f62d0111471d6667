"""Pictures of the ``cka`` analysis."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize

from vitan.figures import Drawable, Drawing, Plot
from vitan.results import Result

from .. import plots
from ..drawing import Array
from ..pooled import KINDS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MAP = "magma"
_PAIRS = 15  # on one page


def draw(drawables: Sequence[Drawable]) -> Iterable[Drawing]:
    """One model: every block against every other."""
    drawable = drawables[0]
    maps = [(kind, drawable.result.arrays[kind]) for kind in KINDS if kind in drawable.result.arrays]
    figure = plots.page(3.4, plots.PAGE * (0.2 + 0.4 * len(maps)))
    plots.head(figure, f"Which blocks of {plots.model_label(drawable.model)} are alike", _note(drawable))
    panels = figure.subplots(1, len(maps), squeeze=False).ravel()
    for axes, (kind, values) in zip(panels, maps, strict=True):
        block_map(axes, values, drawable.model.blocks, drawable.model.blocks, title=KINDS[kind], x="block", y="block")
    similarity_bar(figure, panels)
    yield Plot(name="cka", figure=figure)


def draw_comparison(drawables: Sequence[Drawable], result: Result) -> Iterator[Drawing]:
    """Several models: the last blocks of all, and every block of one against every block of another."""
    kinds = [kind for kind in KINDS if np.isfinite(result.arrays[f"last-{kind}"]).any()]
    yield Plot(name="compare-cka-last", figure=_last(drawables, result, kinds))
    for kind in kinds:
        pairs = list(combinations(drawables, 2))
        found = [(a, b, result.arrays.get(f"{kind} {a.model.name} {b.model.name}")) for a, b in pairs]
        shown = [(a, b, values) for a, b, values in found if values is not None]
        for page in range(0, len(shown), _PAIRS):
            number = f"-{page // _PAIRS + 1}" if len(shown) > _PAIRS else ""
            yield Plot(name=f"compare-cka-{kind}{number}", figure=_pairs(kind, shown[page : page + _PAIRS]))


def _last(drawables: Sequence[Drawable], result: Result, kinds: Sequence[str]) -> Figure:
    """Model by model; a pair that could not be compared is blank."""
    names = [plots.model_label(drawable.model) for drawable in drawables]
    side = max(2.4, 0.32 * len(names) + 1.2)
    figure = plots.page(side + 0.7, min(side * len(kinds) + 0.8, 2 * plots.PAGE))
    plots.head(figure, "How alike are the last blocks?", _note(drawables[0]))
    panels = figure.subplots(1, len(kinds), squeeze=False).ravel()
    for axes, kind in zip(panels, kinds, strict=True):
        values = result.arrays[f"last-{kind}"]
        model_map(axes, values, names, title=KINDS[kind], written=len(names) <= 12)
    similarity_bar(figure, panels)
    return figure


def _pairs(kind: str, pairs: Sequence[tuple[Drawable, Drawable, Array]]) -> Figure:
    columns = min(3, len(pairs))
    rows = -(-len(pairs) // columns)
    figure = plots.page(0.6 + 2.2 * rows, plots.PAGE * max(columns, 2) / 3)
    plots.head(figure, f"Blocks against blocks, {KINDS[kind]}", _note(pairs[0][0]))
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, (first, second, values) in zip(panels, pairs, strict=False):
        a, b = first.model, second.model
        block_map(axes, values, a.blocks, b.blocks, title="", x=plots.model_label(b), y=plots.model_label(a))
    for axes in panels[len(pairs) :]:
        axes.set_visible(False)
    similarity_bar(figure, panels[: len(pairs)])
    return figure


def model_map(axes: Axes, values: Array, names: Sequence[str], *, title: str, written: bool) -> None:
    """Similarities (model, model) from 0 to 1, first model at the top left; what is not known is blank.

    ``written`` puts the numbers into the cells.
    """
    axes.imshow(values, cmap=_MAP, vmin=0, vmax=1, interpolation="none")
    axes.set_title(title, fontsize=plots.TITLE, loc="left")
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right")
    axes.set_yticks(range(len(names)), names)
    axes.tick_params(labelsize=plots.TICK, length=0)
    axes.spines[:].set_visible(False)
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value) and written:
            ink = "white" if value < 0.6 else "black"
            axes.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=plots.TICK, color=ink)


def block_map(
    axes: Axes, values: Array, rows: Sequence[int], columns: Sequence[int], *, title: str, x: str, y: str
) -> None:
    """Similarities (row, column) from 0 to 1, first block at the bottom left; what is not known is blank."""
    axes.imshow(values, cmap=_MAP, vmin=0, vmax=1, origin="lower", interpolation="none")
    axes.set_title(title, fontsize=plots.TITLE, loc="left")
    axes.set_xlabel(x, fontsize=plots.LABEL)
    axes.set_ylabel(y, fontsize=plots.LABEL)
    for numbers, axis in ((columns, axes.xaxis), (rows, axes.yaxis)):
        places = range(0, len(numbers), plots.every(len(numbers), 6))
        axis.set_ticks(list(places), labels=[str(numbers[i]) for i in places])
    axes.tick_params(labelsize=plots.TICK, length=0)
    axes.spines[:].set_visible(False)


def similarity_bar(figure: Figure, panels: Array, label: str = "CKA") -> None:
    """A colour bar from 0 to 1 beside ``panels``."""
    bar = figure.colorbar(ScalarMappable(Normalize(0, 1), _MAP), ax=list(panels), fraction=0.04, pad=0.02, aspect=30)
    bar.set_label(label, fontsize=plots.LABEL)
    bar.ax.tick_params(labelsize=plots.TICK, length=2, width=0.5)
    bar.outline.set_visible(False)


def _note(drawable: Drawable) -> str:
    count = len(drawable.result.arrays["image"])
    return f"debiased linear CKA over {count} pictures of {drawable.dataset_name}, {drawable.view.name} view"
