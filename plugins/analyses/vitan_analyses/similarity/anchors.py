"""Similarities that are known without a computer."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..hsic.known import CROSSED, SPLITS
from .layers import Floats
from .measures import MEASURES

_SAMPLES = 12


def anchors() -> Iterator[tuple[str, float, float, float]]:
    """What, expected, got, tolerance."""
    layer = _spiral()
    for measure in MEASURES.values():
        yield f"{measure.title}, a layer and itself", 1.0, measure(layer, layer, 3), 1e-9
        if "orthogonal" in measure.invariances:
            yield f"{measure.title}, a layer and its mirror image", 1.0, measure(layer, layer[:, ::-1], 3), 1e-9
    first, second = SPLITS
    yield "CKA, two crossed splits of four samples", CROSSED, MEASURES["cka"](first, second), 1e-9
    yield "Procrustes, two layers at right angles", 0.0, MEASURES["procrustes"](first, second), 1e-9
    yield "SVCCA, two layers at right angles", 0.0, MEASURES["svcca"](first, second), 1e-9
    yield "mutual k-NN, other neighbours for all", 0.0, MEASURES["mutual-knn"](*_partners(), 1), 1e-9


def _spiral() -> Floats:
    """Samples without any symmetry, (sample, channel)."""
    angle = np.arange(1, _SAMPLES + 1) ** 1.3
    return np.stack([angle * np.cos(angle), angle * np.sin(angle), angle], 1)


def _partners() -> tuple[Floats, Floats]:
    """Four directions in two pairs; the second layer pairs them otherwise."""
    angles = np.radians([0.0, 10.0, 90.0, 100.0])
    layer = np.stack([np.cos(angles), np.sin(angles)], 1)
    return layer, layer[[0, 2, 1, 3]]
