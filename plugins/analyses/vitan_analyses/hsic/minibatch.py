"""Linear CKA from minibatches, from the rows that ``grams`` keeps.

The unbiased minibatch estimator (Nguyen et al. 2021, eq. 2 and 3): HSIC is estimated without bias on every batch, and
averaged over the batches before the ratio is taken,

    CKA(X, Y) = Σ HSIC(X, Y) / √(Σ HSIC(X, X) · Σ HSIC(Y, Y)).

Each batch weighs as many as its images, so that a small last one does not disturb. In the published variant each weighs
the same, and its HSIC is divided by the ranges of both Gram matrices.

The standard error takes the batches as independent draws from where the images came from. It is the delta method's for
a ratio of sums: with a, b and c the terms of batch k in the three sums A, B and C, the batch moves the ratio by about

    uₖ = CKA · (aₖ/A - bₖ/2B - cₖ/2C),    and    SE² = m/(m-1) · Σ uₖ²    for m batches.

It is nan for a single batch. It does not tell how far images in another order would lead: a sorted dataset that is cut
up in its order gives another number altogether, and that is not noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = "npt.NDArray[np.floating[Any]]"

SAME = "it is the same for every image"
BROKEN = "it is not finite everywhere"
ONE_BATCH = "a single batch has no standard error"


@dataclass(frozen=True)
class Layers:
    """What was kept of several layers of a model: ``rows`` (layer, batch, pair), ``counts`` (batch,) of images.

    A batch with fewer images than others has zeros at the end of its rows. ``ranges`` (layer, batch) are there in the
    published variant alone.
    """

    rows: Floats
    counts: npt.NDArray[np.int64]
    ranges: Floats | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, chosen: slice) -> Layers:
        """Some of the layers."""
        return Layers(self.rows[chosen], self.counts, None if self.ranges is None else self.ranges[chosen])

    def gap(self, layer: int) -> str:
        """Why the CKA of a layer is nan, or nothing."""
        if not len(self.counts):
            return "no batch has four images"
        if not np.isfinite(self.rows[layer]).all():
            return BROKEN
        if self.ranges is not None and (self.ranges[layer] == 0).any():
            return SAME if (self.ranges[layer] == 0).all() else "it is the same for every image of some batch"
        return "" if self.rows[layer].any() else SAME


@dataclass(frozen=True)
class Estimate:
    """CKA of every layer with every other, (layer, layer), and its standard error."""

    cka: Floats
    error: Floats


def hsic(first: Layers, second: Layers) -> Floats:
    """Unbiased HSIC of every layer with every other on each batch: (batch, layer, layer), float64."""
    x, y = (layers.rows.astype(np.float64).transpose(1, 0, 2) for layers in (first, second))  # (batch, layer, pair)
    values = 2 * (x @ y.transpose(0, 2, 1)) / (first.counts * (first.counts - 3.0))[:, None, None]
    if first.ranges is not None and second.ranges is not None:
        with np.errstate(invalid="ignore", divide="ignore"):
            values = values / (first.ranges.T[:, :, None] * second.ranges.T[:, None, :])
    return np.asarray(values)


def own_hsic(layers: Layers) -> Floats:
    """Unbiased HSIC of every layer with itself on each batch: (batch, layer), float64."""
    found = [hsic(layers[i : i + 1], layers[i : i + 1])[:, 0, 0] for i in range(len(layers))]
    return np.stack(found, 1)


def cka(first: Layers, second: Layers) -> Estimate:
    """The minibatch estimate and its standard error, nan where a layer is the same for every image or not finite."""
    if not len(first.counts):
        nothing = np.full((len(first), len(second)), np.nan)
        return Estimate(nothing, nothing)
    weights = np.ones(len(first.counts)) if first.ranges is not None else first.counts.astype(np.float64)
    weights /= weights.sum()
    both = hsic(first, second) * weights[:, None, None]
    xx, yy = (own_hsic(layers) * weights[:, None] for layers in (first, second))
    with np.errstate(invalid="ignore", divide="ignore"):
        scale = np.sqrt(np.outer(xx.sum(0), yy.sum(0)))  # (layer, layer)
        value = both.sum(0) / scale
        moved = both / scale - value * (xx / (2 * xx.sum(0)))[:, :, None] - value * (yy / (2 * yy.sum(0)))[:, None, :]
        m = len(weights)
        error = np.sqrt(m / (m - 1) * np.square(moved).sum(0)) if m > 1 else np.full_like(value, np.nan)
    return Estimate(value, error)
