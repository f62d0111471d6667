"""Objects on the patch grid whose numbers are known without a computer."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from vitan.data.batch import Window

from ..clusters import agreement
from ..regions.token_masks import coverage
from .pooling import pool, window_shares


def anchors() -> Iterator[tuple[str, float, float, float]]:
    """What, expected, got, tolerance."""
    stripe = np.zeros((4, 4), bool)
    stripe[:, 0] = True  # the left half of the two cells on the left
    share = coverage(stripe, (0.0, 0.0, 4.0, 4.0), (2, 2))
    yield "share of a patch, a stripe of half its width", 0.5, float(share[0, 0]), 1e-9
    yield "share of all patches, a stripe of a quarter of the picture", 0.25, float(share.mean()), 1e-9
    window = Window(image=0, top=0, left=0, own=torch.ones(2, 2, dtype=torch.bool))
    weights = torch.from_numpy(share / share.sum()).float()[None]  # (object, row, column)
    features = torch.arange(4.0).reshape(1, 4, 1)  # the patches on the left are 0 and 2
    (pooled,) = pool(features, window_shares([weights], [window], weights.device), [window], [1])
    yield "feature of an object on patches 0 and 2", 1.0, float(pooled[0, 0]), 1e-6
    crossed = agreement(np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1]))
    yield "ARI, clusters that cross two categories", -0.5, crossed.ari, 1e-9
