"""From a dataset to batches of pixels."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import torch
from PIL import Image
from torch import Tensor

from ..data.batch import Batch, Window
from ..data.preparation import Preparation
from ..data.samples import Dataset, Sample
from ..data.views import Placement, View, to_tensor
from ..errors import ImageError, VitanError, naming
from .isolation import blaming, forget
from .schedule import Partition

#: What a preparation has made of samples, by position in the dataset.
Prepared: TypeAlias = Mapping[int, Mapping[str, Tensor]]
#: What preparations have made before, and None for those that are to be asked now.
Asked: TypeAlias = Mapping[Preparation, "Prepared | None"]
#: How many images are read ahead, unless two batches are more.
_AHEAD = 64


class Wanted(NamedTuple):
    """Batches by their numbers, and what is known or asked of their preparations."""

    numbers: Sequence[int]
    prepared: Asked


class _Begun(NamedTuple):
    """A batch that is being read: how many images, each in its future until the batch is there, and for whom."""

    images: int
    futures: list[Future[_Seen | Skipped]]
    batch: Future[Loaded]
    asked: frozenset[Preparation]


@dataclass(frozen=True)
class Skipped:
    """An image that could not be read and was left out."""

    index: int
    why: str


@dataclass(frozen=True)
class Loaded:
    """What there is of some images: the batch of those that could be read (None if none could), and the others.

    ``failed`` holds the errors of preparations that raised something; the batch has nothing of theirs.
    """

    batch: Batch | None
    skipped: Sequence[Skipped]
    failed: Mapping[Preparation, VitanError]


@dataclass(frozen=True)
class _Seen:
    """A sample laid out for the model, and what preparations make of it, or the error of one that fails."""

    index: int
    sample: Sample
    placement: Placement
    windows: Sequence[Window]
    pixels: Tensor  # (window, 3, height, width)
    prepared: Mapping[Preparation, Mapping[str, Tensor] | VitanError]


class Loader:
    """Reads batches ahead in threads, as a model takes them in a view."""

    def __init__(
        self,
        dataset: Dataset,
        view: View,
        mean: tuple[float, float, float],
        std: tuple[float, float, float],
        grid: tuple[int, int],
        *,
        skip: bool = False,
        workers: int = 2,
    ) -> None:
        """``mean`` and ``std`` normalise RGB in [0, 1]; ``grid`` is the model's patch grid, (rows, columns).

        ``workers`` are threads: decoding and resizing leave Python's lock alone.
        """
        self._dataset, self._view, self._mean, self._std, self._grid = dataset, view, mean, std, grid
        self._skip, self._workers = skip, workers
        self._pool: ThreadPoolExecutor | None = None
        self._begun: dict[int, _Begun] = {}  # by the number of the batch, in the order in which they will be wanted

    def read(self, number: int, indices: Sequence[int], prepared: Asked) -> Loaded:
        """One batch of the images at these positions of the dataset, read here and now; see ``batches``."""
        return _collate(number, [self._read(index, prepared) for index in indices])

    def batches(self, partition: Partition, wanted: Wanted, then: Wanted | None = None) -> Iterator[Loaded]:
        """The batches that are wanted, in order; when the last of them are being read, it reads on with ``then``.

        What has been begun for later is there when it is wanted in the next call.

        Raises ``ImageError`` at the first unreadable image unless they are to be skipped.
        """
        ahead = deque(
            (number, each.prepared) for each in (wanted, *([then] if then else ())) for number in each.numbers
        )
        for number in self._begun.keys() - {number for number, _ in ahead}:  # somebody else reads that
            self._drop(number)
        for number in wanted.numbers:
            self._begin(ahead, partition)
            yield self._begun.pop(number).batch.result()

    def close(self) -> None:
        """Read no more."""
        for number in [*self._begun]:
            self._drop(number)
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None

    def _begin(self, ahead: deque[tuple[int, Asked]], partition: Partition) -> None:
        """Begin to read what comes next: at least two batches, and else as many as make some images."""
        self._pool = self._pool or ThreadPoolExecutor(self._workers, thread_name_prefix="vitan-read")
        while ahead:
            number, prepared = ahead[0]
            indices = partition.indices(number)
            begun = self._begun.get(number)
            if begun is not None and begun.asked != frozenset(prepared):
                self._drop(number)
                begun = None
            if begun is None:
                waiting = sum(each.images for each in self._begun.values())
                if len(self._begun) > 1 and waiting + len(indices) > _AHEAD:
                    return
                futures = [self._pool.submit(self._read, index, prepared) for index in indices]
                # its turn comes when all of its images are read or being read, so it waits for nobody behind it
                batch = self._pool.submit(_gather, number, futures)
                self._begun[number] = _Begun(len(indices), futures, batch, frozenset(prepared))
            ahead.popleft()

    def _drop(self, number: int) -> None:
        begun = self._begun.pop(number)
        for future in [*begun.futures]:
            future.cancel()
        begun.batch.cancel()

    def _read(self, index: int, prepared: Asked) -> _Seen | Skipped:
        try:
            with blaming(f"dataset {type(self._dataset).__name__}", f"reading image {index}"):
                sample = self._dataset[index]
                if not isinstance(sample, Sample):
                    raise TypeError(f"it is {type(sample).__name__}, not a Sample")
                if not isinstance(sample.image, Image.Image):
                    raise TypeError(f"the image of {sample.id} is {type(sample.image).__name__}, not a PIL image")
            with naming(sample.id):
                seen, placement = self._view.place(sample.image)
                grid = self._whole_grid(placement)
                made = {
                    wanted: (before or {}).get(index) or self._prepare(wanted, sample, placement, grid)
                    for wanted, before in prepared.items()
                }
        except ImageError as error:
            if not self._skip:
                raise ImageError(f"{error}; or leave such pictures out with --on-error skip") from error
            return Skipped(index, str(error))
        corners = self._view.windows(placement)
        pixels, size = to_tensor(seen, self._mean, self._std), self._view.size
        cut = torch.stack([pixels[:, top : top + size, left : left + size] for left, top in corners])
        return _Seen(index, sample, placement, cut_grid(corners, grid, self._grid, size), cut, made)

    def _prepare(
        self, preparation: Preparation, sample: Sample, placement: Placement, grid: tuple[int, int]
    ) -> Mapping[str, Tensor] | VitanError:
        try:
            with naming(sample.id), blaming(f"the preparation {preparation.name}", f"prepare of {sample.id}"):
                return preparation.prepare(sample, placement, grid, self._view)
        except ImageError:
            raise  # the image is left out, or stops the run, whoever cannot use it
        except VitanError as error:
            return forget(error)

    def _whole_grid(self, placement: Placement) -> tuple[int, int]:
        """The (rows, columns) of the picture's whole patch grid: as many patches to a pixel as in one window."""
        (rows, columns), (width, height) = self._grid, placement.pixels
        return rows * height // self._view.size, columns * width // self._view.size


