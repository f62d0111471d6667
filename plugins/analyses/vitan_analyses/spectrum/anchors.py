"""Clouds of points whose dimensions are known without a computer."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .measures import decay, eigenvalues, participation_ratio, rank_me


def anchors() -> Iterator[tuple[str, float, float, float]]:
    """What, expected, got, tolerance; RankMe adds 1e-7 to every share, as published."""
    yield "RankMe, four directions alike", 4.0, rank_me(np.eye(4)), 1e-5
    yield "RankMe, all in one direction", 1.0, rank_me(np.outer(np.arange(1, 5), np.ones(4))), 1e-4
    cross = np.vstack([np.eye(3), -np.eye(3)])  # of 6 points, so that each direction has the variance 2/5
    yield "first eigenvalue, three axes there and back", 0.4, float(eigenvalues(cross)[0]), 1e-9
    yield "participation ratio, three axes there and back", 3.0, participation_ratio(eigenvalues(cross)), 1e-9
    yield "participation ratio, variances 2 and 1", 9 / 5, participation_ratio(np.array([2.0, 1.0])), 1e-9
    yield "decay, eigenvalues 1/i", 1.0, decay(1 / np.arange(1.0, 33.0)), 1e-9
