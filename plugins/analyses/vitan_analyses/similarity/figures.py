"""The page of one model: every measure, block against block."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from textwrap import fill
from typing import TYPE_CHECKING

import numpy as np

from vitan.figures import Drawable, Drawing, Plot
from vitan.results import Result

from .. import plots
from ..cka.figures import block_map, similarity_bar
from ..pooled import KINDS
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
    shown = [measure for measure in MEASURES.values() if f"{measure.name}-{kinds[0]}" in arrays]
    figure = plots.page(_ROW * len(shown) + 0.7, plots.PAGE * (0.55 + 0.2 * len(kinds)))
    plots.head(
        figure, f"Which blocks of {plots.model_label(drawable.model)} are alike, by each measure", note(drawable)
    )
    widths = [1.0] * len(kinds) + [1.5]
    panels = figure.subplots(len(shown), len(kinds) + 1, squeeze=False, gridspec_kw={"width_ratios": widths})
    for row, measure in zip(panels, shown, strict=True):
        last_row = measure is shown[-1]
        for axes, kind in zip(row, kinds, strict=False):
            _kind_map(axes, drawable, measure, kind, last_row=last_row, first_row=measure is shown[0])
        _curves(row[-1], drawable, measure, kinds, last_row=last_row)
        row[0].set_ylabel(f"{title(measure, drawable.result)}\nblock", fontsize=plots.LABEL)
    panels[0, -1].set_title("with the last block", fontsize=plots.TITLE, loc="left", color=plots.INK)
    panels[0, -1].legend(fontsize=plots.TICK, frameon=False, loc="lower right")
    similarity_bar(figure, panels[:, : len(kinds)].ravel(), "similarity")
    yield Plot(name="similarity", figure=figure)


def note(drawable: Drawable) -> str:
    """How many pictures of what the numbers are over."""
    count = len(drawable.result.arrays["image"])
    return f"over {count} pictures of {drawable.dataset_name}, {drawable.view.name} view"


def title(measure: Measure, result: Result) -> str:
    """What a measure is called in figures, with its k."""
    k = next((record.k for record in result.records if record.metric.startswith(f"{measure.name}-")), None)
    return measure.title if k is None else f"{measure.title}, k = {k:g}"


def gap(result: Result, metric: str) -> str:
    """Why a metric has no value, in short lines; empty if any record has one."""
    reasons = [record.group for record in result.records if record.metric == metric]
    if not reasons or not all(reasons):
        return ""
    return wrapped(reasons[-1])


def wrapped(text: str, width: int = 22) -> str:
    """``text`` in lines of about so many letters."""
    return fill(text, width)


def say(axes: Axes, text: str) -> None:
    """Write in the middle of an empty panel why it is empty."""
    axes.text(
        0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", fontsize=plots.TICK, color=plots.INK
    )  # fmt: skip


def _kind_map(axes: Axes, drawable: Drawable, measure: Measure, kind: str, *, first_row: bool, last_row: bool) -> None:
    values, blocks = drawable.result.arrays[f"{measure.name}-{kind}"], drawable.model.blocks
    block_map(
        axes, values, blocks, blocks, title=KINDS[kind] if first_row else "", x="block" if last_row else "", y=""
    )  # fmt: skip
    if not np.isfinite(values).any():
        say(axes, gap(drawable.result, f"{measure.name}-with-last-{kind}"))


def _curves(axes: Axes, drawable: Drawable, measure: Measure, kinds: Sequence[str], *, last_row: bool) -> None:
    known = False
    for kind, (colour, marker) in _LOOKS.items():
        if kind in kinds:
            values = drawable.result.arrays[f"{measure.name}-{kind}"][:, -1]
            known |= bool(np.isfinite(values).any())
            axes.plot(
                drawable.model.blocks, values, color=colour, marker=marker, linewidth=1.1, markersize=3.2,
                label=KINDS[kind],
            )  # fmt: skip
    plots.tidy(axes, x="block" if last_row else "")
    plots.number_ticks(axes, drawable.model.blocks)
    axes.set_ylim(min(0, *axes.get_ylim()) if known else 0, 1.04)
    if not known:
        axes.set_visible(False)
