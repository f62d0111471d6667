"""k-means over the blocks of a model, and how well clusters agree with classes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from vitan.analysis.records import Record

Floats: TypeAlias = "npt.NDArray[np.floating[Any]]"
Integers: TypeAlias = "npt.NDArray[np.integer[Any]]"
#: What is clustered: its name, and the block.
Key: TypeAlias = "tuple[str, int]"
#: Reads what is clustered when its turn comes, (sample, channel).
Load: TypeAlias = "Callable[[], Floats]"

#: The measures of ``Agreement``, in the order of ``values``; what figures call them.
METRICS = {"nmi": "NMI", "ari": "ARI", "purity": "purity"}
#: The name of what uniform noise reaches.
FLOOR = "noise"
#: Bytes that what is clustered side by side may take together; one at a time may take more.
_TOGETHER = 8 * 10**9


@dataclass(frozen=True)
class Agreement:
    """Three measures of agreement; 1 is perfect.

    ``nmi``, normalised mutual information, in [0, 1], over the arithmetic mean of the two entropies. ``ari``, the
    adjusted Rand index (Hubert and Arabie 1985), 0 for chance, may be negative. ``purity``, the share of samples that
    are of the most frequent class of their cluster, in (0, 1]; it grows with the number of clusters, whatever they are.
    """

    nmi: float
    ari: float
    purity: float


@dataclass(frozen=True)
class Gap:
    """Why something was not clustered."""

    why: str


def contingency(classes: Integers, clusters: Integers) -> Integers:
    """Samples in each class and cluster: (class, cluster), for those that occur. Labels may be any integers."""
    names, rows = np.unique(classes, return_inverse=True)
    groups, columns = np.unique(clusters, return_inverse=True)
    counts = np.bincount(rows * len(groups) + columns, minlength=len(names) * len(groups))
    return counts.reshape(len(names), len(groups))


def agreement(classes: Integers, clusters: Integers) -> Agreement:
    """All three measures from one contingency table, in float64."""
    table = contingency(classes, clusters).astype(np.float64)
    return Agreement(_nmi(table), _ari(table), float(table.max(0).sum() / table.sum()))


def _nmi(table: Floats) -> float:
    if 1 in table.shape:  # one class or one cluster: only both at once agree
        return float(table.shape == (1, 1))
    joint = table / table.sum()
    rows, columns = joint.sum(1), joint.sum(0)
    expected = np.outer(rows, columns)
    there = joint > 0
    mutual = float((joint[there] * np.log(joint[there] / expected[there])).sum())
    mean = -float((rows * np.log(rows)).sum() + (columns * np.log(columns)).sum()) / 2
    return max(0.0, mutual / mean)


def _ari(table: Floats) -> float:
    def pairs(counts: Floats) -> float:
        return float((counts * (counts - 1)).sum() / 2)

    both, rows, columns = pairs(table), pairs(table.sum(1)), pairs(table.sum(0))
    total = pairs(table.sum(keepdims=True))
    chance = rows * columns / total if total else 0.0
    most = (rows + columns) / 2
    return 1.0 if most == chance else (both - chance) / (most - chance)


def kmeans(features: Floats, clusters: int, *, starts: int, seed: int) -> Integers:
    """The cluster of each sample (sample, channel), by k-means with everything pinned.

    k-means++ and Lloyd's algorithm, at most 300 iterations, tolerance 1e-4, the best of ``starts`` by inertia. Features
    are taken as they are: no scaling, no normalisation, no PCA. Half precision is widened to float64, as scikit-learn
    itself does.
    """
    from sklearn.cluster import KMeans

    values = features.astype(np.float64) if features.dtype == np.float16 else features
    model = KMeans(
        clusters, init="k-means++", n_init=starts, max_iter=300, tol=1e-4, algorithm="lloyd", random_state=seed
    )
    found: Integers = model.fit_predict(values)
    return found


def values(found: Agreement | Gap) -> tuple[float, ...]:
    """The measures in the order of ``METRICS``; NaN for what was not clustered."""
    return tuple(getattr(found, metric, float("nan")) for metric in METRICS)


def noise(samples: int, channels: int, *, seed: int) -> Floats:
    """Uniform noise in the shape of features, float32; what it reaches is the floor of every measure."""
    return np.random.default_rng(seed).random((samples, channels), np.float32)


def memory(jobs: int, samples: int, channels: int) -> int:
    """About how many bytes ``cluster_all`` needs for so many jobs of float32 features."""
    one = _bytes(samples, channels)
    return _side_by_side(jobs, one) * one


def _bytes(samples: int, channels: int) -> int:
    """Features as they are read and in the copy that k-means moves around 0; distances to a few candidate centres."""
    return samples * (2 * 4 * channels + 100)


def _side_by_side(jobs: int, one: int) -> int:
    return max(1, min(jobs, os.cpu_count() or 1, _TOGETHER // one))


def cluster_all(
    jobs: Mapping[Key, Load], labels: Integers, channels: int, clusters: int, *, starts: int, seed: int
) -> dict[Key, Agreement | Gap]:
    """Cluster what each of ``jobs`` reads, (sample, channel), and compare with ``labels``.

    There is a gap where a feature is not finite, and where fewer samples differ than there are to be clusters. As many
    jobs run side by side as there are cores, or fewer where they are large; their results do not depend on how many do,
    and no other features are in memory.
    """
    from threadpoolctl import threadpool_limits

    def one(load: Load) -> Agreement | Gap:
        features = load()
        if not np.isfinite(features).all():
            return Gap("some features are not finite")
        if (different := _different(features, clusters)) < clusters:
            return Gap(f"only {different} of {len(features)} features differ, too few for {clusters} clusters")
        with threadpool_limits(1, user_api="openmp"):  # holds for the thread that asks, so each worker asks
            return agreement(labels, kmeans(features, clusters, starts=starts, seed=seed))

    # BLAS has one limit for the whole process, so that it is set around all workers and not by each.
    workers = _side_by_side(len(jobs), _bytes(len(labels), channels))
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(workers) as pool:
        return dict(zip(jobs, pool.map(one, jobs.values()), strict=True))


def _different(features: Floats, enough: int) -> int:
    """How many samples differ; counting ends where there are enough."""
    seen: set[bytes] = set()
    for row in features:
        seen.add(row.tobytes())
        if len(seen) >= enough:
            break
    return len(seen)


def records(found: Mapping[Key, Agreement | Gap], k: int, tokens: Mapping[str, str]) -> Iterator[Record]:
    """A record for each measure of each name and block; ``tokens`` says which token a name is.

    What noise in the shape of the features reaches is a metric of its own, and has no block.
    """
    for (name, block), result in found.items():
        gap = f"not clustered: {result.why}" if isinstance(result, Gap) else ""
        for metric, value in zip(METRICS, values(result), strict=True):
            where: dict[str, Any] = {} if name == FLOOR else {"block": block, "token": tokens[name]}
            metric = f"{metric}-{FLOOR}" if name == FLOOR else metric
            yield Record(metric=metric, value=value, parameter="clusters", at=k, gap=gap, **where)
