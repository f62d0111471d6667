"""State that merges exactly.

Floating-point addition depends on order, so sums of floats would differ with the number of shards, the order in which
they are merged, and where a run was interrupted. The sums here are kept as integers (fixed point, two limbs), which add
up to the same bits in any order.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor
from typing_extensions import Self, override

from ..errors import RecordingError

_Limbs: TypeAlias = "tuple[Tensor, Tensor]"  # int64: high, low


#: Kinds of devices that have it.
_WITH_FLOAT64 = frozenset({"cpu", "cuda"})


class Accumulator(ABC):
    """State of a probe under integer keys, usually the block."""

    @abstractmethod
    def merge(self, other: Self) -> None:
        """Take in another shard's state."""

    @abstractmethod
    def state(self) -> dict[str, Tensor]:
        """Everything as tensors."""

    @abstractmethod
    def load(self, state: Mapping[str, Tensor]) -> None:
        """Replace everything by what ``state`` returned earlier."""


class Sum(Accumulator):
    """Sum of one tensor per image, exact in any order, with the number of images.

    Each value is rounded once to a multiple of 2⁻⁷² (2·10⁻²²) and must be finite and below 2⁴² (4·10¹²) in size. On an
    accelerator the sum stays there, and nothing waits for it, until it is asked for: whatever asks then raises
    ``RecordingError`` if a value was not so.
    """

    _SCALE = 2.0**20  # the high limb counts multiples of 2**-20
    _LOW = 52  # the low limb counts 2**-52 of those
    _ROWS = 1024  # this many low limbs add up without overflow
    _LIMIT = 2.0**42

    def __init__(self) -> None:
        self._limbs: dict[int, _Limbs] = {}
        self._count: dict[int, int] = {}
        self._fit: dict[int, Tensor] = {}  # whether all values so far can be counted, of those that were added here

    def add(self, key: int, rows: Tensor) -> None:
        """Add ``rows`` (image, ...). On a CPU raises ``RecordingError`` for what cannot be counted, elsewhere later."""
        values = _wide(rows)
        for some in torch.split(values, self._ROWS):
            self._put(key, *(self._split_here if values.is_cpu else self._split_there)(key, some))
        self._count[key] = self._count.get(key, 0) + len(values)

    def _split_here(self, key: int, values: Tensor) -> _Limbs:
        """Both limbs of the values, summed over the images; numpy takes two thirds of torch's time for it."""
        given = values.numpy()
        if given.size and not -self._LIMIT < given.min() <= given.max() < self._LIMIT:  # also false for nan
            raise self._refuse(key)
        rest = given * self._SCALE
        high = np.floor(rest)
        rest -= high
        rest *= 2.0**self._LOW
        np.rint(rest, out=rest)
        limbs = (high.astype(np.int64).sum(0), rest.astype(np.int64).sum(0))
        return torch.from_numpy(np.asarray(limbs[0])), torch.from_numpy(np.asarray(limbs[1]))

    def _split_there(self, key: int, values: Tensor) -> _Limbs:
        """The same, to the bit, on a device that nothing here waits for: whether values fit is looked at later."""
        if values.numel():
            smallest, largest = values.aminmax()  # nan if any is
            fit = (smallest > -self._LIMIT) & (largest < self._LIMIT)
            self._fit[key] = self._fit[key] & fit if key in self._fit else fit
        rest = values * self._SCALE
        high = rest.floor()
        rest.sub_(high).mul_(2.0**self._LOW).round_()
        return high.long().sum(0), rest.long().sum(0)

    def _refuse(self, key: int) -> RecordingError:
        return RecordingError(f"a value of block {key} is not finite or not below {self._LIMIT:.0e}")

    def _put(self, key: int, high: Tensor, low: Tensor) -> None:
        if key in self._limbs:
            high, low = high + self._limbs[key][0], low + self._limbs[key][1]
        carry = low >> self._LOW
        self._limbs[key] = high + carry, low - (carry << self._LOW)

    def _settle(self) -> None:
        """Bring everything to the CPU. Raises ``RecordingError`` for values that are not finite or too large."""
        for key, fit in self._fit.items():
            if not bool(fit):
                raise self._refuse(key)
        self._fit.clear()
        self._limbs = {key: (high.cpu(), low.cpu()) for key, (high, low) in self._limbs.items()}

    def keys(self) -> list[int]:
        """The keys seen, ascending."""
        return sorted(self._limbs)

    def count(self, key: int) -> int:
        """How many images were added under this key."""
        return self._count.get(key, 0)

    def total(self, key: int) -> Tensor:
        """The sum, float64."""
        self._settle()
        high, low = self._limbs[key]
        return (high.double() + low.double() * 2.0**-self._LOW) / self._SCALE

    def mean(self, key: int) -> Tensor:
        """The sum over the number of images, float64."""
        return self.total(key) / self.count(key)

    @override
    def merge(self, other: Self) -> None:
        self._settle()
        other._settle()
        for key, (high, low) in other._limbs.items():
            self._put(key, high, low)
            self._count[key] = self.count(key) + other.count(key)

    @override
    def state(self) -> dict[str, Tensor]:
        self._settle()
        state: dict[str, Tensor] = {}
        for key in self.keys():
            state |= {f"{key}.{name}": limb for name, limb in zip(("high", "low"), self._limbs[key], strict=True)}
            state[f"{key}.count"] = torch.tensor(self._count[key])
        return state

    @override
    def load(self, state: Mapping[str, Tensor]) -> None:
        keys = sorted({int(name.partition(".")[0]) for name in state})
        self._limbs = {key: (state[f"{key}.high"], state[f"{key}.low"]) for key in keys}
        self._count = {key: int(state[f"{key}.count"]) for key in keys}
        self._fit = {}


