"""The metrics of the ``keypoints`` analysis."""

from __future__ import annotations

from vitan.registry.specs import Metric

METRICS = (
    Metric(
        name="pck",
        summary="points found within alpha of the object's size, averaged over categories; or of one category",
        unit="%",
        better="higher",
        low=0,
        high=100,
        source="Min et al. 2019 (SPair-71k)",
    ),
    Metric(
        name="pck-image",
        summary="the same averaged over pairs of images",
        unit="%",
        better="higher",
        low=0,
        high=100,
        source="Min et al. 2019",
    ),
    Metric(
        name="pck-point",
        summary="the same over all points",
        unit="%",
        better="higher",
        low=0,
        high=100,
        source="Min et al. 2019",
    ),
    Metric(
        name="left-right-swapped",
        summary="points taken for their mirror image, of those that have one",
        unit="%",
        better="lower",
        low=0,
        high=100,
        source="after Zhang et al. 2024",
    ),
    Metric(name="pairs", summary="pairs of images", unit="pairs", low=0, source="count"),
    Metric(name="points", summary="points looked for", unit="points", low=0, source="count"),
    Metric(name="pairs-left-out", summary="pairs without a point to look for", unit="pairs", low=0, source="count"),
)
