"""Sums that do not depend on order, and rows that come back in the dataset's order."""

from __future__ import annotations

from fractions import Fraction
from itertools import permutations
from typing import Any

import pytest
import torch

from vitan.analysis.accumulators import PerImage, Ragged, Sum
from vitan.errors import RecordingError


def test_a_sum_by_hand() -> None:
    total = Sum()
    total.add(3, torch.tensor([[1.5, -2.0], [0.25, 0.0]]))
    total.add(3, torch.tensor([[0.25, -1.0]]))
    assert total.total(3).tolist() == [2.0, -3.0]
    assert total.count(3) == 3
    assert total.mean(3).tolist() == [2.0 / 3, -1.0]
    assert total.keys() == [3]


def test_order_and_grouping_do_not_change_a_bit() -> None:
    rows = torch.randn(9, 50, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 10.0 ** torch.arange(
        -6, 3
    ).view(9, 1)
    naive = {tuple(rows[list(order)].cumsum(0)[-1].tolist()) for order in ([*range(9)], [*range(8, -1, -1)])}
    assert len(naive) == 2  # plain float64 sums do depend on order, or this test could not fail
    whole = Sum()
    whole.add(0, rows)
    for order in permutations([slice(0, 1), slice(1, 4), slice(4, 9)]):
        parts = []
        for part in order:
            parts.append(Sum())
            parts[-1].add(0, rows[part])
        merged = parts[0]
        for part in parts[1:]:
            merged.merge(part)
        assert torch.equal(merged.total(0), whole.total(0))
        assert all(torch.equal(merged.state()[key], whole.state()[key]) for key in whole.state())


def test_the_sum_is_exact() -> None:
    rows = torch.randn(2000, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    total = Sum()
    for chunk in rows.split(17):
        total.add(0, chunk)
    exact = [float(sum(Fraction(float(x)) for x in column)) for column in rows.T]
    assert total.total(0).tolist() == pytest.approx(exact, abs=1e-15, rel=1e-15)


def test_half_precision_does_not_lose_mass() -> None:
    """The published accumulators took the dtype of the input; 2500 batches lost four fifths of the mass."""
    row = torch.full((2, 4), 0.3, dtype=torch.float16)
    total = Sum()
    for _ in range(2500):
        total.add(0, row)
    assert total.mean(0).tolist() == pytest.approx([float(row[0, 0])] * 4, rel=1e-15)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf"), 5e12])
def test_what_cannot_be_summed_is_an_error(bad: Any) -> None:
    with pytest.raises(RecordingError, match="block 2"):
        Sum().add(2, torch.tensor([[1.0, bad]]))


def test_more_rows_than_one_chunk() -> None:
    total = Sum()
    total.add(0, torch.full((5000, 1), 1 - 2.0**-40, dtype=torch.float64))
    assert total.total(0).item() == 5000 * (1 - 2.0**-40)


def test_rows_come_back_in_order() -> None:
    first, second = PerImage(), PerImage()
    first.add(1, [4, 0], torch.tensor([[4.0], [0.0]]))
    second.add(1, [2], torch.tensor([[2.0]]))
    first.merge(second)
    assert first.rows(1).tolist() == [[0.0], [2.0], [4.0]]
    assert first.index(1).tolist() == [0, 2, 4]


@pytest.mark.parametrize("size", [1, 2, 100])
def test_some_rows_come_in_runs(size: Any) -> None:
    kept, other = PerImage(), PerImage()
    kept.add(0, [7, 1, 4], torch.tensor([[7.0], [1.0], [4.0]]))
    other.add(0, [0, 9], torch.tensor([[0.0], [9.0]]))
    kept.merge(other)
    runs = list(kept.runs(0, torch.tensor([0, 4, 7, 9]), size))
    assert torch.cat(runs).tolist() == [[0.0], [4.0], [7.0], [9.0]]
    assert max(map(len, runs)) <= size
    with pytest.raises(LookupError, match="2 images"):
        list(kept.runs(0, torch.tensor([1, 5]), size))


@pytest.mark.parametrize("kind", [Sum, PerImage])
def test_state_survives_saving(kind: Any) -> None:
    made, loaded = kind(), kind()
    for key in (0, 11):
        rows = torch.arange(6.0).view(3, 2) + key
        made.add(key, rows) if kind is Sum else made.add(key, [2, 0, 1], rows)
    loaded.load(made.state())
    assert loaded.keys() == [0, 11]
    assert all(torch.equal(loaded.state()[key], made.state()[key]) for key in made.state())


def _ragged(*images: Any) -> Any:
    """Rows (count, 2) that tell the image and their place in it, with as many as the image's number."""
    ragged = Ragged()
    ragged.add(4, images, [torch.tensor([[image, i] for i in range(image)]).reshape(image, 2) for image in images])
    return ragged


def test_ragged_rows_come_back_by_image_whatever_the_shards() -> None:
    whole, late = _ragged(0, 1, 2, 3), _ragged(3, 0)
    late.merge(_ragged(2))
    late.merge(_ragged(1))
    again = Ragged()
    again.load(late.state())
    for ragged in (whole, late, again):
        assert ragged.keys() == [4]
        assert ragged.index(4).tolist() == [0, 1, 2, 3]
        assert [rows.tolist() for rows in ragged.rows(4)] == [[], [[1, 0]], [[2, 0], [2, 1]], [[3, 0], [3, 1], [3, 2]]]


def test_ragged_takes_a_tensor_for_each_image() -> None:
    with pytest.raises(ValueError, match="1 tensors for 2 images"):
        Ragged().add(0, [0, 1], [torch.zeros(3)])
