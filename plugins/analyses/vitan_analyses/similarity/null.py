"""How a value compares with those of features that have nothing to do with one another.

The null hypothesis is that the samples of one layer are paired with those of the other at random, so the null values
are those for shuffled samples. They show what a measure says by width, number of samples and shape of the two clouds
alone.

The p-value is (1 + number of null values that are at least the observed one) / (1 + number of null values).

The calibrated score is max(0, (s - t) / (1 - t)), where s is the observed value, 1 the largest that the measure can
take, and t the ⌈0.95 (N + 1)⌉-th smallest of N null values: 0 for what chance explains, 1 for equal features, and above
0 only where the p-value is at most 0.05. It is that of Gröger et al. 2026, "Revisiting the Platonic Representation
Hypothesis: An Aristotelian View", with the threshold at a value of the null.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .layers import Floats, Order

#: The share of false alarms that a calibrated score above 0 stands for.
LEVEL = 0.05
#: With fewer permutations than this no p-value could be as low as ``LEVEL``.
FEWEST_PERMUTATIONS = 19


def orders(count: int, samples: int, seed: int) -> Sequence[Order]:
    """So many random orders of the samples, the same for the same seed."""
    random = np.random.default_rng(seed)
    return [random.permutation(samples) for _ in range(count)]


def p_values(observed: Floats, null: Floats) -> Floats:
    """P-values of ``observed`` (...) under ``null`` (permutation, ...); nan where there is no value or no null."""
    found = (1 + (null >= observed - 1e-12).sum(0)) / (1 + len(null))
    return _known(found, observed, null)


def calibrated(observed: Floats, null: Floats, highest: float = 1.0) -> Floats:
    """Scores of ``observed`` (...) above the threshold of ``null`` (permutation, ...), 0 to 1; nan as for ``p_values``.

    Needs 19 permutations or more.
    """
    place = int(np.ceil((1 - LEVEL) * (len(null) + 1) - 1e-9))
    threshold = np.sort(null, axis=0)[place - 1]
    room = np.maximum(highest - threshold, 1e-12)
    return _known(np.maximum(0, (observed - 1e-12 - threshold) / room), observed, null)


def _known(found: Floats, observed: Floats, null: Floats) -> Floats:
    known: Floats = np.where(np.isfinite(observed) & np.isfinite(null).all(0), found, np.nan)
    return known
