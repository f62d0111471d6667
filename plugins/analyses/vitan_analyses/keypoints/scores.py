"""How good predictions are: PCK, the percentage of correct key points, and the confusion of left and right."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = "npt.NDArray[np.float64]"
Integers: TypeAlias = "npt.NDArray[np.integer[Any]]"


def distances(found: Floats, points: Floats) -> Floats:
    """Euclidean distance between predictions (..., point, 2) and points (point, 2): (..., point)."""
    across, down = np.moveaxis(found - points, -1, 0)
    errors: Floats = np.hypot(across, down)
    return errors


def correct(errors: Floats, thresholds: Floats, alpha: float) -> Floats:
    """1 where an error (..., point) is below ``alpha`` times the threshold (point,), 0 where not, NaN where it is NaN.

    Below, not equal: some other implementations count equal ones as correct.
    """
    return np.where(np.isnan(errors), np.nan, errors < alpha * thresholds)


def means(values: Floats, group: Integers) -> Floats:
    """The mean of ``values`` (block, point) within each group, (block, group); groups are numbered from 0."""
    counts = np.bincount(group)
    return np.stack([np.bincount(group, row) / np.maximum(counts, 1) for row in values])


def confused(errors: Floats, mirrored: Floats) -> Floats:
    """1 where a prediction is closer to the point's mirror image than to the point (its error), else 0.

    NaN where there is no mirror image in the picture, or no prediction.
    """
    unknown = np.isnan(errors) | np.isnan(mirrored)
    return np.where(unknown, np.nan, mirrored < errors)
