"""Offsets between two patches of a grid, and what uniform attention does on it.

An offset is key minus query, in patches: x to the right, y down. Maps over offsets have the shape
(2·rows - 1, 2·columns - 1) with offset 0 in the middle.

Distances and displacements are in *grid widths*: patches divided by the longer side minus 1, for both directions alike.
On a square grid that is the published unit (coordinates from 0 to 1, so √2 at most). On any other grid it keeps one
patch to the right as long as one patch down, and a straight line along the longer side has length 1.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Grid = tuple[int, int]
Floats = npt.NDArray[np.float64]


def offsets(grid: Grid) -> tuple[Floats, Floats]:
    """The vertical (row offset, 1) and the horizontal offsets (1, column offset), in patches."""
    rows, columns = grid
    return np.arange(1.0 - rows, rows)[:, None], np.arange(1.0 - columns, columns)[None, :]


def width(grid: Grid) -> int:
    """The unit of distances in patches: from the first to the last patch of the longer side."""
    return max(grid) - 1


def lengths(grid: Grid) -> Floats:
    """Length of every offset in grid widths: (row offset, column offset)."""
    return np.hypot(*offsets(grid)) / width(grid)


def uniform_aligned(grid: Grid) -> Floats:
    """The aligned map of uniform attention, which is also how often each offset exists: (row offset, column offset).

    Offset (y, x) is there for (rows - |y|)·(columns - |x|) queries. Sums to 1.
    """
    (rows, columns), (y, x) = grid, offsets(grid)
    share: Floats = (rows - np.abs(y)) * (columns - np.abs(x)) / (rows * columns) ** 2
    return share


def uniform_distance(grid: Grid) -> float:
    """Attention distance of uniform attention, in grid widths: 0.560059 on 14 by 14 patches."""
    return float((uniform_aligned(grid) * lengths(grid)).sum())
