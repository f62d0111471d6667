"""From a dataset to batches of pixels."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

import torch
from torch import Tensor

from .data import Batch, Dataset, Sample
from .errors import ImageError
from .specs import ModelSpec
from .views import Placement, View, to_tensor


@dataclass(frozen=True)
class Partition:
    """How ``n`` images are cut into batches, and whole batches into shards.

    Batches are cut first, so that a batch holds the same images however many shards there are.
    """

    n: int
    batch_size: int
    shard_batches: int

    @property
    def n_batches(self) -> int:
        """Batches in all."""
        return -(-self.n // self.batch_size)

    def shards(self) -> list[range]:
        """Each shard's run of batch numbers."""
        starts = range(0, self.n_batches, self.shard_batches)
        return [range(start, min(start + self.shard_batches, self.n_batches)) for start in starts]

    def indices(self, batch: int) -> range:
        """The positions in the dataset of a batch's images."""
        return range(batch * self.batch_size, min((batch + 1) * self.batch_size, self.n))


@dataclass(frozen=True)
class Skipped:
    """An image that could not be read and was left out."""

    index: int
    why: str


_Seen = tuple[int, Sample, Placement, Tensor]


class Loader:
    """Reads batches ahead in threads. ``skipped`` collects the unreadable images of the last ``batches`` call."""

    def __init__(self, dataset: Dataset, view: View, model: ModelSpec, *, skip: bool = False, threads: int = 2) -> None:
        self._dataset, self._view, self._model, self._skip, self._threads = dataset, view, model, skip, threads
        self.skipped: list[Skipped] = []

    def batches(self, partition: Partition, numbers: Sequence[int]) -> Iterator[Batch | None]:
        """The batches of these numbers, in order; None for one of which no image could be read.

        Raises ``ImageError`` at the first unreadable image unless they are to be skipped.
        """
        self.skipped = []
        todo = iter(numbers)
        with ThreadPoolExecutor(self._threads, thread_name_prefix="vitan-read") as pool:

            def start(number: int) -> list[Future[_Seen | Skipped]]:
                return [pool.submit(self._read, index) for index in partition.indices(number)]

            ahead = deque(start(number) for number in islice(todo, 2))
            try:
                while ahead:
                    found = [future.result() for future in ahead.popleft()]
                    ahead.extend(start(number) for number in islice(todo, 1))
                    yield self._collate(found)
            finally:
                for futures in ahead:
                    for future in futures:
                        future.cancel()

    def _read(self, index: int) -> _Seen | Skipped:
        try:
            sample = self._dataset[index]
            seen, placement = self._view.place(sample.image)
        except ImageError as error:
            if not self._skip:
                raise ImageError(f"{error}; or leave such pictures out with --on-error skip") from error
            return Skipped(index, str(error))
        return index, sample, placement, to_tensor(seen, self._model.mean, self._model.std)

    def _collate(self, found: Sequence[_Seen | Skipped]) -> Batch | None:
        self.skipped += [item for item in found if isinstance(item, Skipped)]
        good = [item for item in found if not isinstance(item, Skipped)]
        if not good:
            return None
        index, samples, placements, pixels = zip(*good, strict=True)
        return Batch(index, samples, placements, torch.stack(pixels))
