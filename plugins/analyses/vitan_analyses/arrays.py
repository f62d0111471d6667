"""One vector per picture, ready to be compared, and pictures chosen at random."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = "npt.NDArray[np.float32]"
Integers: TypeAlias = "npt.NDArray[np.int64]"


def sampled(count: int, most: int, seed: int) -> Integers:
    """So many of ``count`` places at most, ascending: all, or a random choice that ``seed`` decides."""
    if count <= most:
        return np.arange(count)
    places: Integers = np.sort(np.random.default_rng(seed).choice(count, most, replace=False))
    return places


def unit(rows: npt.ArrayLike) -> Floats:
    """Rows (row, channel) divided by their lengths, in float32; a row of zeros stays one."""
    values = np.asarray(rows, np.float32)
    lengths = np.sqrt(np.einsum("rc,rc->r", values, values, dtype=np.float64))[:, None]
    scaled: Floats = values / np.maximum(lengths, 1e-12).astype(np.float32)
    return scaled
