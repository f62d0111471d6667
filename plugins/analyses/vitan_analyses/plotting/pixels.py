"""Arrays become pictures: colours by look-up table, grids of maps composed as one array, nearest enlargement.

Maps are kept at one value per patch as long as possible; a grid of hundreds of them is coloured and enlarged once.
NaN stands for what is not drawn, and becomes white.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from matplotlib import colormaps
from PIL import Image

Array: TypeAlias = "npt.NDArray[Any]"
Pixels: TypeAlias = "npt.NDArray[np.uint8]"
Scale: TypeAlias = "tuple[float, float]"

#: Colour maps, both even to the eye: one for attention over patches, one for numbers per head.
MAPS, NUMBERS = "viridis", "plasma"
WHITE = (255, 255, 255)


@lru_cache
def palette(name: str) -> Pixels:
    """The 256 colours of a matplotlib colour map, (256, 3)."""
    colours: Pixels = np.asarray(colormaps[name](np.arange(256), bytes=True), dtype=np.uint8)[:, :3]
    return colours


def colour(values: Array, name: str = MAPS, scale: Scale | None = None) -> Pixels:
    """Colour numbers as ``matplotlib.pyplot.imsave`` does: (...) to uint8 (..., 3).

    ``scale`` holds the values of the first and the last colour, by default the smallest and the largest value.
    """
    low, high = own_scale(values) if scale is None else scale
    values = values if values.dtype.kind == "f" else values.astype(np.float64)
    kind = values.dtype.type
    share = (values - kind(low)) / kind(high - low) if high > low else np.zeros_like(values)
    blank = np.isnan(values)
    pixels: Pixels = palette(name)[np.clip(np.where(blank, 0, share) * 256, 0, 255).astype(np.intp)]
    pixels[blank] = WHITE
    return pixels


def own_scale(values: Array) -> Scale:
    """The smallest and the largest value that are drawn; (0, 0) where none is."""
    drawn = values[np.isfinite(values)]
    return (float(drawn.min()), float(drawn.max())) if drawn.size else (0.0, 0.0)


def scale_from_zero(values: Array, share: float = 1.0) -> Scale:
    """One scale for many maps: from 0, or less where there is less, to the largest value.

    With a ``share`` below 1 it ends where that share of the values does, so that a few peaks do not hide the rest.
    """
    drawn = values[np.isfinite(values)]
    if not drawn.size:
        return 0.0, 0.0
    high = float(np.quantile(drawn, share)) or float(drawn.max())
    return min(float(drawn.min()), 0.0), high


def stretch(maps: Array) -> Array:
    """Every map of (..., row, column) on its own scale, 0 to 1; a map of one value stays as it is."""
    flat = maps.reshape(*maps.shape[:-2], -1)
    empty = np.isnan(flat).all(axis=-1, keepdims=True)
    flat = np.where(empty, 0, flat)
    low, high = np.nanmin(flat, axis=-1, keepdims=True), np.nanmax(flat, axis=-1, keepdims=True)
    varied = high > low
    stretched: Array = np.where(varied, (flat - low) / np.where(varied, high - low, 1), flat)
    return np.where(empty, np.nan, stretched).astype(maps.dtype).reshape(maps.shape)


def with_cls(maps: Array, cls: Array) -> Array:
    """Maps (..., row, column) with the value ``cls`` (...) as a block of 2×2 cells in front of the top left corner.

    Returns (..., row + 2, column + 2); what is neither map nor block is NaN.
    """
    rows, columns = maps.shape[-2:]
    joined = np.full((*maps.shape[:-2], rows + 2, columns + 2), np.nan, dtype=maps.dtype)
    joined[..., :2, :2] = cls[..., None, None]
    joined[..., 2:, 2:] = maps
    return joined


def tile(cells: Array, gap: int = 1) -> Array:
    """A grid of cells as one array, (row, column, height, width, ...) to (height of all, width of all, ...).

    ``gap`` cells of NaN, or white pixels, lie between neighbours.
    """
    rows, columns, height, width = cells.shape[:4]
    blank = np.nan if cells.dtype.kind == "f" else 255
    padded = np.full((rows, height + gap, columns, width + gap, *cells.shape[4:]), blank, dtype=cells.dtype)
    padded[:, :height, :, :width] = np.moveaxis(cells, 1, 2)
    tall, wide = rows * (height + gap), columns * (width + gap)
    joined: Array = padded.reshape(tall, wide, *cells.shape[4:])[: tall - gap, : wide - gap]
    return joined


def resize(maps: Array, size: tuple[int, int]) -> Array:
    """Maps (..., row, column) at ``size`` (width, height), each pixel taking its nearest cell as Pillow does."""
    resized: Array = maps[..., _nearest(maps.shape[-2], size[1])[:, None], _nearest(maps.shape[-1], size[0])]
    return resized


def colour_cells(maps: Array, size: tuple[int, int] | None = None, scale: Scale | None = None) -> Pixels:
    """Maps (..., row, column) to pixels (..., height, width, 3), each on its own scale unless one is given.

    With ``size`` (width, height) the maps are stretched over a whole picture, as the published pictures are.
    """
    maps = maps if size is None else resize(maps, size)
    flat = maps.reshape(-1, *maps.shape[-2:])
    return np.stack([colour(one, MAPS, scale) for one in flat]).reshape(*maps.shape, 3)


def file_name(text: str) -> str:
    """``text`` as part of a file name: letters, digits, ``.``, ``_`` and ``-`` alone, at most 80 of them."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", text).strip("._-")[-80:] or "unnamed"


def _nearest(cells: int, pixels: int) -> npt.NDArray[np.intp]:
    """For each of so many pixels the cell that Pillow's nearest resampling takes."""
    line = Image.fromarray(np.arange(cells, dtype=np.int32)[None])
    taken: npt.NDArray[np.intp] = np.asarray(line.resize((pixels, 1), Image.Resampling.NEAREST))[0].astype(np.intp)
    return taken
