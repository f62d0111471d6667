"""Linear CKA over a whole set of samples, without its bias, and exactly.

The unbiased estimator of HSIC (Song et al. 2012, as in Nguyen et al. 2021, eq. 3) needs the Gram matrices K = X Xᵀ and
L = Y Yᵀ with their diagonals set to 0:

    HSIC(K, L) = [tr(KL) + (1ᵀK1)(1ᵀL1) / ((n-1)(n-2)) - 2·1ᵀKL1 / (n-2)] / (n(n-3))

It does not change when a constant is added to a feature, so features are centred first: that keeps the accuracy where
they have a large common offset, and makes the sums over rows of the Gram matrices vanish up to their diagonals a and b
(the squared lengths of the samples). What is left needs no Gram matrix at all:

    HSIC = [‖XᵀY‖² - Σab + (Σa)(Σb) / ((n-1)(n-2)) - 2·Σab / (n-2)] / (n(n-3))

where ‖XᵀY‖² is also Σ KL, whichever is smaller to compute. All of it is in float64.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = "npt.NDArray[np.floating[Any]]"

#: The estimator divides by n - 3.
FEWEST = 4


@dataclass(frozen=True)
class Centred:
    """Features of several layers around their means, ready to be compared.

    ``layers`` are (sample, channel) in float64; ``lengths`` (layer, sample) are the squared lengths. A layer that is
    not finite, or the same for every sample, is None, and its lengths are nan.
    """

    layers: tuple[Floats | None, ...]
    lengths: Floats

    @classmethod
    def of(cls, layers: Sequence[Floats]) -> Centred:
        """Centre each layer (sample, channel); raises ``ValueError`` for fewer than four samples."""
        if len(layers[0]) < FEWEST:
            raise ValueError(f"{len(layers[0])} samples are too few; debiased CKA needs at least {FEWEST}")
        centred = tuple(_centre(layer) for layer in layers)
        nothing = np.full(len(layers[0]), np.nan)
        return cls(centred, np.stack([nothing if x is None else (x**2).sum(1) for x in centred]))


def hsic(first: Centred, second: Centred) -> Floats:
    """Unbiased HSIC of every layer of ``first`` with every one of ``second``: (layer, layer), nan where one is None."""
    n = first.lengths.shape[1]
    cross = np.full((len(first.layers), len(second.layers)), np.nan)
    grams: dict[int, Floats] = {}
    for i, x in enumerate(first.layers):
        for j, y in enumerate(second.layers):
            if x is not None and y is not None:
                cross[i, j] = _alignment(x, y, grams, j)
    both = first.lengths @ second.lengths.T
    sums = np.outer(first.lengths.sum(1), second.lengths.sum(1))
    value: Floats = (cross - both + sums / ((n - 1) * (n - 2)) - 2 * both / (n - 2)) / (n * (n - 3))
    return value


def cka(first: Centred, second: Centred) -> Floats:
    """Debiased linear CKA of every pair of layers, about 0 for unrelated and 1 for equal ones: (layer, layer).

    Invariant to rotations, a common scale and offsets of the features, and to the order of the samples. May be a little
    below 0. nan where a layer is not finite or the same for every sample.
    """
    own = [np.array([hsic(_only(c, i), _only(c, i))[0, 0] for i in range(len(c.layers))]) for c in (first, second)]
    with np.errstate(invalid="ignore"):
        values: Floats = hsic(first, second) / np.sqrt(np.outer(*own))
    return values


def _only(layers: Centred, i: int) -> Centred:
    return Centred(layers.layers[i : i + 1], layers.lengths[i : i + 1])


def _centre(layer: Floats) -> Floats | None:
    wide = layer.astype(np.float64)
    if not np.isfinite(wide).all():
        return None
    centred = wide - wide.mean(0)
    constant = float(np.abs(centred).max()) <= 1e-12 * max(float(np.abs(wide).max()), 1e-300)
    return None if constant else centred


def _alignment(x: Floats, y: Floats, grams: dict[int, Floats], j: int) -> float:
    """‖XᵀY‖², over channels or over samples, whichever are fewer; ``grams`` keeps those of ``y`` by ``j``."""
    if len(x) >= min(x.shape[1], y.shape[1]):
        return float(np.square(x.T @ y).sum())
    if j not in grams:
        grams[j] = y @ y.T
    return float(np.vdot(x @ x.T, grams[j]))
