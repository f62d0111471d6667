"""Who shares a pass, and how its images are cut into batches and shards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

import numpy as np

from ..analysis.probe import Batching
from ..data.views import DIVIDED
from ..errors import MismatchError
from .job import Analysis, Job

#: Divided views have several windows to a picture, and so take so many times fewer pictures at a time.
_FEWER = 4


@dataclass(frozen=True)
class Sharing:
    """Analyses that one pass can feed."""

    view: str
    batching: Batching
    analyses: tuple[Analysis, ...]


def arrange(analyses: Sequence[Analysis], batch_size: int) -> list[Sharing]:
    """As few passes as the views and batchings of the analyses allow.

    An analysis that takes batches as they come joins another one in its view.
    """
    by_view: dict[str, list[Analysis]] = {}
    for analysis in analyses:
        by_view.setdefault(analysis.kind.view_for(analysis.options), []).append(analysis)
    found = []
    for view, looking in by_view.items():
        asked = [analysis.kind.batching(analysis.options) for analysis in looking]
        strict = sorted({each for each in asked if each}, key=lambda each: each.grouped) or [Batching()]
        own = max(1, batch_size // _FEWER) if view in DIVIDED else batch_size
        for batching in strict:
            sharing = [a for a, wish in zip(looking, asked, strict=True) if (wish or strict[0]) == batching]
            settled = Batching(batching.size or own, batching.seed, batching.grouped)
            found.append(Sharing(view, settled, tuple(sharing)))
    return found


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


def partition_of(job: Job, sharing: Sharing) -> Partition:
    """How the images of a job are cut for analyses that share a pass.

    Raises ``MismatchError`` where they go group by group and the dataset has no groups.
    """
    batching = sharing.batching
    assert batching.size is not None, "arrange has settled it"
    if not batching.grouped:
        return cut(job.n, batching.size, seed=batching.seed)
    groups = job.dataset.groups()
    if len(groups) != len(job.dataset):
        names = ", ".join(analysis.spec.name for analysis in sharing.analyses)
        raise MismatchError(f"{names} goes group by group, and dataset {job.dataset_spec.name} has no groups")
    return cut_by_group(groups[: job.n], batching.size)
