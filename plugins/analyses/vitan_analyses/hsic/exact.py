"""Linear CKA over a whole set of samples, without its bias, and exactly.

The unbiased estimator of HSIC (Song et al. 2012, as in Nguyen et al. 2021, eq. 3) needs the Gram matrices K = X Xᵀ and
L = Y Yᵀ with their diagonals set to 0:

    HSIC(K, L) = [tr(KL) + (1ᵀK1)(1ᵀL1) / ((n-1)(n-2)) - 2·1ᵀKL1 / (n-2)] / (n(n-3))

It does not change when a constant is added to a feature, so features are centred first: that keeps the accuracy where
they have a large common offset, and makes the sums over rows of the Gram matrices vanish up to their diagonals a and b
(the squared lengths of the samples). What is left needs no Gram matrix at all:

    HSIC = [‖XᵀY‖² - Σab + (Σa)(Σb) / ((n-1)(n-2)) - 2·Σab / (n-2)] / (n(n-3))

where ‖XᵀY‖² is also Σ KL, whichever is smaller to compute. Centring and all products are in float64; in between the
centred features are kept in the precision they came in, whose rounding does not matter once the offset is gone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from .minibatch import BROKEN, SAME

Floats: TypeAlias = "npt.NDArray[np.floating[Any]]"

#: The estimator divides by n - 3.
FEWEST = 4


@dataclass(frozen=True)
class Centred:
    """Features of several layers around their means, ready to be compared.

    ``layers`` are (sample, channel) in the features' own precision, at least float32; ``lengths`` (layer, sample) are
    the squared lengths, in float64. A layer that is not finite, or the same for every sample but for rounding, is None,
    its lengths are nan, and ``gaps`` says why.
    """

    layers: tuple[Floats | None, ...]
    lengths: Floats
    gaps: tuple[str, ...] = ()

    @classmethod
    def of(cls, layers: Iterable[Floats]) -> Centred:
        """Centre each layer (sample, channel), one after the other.

        Raises ``ValueError`` for fewer than four samples.
        """
        kept: list[Floats | None] = []
        lengths, gaps = [], []
        for layer in layers:
            if len(layer) < FEWEST:
                raise ValueError(f"{len(layer)} samples are too few; debiased CKA needs at least {FEWEST}")
            centred, gap = _centre(layer)
            kept.append(centred)
            gaps.append(gap)
            lengths.append(np.full(len(layer), np.nan) if centred is None else _lengths(centred))
        return cls(tuple(kept), np.stack(lengths), tuple(gaps))


def hsic(first: Centred, second: Centred) -> Floats:
    """Unbiased HSIC of every layer of ``first`` with every one of ``second``: (layer, layer), nan where one is None."""
    cross = np.full((len(first.layers), len(second.layers)), np.nan)
    grams: dict[int, Floats] = {}
    for i, x in enumerate(first.layers):
        wide = None if x is None else x.astype(np.float64)
        for j, y in enumerate(second.layers):
            if second is first and j < i:
                cross[i, j] = cross[j, i]
            elif wide is not None and y is not None:
                cross[i, j] = _alignment(wide, y, grams, j)
    return _unbias(cross, first.lengths, second.lengths)


def own_hsic(features: Centred) -> Floats:
    """Unbiased HSIC of every layer with itself: (layer,), nan where it is None."""
    cross = np.full(len(features.layers), np.nan)
    for i, x in enumerate(features.layers):
        if x is not None:
            cross[i] = _alignment(x.astype(np.float64), x, {}, i)
    return np.diagonal(_unbias(np.diag(cross), features.lengths, features.lengths))


def cka(first: Centred, second: Centred) -> Floats:
    """Debiased linear CKA of every pair of layers, about 0 for unrelated and 1 for equal ones: (layer, layer).

    Invariant to rotations, a common scale and offsets of the features, and to the order of the samples. May be a little
    below 0. nan where a layer is not finite or the same for every sample.
    """
    between = hsic(first, second)
    own = [np.diagonal(between)] * 2 if second is first else [own_hsic(first), own_hsic(second)]
    with np.errstate(invalid="ignore"):
        values: Floats = between / np.sqrt(np.outer(*own))
    return values


def _unbias(cross: Floats, first: Floats, second: Floats) -> Floats:
    """HSIC from ‖XᵀY‖² (layer, layer) and the squared lengths (layer, sample) of both."""
    n = first.shape[1]
    both = first @ second.T
    sums = np.outer(first.sum(1), second.sum(1))
    value: Floats = (cross - both + sums / ((n - 1) * (n - 2)) - 2 * both / (n - 2)) / (n * (n - 3))
    return value


def _centre(layer: Floats) -> tuple[Floats | None, str]:
    """A layer around its mean, or None and why not."""
    wide = layer.astype(np.float64)
    if not np.isfinite(wide).all():
        return None, BROKEN
    rounding = max(1e-12, 4 * float(np.finfo(layer.dtype).eps)) * np.abs(wide).max(0)  # (channel,)
    wide -= wide.mean(0)
    if (np.abs(wide).max(0) <= rounding).all():
        return None, SAME
    return wide.astype(np.promote_types(layer.dtype, np.float32)), ""


def _lengths(centred: Floats) -> Floats:
    return np.asarray(np.square(centred, dtype=np.float64).sum(1))


def _alignment(x: Floats, y: Floats, grams: dict[int, Floats], j: int) -> float:
    """‖XᵀY‖², over channels or over samples, whichever are fewer; ``grams`` keeps those of ``y`` by ``j``."""
    if len(x) >= min(x.shape[1], y.shape[1]):
        return float(np.square(x.T @ y.astype(np.float64)).sum())
    if j not in grams:
        wide = y.astype(np.float64)
        grams[j] = wide @ wide.T
    return float(np.vdot(x @ x.T, grams[j]))
