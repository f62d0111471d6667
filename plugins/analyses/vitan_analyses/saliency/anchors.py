"""Maps and masks whose overlap is known without a computer."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from vitan.anatomy import TokenLayout

from ..regions.attention_rows import mass_mask, overlap
from .floor import random_iou
from .rows import saliency_maps, sources


def anchors() -> Iterator[tuple[str, float, float, float]]:
    """What, expected, got, tolerance."""
    square, shifted = np.zeros((8, 8), bool), np.zeros((8, 8), bool)
    square[2:6, 1:5] = True
    shifted[2:6, 3:7] = True
    yield "IoU, a square moved by half its side", 1 / 3, float(overlap(square, shifted)[0]), 1e-6
    layout = TokenLayout(("cls",), (4, 4))
    maps = saliency_maps(torch.full((1, 2, 17, 17), 1 / 17), layout)  # (image, source, head + 1, row, column)
    for source, one in zip(sources(layout), maps[0], strict=True):
        yield f"mass of a head, {source}, uniform on CLS and 16 patches", 16 / 17, float(one[0].sum()), 1e-5
        yield f"mass of two heads, {source}", 32 / 17, float(one[-1].sum()), 1e-5
    yield "patches that hold half of a uniform map", 0.5, float(mass_mask(np.ones((8, 8)), 0.5).mean()), 1e-9
    everywhere, best = random_iou(np.full((1, 1, 3), 64), np.array([16]), 64, seed=0)
    yield "IoU of masks that are everywhere, with a quarter", 0.25, float(everywhere[0]), 1e-9
    yield "IoU of the best of them", 0.25, float(best[0]), 1e-9
