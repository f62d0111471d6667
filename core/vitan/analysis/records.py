"""What an analysis ends with: tidy records and named arrays."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, kw_only=True)
class Record:
    """One number with everything that says how it was made.

    The first group of fields is the probe's to fill in; the second is filled in by the runner.
    ``protocol`` is ``default``, ``paper``, or the name of another variant of the definition. ``block`` and ``head``
    count from 0. ``group`` is a class, a category or an image; ``k`` is whatever the analysis sweeps. ``other`` is the
    second model of a comparison.
    """

    metric: str
    value: float
    unit: str = ""
    higher_is_better: bool | None = None
    block: int | None = None
    head: int | None = None
    k: float | None = None
    group: str = ""
    protocol: str = "default"

    analysis: str = ""
    model: str = ""
    other: str = ""
    weights: str = ""
    dataset: str = ""
    n: int = 0
    view: str = ""


@dataclass(frozen=True, kw_only=True)
class Result:
    """Records and arrays.

    ``axes`` names the axes of the arrays, as in ``{"attention-distance": ("image", "block", "head")}``.
    ``headline`` names the metrics that a short table should show: a handful, each with one value per block.
    """

    records: tuple[Record, ...]
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)
    axes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    headline: tuple[str, ...] = ()


_LEADING = ("analysis", "model", "other", "dataset", "metric", "protocol", "block", "head", "value", "unit")
COLUMNS = (*_LEADING, *(f.name for f in fields(Record) if f.name not in _LEADING))


def to_csv(records: Iterable[Record]) -> str:
    """Records as CSV text, one line each; what is not known is empty, and floats keep every digit."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for record in records:
        values = (getattr(record, column) for column in COLUMNS)
        writer.writerow(["" if value is None else value for value in values])
    return out.getvalue()


def from_csv(text: str) -> tuple[Record, ...]:
    """Records from what ``to_csv`` wrote; columns that this version does not know are left out.

    Raises ``ValueError`` for text that is no such table.
    """
    return tuple(_record(row) for row in csv.DictReader(io.StringIO(text)))


def _record(row: Mapping[str, str | None]) -> Record:
    read: Mapping[str, Callable[[str], object]] = {
        "value": float,
        "k": float,
        "block": int,
        "head": int,
        "n": int,
        "higher_is_better": lambda word: word == "True",
    }
    given = {name: value for name, value in row.items() if name in COLUMNS and value}
    if "metric" not in given or "value" not in given:
        raise ValueError("a row has no metric or no value")
    return Record(**{name: read.get(name, str)(value) for name, value in given.items()})  # type: ignore[arg-type]
