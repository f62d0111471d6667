"""The best block of each model, and what keeps two of them from being compared."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from vitan.analysis.records import Record
from vitan.results.best import as_published, best_blocks, differing

ONE = Record(
    metric="acc",
    value=50.0,
    better="higher",
    block=0,
    token="cls",
    n=40,
    model="a-B16",
    weights="1" * 64,
    dataset="dots",
    fingerprint="f" * 32,
    view="crop",
    analysis="knn",
)


def curve(**changes: Any) -> list[Record]:
    """Two blocks, of which the second is the better one."""
    return [replace(ONE, **changes), replace(ONE, block=1, value=60.0, **changes)]


#: A change of the records of a model, and what is then told.
CHANGES = (
    ({"n": 280}, ("n",)),
    ({"n": None}, ("n",)),
    ({"fingerprint": "e" * 32}, ("fingerprint",)),
    ({"options": "temperature=0.1"}, ("options",)),
    ({"n": 280, "options": "temperature=0.1"}, ("n", "options")),
    ({}, ()),
)


@pytest.mark.parametrize(("changes", "told"), CHANGES)
def test_what_two_models_differ_in_is_told(changes: dict[str, Any], told: tuple[str, ...]) -> None:
    found = best_blocks([*curve(), *curve(model="b-B16", weights="2" * 64, **changes)])
    assert [(best.model, best.block, best.value) for best in found] == [("a-B16", 1, 60), ("b-B16", 1, 60)]
    assert differing(found) == told


@pytest.mark.parametrize("name", ["view", "protocol", "dataset", "token", "metric", "parameter"])
def test_other_tasks_are_not_held_against_one_another(name: str) -> None:
    found = best_blocks([*curve(), *curve(**{name: "another"}, n=280)])
    assert len(found) == 2
    assert differing(found) == ()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"weights": "2" * 64}, ("weights",)),
        ({"fingerprint": "e"}, ("fingerprint",)),
        ({"options": "k=1"}, ("options",)),
    ],
)
def test_values_of_one_name_are_never_mixed(changes: dict[str, Any], told: tuple[str, ...]) -> None:
    """The second has a worse block 1, and a better block 0 than the first."""
    other = [replace(ONE, value=70.0, **changes), replace(ONE, block=1, value=10.0, **changes)]
    found = best_blocks([*curve(), *other])
    assert [(best.block, best.value, best.blocks) for best in found] == [(1, 60, 2), (0, 70, 2)]
    assert differing(found) == told
    averaged = best_blocks(as_published([*curve(), *other], {"a-B16"}))
    assert [best.value for best in averaged] == [55, 40]
