"""Correspondences that are known without a computer."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from .matching import match, normalise
from .scores import correct, distances
from .square import threshold, to_square

_CELLS, _SIDE = 4, 32


def anchors() -> Iterator[tuple[str, float, float, float]]:
    """What, expected, got, tolerance.

    Every token has a direction of its own. Enlarged eightfold, that of column 2 and row 1 is largest at the pixels 19
    and 20, and 11 and 12, of which the first count.
    """
    tokens = normalise(torch.eye(_CELLS**2).reshape(1, _CELLS, _CELLS, -1)).expand(2, -1, -1, -1)
    (hit,) = match(tokens, torch.tensor([0]), torch.tensor([[19, 11]]), torch.tensor([1]), _SIDE).tolist()
    yield "column of a point in an equal picture", 19.0, hit[0], 1e-9
    yield "row of a point in an equal picture", 11.0, hit[1], 1e-9
    ((_, y),) = to_square([(100.0, 0.0)], (200, 100), 100).tolist()
    yield "upper edge of a wide picture in the square", 25.0, y, 1e-6
    yield "longer side of a box in the square", 40.0, threshold((0.0, 0.0, 80.0, 20.0), (200, 100), 100), 1e-9
    errors = distances(np.array([[3.0, 4.0], [0.0, 1.0]]), np.zeros((2, 2)))
    yield "distance, 3 across and 4 down", 5.0, float(errors[0]), 1e-9
    share = correct(errors, np.array([50.0, 50.0]), 0.1).mean()
    yield "PCK, one error at the threshold and one below", 0.5, float(share), 1e-9
