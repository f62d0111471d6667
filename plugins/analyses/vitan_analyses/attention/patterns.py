"""Can images be told apart by where the model looks?"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .arrays import Array


def cluster(patterns: Array, labels: Array) -> Iterator[tuple[str, float, int]]:
    """Cluster ``patterns`` (image, token) into as many groups as there are labels, and compare: metric, value, k.

    k-means with ten starts and the seed 0, as published. Purity is the fraction of the images whose label is the most
    frequent one of their cluster.
    """
    from sklearn.cluster import KMeans
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

    classes, label = np.unique(labels, return_inverse=True)
    k = len(classes)
    assigned = KMeans(k, n_init=10, random_state=0).fit_predict(patterns)
    counts = np.zeros((k, k), np.int64)  # (cluster, label)
    np.add.at(counts, (assigned, label), 1)
    yield "pattern-nmi", float(normalized_mutual_info_score(label, assigned)), k
    yield "pattern-ari", float(adjusted_rand_score(label, assigned)), k
    yield "pattern-purity", float(counts.max(1).sum() / len(label)), k
