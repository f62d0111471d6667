"""Maps over the photograph, where the model saw it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from vitan.analysis.figures import Plot

from ..plotting import pages as plots
from ..plotting.photographs import over, varied
from ..plotting.pixels import stretch
from ..regions.attention_rows import mass_mask
from .reading import Maps

_COLUMNS, _ROWS = 4, 2
_DPI = 110  # fewer dots per inch than elsewhere: eight photographs make a large file


def draw(image: Maps) -> Iterator[Plot]:
    """The photograph, and over it the maps of the heads that differ most from one another."""
    who, maps = image.first
    heads = varied(maps, _COLUMNS * _ROWS)
    photo = image.scene.photo
    wide = plots.PAGE / _COLUMNS
    figure = plots.page(0.55 + _ROWS * (0.22 + wide * min(1.5, photo.shape[0] / photo.shape[1])), dpi=_DPI)
    percent = f"{100 * image.options.mass:g} %"
    plots.head(
        figure,
        image.title(f"what {who} looks at, heads that differ most"),
        f"{image.note}; the line encloses {percent} of the attention on patches",
    )
    scale = image.scale(maps)
    for axes, (row, head) in zip(figure.subplots(_ROWS, _COLUMNS, squeeze=False).ravel(), heads, strict=False):
        shown = stretch(maps[row, head]) if scale is None else np.clip(maps[row, head] / (scale[1] or 1), 0, 1)
        over(axes, image.scene, shown, mass_mask(maps[row, head], image.options.mass))
        axes.set_title(f"block {image.model.blocks[row]}, head {head}", fontsize=plots.TITLE, loc="left")
    for axes in figure.axes[len(heads) :]:
        axes.set_visible(False)
    yield Plot(name=f"{image.scene.name}-overlay", figure=figure)
