"""Pictures of the ``keypoints`` analysis."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from vitan.analysis.figures import Drawable, Drawing, Plot

from ..plotting import pages as plots
from ..plotting.curves import Panel, line_page
from ..plotting.pixels import NUMBERS, Array, own_scale
from .conditions import conditions
from .correspondences import correspondences
from .summary import PCK, PER_IMAGE, PER_POINT, SWAPPED

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def draw(drawables: Sequence[Drawable]) -> Iterable[Drawing]:
    """Curves over depth; for one model also PCK by category and condition, and pairs with what was found."""
    first = drawables[0]
    alphas = _options(first).alpha
    panels = [
        *(Panel(f"PCK at {alpha:g}", "%", [curve(d, PCK, alpha) for d in drawables]) for alpha in alphas),
        *(
            Panel(f"PCK at {alphas[0]:g} {word}", "%", [curve(d, metric, alphas[0]) for d in drawables])
            for metric, word in ((PER_IMAGE, "per pair"), (PER_POINT, "over all points"))
        ),
        Panel("left taken for right (chance: 50)", "% of points", [curve(d, SWAPPED) for d in drawables], across=50.0),
    ]
    several = len(drawables) > 1
    name = "compare-keypoints" if several else "keypoints"
    title = "Do features find the same point in another picture?"
    yield Plot(name=name, figure=line_page(drawables, panels, title=title, subtitle=_note(first)))
    if not several:
        yield from _one_model(first)


def curve(drawable: Drawable, metric: str, alpha: float | None = None) -> Array | None:
    """The value of a metric over all points in each block, or None where there is none."""
    chosen = {
        record.block: record.value
        for record in drawable.result.records
        if record.metric == metric and record.at == alpha and not record.of
    }
    return np.array([chosen[block] for block in drawable.model.blocks]) if chosen else None


def _one_model(drawable: Drawable) -> Iterator[Plot]:
    """What is only drawn of a single model; its pairs with what the best block found."""
    alpha = _options(drawable).alpha[0]
    yield Plot(name="categories", figure=_categories(drawable))
    if (by_fact := conditions(drawable, alpha, _note(drawable))) is not None:
        yield Plot(name="conditions", figure=by_fact)
    means = drawable.result.arrays["pck"][:, 0].mean(-1)  # (block,)
    yield Plot(name="correspondences", figure=correspondences(drawable, int(np.nan_to_num(means).argmax()), alpha))


def _categories(drawable: Drawable) -> Figure:
    """PCK of every category and block at the first alpha, in numbers and colours."""
    values, names = drawable.result.arrays["pck"][:, 0].T, drawable.result.arrays["categories"]  # (category, block)
    figure = plots.page(0.9 + 0.17 * len(names), 1.6 + 0.38 * len(drawable.model.blocks))
    alpha = _options(drawable).alpha[0]
    title = f"{plots.model_label(drawable.model)}: PCK at {alpha:g} by category"
    plots.head(figure, title, f"% of points; {_note(drawable)}".replace("; ", "\n", 1))
    axes = figure.subplots()
    _table(axes, values, [str(name) for name in names], drawable.model.blocks)
    return figure


def _table(axes: Axes, values: Array, rows: Sequence[str], columns: Sequence[int]) -> None:
    low, high = own_scale(values)
    axes.imshow(values, cmap=NUMBERS, vmin=low, vmax=high, aspect="auto", interpolation="none")
    for (row, column), value in np.ndenumerate(values):
        light = value < low + 0.6 * (high - low)
        axes.text(
            *(column, row, f"{value:.0f}"),
            ha="center",
            va="center",
            fontsize=plots.TICK,
            color="white" if light else plots.INK,
        )
    axes.set_xticks(range(len(columns)), [str(block) for block in columns])
    axes.set_yticks(range(len(rows)), list(rows))
    axes.set_xlabel("block", fontsize=plots.LABEL)
    axes.tick_params(labelsize=plots.TICK, length=0)
    axes.spines[:].set_visible(False)


def _note(drawable: Drawable) -> str:
    counts = {record.metric: record.value for record in drawable.result.records if record.block is None}
    pairs = f"{counts['pairs']:.0f} pairs with {counts['points']:.0f} points"
    return f"{pairs} of {drawable.dataset_name}, {drawable.view.name} view"


def _options(drawable: Drawable) -> Any:
    return drawable.options
