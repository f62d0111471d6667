"""State that merges exactly.

Floating-point addition depends on order, so sums of floats would differ with the number of shards, the order in which
they are merged, and where a run was interrupted. The sums here are kept as integers (fixed point, two limbs), which add
up to the same bits in any order.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from typing_extensions import Self, override

from .errors import RecordingError


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

    Each value is rounded once to a multiple of 2⁻⁷² (2·10⁻²²) and must be finite and below 2⁴² (4·10¹²) in size.
    """

    _SCALE = 2.0**20  # the high limb counts multiples of 2**-20
    _LOW = 52  # the low limb counts 2**-52 of those
    _ROWS = 1024  # this many low limbs add up without overflow
    _LIMIT = 2.0**42

    def __init__(self) -> None:
        self._high: dict[int, Tensor] = {}
        self._low: dict[int, Tensor] = {}
        self._count: dict[int, int] = {}

    def add(self, key: int, rows: Tensor) -> None:
        """Add ``rows`` (image, ...); raises ``RecordingError`` for values that are not finite or too large."""
        for chunk in torch.split(rows.detach().to("cpu", torch.float64), self._ROWS):
            if not bool((chunk.abs() < self._LIMIT).all()):  # also false for nan
                raise RecordingError(f"a value of block {key} is not finite or not below {self._LIMIT:.0e}")
            scaled = chunk * self._SCALE
            high = scaled.floor()
            low = ((scaled - high) * 2.0**self._LOW).round()
            self._put(key, high.long().sum(0), low.long().sum(0), len(chunk))

    def _put(self, key: int, high: Tensor, low: Tensor, count: int) -> None:
        if key in self._high:
            high, low = high + self._high[key], low + self._low[key]
        carry = low >> self._LOW
        self._high[key], self._low[key] = high + carry, low - (carry << self._LOW)
        self._count[key] = self._count.get(key, 0) + count

    def keys(self) -> list[int]:
        """The keys seen, ascending."""
        return sorted(self._high)

    def count(self, key: int) -> int:
        """How many images were added under this key."""
        return self._count.get(key, 0)

    def total(self, key: int) -> Tensor:
        """The sum, float64."""
        return (self._high[key].double() + self._low[key].double() * 2.0**-self._LOW) / self._SCALE

    def mean(self, key: int) -> Tensor:
        """The sum over the number of images, float64."""
        return self.total(key) / self.count(key)

    @override
    def merge(self, other: Self) -> None:
        for key in other._high:
            self._put(key, other._high[key], other._low[key], other._count[key])

    @override
    def state(self) -> dict[str, Tensor]:
        state: dict[str, Tensor] = {}
        for key in self.keys():
            state[f"{key}.high"], state[f"{key}.low"] = self._high[key], self._low[key]
            state[f"{key}.count"] = torch.tensor(self._count[key])
        return state

    @override
    def load(self, state: Mapping[str, Tensor]) -> None:
        keys = sorted({int(name.partition(".")[0]) for name in state})
        self._high = {key: state[f"{key}.high"] for key in keys}
        self._low = {key: state[f"{key}.low"] for key in keys}
        self._count = {key: int(state[f"{key}.count"]) for key in keys}


class PerImage(Accumulator):
    """One row per image, given back in dataset order however the images were sharded or batched."""

    def __init__(self) -> None:
        self._index: dict[int, list[Tensor]] = {}
        self._rows: dict[int, list[Tensor]] = {}

    def add(self, key: int, index: Sequence[int], rows: Tensor) -> None:
        """Keep ``rows`` (image, ...) of the images at ``index`` of the dataset, in the rows' own dtype."""
        self._index.setdefault(key, []).append(torch.tensor(index, dtype=torch.long))
        self._rows.setdefault(key, []).append(rows.detach().to("cpu", copy=True))

    def keys(self) -> list[int]:
        """The keys seen, ascending."""
        return sorted(self._rows)

    def rows(self, key: int) -> Tensor:
        """All rows of this key, by ascending index."""
        return torch.cat(self._rows[key])[torch.cat(self._index[key]).argsort()]

    def index(self, key: int) -> Tensor:
        """The indices that belong to ``rows``."""
        return torch.cat(self._index[key]).sort().values

    @override
    def merge(self, other: Self) -> None:
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
