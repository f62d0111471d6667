"""The metrics of the ``knn`` analysis."""

from __future__ import annotations

from vitan.registry.specs import Metric

METRICS = (
    Metric(
        name="knn-top1",
        summary="queries whose class wins the weighted vote of the k nearest images in the bank",
        unit="%",
        better="higher",
        low=0,
        high=100,
        source="Wu et al. 2018; Caron et al. 2021",
    ),
    Metric(
        name="knn-top5",
        summary="queries whose class is among the five with most votes",
        unit="%",
        better="higher",
        low=0,
        high=100,
        source="Wu et al. 2018; Caron et al. 2021",
    ),
    Metric(name="knn-bank", summary="images in the bank", unit="images", low=0, source="count"),
    Metric(name="knn-queries", summary="queries that counted", unit="images", low=0, source="count"),
)
