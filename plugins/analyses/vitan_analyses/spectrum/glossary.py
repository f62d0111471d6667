"""The metrics of the ``spectrum`` analysis."""

from __future__ import annotations

from vitan.registry.specs import Metric

METRICS = (
    Metric(
        name="rank-me",
        summary="effective rank: exponential of the entropy of the normalised singular values",
        unit="dimensions",
        low=1,
        source="Garrido et al. 2023",
    ),
    Metric(
        name="participation-ratio",
        summary="squared sum of the covariance's eigenvalues over the sum of their squares",
        unit="dimensions",
        low=1,
        source="Gao et al. 2017",
    ),
    Metric(
        name="decay",
        summary="exponent of the power law that the eigenvalues fall by",
        unit="exponent",
        source="Stringer et al. 2019",
    ),
    Metric(
        name="two-nn",
        summary="intrinsic dimension from the ratio of the distances to the two nearest neighbours",
        unit="dimensions",
        low=0,
        source="Facco et al. 2017",
    ),
    Metric(name="token-norm", summary="mean length of a patch token", low=0, source="ours"),
    Metric(
        name="outlier-share",
        summary="patch tokens longer than a multiple of the image's median",
        unit="share of patches",
        low=0,
        high=1,
        source="after Darcet et al. 2024",
    ),
    Metric(
        name="outlier-images",
        summary="images with such a token",
        unit="share of images",
        low=0,
        high=1,
        source="after Darcet et al. 2024",
    ),
)
