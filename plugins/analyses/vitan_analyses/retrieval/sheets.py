"""Sheets of rankings: a query, and the pictures that come first, each marked as right, wrong or junk."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.patches import Rectangle
from PIL import Image

from vitan.analysis.figures import Drawable

from ..plotting import pages as plots
from ..plotting.pixels import Array
from .metrics import PROTOCOLS
from .truth import CLASS, KINDS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_PIXELS = 160  # of the longer side of a picture on the sheet
#: Colour and sign of each verdict; the signs stand for the colours where these cannot be told apart.
_MARKS = {"right": ("#009E73", "✓"), "wrong": ("#D55E00", "✗"), "junk": ("#8a8a8a", "–")}
_WORDS = ("best", "median", "worst")


def sheet(drawable: Drawable, protocol: int, name: str, block: int) -> Figure:
    """The first pictures for up to six queries of one block (a position): two each with the best, middle and worst AP.

    A check mark and green are right, a cross and orange wrong; a dash and grey are junk, which does not count. Pictures
    show what the model saw of them.
    """
    arrays = drawable.result.arrays
    average = arrays["average-precision"][protocol, block]
    chosen = choose(average)
    columns = 1 + arrays["top"].shape[2]
    width = plots.PAGE / columns
    figure = plots.page(0.55 + len(chosen) * (width + 0.2))
    number = drawable.model.blocks[block]
    title = f"{plots.model_label(drawable.model)}: what block {number} finds first"
    note = f"{drawable.dataset_name}, {name}; queries with the best, a middling and the worst average precision. "
    plots.head(figure, title, note + " ".join(f"{sign} {word}" for word, (_, sign) in _MARKS.items()))
    rows = figure.subplots(len(chosen), columns, squeeze=False)
    for (word, query), line in zip(chosen, rows, strict=True):
        _picture(line[0], drawable, int(arrays["query"][query]), f"{word}: {average[query]:.3f}", query=True)
        for rank, axes in enumerate(line[1:]):
            verdict = judge(int(arrays["kind"][block, query, rank]), name)
            colour, sign = _MARKS[verdict]
            _picture(axes, drawable, int(arrays["top"][block, query, rank]), f"{rank + 1} {sign}", colour)
    return figure


def choose(average: Array) -> list[tuple[str, int]]:
    """The queries of a sheet with a word for each: up to two of the best, the middle and the worst; each once."""
    order = np.flatnonzero(~np.isnan(average))
    order = order[np.argsort(-average[order], kind="stable")].tolist()
    middle = max(0, len(order) // 2 - 1)
    groups = (order[:2], order[middle : middle + 2], order[-2:])
    taken: dict[int, str] = {}
    for word, part in zip(_WORDS, groups, strict=True):
        for query in part:
            taken.setdefault(query, word)
    return [(word, query) for query, word in taken.items()]


def judge(kind: int, protocol: str) -> str:
    """What a picture of this kind (0 for wrong, or 1 more than its place) is under a protocol."""
    if kind == 0:
        return "wrong"
    if protocol == CLASS:
        return "right"
    right, _ = PROTOCOLS[protocol]
    return "right" if KINDS[kind - 1] in right else "junk"


def _picture(axes: Axes, drawable: Drawable, index: int, title: str, colour: str = "", *, query: bool = False) -> None:
    sample, placement = drawable.picture(index)
    left, top, right, bottom = (round(side) for side in placement.box)
    seen = sample.image.crop((left, top, right, bottom))
    scale = _PIXELS / max(seen.size)
    size = [max(1, round(side * scale)) for side in seen.size]
    axes.imshow(np.asarray(seen.resize((size[0], size[1]), Image.Resampling.BICUBIC)), interpolation="none")
    axes.set_title(title, fontsize=plots.TICK, color=colour or plots.INK, pad=2, loc="left" if query else "center")
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set(color=colour or plots.INK, linewidth=1.8 if colour else 0.6)
    if query and sample.box:
        x1, y1, x2, y2 = (v * scale for v in np.subtract(sample.box, (left, top, left, top)))
        box = Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, edgecolor=plots.CATEGORIES[-1], linewidth=1)
        axes.add_patch(box)
        axes.set(xlim=(-0.5, size[0] - 0.5), ylim=(size[1] - 0.5, -0.5))
