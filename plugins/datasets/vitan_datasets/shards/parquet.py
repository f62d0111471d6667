"""Parquet files as ``datasets`` writes them: a column of pictures, each {bytes, path}, and one of labels."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from vitan.errors import DataError, ImageError, UsageError

from .shard import Label

try:
    import pyarrow
    import pyarrow.parquet
    from pyarrow import types
except ImportError as error:
    raise UsageError(
        f"Parquet files need pyarrow, which is not installed ({error}); pip install 'vitan[shards]'"
    ) from error

_PICTURES = ("image", "img", "jpg", "jpeg", "png", "webp")
_LABELS = ("label", "labels", "cls", "class", "fine_label")
_KEPT = 4  # groups of rows in memory; who reads in order needs two


class ParquetShard:
    """The pictures of a Parquet file, by their rows; see ``Shard``.

    The column of pictures is the only one of structs with ``bytes``, or of plain bytes; of several, the one called
    ``image`` or as its format. The label is in the only ``ClassLabel`` that the file speaks of, or else in a column
    called ``label``, ``labels``, ``cls``, ``class`` or ``fine_label``; -1 is no label.

    A group of rows is read at once and the last few are kept, so reading in order is cheap, and reading here and there
    is not. Raises ``DataError``, naming the file, where it is damaged or has no such column.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            with pyarrow.parquet.ParquetFile(path) as file:
                schema = file.schema_arrow
                features = _features(schema)
                self._column = _pictures(path, schema)
                rows = [file.metadata.row_group(group).num_rows for group in range(file.metadata.num_row_groups)]
                label = _label_column(path, schema, features)
                self.labels: Sequence[Label] = _labels(path, file, label, sum(rows))
        except (pyarrow.ArrowException, OSError) as error:
            raise DataError(f"{path}: this is no whole Parquet file ({error}); get it again") from error
        self.classes = _classes(features.get(label or "", {}))
        self.names: Sequence[str] = [str(row) for row in range(sum(rows))]
        self._ends = np.cumsum(rows)
        self._groups = _Groups()

    def read(self, position: int) -> bytes:
        """See ``Shard``."""
        group = int(np.searchsorted(self._ends, position, side="right"))
        before = int(self._ends[group - 1]) if group else 0
        found = self._groups.get(group, self._read)
        if isinstance(found, str):
            raise ImageError(found)
        content = found[position - before].as_py()
        if content is None:
            raise ImageError("the file has no bytes of this picture, and what lies elsewhere is not read")
        return bytes(content)

    def _read(self, group: int) -> Any:
        """The bytes of the pictures of a group of rows, as Arrow keeps them, or why they cannot be read."""
        try:
            with pyarrow.parquet.ParquetFile(self._path) as file:
                table = file.read_row_group(group, [self._column], use_threads=False)
        except (pyarrow.ArrowException, OSError) as error:
            return f"its group {group} of rows cannot be read ({error}); get the file again"
        return table.flatten().column(0)


class _Groups:
    """The groups of rows that were asked for last; each is read once, by whoever comes first."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._kept: OrderedDict[int, Future[Any]] = OrderedDict()

    def __reduce__(self) -> tuple[type[_Groups], tuple[()]]:
        return _Groups, ()  # what is kept is read again elsewhere

    def get(self, group: int, read: Any) -> Any:
        with self._lock:
            found = self._kept.get(group)
            if found is None:
                mine = self._kept[group] = Future()
                while len(self._kept) > _KEPT:
                    self._kept.popitem(last=False)
            else:
                self._kept.move_to_end(group)
        if found is not None:
            return found.result()
        try:
            mine.set_result(read(group))
        except BaseException as error:
            mine.set_exception(error)
        return mine.result()


def _features(schema: Any) -> dict[str, Any]:
    """What ``datasets`` says of the columns, by their names; nothing where it says nothing that can be read."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        return {name: each for name, each in features.items() if isinstance(each, dict)}
    except (KeyError, ValueError, TypeError, AttributeError, RecursionError):
        return {}


def _pictures(path: Path, schema: Any) -> str:
    """The column of pictures, as Parquet names it: of a struct, its ``bytes``."""
    found = {field.name: where for field in schema if (where := _bytes_of(field))}
    chosen = [name for name in (_PICTURES if len(found) > 1 else found) if name in found]
    if not chosen:
        there = ", ".join(f"{field.name} ({field.type})" for field in schema)
        what = "several columns may be pictures" if found else "no column holds pictures"
        raise DataError(
            f"{path}: {what}: {there:.300}; wanted is one called image, of structs with bytes and path, or of bytes"
        )
    return found[chosen[0]]


def _bytes_of(field: Any) -> str:
    kind = field.type
    if types.is_struct(kind):
        return next((f"{field.name}.bytes" for each in kind if each.name == "bytes" and _is_bytes(each.type)), "")
    return field.name if _is_bytes(kind) else ""


def _is_bytes(kind: Any) -> bool:
    return bool(types.is_binary(kind) or types.is_large_binary(kind))


def _label_column(path: Path, schema: Any, features: dict[str, Any]) -> str | None:
    told = [name for name, each in features.items() if each.get("_type") == "ClassLabel" and name in schema.names]
    label = told[0] if len(told) == 1 else next((name for name in _LABELS if name in schema.names), None)
    if label is not None and not (types.is_integer(kind := schema.field(label).type) or _is_text(kind)):
        raise DataError(f"{path}: the column {label} is {kind}; labels are numbers or words")
    return label


def _is_text(kind: Any) -> bool:
    return bool(types.is_string(kind) or types.is_large_string(kind))


def _labels(path: Path, file: Any, column: str | None, rows: int) -> Sequence[Label]:
    if column is None:
        return [None] * rows
    labels = file.read([column], use_threads=False).column(0).to_pylist()
    if len(labels) != rows:
        raise DataError(f"{path}: the column {column} has {len(labels)} of {rows} labels; get the file again")
    return [None if label in (None, -1, "") else label for label in labels]


def _classes(feature: dict[str, Any]) -> tuple[str, ...]:
    names = feature.get("names")
    return tuple(map(str, names)) if isinstance(names, list) else ()
