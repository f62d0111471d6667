"""The page of one model: every measure, block against block."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from vitan.analysis.figures import Drawable, Drawing, Plot
from vitan.analysis.recordings import KINDS, TOKENS
from vitan.analysis.records import Result

from ..plotting import pages as plots
from ..plotting.pixels import Array
from ..plotting.similarity import block_map, similarity_bar
from .measures import MEASURES, Measure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ROW = 1.35  # inches
#: Colour and marker of the curves.
_LOOKS = {"cls": (plots.CATEGORIES[0], "o"), "patches": (plots.CATEGORIES[3], "^")}


def draw(drawables: Sequence[Drawable]) -> Iterable[Drawing]:
    """A row for each measure: a map for each kind of vector, and the similarity of every block to the last."""
    drawable = drawables[0]
    arrays = drawable.result.arrays
    kinds = [kind for kind in KINDS if any(name.endswith(f"-{kind}") for name in arrays)]
    asked = [measure for measure in MEASURES.values() if f"{measure.name}-{kinds[0]}" in arrays]
    shown, missing = with_values(drawable.result, asked, "with-last", kinds)
    figure = plots.page(_ROW * len(shown) + 0.75 + 0.13 * len(missing), plots.PAGE * (0.6 + 0.2 * len(kinds)))
    heading = f"Which blocks of {plots.model_label(drawable.model)} are alike, by each measure"
    plots.head(figure, heading, note(drawable, missing, [arrays[f"{m.name}-{kind}"] for m in shown for kind in kinds]))
    widths = [1.0] * len(kinds) + [1.5]
    panels = figure.subplots(len(shown), len(kinds) + 1, squeeze=False, gridspec_kw={"width_ratios": widths})
    for row, measure in zip(panels, shown, strict=True):
        x = "block" if measure is shown[-1] else ""
        for axes, kind in zip(row, kinds, strict=False):
            above, blocks = KINDS[kind] if measure is shown[0] else "", drawable.model.blocks
            block_map(axes, arrays[f"{measure.name}-{kind}"], blocks, blocks, title=above, x=x, y="")
        _curves(row[-1], drawable, measure, kinds, x)
        row[0].set_ylabel(f"{title(measure, drawable.result)}\nblock", fontsize=plots.LABEL)
    panels[0, -1].set_title("with the last block", fontsize=plots.TITLE, loc="left", color=plots.INK)
    panels[0, -1].legend(fontsize=plots.TICK, frameon=False, loc="lower right")
    similarity_bar(figure, panels.ravel(), "similarity")
    yield Plot(name="similarity", figure=figure)


def with_values(
    result: Result, measures: Sequence[Measure], end: str, kinds: Sequence[str]
) -> tuple[list[Measure], list[str]]:
    """The measures that have any value of ``NAME-END``, and a line for each other one that says why it has none.

    All of them are given back where none has a value.
    """
    tokens = {TOKENS[kind] for kind in kinds}
    records = {
        m.name: [r for r in result.records if r.metric == f"{m.name}-{end}" and r.token in tokens] for m in measures
    }
    known = [measure for measure in measures if any(not record.gap for record in records[measure.name])]
    missing = [f"{m.title} left out: {records[m.name][-1].gap}" for m in measures if m not in known and records[m.name]]
    return (known, missing) if known else (list(measures), missing)


def note(drawable: Drawable, more: Sequence[str] = (), maps: Sequence[Array] = ()) -> str:
    """How many pictures of what the numbers are over, further lines, and what is white in ``maps``."""
    count = len(drawable.result.arrays["image"])
    first = f"over {count} pictures of {drawable.dataset_name}, {drawable.view.name} view"
    white = "; white: no value, the records say why" if any(np.isnan(values).any() for values in maps) else ""
    return "\n".join([first + white, *more])


def title(measure: Measure, result: Result) -> str:
    """What a measure is called in figures, with its k."""
    names = (f"{measure.name}-with-last", f"{measure.name}-last")
    k = next((record.at for record in result.records if record.metric in names), None)
    return measure.title if k is None else f"{measure.title}, k = {k:g}"


def _curves(axes: Axes, drawable: Drawable, measure: Measure, kinds: Sequence[str], x: str) -> None:
    blocks = drawable.model.blocks
    for kind in kinds:
        colour, marker = _LOOKS[kind]
        values = drawable.result.arrays[f"{measure.name}-{kind}"][:, -1]
        axes.plot(blocks, values, color=colour, marker=marker, linewidth=1.1, markersize=3.2, label=KINDS[kind])
    plots.tidy(axes, x=x)
    plots.number_ticks(axes, blocks)
    axes.set_xlim(blocks[0] - 0.5, blocks[-1] + 0.5)
    axes.set_ylim(min(0.0, *axes.get_ylim()), 1.04)
