"""Reading COCO's JSON files: pictures, categories and outlines, all of it checked once when the file is opened."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path, PurePosixPath
from typing import Any

from vitan.errors import DataError
from vitan.files import open_file

from ..trees import is_inside
from .outlines import Outline, packed, read_shape

_KEPT = ("id", "image_id", "category_id", "iscrowd", "segmentation")
_SHOWN = 5  # ids in a message
_LARGEST = 2**63 - 1  # of numbers that tensors can hold


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture as the file lists it; ``name`` is a path below the folder of the pictures."""

    id: int
    name: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Category:
    """What an outline can be an outline of."""

    name: str
    supercategory: str = ""


@dataclass(frozen=True)
class Instances:
    """One JSON file. ``outlines`` has those of each picture by its id, in the order of the file, the broken included.

    ``strays`` are the annotations of pictures that the file does not list; ``digest`` is that of the whole file.
    """

    file: Path
    digest: str
    pictures: Mapping[int, Picture]
    categories: Mapping[int, Category]
    outlines: Mapping[int, tuple[Outline, ...]]
    strays: int


def read_instances(file: Path) -> Instances:
    """Read and check a JSON file of the form of COCO's ``instances_val2017.json``.

    Polygons are packed while the file is parsed, so a large one (train2017 has 450 MB) never lies in memory as lists.

    Raises ``DataError``, naming the file and the entry, for what is no JSON or cut off, for pictures, categories and
    annotations without a sound id (or with one that another has), for pictures without size or with a path that leads
    out of the folder, and for categories without a name. What is wrong with a single outline is kept as its ``why``.
    """
    content, digest = _parse(file)
    try:
        pictures = _pictures(_listed(content, "images"))
        categories = _categories(_listed(content, "categories"))
        annotations = list(_listed(content, "annotations"))
        _check_ids("annotation", (_integer(entry, "id", where) for where, entry in annotations))
        outlines: dict[int, list[Outline]] = {}
        strays = 0
        for where, entry in annotations:
            picture = pictures.get(_integer(entry, "image_id", where))
            if picture is None:
                strays += 1
                continue
            outlines.setdefault(picture.id, []).append(_outline(entry, picture, categories, where))
    except ValueError as problem:
        raise DataError(f"{file}: {problem}; mend the file or fetch it again") from None
    kept = {id_: tuple(each) for id_, each in outlines.items()}
    return Instances(file, digest, pictures, categories, kept, strays)


def _parse(file: Path) -> tuple[dict[str, Any], str]:
    try:
        with open_file(file) as stream:
            text = stream.read()
    except OSError as error:
        raise DataError(f"{file}: cannot be read: {error.strerror or error}") from error
    try:
        content = json.loads(text, object_hook=_compact)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}: {error.msg}"
        raise DataError(f"{file}: {_what_is_wrong(error)} ({where}); fetch the file again") from None
    except (ValueError, RecursionError) as error:  # no text in any encoding, absurd numbers, thousands of brackets
        raise DataError(f"{file}: no JSON ({error}); fetch the file again") from None
    if not isinstance(content, dict):
        raise DataError(f"{file}: expected is an object with images, annotations and categories, as in COCO's files")
    return content, blake2b(text, digest_size=16).hexdigest()


def _what_is_wrong(error: json.JSONDecodeError) -> str:
    if not error.doc.strip():
        return "the file is empty"
    rest = error.doc[error.pos :].strip()
    # an unfinished text, number or word is noticed where it begins, but nothing follows it
    unfinished = error.msg.startswith("Unterminated string") or re.fullmatch(r"[\w.+-]*", rest)
    return "the JSON is cut off" if error.pos and unfinished else "no JSON"


def _compact(entry: dict[str, Any]) -> dict[str, Any]:
    if "segmentation" not in entry:
        return entry
    return {key: packed(entry[key]) if key == "segmentation" else entry[key] for key in _KEPT if key in entry}


def _listed(content: Mapping[str, Any], key: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The entries under ``key``, each with where it stands."""
    entries = content.get(key)
    if not isinstance(entries, list):
        raise ValueError(f"there is no list {key!r}, as COCO's files have it")
    for number, entry in enumerate(entries):
        where = f"{key}[{number}]"
        if not isinstance(entry, dict):
            raise ValueError(f"{where} is no object")
        yield where, entry


def _pictures(entries: Iterable[tuple[str, dict[str, Any]]]) -> dict[int, Picture]:
    pictures = [_picture(entry, where) for where, entry in entries]
    _check_ids("image", (picture.id for picture in pictures))
    twice = [name for name, count in Counter(picture.name for picture in pictures).items() if count > 1]
    if twice:
        raise ValueError(f"two images have the file name {twice[0]!r}")
    return {picture.id: picture for picture in pictures}


def _picture(entry: dict[str, Any], where: str) -> Picture:
    width, height = (_integer(entry, key, where) for key in ("width", "height"))
    if min(width, height) < 1:
        raise ValueError(f"{where}: {width} x {height} is no size of a picture")
    return Picture(_integer(entry, "id", where), _name(entry.get("file_name"), where), width, height)


def _name(name: Any, where: str) -> str:
    """A path that stays below the folder, whatever system reads it."""
    if not isinstance(name, str) or not name.strip() or name.endswith("/"):
        raise ValueError(f"{where}: file_name {name!r} names no file")
    try:
        name.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{where}: file_name {name!a} is no text") from None
    if not is_inside(name):
        raise ValueError(f"{where}: file_name {name!r} leads out of the folder of the pictures, so it is not read")
    return PurePosixPath(name.replace("\\", "/")).as_posix()  # as tools on Windows write it


def _categories(entries: Iterable[tuple[str, dict[str, Any]]]) -> dict[int, Category]:
    found: list[tuple[int, Category]] = []
    for where, entry in entries:
        id_, name, above = _integer(entry, "id", where), entry.get("name"), entry.get("supercategory") or ""
        if not isinstance(name, str) or not name.strip():
            raise ValueError(f"{where}: the category {id_} has no name")
        found.append((id_, Category(name, str(above))))
    _check_ids("category", (id_ for id_, _ in found))
    return dict(found)


def _outline(entry: dict[str, Any], picture: Picture, categories: Mapping[int, Category], where: str) -> Outline:
    id_, category = _integer(entry, "id", where), _integer(entry, "category_id", where)
    crowd = bool(entry.get("iscrowd"))
    if category not in categories:
        return Outline(id_, category, crowd, why="its category is not among the categories")
    try:
        return Outline(id_, category, crowd, read_shape(entry.get("segmentation"), picture.height, picture.width))
    except ValueError as problem:
        return Outline(id_, category, crowd, why=str(problem))


def _integer(entry: dict[str, Any], key: str, where: str) -> int:
    value = entry.get(key)
    whole = int(value) if type(value) is float and value.is_integer() else value  # as pandas writes integers
    if type(whole) is not int:
        raise ValueError(f"{where}: {key} is {value!r}, not an integer")
    if abs(whole) > _LARGEST:
        raise ValueError(f"{where}: {key} is an integer of more than 64 bits")
    return whole


def _check_ids(what: str, ids: Iterable[int]) -> None:
    if twice := [id_ for id_, count in Counter(ids).items() if count > 1]:
        more = f" and {len(twice) - _SHOWN} more" if len(twice) > _SHOWN else ""
        raise ValueError(f"ids that more than one {what} has: {', '.join(map(str, twice[:_SHOWN]))}{more}")
