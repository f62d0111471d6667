"""CKA that is known without a computer."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from vitan.anatomy import TokenLayout

from ..hsic.exact import Centred, Floats, cka
from ..hsic.grams import grams
from ..hsic.known import CROSSED, ROTATION, SPLITS
from ..hsic.minibatch import Layers
from ..hsic.minibatch import cka as minibatch_cka


def anchors() -> Iterator[tuple[str, float, float, float]]:
    """What, expected, got, tolerance."""
    first, second = SPLITS
    both = np.hstack(SPLITS)
    yield "CKA, a layer and itself turned, doubled and moved", 1.0, _exact(both, 2 * both @ ROTATION + 3), 1e-9
    yield "CKA, two crossed splits of four samples", CROSSED, _exact(first, second), 1e-9
    yield "minibatch CKA, a layer and itself turned", 1.0, _minibatch(both, both @ ROTATION), 1e-6
    yield "minibatch CKA, two crossed splits of four samples", CROSSED, _minibatch(first, second), 1e-6


def _exact(first: Floats, second: Floats) -> float:
    return float(cka(Centred.of([first]), Centred.of([second]))[0, 0])


def _minibatch(first: Floats, second: Floats) -> float:
    """CKA from one batch of layers (image, channel), as tokens of a grid of one patch."""
    layout = TokenLayout((), (1, 1))
    kept = [grams([torch.from_numpy(layer)[:, None]], layout, kinds=("all",)).rows() for layer in (first, second)]
    sides = [Layers(rows[:, 0].numpy()[:, None], np.array([len(first)])) for rows in kept]  # (layer, batch, pair)
    return float(minibatch_cka(*sides).cka[0, 0])
