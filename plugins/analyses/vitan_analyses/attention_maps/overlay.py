"""Maps over the photograph, where the model saw it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection

from vitan.figures import Plot

from .. import plots
from ..drawing import Array, colour, stretch
from ..maps import mass_mask
from .grids import photograph
from .reading import Maps
from .scenes import Scene, outline, varied

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


def over(axes: Axes, scene: Scene, shown: Array, mask: Array) -> None:
    """A map from 0 to 1 over the grey photograph, the stronger the less transparent, and the outline of a mask."""
    photograph(axes, scene, grey=True)
    left, top, right, bottom = scene.box
    rgba = np.dstack([colour(shown, scale=(0.0, 1.0)), (230 * np.sqrt(shown)).astype(np.uint8)])
    limits = axes.get_xlim(), axes.get_ylim()
    axes.imshow(rgba, extent=(left - 0.5, right - 0.5, bottom - 0.5, top - 0.5), interpolation="none")
    draw_outline(axes, scene, mask, "white", 0.8)
    axes.set(xlim=limits[0], ylim=limits[1])


def draw_outline(axes: Axes, scene: Scene, mask: Array, shade: str, width: float) -> None:
    """The border of a mask over what the model saw."""
    left, top, right, bottom = scene.box
    lines = outline(mask, (left - 0.5, top - 0.5, right - 0.5, bottom - 0.5))
    axes.add_collection(LineCollection(lines, colors=shade, linewidths=width))
