"""Measures that lay one layer over the other as well as possible: orthogonal Procrustes, SVCCA and PWCCA."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .layers import Floats, Order, Undefined, centred

#: Directions whose singular value is below this share of the largest are rounding: features are kept in float32.
_RANK = 1e-6
#: SVCCA keeps the directions that hold this share of the variance.
VARIANCE = 0.99


@dataclass(frozen=True)
class Shape:
    """Features around their mean, of length 1 as a whole, in as few columns as hold them."""

    points: Floats

    def permuted(self, order: Order) -> Shape:
        """Samples in another order."""
        return Shape(self.points[order])


def prepare_procrustes(layer: Floats, k: int) -> Shape:  # noqa: ARG001
    """Centre a layer (sample, channel), and scale it to Frobenius norm 1."""
    points = centred(layer)
    if points.shape[1] > len(points):  # a rotation leaves the measure as it is, and need not be kept
        left, values, _ = np.linalg.svd(points, full_matrices=False)
        points = left * values
    return Shape(points / np.linalg.norm(points))


def procrustes(first: Shape, second: Shape) -> float:
    """1 - d²/2, with d the least distance between X and any rotation or reflection of Y, both of Frobenius norm 1.

    It is the nuclear norm of XᵀY, and the cosine of the angle that Williams et al. 2021 call the angular Procrustes
    distance; d² is the orthogonal Procrustes distance of Ding et al. 2021. The narrower layer is filled up with zeros.
    """
    return float(np.linalg.svd(first.points.T @ second.points, compute_uv=False).sum())


@dataclass(frozen=True)
class Directions:
    """An orthonormal basis (sample, direction) of a layer, and its channels in that basis (direction, channel)."""

    basis: Floats
    channels: Floats

    def permuted(self, order: Order) -> Directions:
        """Samples in another order."""
        return Directions(self.basis[order], self.channels)


def prepare_svcca(layer: Floats, k: int) -> Directions:  # noqa: ARG001
    """The fewest principal directions of a layer (sample, channel) that hold 99 % of its variance."""
    return _directions(layer, VARIANCE)


def prepare_pwcca(layer: Floats, k: int) -> Directions:  # noqa: ARG001
    """All principal directions of a layer (sample, channel)."""
    return _directions(layer, 1.0)


def svcca(first: Directions, second: Directions) -> float:
    """Mean canonical correlation of the principal directions (Raghu et al. 2017).

    Raises ``Undefined`` where there are not enough samples; see ``pwcca``.
    """
    _enough(first, second)
    return float(np.linalg.svd(first.basis.T @ second.basis, compute_uv=False).clip(0, 1).mean())


def pwcca(first: Directions, second: Directions) -> float:
    """Mean canonical correlation, weighted by how much of the layer each canonical variable accounts for.

    The weight of the variable hᵢ is Σⱼ |⟨hᵢ, xⱼ⟩| over the channels xⱼ (Morcos et al. 2018). The channels are
    those of the layer with fewer directions; of two with equally many, both are taken in turn and averaged, so that the
    value does not depend on which comes first.

    Raises ``Undefined`` where two sets of directions do not fit side by side into the samples. They then share some
    directions whatever the features, and as many correlations are 1.
    """
    _enough(first, second)
    left, values, right = np.linalg.svd(first.basis.T @ second.basis, full_matrices=False)
    narrow = first.basis.shape[1] - second.basis.shape[1]
    means = []
    if narrow <= 0:
        means.append(_weighted(values, left.T @ first.channels))
    if narrow >= 0:
        means.append(_weighted(values, right @ second.channels))
    return float(np.mean(means))


def _weighted(values: Floats, projections: Floats) -> float:
    weights = np.abs(projections).sum(1)
    return float(values.clip(0, 1) @ weights / weights.sum())


def _directions(layer: Floats, variance: float) -> Directions:
    left, values, right = np.linalg.svd(centred(layer), full_matrices=False)
    rank = int((values > _RANK * values[0]).sum())
    share = np.cumsum(values[:rank] ** 2) / np.square(values[:rank]).sum()
    count = rank if variance == 1 else min(rank, int(np.searchsorted(share, variance)) + 1)
    return Directions(left[:, :count], values[:count, None] * right[:count])


def _enough(first: Directions, second: Directions) -> None:
    a, b, n = first.basis.shape[1], second.basis.shape[1], len(first.basis)
    if a + b > n - 1:
        raise Undefined(f"{a} and {b} directions need more than {a + b} images, and there are {n}")
