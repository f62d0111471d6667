"""Pictures of the ``saliency`` analysis."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, cast

import numpy as np

from vitan.analysis.figures import Drawable, Drawing, Plot

from ..plotting import pages as plots
from ..plotting.curves import Panel, family_page, line_page
from ..plotting.pixels import Array
from . import overlays
from .rows import SOURCES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from .probe import SaliencyOptions

_TITLE = "Do heads look at the objects?"
_SHORT = {"cls": "CLS", "patches": "patches", "center": "centre"}


def draw(drawables: Sequence[Drawable]) -> Iterator[Drawing]:
    """Of one model curves and the first pictures; of several their curves, and those of families."""
    if len(drawables) == 1:
        yield Plot(name="saliency", figure=_one(drawables[0]))
        yield from overlays.draw(drawables[0])
        return
    panels = list(_panels(drawables))
    note = f"{_note(drawables[0])}; dotted: random masks of the same sizes"
    yield Plot(name="compare-saliency", figure=line_page(drawables, panels, title=_TITLE, subtitle=note))
    families = family_page(drawables, panels, title=f"{_TITLE} Families", subtitle=note)
    if families:
        yield Plot(name="compare-saliency-families", figure=families)


def _note(drawable: Drawable) -> str:
    options = cast("SaliencyOptions", drawable.options)
    rule = "as published" if options.protocol == "paper" else "at least half covered"
    count = len(drawable.result.arrays["image"])
    return f"{count} pictures of {drawable.dataset_name}, {100 * options.mass:g} % of the attention, patches {rule}"


def _panels(drawables: Sequence[Drawable]) -> Iterator[Panel]:
    """The best head of each picture, and the mean over heads: a panel for each source that some model has."""
    for what, title in (("best", "best head of each picture"), ("mean", "mean over heads")):
        for name, word in _SHORT.items():
            found = [_Curves(d, name) if f"iou-{name}" in d.result.arrays else None for d in drawables]
            if any(found):
                curves = [getattr(one, what) if one else None for one in found]
                floors = [one.floors[what] if one else None for one in found]
                yield Panel(f"{title}, {word}", "IoU", curves, floors=floors)


class _Curves:
    """What the figures show of one source: each (block,), and the heads' means (block, head)."""

    def __init__(self, drawable: Drawable, name: str) -> None:
        arrays = drawable.result.arrays
        iou = arrays[f"iou-{name}"].astype(np.float64)  # (image, block, head)
        self.heads: Array = iou.mean(0)
        self.best: Array = iou.max(2).mean(0)
        self.fixed: Array = self.heads.max(1)
        self.mean: Array = self.heads.mean(1)
        self.floors = {"best": arrays[f"iou-{name}-random-best-head"], "mean": arrays[f"iou-{name}-random"]}


def _one(drawable: Drawable) -> Figure:
    """For each source its curves over depth, and below every head's mean."""
    known = {name: _Curves(drawable, name) for name in SOURCES if f"iou-{name}" in drawable.result.arrays}
    figure = plots.page(4.6)
    heads = drawable.model.heads
    plots.head(figure, f"{plots.model_label(drawable.model)}: {_TITLE.lower()}", f"{_note(drawable)}; {heads} heads")
    places = figure.subplots(2, len(known), squeeze=False, height_ratios=[1, 1.1])
    top = max(float(curves.best.max()) for curves in known.values())
    scale = (0.0, max(float(curves.fixed.max()) for curves in known.values()) or 1.0)
    for column, (name, curves) in enumerate(known.items()):
        _lines(places[0, column], drawable.model.blocks, curves, SOURCES[name])
        places[0, column].set_ylim(0, 1.05 * top or 1.0)
        plots.heat_map(
            places[1, column], curves.heads, drawable.model.blocks, title="every head, mean over pictures", scale=scale
        )
    plots.colour_bar(figure, places[1, -1], scale, "IoU")
    handles, labels = places[0, 0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside lower center", ncols=5, fontsize=plots.LABEL, frameon=False, handlelength=3
    )
    return figure


def _lines(axes: Axes, blocks: Sequence[int], curves: _Curves, title: str) -> None:
    first, second, third = plots.CATEGORIES[:3]
    for label, values, shade, dashes in (
        ("best head of each picture", curves.best, first, "-"),
        ("the same of random masks", curves.floors["best"], first, ":"),
        ("best fixed head", curves.fixed, second, "-"),
        ("mean over heads", curves.mean, third, "-"),
        ("random mask", curves.floors["mean"], third, ":"),
    ):
        mark = "o" if dashes == "-" else None
        axes.plot(blocks, values, color=shade, linestyle=dashes, marker=mark, markersize=2.5, linewidth=1, label=label)
    plots.number_ticks(axes, blocks)
    plots.tidy(axes, title, x="block", y="IoU")
