"""The files of SPair-71k: names of pairs, what is known of a pair, and of a picture."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from vitan.data.samples import Box, Pair, Point
from vitan.errors import DataError
from vitan.files import read_json

from ..trees import is_inside

#: The archive separates the category by a colon; copies for file systems that allow none have an underscore.
_NAME = re.compile(r"(?P<id>[^-]+)-.+[:_](?P<category>[^:_]+)\.json")
#: What is known of a pair, besides points and boxes.
_FACTS = ("viewpoint_variation", "scale_variation", "truncation", "occlusion")

#: Numbers of points that are each other's mirror image, right side first, by category.
_MIRRORED = {
    "aeroplane": "4-5 6-7 8-9 10-11 12-13 14-15 16-17 18-19 20-21",
    "bicycle": "2-3 6-7 9-10",
    "bird": "1-2 4-5 7-8 10-11 12-13 14-15",
    "boat": "1-2 3-4 5-6 7-8 9-10 11-12",
    "bottle": "1-0 3-2 5-4 7-6 9-8",
    "bus": "0-1 2-3 5-6 10-20 11-21 12-22 13-23 14-24 15-25 16-17 18-19 26-27 28-29",
    "car": "0-1 2-3 6-7 10-20 11-21 12-22 13-23 14-24 15-25 16-17 18-19 26-27 28-29",
    "cat": "0-1 2-3 4-5 6-7 9-10 11-12",
    "chair": "0-1 2-3 4-5 6-7 8-9 10-11 12-13",
    "cow": "0-1 2-3 4-5 6-7 9-10 11-12 15-16 17-18 19-20",
    "dog": "0-1 2-3 4-5 9-10 11-12",
    "horse": "0-1 2-3 4-5 6-7 10-11 12-13 16-17 18-19",
    "motorbike": "0-1 2-3",
    "person": "0-1 2-3 8-9 10-11 12-13 14-15 16-17 18-19",
    "pottedplant": "0-2 4-5 6-8",
    "sheep": "0-1 2-3 4-5 6-7 9-10 11-12 15-16 17-18 19-20",
    "train": "1-0 3-2 5-4 7-6 9-8 11-10 13-12 15-14 17-16",
    "tvmonitor": "0-2 3-7 4-6 8-10 11-15 12-14",
}


@dataclass(frozen=True)
class PairName:
    """The file of a pair, and the category that its name says."""

    path: Path
    category: str


def pair_names(root: Path, split: str) -> list[PairName]:
    """The files of a split's pairs, in the order of the bytes of their names.

    Raises ``DataError`` where there are none, or for a name of another form.
    """
    folder = root / "PairAnnotation" / split
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; the root of spair71k holds PairAnnotation/{split} with the pairs")
    paths = sorted(folder.glob("*.json"), key=lambda path: os.fsencode(path.name))
    if not paths:
        raise DataError(f"{folder}: no pairs; they are called ID-SOURCE-TARGET:CATEGORY.json")
    return [PairName(path, _category(path)) for path in paths]


def read_pair(name: PairName) -> tuple[str, Pair]:
    """The id of a pair's source picture, and the pair."""
    content = _read(name.path)
    try:
        if content["category"] != name.category:
            raise DataError(f"{name.path}: the category inside is {content['category']!r}; rename the file")
        source, target = (_image(name, content[key]) for key in ("src_imname", "trg_imname"))
        points = {key: tuple(_point(point) for point in content[key]) for key in ("src_kps", "trg_kps")}
        names = tuple(point_name(name.category, str(number)) for number in content["kps_ids"])
        if len({len(names), *map(len, points.values())}) > 1:
            counts = f"{len(names)} names, {len(points['src_kps'])} and {len(points['trg_kps'])} points"
            raise DataError(f"{name.path}: {counts}; each point has a name and lies in both pictures")
        pair = Pair(
            id=name.path.stem.replace(":", "_"),
            target=target,
            names=names,
            source=points["src_kps"],
            points=points["trg_kps"],
            source_box=_box(content["src_bndbox"]),
            target_box=_box(content["trg_bndbox"]),
            facts={key: content[key] for key in _FACTS if key in content},
        )
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise DataError(f"{name.path}: not the annotation of a pair ({error!r})") from error
    return source, pair


def read_image(root: Path, image: str) -> tuple[Box, Mapping[str, Point]]:
    """The box of the object in a picture (``CATEGORY/NAME.jpg``), and its visible points by name."""
    path = (root / "ImageAnnotation" / image).with_suffix(".json")
    content, category = _read(path), image.partition("/")[0]
    try:
        points = {number: _point(point) for number, point in content["kps"].items() if point is not None}
        return _box(content["bndbox"]), {point_name(category, number): point for number, point in points.items()}
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
        raise DataError(f"{path}: not the annotation of a picture ({error!r})") from error


def point_name(category: str, number: str) -> str:
    """What a point is called: its number, or both numbers and the side where two points mirror each other."""
    return _names(category).get(number, number)


@cache
def _names(category: str) -> dict[str, str]:
    named: dict[str, str] = {}
    for both in _MIRRORED.get(category, "").split():
        right, left = both.split("-")
        named |= {right: f"{both} right", left: f"{both} left"}
    return named


def _category(path: Path) -> str:
    match = _NAME.fullmatch(path.name)
    if match is None:
        raise DataError(f"{path}: pairs are called ID-SOURCE-TARGET:CATEGORY.json (or _CATEGORY); rename or remove it")
    return match["category"]


def _image(pair: PairName, name: Any) -> str:
    if not isinstance(name, str) or not is_inside(name) or "/" in name or "\\" in name or not name.strip("."):
        raise DataError(
            f"{pair.path}: {name!r} is not the name of a picture of {pair.category}; mend or remove the file"
        )
    return f"{pair.category}/{name}"


def _point(values: Any) -> Point:
    x, y = map(float, values)
    if not (math.isfinite(x) and math.isfinite(y)):
        raise ValueError(f"a point is {x:g}, {y:g}")
    return x, y


def _box(values: Any) -> Box:
    left, top, right, bottom = map(float, values)
    if not (math.isfinite(left + top + right + bottom) and max(right - left, bottom - top) > 0):
        raise ValueError(f"a box is {left:g}, {top:g}, {right:g}, {bottom:g}, so that errors have no measure")
    return left, top, right, bottom


def _read(path: Path) -> Any:
    try:
        return read_json(path)
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read as JSON ({error}); unpack the archive of SPair-71k again") from error
