"""The contract suite notices what is wrong with annotations."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from vitan import DatasetSpec
from vitan.data.samples import Dataset, Pair, Sample, Segment
from vitan.testing import check_dataset

SIZE = (6, 4)
EVERYTHING = frozenset({"label", "roles", "masks", "keypoints", "pairs", "relevance", "video"})


def _mask() -> Any:
    mask = np.zeros(SIZE[::-1], dtype=bool)
    mask[1, 2] = True
    return mask


def _ids() -> Any:
    return _mask().astype(np.uint8)


def _float_mask() -> Any:
    return _mask().astype(float)


def _turned() -> Any:
    return _mask().T


def _empty() -> Any:
    return np.zeros(SIZE[::-1], dtype=bool)


PAIR = Pair(
    id="p",
    target="2",
    names=("tip",),
    source=((1.0, 2.0),),
    points=((3.0, 1.0),),
    source_box=(0, 0, 2, 2),
    target_box=(0, 0, 2, 2),
)
SEGMENT = Segment(label=7, decode=_mask, id="s")


class Good(Dataset):
    """Two groups of two; the last of each is a query."""

    changes: dict[str, object] = {}  # noqa: RUF012
    said: tuple[str, ...] = ("a", "a", "b", "b")

    def __len__(self) -> Any:
        return 4

    def __getitem__(self, index: Any) -> Any:
        query = index % 2
        sample = Sample(
            id=str(index),
            image=Image.new("RGB", SIZE),
            label=0,
            role="query" if query else "bank",
            group="ab"[index // 2],
            box=(0, 0, 2, 2),
            segments=(SEGMENT,),
            keypoints={"tip": (1.0, 2.0)},
            pairs=(PAIR,) if index < 2 else (),
            relevant={"easy": [index - 1], "hard": [], "junk": []} if query else {},
            id_mask=_ids,
        )
        return replace(sample, **self.changes) if index == 1 else sample

    def fingerprint(self) -> Any:
        return "good"

    def classes(self) -> Any:
        return ("thing",)

    def categories(self) -> Any:
        return {7: "part"}

    def groups(self) -> Any:
        return self.said


def _check(**attributes: Any) -> None:
    kind = type("Good", (Good,), {**attributes, "__module__": __name__})
    globals()["Good"], was = kind, Good  # it must survive pickling
    try:
        check_dataset(DatasetSpec(name="good", summary="good", load=lambda: kind, offers=EVERYTHING))
    finally:
        globals()["Good"] = was


def test_a_good_dataset_passes() -> None:
    _check()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"segments": (replace(SEGMENT, decode=_float_mask),)}, "is float64, not bool"),
        ({"segments": (replace(SEGMENT, decode=_turned),)}, r"is \(6, 4\), the picture \(4, 6\)"),
        ({"segments": (replace(SEGMENT, label=8),)}, "category 8, which has no name"),
        ({"id_mask": _mask}, "its id mask is bool"),
        ({"id_mask": lambda: _ids().T}, "its id mask is"),
        ({"keypoints": {"tip": (7.0, 1.0)}}, "key point tip"),
        ({"box": (3, 0, 1, 2)}, "its box is"),
        ({"role": "both"}, "its role is 'both'"),
        ({"role": "bank"}, "something is relevant for it, but its role is 'bank'"),
        ({"relevant": {"easy": [4]}}, "beyond the end"),
        ({"relevant": {"easy": [1]}}, "relevant for itself"),
        ({"relevant": {"easy": [0], "junk": [0]}}, "in two ways"),
        ({"relevant": {"simple": [0]}}, "relevant has"),
        ({"pairs": (replace(PAIR, target="9"),)}, "which is no sample"),
        ({"pairs": (replace(PAIR, target="1"),)}, "to itself"),
        ({"pairs": (replace(PAIR, names=("tip", "top")),)}, "names and points"),
        ({"pairs": (replace(PAIR, source=((9.0, 1.0),)),)}, "points beyond it"),
        ({"pairs": (replace(PAIR, target_box=(0, 0, 0, 2)),)}, "has the boxes"),
        ({"group": "b"}, "its group is 'b'"),
    ],
)
def test_what_is_wrong_with_a_sample_is_named(changes: Any, said: Any) -> None:
    with pytest.raises(AssertionError, match=said):
        _check(changes=changes)


@pytest.mark.parametrize(
    ("groups", "said"),
    [(("a", "a", "b"), "3 entries for 4 samples"), (("a", "b", "a", "b"), "its group is 'a'")],
)
def test_groups_are_those_of_the_samples(groups: Any, said: Any) -> None:
    with pytest.raises(AssertionError, match=said):
        _check(said=groups)


def test_what_is_offered_is_there() -> None:
    class Bare(Good):
        def __getitem__(self, index: Any) -> Any:
            return replace(super().__getitem__(index), keypoints={})

    with pytest.raises(AssertionError, match="offers keypoints, but no sample has it"):
        check_dataset(DatasetSpec(name="bare", summary="bare", load=lambda: Bare, offers=EVERYTHING))


def test_masks_that_are_all_empty() -> None:
    class Empty(Good):
        def __getitem__(self, index: Any) -> Any:
            return replace(super().__getitem__(index), segments=(replace(SEGMENT, decode=_empty),))

    with pytest.raises(AssertionError, match="all masks are empty"):
        check_dataset(DatasetSpec(name="empty", summary="empty", load=lambda: Empty, offers=EVERYTHING))
