"""J and F of masks, as the official evaluator of DAVIS 2017 counts them.

"A Benchmark Dataset and Evaluation Methodology for Video Object Segmentation" (CVPR 2016): J is the overlap of regions,
F the agreement of their boundaries. All masks are (height, width).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

Mask: TypeAlias = "npt.NDArray[np.bool_]"
Ids: TypeAlias = "npt.NDArray[np.uint8]"
Floats: TypeAlias = "npt.NDArray[np.float64]"

#: A value of a mask where the annotators could not say what is there. The task at hand counts it as background.
VOID = 255
#: How far two boundaries may lie apart, over the diagonal of the picture.
TOLERANCE = 0.008
_RECALL = 0.5
_BINS = 4


@dataclass(frozen=True)
class Statistics:
    """Of one measure of one object over its frames.

    ``recall`` is the share of frames above 0.5; ``decay`` the mean over the first quarter of the frames less that over
    the last, and so small for an object that is not lost on the way.
    """

    mean: float
    recall: float
    decay: float


def objects_of(ids: Ids) -> Ids:
    """A mask of object ids with void as background."""
    return np.where(ids == VOID, np.uint8(0), ids)


def score(annotated: Ids, predicted: Ids, objects: int, tolerance: float = TOLERANCE) -> Floats:
    """J and F of the objects 1 to ``objects`` in masks of object ids: (object, 2).

    The same as ``region_similarity`` and ``boundary_measure`` of each object, but looks only at the part of the picture
    where the object is. Boundaries lie up and left of a region, so that a pixel around it is all that they need.
    """
    radius = _radius(annotated.shape, tolerance)
    values = np.empty((objects, 2))
    for row in range(objects):
        one, other = annotated == row + 1, predicted == row + 1
        place = _around(one | other)
        if place is None:
            values[row] = 1.0
        else:
            one, other = (np.ascontiguousarray(mask[place]) for mask in (one, other))
            values[row] = region_similarity(one, other), _agreement(one, other, radius)
    return values


def region_similarity(annotated: Mask, predicted: Mask, void: Mask | None = None) -> float:
    """J: intersection over union, 1 where both are empty; pixels of ``void`` do not count."""
    annotated, predicted = _without(annotated, void), _without(predicted, void)
    union = np.count_nonzero(annotated | predicted)
    return np.count_nonzero(annotated & predicted) / union if union else 1.0


def boundary_measure(annotated: Mask, predicted: Mask, void: Mask | None = None, tolerance: float = TOLERANCE) -> float:
    """F: the harmonic mean of the shares of each boundary that lie close to the other one.

    ``tolerance`` is how close: in parts of the diagonal (rounded up to whole pixels), or in pixels from 1 on. 1 where
    neither has a boundary, 0 where one has none. A border of the picture is no boundary.
    """
    radius = _radius(annotated.shape, tolerance)
    return _agreement(_without(annotated, void), _without(predicted, void), radius)


def boundary_map(mask: Mask | Ids) -> Mask:
    """Pixels that differ from the next one on the right, below, or below on the right."""
    edges = np.zeros(mask.shape, bool)
    edges[:, :-1] = mask[:, :-1] != mask[:, 1:]
    edges[:-1] |= mask[:-1] != mask[1:]
    edges[:-1, :-1] |= mask[:-1, :-1] != mask[1:, 1:]
    return edges


def statistics(values: Floats) -> Statistics:
    """Mean, recall and decay over the frames; NaN where there is none. Frames that are NaN do not count."""
    if not np.isfinite(values).any():
        return Statistics(math.nan, math.nan, math.nan)
    edges = np.round(np.linspace(1, len(values), _BINS + 1) + 1e-10).astype(np.int64) - 1
    first, *_, last = [values[low : high + 1] for low, high in pairwise(edges)]
    return Statistics(
        mean=float(np.nanmean(values)),
        recall=float(np.nanmean(values > _RECALL)),
        decay=float(np.nanmean(first) - np.nanmean(last)),
    )


def _agreement(annotated: Mask, predicted: Mask, radius: int) -> float:
    one, other = (_bits(boundary_map(mask), radius) for mask in (annotated, predicted))
    there, found = one.bit_count(), other.bit_count()
    if not there or not found:
        return float(there == found)
    row = annotated.shape[1] + radius
    precision = (other & _dilated(one, row, radius)).bit_count() / found
    recall = (one & _dilated(other, row, radius)).bit_count() / there
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _bits(mask: Mask, margin: int) -> int:
    """A mask as one long number, row after row, with ``margin`` zeros between rows: whole masks move by a shift."""
    padded = np.zeros((mask.shape[0], mask.shape[1] + margin), bool)
    padded[:, : mask.shape[1]] = mask
    return int.from_bytes(np.packbits(padded).tobytes(), "big")


def _dilated(bits: int, row: int, radius: int) -> int:
    """Dilated with a disk: all within ``radius`` pixels. ``row`` bits make a row; what reaches the margin is of no use.

    A row of the disk as far as ``away`` from its centre is as wide as the circle there.
    """
    wide = [bits]  # by how many pixels to either side
    for width in range(1, radius + 1):
        wide.append(wide[-1] | bits << width | bits >> width)
    grown = wide[radius]
    for away in range(1, radius + 1):
        line = wide[math.isqrt(radius * radius - away * away)]
        grown |= line << away * row | line >> away * row
    return grown


def _without(mask: Mask, void: Mask | None) -> Mask:
    return mask if void is None else mask & ~void


def _radius(shape: tuple[int, ...], tolerance: float) -> int:
    """How many pixels boundaries may lie apart: 8 for 480 x 854."""
    return math.ceil(tolerance if tolerance >= 1 else tolerance * np.linalg.norm(shape))


def _around(mask: Mask) -> tuple[slice, slice] | None:
    """The box of a mask with one pixel more on every side; None if it is empty."""
    left, top, width, height = cv2.boundingRect(mask.view(np.uint8))
    if not width:
        return None
    return slice(max(0, top - 1), top + height + 1), slice(max(0, left - 1), left + width + 1)