def _gather(number: int, futures: list[Future[_Seen | Skipped]]) -> Loaded:
    found = [future.result() for future in futures]
    futures.clear()  # the pixels are in the batch now
    return _collate(number, found)


def _collate(number: int, found: Sequence[_Seen | Skipped]) -> Loaded:
    skipped = [item for item in found if isinstance(item, Skipped)]
    good = [item for item in found if not isinstance(item, Skipped)]
    if not good:
        return Loaded(None, skipped, {})
    prepared: dict[Preparation, list[Mapping[str, Tensor]]] = {preparation: [] for preparation in good[0].prepared}
    failed: dict[Preparation, VitanError] = {}
    for item in good:
        for preparation, parts in item.prepared.items():
            if isinstance(parts, VitanError):
                failed.setdefault(preparation, parts)
                prepared.pop(preparation, None)
            elif preparation in prepared:
                prepared[preparation].append(parts)
    batch = Batch(
        index=[item.index for item in good],
        samples=[item.sample for item in good],
        placements=[item.placement for item in good],
        pixels=torch.cat([item.pixels for item in good]),
        windows=[Window(row, each.top, each.left, each.own) for row, item in enumerate(good) for each in item.windows],
        number=number,
        prepared=prepared,
    )
    return Loaded(batch, skipped, failed)


def cut_grid(
    corners: Sequence[tuple[int, int]], whole: tuple[int, int], window: tuple[int, int], size: int
) -> list[Window]:
    """Windows with the patches that each owns: those that none before it has seen.

    ``corners`` are (left, top) in pixels, ``whole`` and ``window`` the grids (rows, columns), ``size`` the pixels of a
    window's side. The windows belong to image 0.
    """
    free = torch.ones(whole, dtype=torch.bool)
    found = []
    for left, top in corners:
        row, column = top * window[0] // size, left * window[1] // size
        place = free[row : row + window[0], column : column + window[1]]
        found.append(Window(0, row, column, place.clone()))
        place.fill_(False)
    return found
