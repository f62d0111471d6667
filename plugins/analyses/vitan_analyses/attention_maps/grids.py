"""Pages of maps of one picture: blocks by heads, blocks by positions, heads by positions."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from matplotlib.figure import Figure

from vitan.analysis.figures import Plot

from ..plotting import pages as plots
from ..plotting.photographs import mark, photograph
from ..plotting.pixels import Array, Pixels, Scale, stretch
from .reading import Maps

_ABOVE = 1.6  # inches for the photograph
_BETWEEN = 0.15  # inches between the means
_GAP = 6  # pixels between the cells of a grid of positions


def draw(image: Maps) -> Iterator[Plot]:
    """The gallery, and where there are positions, the two grids of them."""
    yield Plot(name=f"{image.scene.name}-heads", figure=_gallery(image))
    if len(image.named) > 1:
        yield Plot(name=f"{image.scene.name}-blocks-by-position", figure=_blocks_by_position(image))
        yield Plot(name=f"{image.scene.name}-heads-by-position", figure=_heads_by_position(image))


def _gallery(image: Maps) -> Figure:
    """What the leading query looks at, blocks down and heads across, below the photograph."""
    who, maps = image.first
    scale = image.scale(maps)
    if image.scene.whole:
        shown: Array = image.cells(maps, 64, scale)
    else:
        shown = stretch(maps) if scale is None else maps
    figure = plots.map_grid(
        shown,
        [f"block {block}" for block in image.model.blocks],
        [f"head {head}" for head in range(image.model.heads)],
        title=image.title(f"what {who} looks at"),
        subtitle=image.note,
        scale=scale,
        unit="share of attention",
        gap=4 if image.scene.whole else 2,
        above=_ABOVE,
    )
    _top(figure, image, maps, scale)
    return figure


def _top(figure: Figure, image: Maps, maps: Array, scale: Scale | None) -> None:
    """The photograph, and beside it means over heads, from the first to the last block."""
    width, height = figure.get_size_inches()
    tall, top = _ABOVE - 0.45, height - 0.62
    across = min(tall * image.scene.photo.shape[1] / image.scene.photo.shape[0], 0.4 * width)
    room = (0.2 / width, (top - tall) / height, across / width, tall / height)
    photograph(figure.add_axes(room, anchor="NW"), image.scene)
    shape = image.cell_size(64)
    space = width - across - 0.5
    wide = min(tall * shape[0] / shape[1], space / min(3, len(maps)) - _BETWEEN)
    rows = np.linspace(0, len(maps) - 1, min(len(maps), int(space / (wide + _BETWEEN) + 0.01))).round().astype(int)
    for i, row in enumerate(rows):
        left, deep = 0.4 + across + i * (wide + _BETWEEN), wide * shape[1] / shape[0]
        axes = figure.add_axes((left / width, (top - deep) / height, wide / width, deep / height))
        mean = maps[row].mean(axis=0)
        axes.imshow(image.cells(mean, 64, scale), interpolation="none", aspect="auto")
        axes.set_axis_off()
        axes.set_title(f"block {image.model.blocks[row]}", fontsize=plots.LABEL, loc="left", pad=3)
        if i == 0:
            axes.text(0, -0.04, "mean over heads", fontsize=plots.LABEL, va="top", transform=axes.transAxes)


def _blocks_by_position(image: Maps) -> Figure:
    """The mean over heads, blocks down and positions across; above, where each query is."""
    side = _side(len(image.model.blocks))
    maps = image.maps.mean(axis=1)  # (row, position, row, column)
    cells = np.concatenate([_thumbnails(image, side)[None], image.cells(maps, side, image.scale(maps))])
    return _position_grid(image, cells, [f"block {block}" for block in image.model.blocks], "mean over heads")


def _heads_by_position(image: Maps) -> Figure:
    """The heads of the block whose heads differ most, heads down and positions across."""
    row = most_varied_block(image.maps)
    side = _side(image.model.heads)
    maps = image.maps[row]  # (row, position, row, column)
    cells = np.concatenate([_thumbnails(image, side)[None], image.cells(maps, side, image.scale(maps))])
    heads = [f"head {head}" for head in range(image.model.heads)]
    what = f"heads of block {image.model.blocks[row]}, where they differ most"
    return _position_grid(image, cells, heads, what)


def most_varied_block(maps: Array) -> int:
    """Which block of maps (block, head, position, row, column) has heads that differ most from their mean."""
    shares = maps / np.maximum(maps.sum(axis=(-2, -1), keepdims=True), np.finfo(maps.dtype).tiny)
    spread = np.abs(shares - shares.mean(axis=1, keepdims=True)).sum(axis=(-2, -1))  # (block, head, position)
    return int(spread.mean(axis=(1, 2)).argmax())


def _side(rows: int) -> int:
    """Pixels of a cell's longer side for which so many rows, and one of thumbnails, fit a page."""
    return max(24, min(120, 1750 // (rows + 1) - _GAP))


def _thumbnails(image: Maps, side: int) -> Pixels:
    """What the maps lie on, once for each position with its patch marked, (position, height, width, 3)."""
    below = image.scene.under_maps(image.cell_size(side))
    return np.stack([mark(below, image.patch(name), image.model.layout.grid) for name in image.named])


def _position_grid(image: Maps, cells: Pixels, rows: list[str], what: str) -> Figure:
    return plots.map_grid(
        cells,
        ["query", *rows],
        [{"cls": "CLS", "all": "all patches"}.get(name, name) for name in image.named],
        title=image.title(f"{what}, by query"),
        subtitle=image.note,
        gap=_GAP,
    )
