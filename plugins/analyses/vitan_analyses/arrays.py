"""One vector per picture, ready to be compared."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = "npt.NDArray[np.float32]"
Integers: TypeAlias = "npt.NDArray[np.int64]"


def unit(rows: npt.ArrayLike) -> Floats:
    """Rows (row, channel) divided by their lengths, in float32; a row of zeros stays one."""
    values = np.asarray(rows, np.float32)
    lengths = np.sqrt(np.einsum("rc,rc->r", values, values, dtype=np.float64))[:, None]
    scaled: Floats = values / np.maximum(lengths, 1e-12).astype(np.float32)
    return scaled
