"""How images are cut into batches and shards."""

from __future__ import annotations

from typing import Any

import pytest

from vitan.engine.schedule import cut, cut_by_group


def _all(partition: Any) -> Any:
    numbers = [number for numbers in partition.shards() for number in numbers]
    assert numbers == list(range(partition.n_batches))
    return [list(partition.indices(number)) for number in numbers]


@pytest.mark.parametrize(("n", "size", "shard"), [(11, 2, 4), (1, 8, 8), (16, 4, 12), (5, 5, 1), (8, 2, 100)])
def test_every_image_comes_once_and_in_order(n: Any, size: Any, shard: Any) -> None:
    batches = _all(cut(n, size, shard_images=shard))
    assert [i for batch in batches for i in batch] == list(range(n))
    assert all(len(batch) == size for batch in batches[:-1])


def test_shards_hold_whole_batches_and_change_none() -> None:
    assert [len(shard) for shard in cut(20, 3, shard_images=7).shards()] == [2, 2, 2, 1]
    assert _all(cut(20, 3, shard_images=7)) == _all(cut(20, 3, shard_images=100))


def test_a_million_images_make_not_many_more_than_a_thousand_shards() -> None:
    assert 1000 < len(cut(1_281_167, 8).shards()) < 1100


def test_a_seed_shuffles_and_always_alike() -> None:
    batches = _all(cut(50, 8, seed=3))
    assert sorted(i for batch in batches for i in batch) == list(range(50))
    assert batches != _all(cut(50, 8))
    assert batches == _all(cut(50, 8, seed=3, shard_images=16))
    assert batches != _all(cut(50, 8, seed=4))


def test_batches_never_hold_two_groups_and_each_group_is_a_shard() -> None:
    partition = cut_by_group(["a"] * 5 + ["b"] + ["c"] * 4, 2)
    assert _all(partition) == [[0, 1], [2, 3], [4], [5], [6, 7], [8, 9]]
    assert partition.shards() == [range(3), range(3, 4), range(4, 6)]


def test_a_group_that_comes_back_is_refused() -> None:
    with pytest.raises(ValueError, match="do not follow one another"):
        cut_by_group(["a", "b", "a"], 2)
