"""Which patches an outlined region covers, and how much of each.

Two rules. The default is geometry: the exact share of each patch that the region covers, where the view has placed it.
``paper`` is the rule of the published code: the mask becomes a picture of 8 bits, is cut to its centre square for a
cropped view, and is resized to the patch grid by Pillow's bicubic filter with antialiasing; where that gives more than
0, be it 1/255, the patch belongs to the object.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from vitan.data.preparation import Preparation
from vitan.errors import ImageError

if TYPE_CHECKING:
    from torch import Tensor

    from vitan.data.samples import Box, Sample, Segment
    from vitan.data.views import Placement, View

Mask: TypeAlias = "npt.NDArray[np.bool_]"
Weights: TypeAlias = "npt.NDArray[np.floating[Any]]"

#: Half of a patch, less what rounding can take from it.
_HALF = 0.5 - 1e-9


class Regions(NamedTuple):
    """The regions of one picture on its grid of patches."""

    weights: Weights  # (object, row, column), each sums to 1, float32
    labels: npt.NDArray[np.int64]  # (object,)
    union: Mask  # (row, column): where any region is
    skipped: int  # regions that no patch shows: cut off by the view, or too small


@dataclass(frozen=True)
class TokenMasks(Preparation):
    """The regions of a sample as tensors, named as in ``Regions``: made once, and shared by all models and analyses."""

    name: ClassVar[str] = "token-masks"

    protocol: Literal["default", "paper"] = "default"

    def prepare(self, sample: Sample, placement: Placement, grid: tuple[int, int], view: View) -> Mapping[str, Tensor]:
        """See ``Preparation.prepare``; raises ``ImageError`` for a mask that does not fit its picture."""
        if self.protocol == "paper":
            crop = view.name == "crop"
            found = published_regions(sample.segments, placement.picture, grid, crop=crop)
        else:
            found = regions(sample.segments, placement.box, placement.picture, grid)
        return {
            "weights": torch.from_numpy(found.weights),
            "labels": torch.from_numpy(found.labels),
            "union": torch.from_numpy(found.union),
            "skipped": torch.tensor(found.skipped),
        }


def regions(segments: Sequence[Segment], box: Box, picture: tuple[int, int], grid: tuple[int, int]) -> Regions:
    """Every object on the patches of ``box``, (left, top, right, bottom) of the ``picture`` (width, height), exactly.

    Crowds are no objects of their own, but belong to the union, which is where at least half of a patch is covered.
    Raises ``ImageError`` for a mask that is not of the picture's size.
    """
    found: list[tuple[int, Weights]] = []
    anything = np.zeros((picture[1], picture[0]), np.bool_)
    skipped = 0
    for segment in segments:
        mask = _decoded(segment, picture)
        anything |= mask
        if segment.crowd:
            continue
        share = coverage(mask, box, grid)
        if share.any():
            found.append((segment.label, share))
        else:
            skipped += 1
    return _joined(found, coverage(anything, box, grid) >= _HALF, skipped)


def published_regions(
    segments: Sequence[Segment], picture: tuple[int, int], grid: tuple[int, int], *, crop: bool
) -> Regions:
    """Every region by the published rule, crowds among them; ``crop`` for views that show the centre square alone.

    Raises ``ImageError`` for a mask that is not of the picture's size.
    """
    found: list[tuple[int, Weights]] = []
    union = np.zeros(grid, np.bool_)
    for segment in segments:
        levels = published_levels(_decoded(segment, picture), grid, crop=crop)
        if levels.any():
            found.append((segment.label, levels.astype(np.float64)))
            union |= levels > 0
    return _joined(found, union, len(segments) - len(found))


def coverage(mask: Mask, box: Box, grid: tuple[int, int]) -> Weights:
    """The share of each cell that a mask (height, width) covers, in float64.

    ``box`` is where the grid (rows, columns) lies in the mask's pixels, not rounded; cells may reach beyond its edge.
    """
    height, width = mask.shape
    left, top, right, bottom = box
    down = _overlaps(top, bottom, grid[0], height)  # (row, y)
    across = _overlaps(left, right, grid[1], width)  # (column, x)
    y, x = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
    if not y.size:
        return np.zeros(grid)
    high, wide = slice(y[0], y[-1] + 1), slice(x[0], x[-1] + 1)  # small objects are most objects
    share: Weights = down[:, high] @ mask[high, wide].astype(np.float64) @ across[:, wide].T
    return share


def published_levels(mask: Mask, grid: tuple[int, int], *, crop: bool) -> npt.NDArray[np.uint8]:
    """A mask (height, width) on the patch grid as the published code makes it: 0 to 255, (row, column)."""
    height, width = mask.shape
    if crop:
        side, left, top = min(height, width), max(0, width - height) // 2, max(0, height - width) // 2
        mask = mask[top : top + side, left : left + side]
    if not mask.any():
        return np.zeros(grid, np.uint8)
    picture = Image.fromarray(mask.astype(np.uint8) * 255)
    levels: npt.NDArray[np.uint8] = np.asarray(picture.resize((grid[1], grid[0]), Image.Resampling.BICUBIC))
    return levels


def _overlaps(start: float, stop: float, cells: int, pixels: int) -> Weights:
    """The share of each of ``cells`` from ``start`` to ``stop`` that each pixel fills: (cell, pixel)."""
    edges = start + np.arange(cells + 1) * ((stop - start) / cells)
    near, far = edges[:-1, None], edges[1:, None]
    pixel = np.arange(pixels)
    inside = np.minimum(far, pixel + 1) - np.maximum(near, pixel)
    shares: Weights = inside.clip(min=0) / (far - near)
    return shares


def _decoded(segment: Segment, picture: tuple[int, int]) -> Mask:
    mask = segment.mask()
    if mask.shape != (picture[1], picture[0]):
        raise ImageError(
            f"the mask of segment {segment.id!r} is {mask.shape[1]} x {mask.shape[0]} pixels, but its picture is "
            f"{picture[0]} x {picture[1]}; the annotation belongs to another version of the picture"
        )
    return mask


def _joined(found: Sequence[tuple[int, Weights]], union: Mask, skipped: int) -> Regions:
    weights = [share / share.sum() for _, share in found]
    stacked = np.stack(weights) if weights else np.zeros((0, *union.shape))
    labels = np.array([label for label, _ in found], np.int64)
    return Regions(stacked.astype(np.float32), labels, union, skipped)
