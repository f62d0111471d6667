"""Records as CSV: one line each, floats with every digit."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping

from .records import COLUMNS, Record
from .upgrade import upgraded


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
    """Records from what ``to_csv`` wrote, in this schema or an older one (see ``upgrade``).

    Columns that this version does not know are left out. Raises ``ValueError`` for text that is no such table.
    """
    rows: list[dict[str, str]] = list(csv.DictReader(io.StringIO(text)))
    if rows and "schema" not in rows[0]:
        rows = upgraded(rows)
    return tuple(_record(row) for row in rows)


_READ: Mapping[str, Callable[[str], object]] = {
    **dict.fromkeys(("value", "low", "high", "error", "at"), float),
    **dict.fromkeys(("block", "head", "n", "schema"), int),
}


def _record(row: Mapping[str, str | None]) -> Record:
    given = {name: value for name, value in row.items() if name in COLUMNS and value}
    if "metric" not in given or "value" not in given:
        raise ValueError("a row has no metric or no value")
    return Record(**{name: _READ.get(name, str)(value) for name, value in given.items()})  # type: ignore[arg-type]
