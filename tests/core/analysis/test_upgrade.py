"""Tables of the version before records were a schema: every analysis of a small model, as both versions wrote it."""

from __future__ import annotations

import gzip
import math
from pathlib import Path

import pytest

from vitan.analysis.records import KEY, Record, identity
from vitan.analysis.tables import from_csv, to_csv

DATA = Path(__file__).parent / "data"


def read(schema: int) -> dict[tuple[object, ...], Record]:
    text = gzip.decompress((DATA / f"records-schema-{schema}.csv.gz").read_bytes()).decode()
    records = from_csv(text)
    found = {identity(record): record for record in records}
    assert len(found) == len(records)
    return found


def test_no_old_number_is_lost_or_changed() -> None:
    old, new = read(1), read(2)
    assert len({record.analysis for record in old.values()}) == 14
    assert set(old) <= set(new)
    for key, record in old.items():
        same = record.value == new[key].value or (math.isnan(record.value) and math.isnan(new[key].value))
        assert same, record
        for name in ("low", "high", "error", "label", "gap"):
            assert getattr(record, name) == getattr(new[key], name), (name, record)


def test_only_counts_and_gaps_are_new() -> None:
    old, new = read(1), read(2)
    more = {new[key].metric for key in set(new) - set(old)}
    assert more == {"knn-top5", "retrieval-unseen", "objects-left-out"}


def test_which_schema_it_was_is_kept() -> None:
    assert {record.schema for record in read(1).values()} == {1}
    assert {record.schema for record in read(2).values()} == {2}


def test_what_is_written_is_read_back() -> None:
    records = list(read(2).values())
    again = from_csv(to_csv(records))
    assert list(map(identity, again)) == list(map(identity, records))
    assert to_csv(again) == to_csv(records)


@pytest.mark.parametrize("value", ["many", None, b"1"])
def test_a_value_that_is_no_number_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match=r"acc is .*not a number"):
        Record(metric="acc", value=value)  # type: ignore[arg-type]


def test_a_gap_is_for_a_missing_value_alone() -> None:
    with pytest.raises(ValueError, match="and yet has a gap"):
        Record(metric="acc", value=1.0, gap="no reason")
    with pytest.raises(ValueError, match="better"):
        Record(metric="acc", value=1.0, better="up")


def test_the_key_is_made_of_columns() -> None:
    assert set(KEY) <= set(Record.__dataclass_fields__)
