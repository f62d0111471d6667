"""Maps whose masks are known without a computer."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from vitan.anatomy import TokenLayout

from ..plotting.pixels import Array
from ..regions.attention_rows import ALL_PATCHES, mass_mask, query_map


def anchors() -> Iterator[tuple[str, float, float, float]]:
    """What, expected, got, tolerance."""
    single = np.zeros((16, 16))
    single[3, 5] = 1.0
    halving = np.array([[1 / 2, 1 / 4], [1 / 8, 1 / 8]])
    yield "mask area, half of a uniform map", 0.5, _area(np.ones((16, 16)), 0.5), 1e-9
    yield "mask area, all on one of 256 patches", 1 / 256, _area(single, 0.6), 1e-9
    yield "mask area, 0.6 of a map that halves", 0.5, _area(halving, 0.6), 1e-9
    layout = TokenLayout(("cls",), (2, 2))
    uniform = torch.full((5, 5), 1 / 5)
    yield "mass on patches, uniform over CLS and 4 patches", 0.8, float(query_map(uniform, layout, 0).sum()), 1e-6
    mean = query_map(torch.eye(5), layout, ALL_PATCHES)
    yield "mean over patches, each looking at itself", 1 / 4, float(mean[1, 1]), 1e-6


def _area(grid: Array, mass: float) -> float:
    return float(mass_mask(grid, mass).mean())
