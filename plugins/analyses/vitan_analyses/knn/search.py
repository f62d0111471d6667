"""The nearest neighbours of queries in a bank of any size, exact and in one pass over it.

A neighbour is one 64-bit integer: its similarity in the upper half (the bits of a float32, made to sort as numbers do)
and its place in the bank in the lower one, counted down. Sorting these integers sorts by similarity and then by the
lowest place, so ties follow a rule without any stable sort, and a selection is a partition.
"""

from __future__ import annotations

import numpy as np

from ..arrays import Floats, Integers

#: Queries and rows of the bank that are compared at once: 32 MB of similarities.
QUERIES, ROWS = 1024, 8192

_EMPTY = np.iinfo(np.int64).min
_LOW = np.int64(0xFFFFFFFF)


class Nearest:
    """The ``k`` most similar rows of a bank for every query; the bank is shown run by run, each once.

    Similarity is the dot product in float32: the cosine, for rows of length 1. Of equal similarities the lowest place
    in the bank comes first. Kept are 8 bytes for every query and neighbour, whatever the size of the bank.
    """

    def __init__(self, queries: Floats, k: int) -> None:
        self.queries, self.k, self.seen = queries, k, 0
        self._keys = np.full((len(queries), k), _EMPTY)  # (query, neighbour), in no order
        self._floor = np.full(len(queries), -np.inf, np.float32)  # the least similarity kept; -inf before there are k

    def see(self, bank: Floats) -> None:
        """The next rows of the bank, (row, channel)."""
        for start in range(0, len(self.queries), QUERIES):
            part = slice(start, start + QUERIES)
            self._enter(part, self.queries[part] @ bank.T)  # (query, row)
        self.seen += len(bank)

    def found(self) -> tuple[Floats, Integers]:
        """Similarities and places in the bank, (query, neighbour), the nearest first.

        Where the bank has fewer than ``k`` rows there are as many neighbours as it has.
        """
        keys = np.sort(self._keys, axis=1)[:, ::-1][:, : min(self.k, self.seen)]
        return _similarity(keys), _LOW - (keys & _LOW)

    def _enter(self, part: slice, scores: Floats) -> None:
        floor = self._floor[part].copy()
        if self.seen < self.k < scores.shape[1]:  # nothing to compare with yet: what cannot be among the first k
            floor = np.nextafter(_kth(scores, self.k), np.float32(-np.inf))
        entering = np.flatnonzero(scores > floor[:, None])  # a later row that equals the floor loses against it
        if not entering.size:
            return
        rows, columns = np.divmod(entering, scores.shape[1])
        fresh = _packed(rows, self._key(scores.ravel()[entering], columns), len(scores))
        keys = np.concatenate([self._keys[part], fresh], axis=1)
        kept = np.partition(keys, keys.shape[1] - self.k, axis=1)[:, -self.k :]
        self._keys[part] = kept
        least = kept.min(axis=1)
        self._floor[part] = np.where(least == _EMPTY, np.float32(-np.inf), _similarity(least))

    def _key(self, scores: Floats, columns: Integers) -> Integers:
        bits = (scores + np.float32(0)).view(np.int32)  # -0 becomes 0
        ordered = (bits ^ ((bits >> 31) & 0x7FFFFFFF)).astype(np.int64)
        keys: Integers = (ordered << 32) | (_LOW - (columns + self.seen))
        return keys


def _similarity(keys: Integers) -> Floats:
    ordered = (keys >> 32).astype(np.int32)
    return (ordered ^ ((ordered >> 31) & 0x7FFFFFFF)).view(np.float32)


def _kth(scores: Floats, k: int) -> Floats:
    """The ``k``-th largest of every row."""
    column = scores.shape[1] - k
    kth: Floats = np.partition(scores, column, axis=1)[:, column]
    return kth


def _packed(rows: Integers, keys: Integers, count: int) -> Integers:
    """The keys of each of so many rows, side by side, (row, key); ``rows`` ascend, and the rest is empty."""
    each = np.bincount(rows, minlength=count)
    first = np.cumsum(each) - each
    packed = np.full((count, int(each.max())), _EMPTY)
    packed[rows, np.arange(len(rows)) - first[rows]] = keys
    return packed
