"""How the images of a pass are cut into batches, and batches into shards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

import numpy as np

#: Images per shard, unless there are very many: what an interruption may cost at the most.
SHARD_IMAGES = 128
#: Not many more shards than this: each is a file for every recording.
_SHARDS = 1024


@dataclass(frozen=True)
class Partition:
    """Batches are cut first, so that a batch holds the same images however many shards there are.

    ``batches`` are the bounds of the batches in the order of the pass, ``shards`` those of the shards in batches.
    ``order`` is the position in the dataset of each image in the order of the pass, or None where the two agree.
    """

    n: int
    bounds: Sequence[int]
    shard_bounds: Sequence[int]
    order: Sequence[int] | None = None

    @property
    def n_batches(self) -> int:
        """Batches in all."""
        return len(self.bounds) - 1

    def shards(self) -> list[range]:
        """Each shard's run of batch numbers."""
        return [range(*pair) for pair in pairwise(self.shard_bounds)]

    def indices(self, batch: int) -> Sequence[int]:
        """The positions in the dataset of a batch's images."""
        run = range(self.bounds[batch], self.bounds[batch + 1])
        return run if self.order is None else [self.order[i] for i in run]


def cut(n: int, size: int, *, seed: int | None = None, shard_images: int | None = None) -> Partition:
    """Batches of ``size`` images in the dataset's order, or in one shuffled by ``seed``."""
    bounds = [*range(0, n, size), n]
    each = max(1, (shard_images or max(SHARD_IMAGES, n // _SHARDS)) // size)
    shard_bounds = [*range(0, len(bounds) - 1, each), len(bounds) - 1]
    order = None if seed is None else np.random.default_rng(seed).permutation(n).tolist()
    return Partition(n, bounds, shard_bounds, order)


def cut_by_group(groups: Sequence[str], size: int) -> Partition:
    """Batches of at most ``size`` images of one group, and a shard for each group.

    ``groups`` names the group of each image that is looked at; raises ``ValueError`` for one that comes back later.
    """
    bounds, shard_bounds = [0], [0]
    runs = [(name, len(list(run))) for name, run in groupby(groups)]
    if len({name for name, _ in runs}) < len(runs):
        raise ValueError("the images of a group do not follow one another")
    for _, count in runs:
        start = bounds[-1]
        bounds += [*range(start + size, start + count, size), start + count]
        shard_bounds.append(len(bounds) - 1)
    return Partition(len(groups), bounds, shard_bounds)
