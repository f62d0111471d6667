"""Tar files in the layout of webdataset: ``KEY.jpg``, and ``KEY.cls`` or ``KEY.json`` for its label."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TypeAlias

from vitan.data.images import is_image
from vitan.errors import DataError, ImageError
from vitan.files import open_file

from ..trees import is_inside
from .shard import Label

_BLOCK = tarfile.BLOCKSIZE
_LARGEST = 1 << 24  # bytes of a file that says what a picture is of


class _Span(NamedTuple):
    name: str
    start: int
    size: int


#: The files of one key, by what follows its first dot.
_Members: TypeAlias = "dict[str, _Span]"


class TarShard:
    """The pictures of a tar file, in its order, and where in the file they are; see ``Shard``.

    A key is a name up to the first dot behind the last slash, as webdataset has it, and has at most one picture:
    ``KEY.seg.png`` and the like are passed over, as are links, hidden files and keys without a picture. The label is
    what ``KEY.cls`` holds, or what ``KEY.json`` has as ``label``: a number, or a word.

    Raises ``DataError``, naming the file, for one that is no tar, is compressed, damaged or cut short, or for a key
    with two pictures or a label that is none; and ``OSError``.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.classes: tuple[str, ...] = ()
        self._spans: list[_Span] = []
        labels: list[Label] = []
        with open_file(path) as file:
            for key, members in _keys(path, file).items():
                found = [span for ending, span in members.items() if "." not in ending and is_image(f".{ending}")]
                if len(found) > 1:
                    both = " and ".join(span.name for span in found[:2])
                    raise DataError(f"{path}: {both} are two pictures of one key, {key}; a key has one")
                if found:
                    self._spans += found
                    labels.append(_label(path, file, members))
        self.labels: Sequence[Label] = labels
        self.names: Sequence[str] = [span.name for span in self._spans]

    def read(self, position: int) -> bytes:
        """See ``Shard``."""
        span = self._spans[position]
        with open_file(self._path) as file:
            return _bytes(file, span)


def _keys(path: Path, file: BinaryIO) -> Mapping[str, _Members]:
    """The files of a tar by their keys, in its order."""
    keys: dict[str, _Members] = {}
    for span in _spans(path, file):
        folder, slash, base = span.name.rpartition("/")
        stem, dot, ending = base.partition(".")
        if not stem or not dot:  # hidden, or of no kind
            continue
        members = keys.setdefault(f"{folder}{slash}{stem}", {})
        if members.setdefault(ending.lower(), span) is not span:
            raise DataError(f"{path}: {span.name} is in it twice; names in a shard have to differ")
    return keys


def _spans(path: Path, file: BinaryIO) -> Iterator[_Span]:
    """Where the plain files of a tar are; the whole of it is looked through, but not read."""
    end = 0
    try:
        with tarfile.open(fileobj=file, mode="r:") as tar:
            for member in tar:
                if member.size < 0 or member.offset_data < end:
                    raise tarfile.ReadError(f"the size of {member.name!a} is {member.size}")
                end = member.offset_data + member.size
                if member.isreg() and not member.issparse():
                    yield _Span(_checked(path, member.name), member.offset_data, member.size)
            file.seek(tar.offset)
            # tarfile takes a header that it cannot read for the end, which is a block of zeros
            if file.read(_BLOCK) != bytes(_BLOCK):
                raise tarfile.ReadError(f"its end is missing, or it is damaged at byte {tar.offset}")
    except (tarfile.TarError, ValueError, OverflowError) as error:
        raise DataError(
            f"{path}: this is no whole tar file ({error}); get it again, and unpack it if it is compressed"
        ) from error


def _checked(path: Path, name: str) -> str:
    try:
        name.encode()
    except UnicodeEncodeError:
        raise DataError(f"{path}: the name {name!a} in it is not UTF-8") from None
    name = name.removeprefix("./")
    if not is_inside(name):
        raise DataError(f"{path}: the name {name!a} in it leads out of a folder")
    return name


def _label(path: Path, file: BinaryIO, members: _Members) -> Label:
    span = members.get("cls") or members.get("json")
    if span is None:
        return None
    if span.size > _LARGEST:
        raise DataError(f"{path}: {span.name} has {span.size} bytes, which is no label")
    try:
        text = _bytes(file, span).decode("utf-8-sig").strip()
        label: Any = text if "cls" in members else json.loads(text).get("label")
    except (ValueError, AttributeError, RecursionError) as error:
        raise DataError(f"{path}: {span.name} tells no label ({error}); it is a number or a word") from error
    if isinstance(label, str) and label.isascii() and label.isdigit():
        return int(label[:20])
    if label is None or (isinstance(label, (int, str)) and not isinstance(label, bool) and label != ""):
        return label
    raise DataError(f"{path}: {span.name} has the label {label!r:.60}; a label is a number or a word")


def _bytes(file: BinaryIO, span: _Span) -> bytes:
    file.seek(span.start)
    content = file.read(span.size)
    if len(content) < span.size:
        raise ImageError("the shard has become shorter since it was looked through; restore it")
    return content
