"""Rankings whose scores are known without a computer."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .metrics import rank, score


def anchors() -> Iterator[tuple[str, float, float, float]]:
    """What, expected, got, tolerance. Precision is 1, then from 1/2 to 2/3 at rank 3: (1 + 7/12) / 2 is 19/24."""
    (order,) = rank(np.array([[0.9, 0.5, 0.7, 0.1]]))  # best first: 0, 2, 1, 3
    yield "average precision, right at ranks 1 and 2", 1.0, score(order, right=(0, 2)).average, 1e-9
    yield "average precision, right at ranks 1 and 3", 19 / 24, score(order, right=(0, 1)).average, 1e-9
    yield "average precision, junk between the two", 1.0, score(order, right=(0, 1), junk=(2,)).average, 1e-9
    yield "precision at 5, right at ranks 1 and 3", 2 / 3, score(order, right=(0, 1)).precision[1], 1e-9
    yield "average precision, right at rank 4 alone", 1 / 8, score(order, right=(3,)).average, 1e-9
