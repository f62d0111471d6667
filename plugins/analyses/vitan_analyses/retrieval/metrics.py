"""Average precision and precision at k of rankings, as ROxford5k and RParis6k define them.

Radenović et al. 2018, "Revisiting Oxford and Paris", section 3: what is neither right nor wrong ("junk") is taken out
of the ranking before anything is counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..arrays import Floats, Integers

#: Of each protocol, the kinds that should be found and the kinds that are taken out.
PROTOCOLS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "easy": (("easy",), ("junk", "hard")),
    "medium": (("easy", "hard"), ("junk",)),
    "hard": (("hard",), ("junk", "easy")),
}
#: The ranks at which precision is taken.
DEPTHS = (1, 5, 10)


@dataclass(frozen=True)
class Scores:
    """One query: its average precision, and the precision at each of ``DEPTHS``; NaN where nothing is to be found."""

    average: float
    precision: tuple[float, ...]


def rank(similarities: Floats) -> Integers:
    """Each row of (query, gallery) as places in the gallery: the most similar first, ties by the lowest place."""
    order: Integers = np.argsort(-similarities, axis=1, kind="stable")
    return order


def score(order: Integers, right: Iterable[int], junk: Iterable[int] = (), depths: Sequence[int] = DEPTHS) -> Scores:
    """Score one ranking: ``order`` (gallery,) holds the places in the gallery, best first.

    ``right`` and ``junk`` are places in the gallery. Average precision is the area under precision over recall by
    trapezoids; all of ``right`` count, so the ranking must hold the whole gallery. Precision at k looks no further than
    the last right one: where that has rank r < k it is the precision at r, as in the published evaluation.
    """
    wanted = np.unique(np.asarray(list(right), np.int64))
    if not wanted.size:
        return Scores(float("nan"), (float("nan"),) * len(depths))
    position = np.empty(len(order), np.int64)
    position[order] = np.arange(len(order))
    removed = np.sort(position[np.asarray(list(junk), np.int64)])
    found = np.sort(position[wanted])
    found -= np.searchsorted(removed, found)  # ranks from 0, without the junk ahead
    return Scores(_average(found), tuple(_precision(found, depth) for depth in depths))


def _average(found: Integers) -> float:
    j = np.arange(len(found))
    before = np.where(found == 0, 1.0, j / np.maximum(found, 1))
    after = (j + 1) / (found + 1)
    return float(((before + after) / 2).sum() / len(found))


def _precision(found: Integers, depth: int) -> float:
    depth = min(int(found[-1]) + 1, depth)
    return float((found < depth).sum() / depth)