def _wide(rows: Tensor) -> Tensor:
    """In double precision, where they are; on the CPU where the device has none."""
    rows = rows.detach()
    return (rows if widest(rows.device) == torch.float64 else rows.cpu()).double()


class PerImage(Accumulator):
    """One row per image, given back in dataset order however the images were sharded or batched.

    Rows leave an accelerator without being waited for, until they are asked for.
    Rows that come from stored state stay on the disk, mapped into memory, until they are asked for.
    """

    def __init__(self) -> None:
        self._index: dict[int, list[Tensor]] = {}
        self._rows: dict[int, list[Tensor]] = {}
        self._leaving: set[torch.device] = set()  # devices from which rows may still be on their way

    def add(self, key: int, index: Sequence[int], rows: Tensor) -> None:
        """Keep ``rows`` (image, ...) of the images at ``index`` of the dataset, in the rows' own dtype."""
        self._index.setdefault(key, []).append(torch.tensor(index, dtype=torch.long))
        self._rows.setdefault(key, []).append(rows.detach().to("cpu", copy=True, non_blocking=True))
        if not rows.is_cpu:
            self._leaving.add(rows.device)

    def _arrive(self) -> None:
        for device in self._leaving:
            wait_for(device)
        self._leaving.clear()

    def keys(self) -> list[int]:
        """The keys seen, ascending."""
        return sorted(self._rows)

    def rows(self, key: int) -> Tensor:
        """All rows of this key, by ascending index."""
        self._arrive()
        return torch.cat(self._rows[key])[torch.cat(self._index[key]).argsort(stable=True)]

    def index(self, key: int) -> Tensor:
        """The indices that belong to ``rows``."""
        return torch.cat(self._index[key]).sort().values

    def runs(self, key: int, index: Tensor, size: int) -> Iterator[Tensor]:
        """The rows of the images at ``index`` (ascending), at most ``size`` at a time, in no more memory than that.

        Raises ``LookupError`` for an image without a row.
        """
        known, order = torch.cat(self._index[key]).sort(stable=True)
        place = torch.searchsorted(known, index).clamp(max=len(known) - 1)
        if not torch.equal(known[place], index):
            raise LookupError(f"not every one of these {len(index)} images has a row under {key}")
        self._arrive()
        parts = self._rows[key]
        ends = torch.tensor([len(part) for part in parts]).cumsum(0)
        for places in torch.split(order[place], size):
            which = torch.bucketize(places, ends, right=True)  # in which part each row is
            rows = parts[0].new_empty(len(places), *parts[0].shape[1:])
            for number in sorted(set(which.tolist())):
                here = which == number
                rows[here] = parts[number][places[here] - (ends[number] - len(parts[number]))]
            yield rows

    @override
    def merge(self, other: Self) -> None:
        other._arrive()
        for key in other._rows:
            self._index.setdefault(key, []).extend(other._index[key])
            self._rows.setdefault(key, []).extend(other._rows[key])

    @override
    def state(self) -> dict[str, Tensor]:
        state: dict[str, Tensor] = {}
        for key in self.keys():
            state[f"{key}.index"], state[f"{key}.rows"] = self.index(key), self.rows(key)
        return state

    @override
    def load(self, state: Mapping[str, Tensor]) -> None:
        keys = sorted({int(name.partition(".")[0]) for name in state})
        self._index = {key: [state[f"{key}.index"]] for key in keys}
        self._rows = {key: [state[f"{key}.rows"]] for key in keys}


