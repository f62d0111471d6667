"""Dimensions of a cloud of points (sample, channel), each by one number.

All but RankMe look at the cloud around its mean, so a common offset of all features does not count. None depends on the
order of samples or on a rotation of the channels; none but the norms depends on a common scale.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = "npt.NDArray[np.floating[Any]]"

_EPSILON = 1e-7  # RankMe's own
#: The power law is fitted from the third eigenvalue to this share of them: the first few are not of the law, and the
#: last ones are bent down by the number of samples.
_FIRST, _SHARE = 2, 0.5
#: TwoNN leaves out the largest tenth of the ratios, as its authors do.
_KEPT = 0.9
#: Samples that are taken into a decomposition at a time, more than there are channels.
ROWS = 16_384


def rank_me(features: Floats) -> float:
    """Effective rank: e to the entropy of the singular values scaled to sum 1 (Garrido et al. 2023, eq. 2).

    Between 1 and min(samples, channels); the mean of the cloud counts, as in the paper.
    """
    values = _singular(features, 0.0)
    shares = values / values.sum() + _EPSILON if values.sum() > 0 else values + 1.0 / len(values)
    return float(np.exp(-(shares * np.log(shares)).sum()))


def eigenvalues(features: Floats) -> Floats:
    """Eigenvalues of the covariance (divided by samples - 1), largest first; at most samples - 1 of them."""
    values = _singular(features, features.mean(0, dtype=np.float64)) ** 2 / max(len(features) - 1, 1)
    kept: Floats = values[: max(len(features) - 1, 1)]
    return kept


def _singular(features: Floats, offset: Floats | float) -> Floats:
    """Singular values of ``features`` less ``offset``, largest first, in the memory of ``ROWS`` samples.

    Of more samples than that, those of R of a QR decomposition that takes in part after part: the same but for
    rounding.
    """
    parts = (features[i : i + ROWS].astype(np.float64) - offset for i in range(0, len(features), ROWS))
    first = next(parts)
    triangle = first if len(first) == len(features) else np.linalg.qr(first, mode="r")
    for part in parts:
        triangle = np.linalg.qr(np.concatenate([triangle, part]), mode="r")
    values: Floats = np.linalg.svd(triangle, compute_uv=False)
    return values


def participation_ratio(values: Floats) -> float:
    """(sum of eigenvalues)² / sum of their squares: between 1 and their number; nan for a cloud of one point."""
    return float(values.sum() ** 2 / (values**2).sum()) if values.sum() > 0 else float("nan")


def decay(values: Floats) -> float:
    """Exponent a of eigenvalue i ~ i^-a, by least squares in log-log over the middle of the spectrum.

    Stringer et al. 2019; for representations Agrawal et al. 2022. nan where fewer than three positive values are left.
    """
    last = max(_FIRST + 3, int(len(values) * _SHARE))
    middle = values[_FIRST:last]
    if len(middle) < 3 or not (middle > 1e-12 * values[0]).all():
        return float("nan")
    slope, _ = np.polyfit(np.log(np.arange(_FIRST, _FIRST + len(middle)) + 1), np.log(middle), 1)
    return -float(slope)


def two_nn(features: Floats) -> float:
    """Intrinsic dimension from the ratio of the distances to the second and the first neighbour (Facco et al. 2017).

    The slope through the origin of -log(1 - F(ratio)) over log(ratio), without the largest tenth. Points with a
    duplicate are left out; nan where fewer than five are left.
    """
    from sklearn.neighbors import NearestNeighbors

    if len(features) < 4:  # each point has three neighbours
        return float("nan")
    near = NearestNeighbors(n_neighbors=3).fit(features.astype(np.float64)).kneighbors()[0][:, :2]  # without itself
    ratios = np.sort(near[near[:, 0] > 0, 1] / near[near[:, 0] > 0, 0])
    count = int(len(ratios) * _KEPT)
    if count < 5:
        return float("nan")
    x = np.log(ratios[:count])
    y = -np.log(1 - np.arange(1, count + 1) / len(ratios))
    return float((x * y).sum() / (x * x).sum()) if (x > 0).any() else float("nan")
