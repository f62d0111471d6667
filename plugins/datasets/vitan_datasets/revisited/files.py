"""Ground truth of ROxford5k and RParis6k, from the original pickle or the same as JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vitan.data.samples import Box
from vitan.errors import DataError
from vitan.files import read_json

from ..trees import is_inside

KINDS = ("easy", "hard", "junk")


@dataclass(frozen=True)
class Query:
    """One query: the picture's name, the box around the building, and what is relevant, as places in the image list."""

    name: str
    box: Box
    relevant: Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class GroundTruth:
    """The pictures that are searched, by name without ending, and the queries."""

    images: tuple[str, ...]
    queries: tuple[Query, ...]


def read(path: Path) -> GroundTruth:
    """Read ``gnd_*.pkl`` or ``gnd_*.json``; nothing in a pickle is run.

    Raises ``DataError``, naming the file, the query and the value, for anything but the published structure: the lists
    ``imlist`` and ``qimlist`` of names, and ``gnd`` with one entry of ``bbx``, ``easy``, ``hard`` and ``junk`` for each
    query, whose places are in ``imlist``.
    """
    content = _load(path)
    if not isinstance(content, dict) or not {"imlist", "qimlist", "gnd"} <= content.keys():
        raise DataError(f"{path}: expected a dictionary with imlist, qimlist and gnd; get the file again")
    images, queries = (_names(path, key, content[key]) for key in ("imlist", "qimlist"))
    if both := sorted(set(images) & set(queries)):
        raise DataError(f"{path}: {both[0]!r} is in imlist and in qimlist, so that the query would find itself")
    entries = content["gnd"]
    if not isinstance(entries, list) or len(entries) != len(queries):
        count = len(entries) if isinstance(entries, list) else "no list of"
        raise DataError(f"{path}: {len(queries)} queries, but {count} entries in gnd; get the file again")
    made = [_query(path, name, entry, len(images)) for name, entry in zip(queries, entries, strict=True)]
    return GroundTruth(images, tuple(made))


def _load(path: Path) -> Any:
    if path.suffix != ".json":
        from vitan.results.safe_pickle import load

        return load(path)
    try:
        return read_json(path)
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read as JSON ({error}); get the file again") from error


def _names(path: Path, key: str, given: Any) -> tuple[str, ...]:
    names = given.tolist() if isinstance(given, np.ndarray) else given
    if not isinstance(names, (list, tuple)) or not all(isinstance(name, str) and name for name in names) or not names:
        raise DataError(f"{path}: {key} is not a list of names; get the file again")
    for name in names:
        if not is_inside(name):
            raise DataError(f"{path}: {key} names {name!r}, which is not a picture in the folder jpg")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise DataError(f"{path}: {key} names {twice!r} more than once")
    return tuple(names)


def _query(path: Path, name: str, entry: Any, images: int) -> Query:
    if not isinstance(entry, dict) or not {"bbx", *KINDS} <= entry.keys():
        raise DataError(f"{path}: the entry of query {name!r} has not all of bbx, easy, hard, junk; get the file again")
    box = tuple(float(value) for value in _numbers(path, name, "bbx", entry["bbx"]))
    if len(box) != 4 or not all(map(math.isfinite, box)) or box[0] >= box[2] or box[1] >= box[3]:
        raise DataError(f"{path}: the box of query {name!r} is {box}, not x1, y1, x2, y2 with x1 < x2 and y1 < y2")
    relevant = {kind: _places(path, name, kind, entry[kind], images) for kind in KINDS}
    return Query(name, (box[0], box[1], box[2], box[3]), relevant)


def _places(path: Path, name: str, kind: str, given: Any, images: int) -> tuple[int, ...]:
    places = _numbers(path, name, kind, given)
    for place in places:
        if place != int(place) or not 0 <= place < images:
            raise DataError(
                f"{path}: {kind} of query {name!r} holds {place:g}, but imlist has {images} images, numbered from 0"
            )
    return tuple(int(place) for place in places)


def _numbers(path: Path, name: str, key: str, given: Any) -> Sequence[float]:
    try:
        values = np.asarray(given, np.float64)
    except (TypeError, ValueError, OverflowError):
        values = None
    if values is None or values.ndim != 1:
        raise DataError(f"{path}: {key} of query {name!r} is not a list of numbers; get the file again")
    return [float(value) for value in values]
