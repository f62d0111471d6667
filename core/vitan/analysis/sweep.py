"""Layer sweeps: which block is best for a task, and which others cannot be told from it.

A score per query (a hit, an average precision, the J&F of an object, ...) comes with the luck of which queries there
are. The bootstrap draws the queries anew, with replacement and with the same draws for every block, so that blocks are
compared on the same queries (Efron and Tibshirani 1993, chapters 13 and 16).

Where all queries score the same, drawing them anew tells nothing: 70 hits in 70 would be sure to be 100 %. The interval
of a proportion is therefore Wilson's (1927), which has a width wherever there are few queries.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from .records import BEST, Record
from .records import LEVEL as LEVEL_WITH_BEST

Floats: TypeAlias = "npt.NDArray[np.float64]"

#: How often queries are drawn anew, and the share of the draws that an interval holds.
DRAWS, LEVEL = 2000, 0.95


@dataclass(frozen=True)
class Sweep:
    """The mean score of every block with its interval, and the blocks that may be the best; all arrays are (block,).

    ``low`` and ``high`` bound the mean, ``behind_low`` and ``behind_high`` the paired difference from the best block
    (0 for itself). ``best`` is the position of the largest mean (the first of equals), ``equals`` the positions of all
    blocks whose difference from it is not significantly below 0, itself included. ``queries`` is how many counted.
    Fewer than two queries tell nothing: the intervals are NaN, and every block may be the best.
    """

    mean: Floats
    low: Floats
    high: Floats
    behind_low: Floats
    behind_high: Floats
    best: int
    equals: tuple[int, ...]
    queries: int

    @property
    def bounds(self) -> Floats:
        """Mean, low and high, (block, 3)."""
        return np.stack([self.mean, self.low, self.high], 1)

    @property
    def may_be_best(self) -> npt.NDArray[np.bool_]:
        """``equals`` as a mask, (block,)."""
        found = np.zeros(len(self.mean), bool)
        found[list(self.equals)] = True
        return found


def best_blocks(
    scores: npt.ArrayLike,
    *,
    units: Sequence[int] | npt.NDArray[Any] | None = None,
    weights: npt.ArrayLike | None = None,
    top: float | None = None,
    seed: int = 0,
    draws: int = DRAWS,
    level: float = LEVEL,
) -> Sweep:
    """Bootstrap the mean scores of blocks over queries: percentile intervals, paired across blocks.

    ``scores`` are (block, query), the higher the better; a query that is NaN in any block counts in none, and a block
    that is NaN for every query is left out: its mean is NaN, and it is never among the best. ``units``
    (query,) says which queries belong together and are drawn together: the objects of a video, the points of a pair.
    ``weights`` (query,) make the mean a weighted one, such as 1 / (points of the category) for a mean over categories.

    ``top`` is the largest score that there can be, where the smallest is 0: 100 for hits in percent. Blocks whose
    scores are all 0 or ``top`` then have Wilson's interval instead; where ``units`` or ``weights`` are given, only
    those that are 0, or ``top``, throughout, with as many trials as equal units would be worth (Kish 1965).

    A block is among the best unless the whole interval of its difference from the block with the largest mean lies
    below 0. No correction is made for the number of blocks, and the largest of many means is itself a little lucky: the
    set says how far the claim "this block is best" goes on these queries.

    Raises ``ValueError`` for shapes that do not fit.
    """
    values = np.asarray(scores, np.float64)
    if values.ndim != 2 or not len(values):
        raise ValueError(f"scores are (block, query) with at least one block, not of shape {values.shape}")
    there = np.flatnonzero(~np.isnan(values).all(1)) if values.shape[1] else np.arange(len(values))
    sums, mass = _per_unit(values[there], units, weights)  # (block, unit), (unit,)
    mean, low, high, behind_low, behind_high = np.full((5, len(values)), np.nan)
    queries = int(np.isfinite(values[there]).all(0).sum()) if there.size else 0
    if mass.size:
        mean[there] = sums.sum(1) / mass.sum()
    best = int(np.nanargmax(mean)) if mass.size else 0
    equals = there
    if mass.size >= 2:
        drawn = _draw(sums, mass, draws, np.random.default_rng(seed))  # (block, draw)
        tails = (1 - level) / 2, (1 + level) / 2
        low[there], high[there] = np.quantile(drawn, tails, axis=1)
        if top is not None:
            shares = sums / mass / top  # (block, unit)
            sure = _all_or_nothing(shares, alone=units is None and weights is None)
            bounds = wilson(mean[there][sure] / top, mass.sum() ** 2 / (mass**2).sum(), level)
            low[there[sure]], high[there[sure]] = top * bounds
        behind = drawn - drawn[np.searchsorted(there, best)]
        behind_low[there], behind_high[there] = np.quantile(behind, tails, axis=1)
        equals = np.flatnonzero(behind_high >= 0)
    return Sweep(mean, low, high, behind_low, behind_high, best, tuple(equals.tolist()), queries)


def wilson(share: Floats, trials: float, level: float = LEVEL) -> Floats:
    """The score interval of proportions (Wilson 1927), (2, ...) for low and high, within 0 and 1.

    ``share`` are the proportions of hits in so many ``trials``.
    """
    z = NormalDist().inv_cdf((1 + level) / 2)
    centre = share + z**2 / (2 * trials)
    reach = z * np.sqrt(share * (1 - share) / trials + z**2 / (4 * trials**2))
    bounds: Floats = np.clip(np.stack([centre - reach, centre + reach]) / (1 + z**2 / trials), 0, 1)
    return bounds


def records_of(sweep: Sweep, metric: str, blocks: Sequence[int], *, gap: str = "", **more: Any) -> tuple[Record, ...]:
    """A record of every block, with its interval; ``more`` are further fields of all of them.

    The best block, and those that cannot be told from it, say so in ``label``. A block without a mean has the ``gap``.
    """
    return tuple(
        Record(
            metric=metric,
            value=float(sweep.mean[i]),
            low=_known(sweep.low[i]),
            high=_known(sweep.high[i]),
            block=block,
            label=_label(sweep, i),
            gap=gap or "no query has a score" if np.isnan(sweep.mean[i]) else "",
            n=sweep.queries,
            **more,
        )
        for i, block in enumerate(blocks)
    )


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _label(sweep: Sweep, row: int) -> str:
    if np.isnan(sweep.mean[row]):
        return ""
    return BEST if row == sweep.best else LEVEL_WITH_BEST if row in sweep.equals else ""


def _all_or_nothing(shares: Floats, *, alone: bool) -> npt.NDArray[np.bool_]:
    """The blocks that are a proportion of (block, unit) shares; unless units stand ``alone``, only where all agree."""
    missed, hit = np.isclose(shares, 0), np.isclose(shares, 1)
    sure = np.all(missed | hit, axis=1) if alone else np.all(missed, axis=1) | np.all(hit, axis=1)
    return np.asarray(sure, np.bool_)


def _per_unit(values: Floats, units: Any, weights: Any) -> tuple[Floats, Floats]:
    """The weighted sums of every unit, (block, unit), and its weight, (unit,); queries with NaN are left out."""
    queries = values.shape[1]
    share = np.ones(queries) if weights is None else np.asarray(weights, np.float64)
    member = np.arange(queries) if units is None else np.asarray(units)
    if share.shape != (queries,) or member.shape != (queries,):
        raise ValueError(f"units and weights have one entry for each of the {queries} queries")
    whole = np.isfinite(values).all(0) & (share > 0)
    whole &= bool(len(values))
    values, share = values[:, whole] * share[whole], share[whole]
    if units is None:
        return values, share
    _, member = np.unique(member[whole], return_inverse=True)
    count = int(member.max(initial=-1)) + 1
    sums = np.array([np.bincount(member, row, minlength=count) for row in values]).reshape(len(values), count)
    return sums, np.bincount(member, share, minlength=count).astype(np.float64)


def _draw(sums: Floats, mass: Floats, draws: int, random: np.random.Generator) -> Floats:
    """The mean of every block in every draw, (block, draw)."""
    count = len(mass)
    parts = np.vstack([sums, mass])  # (block + 1, unit)
    drawn = np.empty((len(parts), draws))
    for draw in range(draws):  # a draw at a time: the counts of all would take much memory for 50,000 queries
        drawn[:, draw] = parts @ np.bincount(random.integers(count, size=count), minlength=count)
    means: Floats = drawn[:-1] / drawn[-1]
    return means
