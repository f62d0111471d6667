"""Outlines of regions as COCO's files hold them, polygons and run lengths: checking, keeping and drawing them."""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from pycocotools import mask as coco_mask

#: Polygons, each x1, y1, x2, y2, ...; or the lengths of runs down the columns, the first of them outside.
Shape: TypeAlias = "tuple[array[float], ...] | array[int]"

_BOX = 4  # numbers; pycocotools takes a polygon of so many for a box, and the published code leaves out so few
# Drawing takes memory for every pixel of a line, so a file could ask for all there is:
_AWAY = 10  # sides of the picture that a point may be away from it
_ROUNDS = 100  # times around the picture that an outline may go, ...
_WOUND = 4  # or pixels of it for each of the picture's (an outline around every second pixel has 2), ...
_LONGEST = 2**24  # and no more pixels than this
_COUNT_BITS = 60  # of a run length; no picture has so many pixels


@dataclass(frozen=True, slots=True)
class Outline:
    """One annotation. ``why`` says what is wrong with it, and then it has no shape and is left out."""

    id: int
    category: int
    crowd: bool
    shape: Shape = ()
    why: str = ""


def packed(segmentation: Any) -> Any:
    """Polygons as arrays, which take a quarter of the memory of lists; whatever is no list of polygons stays as it is.

    Raises nothing: what is wrong comes out in ``read_shape``.
    """
    try:
        return (
            [array("d", polygon) for polygon in _polygons(segmentation)]
            if isinstance(segmentation, list)
            else segmentation
        )
    except (TypeError, OverflowError):
        return None


def _polygons(segmentation: list[Any]) -> list[Any]:
    """COCO's list of flat polygons, also from one flat polygon and from points in pairs, as other tools write them."""
    if segmentation and all(isinstance(number, (int, float)) for number in segmentation):
        return [segmentation]
    if len(segmentation) > 2 and _is_paired(segmentation):
        return [_flat(segmentation)]
    return [_flat(polygon) if _is_paired(polygon) else polygon for polygon in segmentation]


def _is_paired(polygon: Any) -> bool:
    return bool(polygon) and all(isinstance(point, list) and len(point) == 2 for point in polygon)


def _flat(points: list[list[float]]) -> list[float]:
    return [number for point in points for number in point]


def read_shape(segmentation: Any, height: int, width: int) -> Shape:
    """The ``segmentation`` of an annotation, as ``packed`` gives it, checked against the size of its picture.

    The first polygon decides, as in the published code: with four numbers or fewer the annotation does not count.
    Raises ``ValueError`` with a short reason that names no numbers, so that equal reasons can be counted.
    """
    if isinstance(segmentation, dict):
        return _runs(segmentation, height, width)
    polygons = segmentation
    if not isinstance(polygons, list) or not polygons:
        raise ValueError("it has no outline")
    if len(polygons[0]) <= _BOX:
        raise ValueError("its first polygon has four numbers or fewer")
    far = _AWAY * max(height, width)
    for polygon in polygons:
        if len(polygon) % 2:
            raise ValueError("a polygon has an x without a y")
        # the sum of numbers that are none is none
        if polygon and not (math.isfinite(sum(polygon)) and -far <= min(polygon) <= max(polygon) <= far):
            raise ValueError("a point of it is far outside the picture or not a number")
    longest = min(max(_WOUND * height * width, 2 * _ROUNDS * (height + width)), _LONGEST)
    if sum(map(_length, polygons)) > longest:
        raise ValueError("its outline is longer than that of any region of the picture")
    return tuple(polygon for polygon in polygons if polygon)


def _length(polygon: array[float]) -> float:
    """How many pixels the closed line through the points passes."""
    points = np.frombuffer(polygon, np.float64).reshape(-1, 2)  # (point, 2)
    return float(np.abs(points - np.roll(points, 1, axis=0)).max(1).sum()) if len(points) else 0.0


def draw(shape: Shape, height: int, width: int) -> npt.NDArray[np.bool_]:
    """The mask (height, width) of a shape that ``read_shape`` has passed, exactly as pycocotools draws it."""
    if isinstance(shape, array):
        encoded = coco_mask.frPyObjects({"size": [height, width], "counts": shape.tolist()}, height, width)
    else:
        encoded = coco_mask.merge(coco_mask.frPyObjects(list(shape), height, width))
    return np.asarray(coco_mask.decode(encoded), dtype=bool)


def _runs(encoded: dict[str, Any], height: int, width: int) -> array[int]:
    """Run lengths, from a list or from pycocotools' text. Checked here, because pycocotools' C code trusts them."""
    if encoded.get("size") != [height, width]:
        raise ValueError("its RLE is for a picture of another size")
    counts = encoded.get("counts")
    if isinstance(counts, str):
        counts = _counts(counts)
    if not isinstance(counts, list) or not all(type(count) is int and count >= 0 for count in counts):
        raise ValueError("its RLE is damaged")
    if len(counts) > height * width + 1:
        raise ValueError("its RLE has more runs than the picture has pixels")
    if sum(counts) != height * width:
        raise ValueError("its RLE does not fill the picture")
    return array("q", counts)


def _counts(text: str) -> Sequence[int]:
    """The run lengths in a compressed RLE: six bits in a letter, and from the fourth on changes since the last but one.

    Raises ``ValueError`` for text that is none.
    """
    counts: list[int] = []
    value = shift = 0
    for letter in text:
        piece = ord(letter) - 48
        if not 0 <= piece < 64:  # six bits
            raise ValueError("its RLE is damaged")
        value |= (piece & 31) << shift
        shift += 5
        if shift > _COUNT_BITS:
            raise ValueError("its RLE is damaged")
        if not piece & 32:
            value -= (piece >> 4) << shift  # the fifth bit of the last letter is the sign
            counts.append(value + (counts[-2] if len(counts) > 2 else 0))
            value = shift = 0
    if shift:
        raise ValueError("its RLE is cut off")
    return counts
