"""What neighbours say of a query's class: weighted votes, for every number of neighbours at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from ..arrays import Floats, Integers

Hits: TypeAlias = "npt.NDArray[np.bool_]"
Table: TypeAlias = "npt.NDArray[np.float64]"

#: A class counts as found while it is among so many best.
TOP = 5
_TABLE = 2**21  # votes that are counted at once: 16 MB


@dataclass(frozen=True)
class Verdict:
    """What ``k`` neighbours say: the class with most votes, and where the true one is; all are (query,)."""

    k: int
    winner: Integers
    top1: Hits
    top5: Hits


def verdicts(
    similarities: Floats, voters: Integers, truth: Integers, ks: Sequence[int], temperature: float
) -> list[Verdict]:
    """The verdict of the nearest ``k`` of ``voters`` (query, neighbour: their classes), for ascending ``ks``.

    A neighbour of similarity s votes for its class with exp(s / temperature) (Wu et al. 2018, section 3.4; not
    normalised). Votes are float64 and relative to the nearest neighbour's, which changes no order and cannot overflow.
    Of equal votes the lowest class comes first, and a class without a vote counts as not found. ``truth`` is (query,).
    Each ``k`` must be between 1 and the number of neighbours.
    """
    ks = sorted(set(ks))
    classes = int(max(voters.max(), truth.max())) + 1
    size = max(1, _TABLE // classes)
    parts = (slice(start, start + size) for start in range(0, len(truth), size))
    found = [list(_count(similarities[p], voters[p], truth[p], ks, temperature, classes)) for p in parts]
    by_k = zip(ks, zip(*found, strict=True), strict=True)
    return [Verdict(k, *map(np.concatenate, zip(*step, strict=True))) for k, step in by_k]


def tables(
    similarities: Floats, voters: Integers, ks: Sequence[int], temperature: float, classes: int
) -> Iterator[Table]:
    """The votes of the nearest ``k``, (query, class), for ascending ``ks``; each adds to the one before."""
    queries = len(voters)
    weights = np.exp((similarities - similarities[:, :1].astype(np.float64)) / temperature)
    cells = np.arange(queries)[:, None] * classes + voters
    table, counted = np.zeros(queries * classes), 0
    for k in ks:
        entering = slice(counted, k)
        np.add.at(table, cells[:, entering].ravel(), weights[:, entering].ravel())
        counted = k
        yield table.reshape(queries, classes)


def _count(
    similarities: Floats, voters: Integers, truth: Integers, ks: Sequence[int], temperature: float, classes: int
) -> Iterator[tuple[Integers, Hits, Hits]]:
    """Winner, top-1 and top-5 of each ``k``."""
    lower = np.arange(classes) < truth[:, None]  # (query, class)
    for table in tables(similarities, voters, ks, temperature, classes):
        mine = np.take_along_axis(table, truth[:, None], axis=1)  # (query, 1)
        ahead = (table > mine).sum(1) + ((table == mine) & lower).sum(1)
        voted = mine[:, 0] > 0
        yield table.argmax(1), voted & (ahead == 0), voted & (ahead < TOP)
