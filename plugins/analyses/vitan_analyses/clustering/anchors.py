"""Agreement of clusters and classes that is known without a computer."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..clusters import agreement, kmeans


def anchors() -> Iterator[tuple[str, float, float, float]]:
    """What, expected, got, tolerance."""
    classes = np.array([0, 0, 1, 1])
    renamed = agreement(classes, np.array([7, 7, 3, 3]))
    crossed = agreement(classes, np.array([0, 1, 0, 1]))
    for name, one, other in (("NMI", renamed.nmi, crossed.nmi), ("purity", renamed.purity, crossed.purity)):
        yield f"{name}, clusters that are the classes", 1.0, one, 1e-9
        yield f"{name}, clusters that cross two classes", 0.5 * (name == "purity"), other, 1e-9
    yield "ARI, clusters that are the classes", 1.0, renamed.ari, 1e-9
    yield "ARI, clusters that cross two classes", -0.5, crossed.ari, 1e-9  # (0 - 2/3) / (2 - 2/3)
    far_apart = np.array([[0.0], [1.0], [100.0], [101.0]])
    found = agreement(classes, kmeans(far_apart, 2, starts=1, seed=0))
    yield "purity, k-means of two heaps far apart", 1.0, found.purity, 1e-9
