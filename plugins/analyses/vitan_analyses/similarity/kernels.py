"""Measures that compare all distances between samples: debiased linear CKA, and RSA."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..hsic.exact import Centred, hsic
from .layers import Floats, Order, Undefined, checked


@dataclass(frozen=True)
class Kernel:
    """Centred features of one layer, and their HSIC with themselves."""

    features: Centred
    own: float

    def permuted(self, order: Order) -> Kernel:
        """Samples in another order; HSIC with itself does not depend on it."""
        layers = tuple(None if layer is None else layer[order] for layer in self.features.layers)
        return Kernel(Centred(layers, self.features.lengths[:, order]), self.own)


def prepare_cka(layer: Floats, k: int) -> Kernel:  # noqa: ARG001
    """Centre a layer (sample, channel)."""
    features = Centred.of([checked(layer)])
    own = float(hsic(features, features)[0, 0])
    if not own > 0:
        raise Undefined("the debiased HSIC of a block with itself is not above 0; there are too few images")
    return Kernel(features, own)


def cka(first: Kernel, second: Kernel) -> float:
    """Debiased linear CKA; see ``vitan_analyses.cka.hsic``."""
    return float(hsic(first.features, second.features)[0, 0] / np.sqrt(first.own * second.own))


@dataclass(frozen=True)
class Distances:
    """Ranks of the distances between samples, (sample, sample), around their mean and of length 1."""

    ranks: Floats

    def permuted(self, order: Order) -> Distances:
        """Samples in another order."""
        return Distances(self.ranks[np.ix_(order, order)])


def prepare_rsa(layer: Floats, k: int) -> Distances:  # noqa: ARG001
    """Rank the correlation distances between all samples of a layer (sample, channel).

    The distance of two samples is 1 - Pearson's correlation of their features over the channels.
    """
    wide = checked(layer)
    rows = wide - wide.mean(1, keepdims=True)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    if (lengths <= 1e-12 * np.abs(wide).max()).any():
        raise Undefined("an image has the same value in every channel, and correlates with nothing")
    rows /= lengths
    above = np.triu_indices(len(rows), 1)
    found = average_ranks(-(rows @ rows.T)[above])
    found -= found.mean()
    length = np.sqrt(2 * (found @ found))
    if length == 0:
        raise Undefined("all distances between images are equal")
    ranks = np.zeros((len(rows), len(rows)))
    ranks[above] = found / length
    ranks += ranks.T
    return Distances(ranks)


def rsa(first: Distances, second: Distances) -> float:
    """Spearman's correlation of two sets of distances; equal distances share their mean rank."""
    return float(np.vdot(first.ranks, second.ranks))


def average_ranks(values: Floats) -> Floats:
    """Ranks of ``values`` (n,) from 1; equal values share the mean of their ranks."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks: Floats = (np.cumsum(counts) - (counts - 1) / 2)[place]
    return ranks
