"""A film of the query that walks down the diagonal."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

from vitan.analysis.figures import Animation
from vitan.analysis.legible import make_legible

from ..plotting import pages as plots
from ..plotting.photographs import mark, varied
from ..plotting.pixels import Array, Pixels
from ..regions.attention_rows import diagonal
from .reading import Maps

_COLUMNS, _ROWS = 3, 2
_MAP, _LABEL, _GAP, _TOP, _DPI = 154, 20, 12, 34, 110  # pixels; the last per inch


def draw(image: Maps) -> Iterator[Animation]:
    """The photograph with the query marked, beside the maps of six heads that differ most."""
    steps = image.diagonal.shape[2]
    if not steps:
        return
    heads = varied(image.diagonal, _COLUMNS * _ROWS)
    maps = np.stack([image.diagonal[head] for head in heads])  # (head, step, row, column)
    cells = image.cells(maps, _MAP, image.scale(maps))  # (head, step, height, width, 3)
    high, wide = cells.shape[2:4]
    photo = _photo(image, _ROWS * (high + _LABEL) + _GAP - _LABEL)
    corners = [
        (
            _TOP + _LABEL + (i // _COLUMNS) * (high + _LABEL + _GAP),
            2 * _GAP + photo.shape[1] + (i % _COLUMNS) * (wide + _GAP),
        )
        for i in range(len(heads))
    ]
    size = (corners[min(_COLUMNS, len(heads)) - 1][1] + wide + _GAP, _TOP + _LABEL + photo.shape[0] + _GAP)
    page = _page(image, size, dict(zip(corners, heads, strict=True)))
    shrink = photo.shape[1] / image.scene.photo.shape[1]
    left, top, right, bottom = (side * shrink for side in image.scene.box)
    frames = []
    for step, token in enumerate(diagonal(image.model.layout).values()):
        patch = token - image.model.layout.patches.start
        frame = page.copy()
        _paste(frame, mark(photo, patch, image.model.layout.grid, (left, top, right, bottom)), (_TOP + _LABEL, _GAP))
        for corner, cell in zip(corners, cells[:, step], strict=True):
            _paste(frame, cell, corner)
        frames.append(frame)
    yield Animation(name=f"{image.scene.name}-diagonal", frames=frames, seconds_per_frame=0.25)


def _photo(image: Maps, height: int) -> Pixels:
    """The photograph at that height, what the model did not see paler."""
    photo = image.scene.photo
    left, top, right, bottom = (round(side) for side in image.scene.box)
    pale = 255 - (255 - photo) // 3
    pale[max(top, 0) : bottom, max(left, 0) : right] = photo[max(top, 0) : bottom, max(left, 0) : right]
    width = max(1, round(photo.shape[1] * height / photo.shape[0]))
    return np.asarray(Image.fromarray(pale).resize((width, height), Image.Resampling.LANCZOS))


def _page(image: Maps, size: tuple[int, int], heads: dict[tuple[int, int], tuple[int, int]]) -> Pixels:
    """What is the same in all frames: heading and labels. ``heads`` are (block, head) by the corner of their maps."""
    width, height = size
    figure = plots.Page((width / _DPI, height / _DPI), _DPI)
    canvas = FigureCanvasAgg(figure)
    title = image.title(f"what patches of the diagonal look at in {image.scene.sample}")
    figure.text(_GAP / width, 1 - 8 / height, title, fontsize=plots.HEADING, va="top", color=plots.INK)
    for (y, x), (row, head) in heads.items():
        label = f"block {image.model.blocks[row]}, head {head}"
        figure.text(x / width, 1 - (y - 5) / height, label, fontsize=plots.TITLE, va="bottom", color=plots.INK)
    make_legible(figure)
    canvas.draw()  # type: ignore[no-untyped-call]
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()  # type: ignore[no-untyped-call]


def _paste(page: Array, pixels: Pixels, corner: tuple[int, int]) -> None:
    y, x = corner
    page[y : y + pixels.shape[0], x : x + pixels.shape[1]] = pixels