def widest(device: torch.device) -> torch.dtype:
    """The widest floats of a device. Not every kind has float64: Apple's GPUs, for one."""
    return torch.float64 if device.type in _WITH_FLOAT64 else torch.float32


def wait_for(device: torch.device) -> None:
    """Wait until an accelerator has done all that it was asked for."""
    wait = getattr(getattr(torch, device.type, None), "synchronize", None)
    if wait is not None:
        wait() if device.type == "mps" else wait(device)  # of which there is but one


class Ragged(Accumulator):
    """A tensor (count, ...) per image, each with a count of its own, given back in dataset order."""

    def __init__(self) -> None:
        self._counts, self._rows = PerImage(), PerImage()

    def add(self, key: int, index: Sequence[int], rows: Sequence[Tensor]) -> None:
        """Keep one tensor (count, ...) for each image; all but the first dimension is the same for every one.

        Raises ``ValueError`` for another number of tensors than of images.
        """
        counts = [len(row) for row in rows]
        if len(counts) != len(index):
            raise ValueError(f"{len(counts)} tensors for {len(index)} images")
        self._counts.add(key, index, torch.tensor(counts, dtype=torch.long))
        if rows:
            repeated = [image for image, count in zip(index, counts, strict=True) for _ in range(count)]
            self._rows.add(key, repeated, torch.cat(list(rows)))

    def keys(self) -> list[int]:
        """The keys seen, ascending."""
        return self._counts.keys()

    def index(self, key: int) -> Tensor:
        """The indices of the images, ascending, also of those with no row."""
        return self._counts.index(key)

    def rows(self, key: int) -> list[Tensor]:
        """One tensor for each image, by ascending index."""
        return list(torch.split(self._rows.rows(key), self._counts.rows(key).tolist()))

    @override
    def merge(self, other: Self) -> None:
        self._counts.merge(other._counts)
        self._rows.merge(other._rows)

    @override
    def state(self) -> dict[str, Tensor]:
        parts = (("counts", self._counts), ("rows", self._rows))
        return {f"{key}/{name}": tensor for name, part in parts for key, tensor in part.state().items()}

    @override
    def load(self, state: Mapping[str, Tensor]) -> None:
        for name, part in (("counts", self._counts), ("rows", self._rows)):
            part.load({key.removesuffix(f"/{name}"): t for key, t in state.items() if key.endswith(f"/{name}")})
