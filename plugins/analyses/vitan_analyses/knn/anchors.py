"""Votes of neighbours that are known without a computer."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from .vote import tables, verdicts


def anchors() -> Iterator[tuple[str, float, float, float]]:
    """What, expected, got, tolerance.

    The nearest neighbour is of class 0, and three that are less alike by the temperature are of class 1. Each of these
    votes with 1/e, so that two lose and three win.
    """
    similarities, voters, temperature = np.array([[0.9, 0.8, 0.8, 0.8]]), np.array([[0, 1, 1, 1]]), 0.1
    for k, votes in zip((2, 4), tables(similarities, voters, (2, 4), temperature, 2), strict=True):
        yield f"votes of the nearest, {k} neighbours", 1.0, float(votes[0, 0]), 1e-9
        yield f"votes of those a temperature away, {k} neighbours", (k - 1) / math.e, float(votes[0, 1]), 1e-9
    for verdict in verdicts(similarities, voters, np.array([0]), (1, 3, 4), temperature):
        yield f"top-1, {verdict.k} neighbours", float(verdict.k < 4), float(verdict.top1.mean()), 1e-9
