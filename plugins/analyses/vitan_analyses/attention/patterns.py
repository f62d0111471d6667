"""Can images be told apart by where the model looks?"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..clusters import METRICS, agreement, kmeans
from .arrays import Array

_STARTS, _SEED = 10, 0  # as published


def cluster(patterns: Array, labels: Array) -> Iterator[tuple[str, float, int]]:
    """Cluster ``patterns`` (image, token) into as many groups as there are labels, and compare: metric, value, k."""
    k = len(np.unique(labels))
    found = agreement(labels, kmeans(patterns, k, starts=_STARTS, seed=_SEED))
    for metric in METRICS:
        yield f"pattern-{metric}", getattr(found, metric), k
