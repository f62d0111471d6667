"""Masks whose J and F are known without a computer."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .metrics import boundary_measure, region_similarity, score, statistics


def anchors() -> Iterator[tuple[str, float, float, float]]:
    """What, expected, got, tolerance."""
    square, shifted, corner = (np.zeros((40, 40), bool) for _ in range(3))
    square[10:20, 10:20] = True
    shifted[10:20, 15:25] = True
    corner[30:38, 30:38] = True
    yield "J, a square moved by half its side", 1 / 3, region_similarity(square, shifted), 1e-9
    yield "J, two squares apart", 0.0, region_similarity(square, corner), 1e-9
    yield "F, a square and itself", 1.0, boundary_measure(square, square), 1e-9
    yield "F, two squares apart", 0.0, boundary_measure(square, corner), 1e-9
    both = score(square.astype(np.uint8), shifted.astype(np.uint8), 2)
    yield "J of object 1 in a mask of ids", 1 / 3, float(both[0, 0]), 1e-9
    yield "J of an object that is in neither", 1.0, float(both[1, 0]), 1e-9
    lost = statistics(np.array([1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0]))
    yield "recall, lost after half of the frames", 0.5, lost.recall, 1e-9
    yield "decay, lost after half of the frames", 1.0, lost.decay, 1e-9
