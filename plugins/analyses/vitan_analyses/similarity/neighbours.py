"""Measures that look at the nearest neighbours of each sample: mutual k-NN alignment, and CKNNA.

Both are of Huh et al. 2024, "The Platonic Representation Hypothesis". Nearness is the cosine of the features as they
are, not centred, as there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .layers import Floats, Order, Undefined, checked

_ROWS = 1024  # cosines of so many samples with all others are held at a time


@dataclass(frozen=True)
class Neighbours:
    """The nearest neighbours of each sample, (sample, k), and how near they are beyond the mean of all samples."""

    index: npt.NDArray[np.intp]
    nearness: Floats

    def permuted(self, order: Order) -> Neighbours:
        """Samples in another order."""
        place = np.empty_like(order)
        place[order] = np.arange(len(order))
        return Neighbours(place[self.index[order]], self.nearness[order])


def prepare(layer: Floats, k: int) -> Neighbours:
    """Find the ``k`` nearest neighbours of each sample of a layer (sample, channel), itself left out.

    Among equally near ones those that come first are taken.
    """
    wide = checked(layer)
    if k >= len(wide) - 1:
        raise Undefined(f"with k {k} every image is a neighbour of every other")
    lengths = np.linalg.norm(wide, axis=1, keepdims=True)
    if not lengths.all():
        raise Undefined("the features of an image are all 0, and have no direction")
    unit = wide / lengths
    parts = [_nearest(unit, start, k) for start in range(0, len(unit), _ROWS)]
    return Neighbours(np.concatenate([index for index, _ in parts]), np.concatenate([near for _, near in parts]))


def mutual_knn(first: Neighbours, second: Neighbours) -> float:
    """Share of neighbours that a sample has in both layers, over the samples."""
    return float(_shared(first, second).sum() / first.index.size)


def cknna(first: Neighbours, second: Neighbours) -> float:
    """Centred kernel nearest-neighbour alignment (appendix of the paper).

    It is A(K, L) / √(A(K, K) A(L, L)), where K and L are the cosines between samples minus the mean of each row, and
    A(K, L) is the sum of K·L over those pairs that are neighbours in both layers. The code released with the paper
    differs from its text: it takes the unbiased estimator of HSIC of both matrices, set to 0 outside the shared
    neighbours, which need not be below 1.
    """
    both = np.einsum("ij,ijl,il->", first.nearness, _shared(first, second), second.nearness)
    own = np.square(first.nearness).sum() * np.square(second.nearness).sum()
    return float(both / np.sqrt(own))


def _shared(first: Neighbours, second: Neighbours) -> npt.NDArray[np.bool_]:
    """Where the neighbours of a sample are the same, (sample, k of the first, k of the second)."""
    same: npt.NDArray[np.bool_] = first.index[:, :, None] == second.index[:, None, :]
    return same


def _nearest(unit: Floats, start: int, k: int) -> tuple[npt.NDArray[np.intp], Floats]:
    rows = unit[start : start + _ROWS] @ unit.T
    mean = rows.mean(1, keepdims=True)
    rows[np.arange(len(rows)), np.arange(start, start + len(rows))] = -np.inf
    index = np.argsort(-rows, axis=1, kind="stable")[:, :k]
    return index, np.take_along_axis(rows, index, 1) - mean
