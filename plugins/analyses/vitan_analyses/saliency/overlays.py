"""The first pictures, and over them what the heads look at that find the objects best."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, cast

import numpy as np

from vitan.analysis.figures import Drawable, Plot

from ..plotting import pages as plots
from ..plotting.photographs import Scene, draw_outline, over, photograph, scene
from ..plotting.pixels import Array, stretch
from ..regions.attention_rows import mass_mask
from .rows import SOURCES, sources

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from .probe import SaliencyOptions

_COLUMNS = 3
_DPI = 110  # fewer dots per inch than elsewhere: many photographs make a large file
_UNION = "#ffd400"


def draw(drawable: Drawable) -> Iterator[Plot]:
    """A page for each example: a row for each source, with the best head of each of the three best blocks."""
    arrays, layout = drawable.result.arrays, drawable.model.layout
    row_of = {int(place): row for row, place in enumerate(arrays["image"])}
    for i, place in enumerate(arrays.get("example", ())):
        shown = scene(drawable, int(place), whole=False)
        maps = arrays["example-maps"][i]  # (block, source, head, patch)
        union = arrays["example-union"][i].reshape(layout.grid)
        iou = np.stack([arrays[f"iou-{name}"][row_of[int(place)]] for name in sources(layout)], 1)
        yield Plot(
            name=f"{shown.name}-saliency",
            figure=_page(drawable, shown, maps.reshape(*maps.shape[:-1], *layout.grid), union, iou),
        )


def _page(drawable: Drawable, shown: Scene, maps: Array, union: Array, iou: Array) -> Figure:
    """``maps`` (block, source, head, row, column) and ``iou`` (block, source, head) of one picture."""
    names = sources(drawable.model.layout)
    mass = cast("SaliencyOptions", drawable.options).mass
    wide = plots.PAGE / (_COLUMNS + 1)
    tall = 0.22 + wide * min(1.6, shown.photo.shape[0] / shown.photo.shape[1])
    figure = plots.page(0.55 + len(names) * tall, dpi=_DPI)
    sample = shown.sample if len(shown.sample) <= 60 else f"…{shown.sample[-59:]}"
    plots.head(
        figure,
        f"{plots.model_label(drawable.model)}: the heads that find the objects best",
        f"{sample}; yellow: the objects' patches; white: {100 * mass:g} % of the attention on patches",
    )
    places = figure.subplots(len(names), _COLUMNS + 1, squeeze=False)
    for source, name in enumerate(names):
        axes = places[source, 0]
        photograph(axes, shown)
        _outlined(axes, shown, union)
        axes.set_title(SOURCES[name], fontsize=plots.LABEL, loc="left")
        blocks = _best_blocks(iou[:, source], _COLUMNS)
        for axes, row in zip(places[source, 1:], blocks, strict=False):
            head = int(iou[row, source].argmax())
            one = maps[row, source, head]
            over(axes, shown, stretch(one), mass_mask(one, mass))
            _outlined(axes, shown, union)
            axes.set_title(
                f"block {drawable.model.blocks[row]}, head {head}: {iou[row, source, head]:.2f}",
                fontsize=plots.LABEL,
                loc="left",
            )
        for axes in places[source, 1 + len(blocks) :]:
            axes.set_visible(False)
    return figure


def _best_blocks(iou: Array, count: int) -> list[int]:
    """The blocks (rows) with the best heads of IoU (block, head), in order of depth."""
    return sorted(iou.max(1).argsort(kind="stable")[::-1][:count].tolist())


def _outlined(axes: Axes, shown: Scene, union: Array) -> None:
    limits = axes.get_xlim(), axes.get_ylim()
    draw_outline(axes, shown, union, _UNION, 1.0)
    axes.set(xlim=limits[0], ylim=limits[1])
