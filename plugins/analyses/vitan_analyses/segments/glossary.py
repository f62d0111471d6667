"""The metrics of ``segments`` and ``segments-dense``."""

from __future__ import annotations

from vitan.registry.specs import Metric

from ..shared_metrics import CLUSTERS

METRICS = (
    *CLUSTERS,
    Metric(name="objects", summary="objects that were clustered", unit="objects", low=0, source="count"),
    Metric(name="categories", summary="categories that they are of", unit="categories", low=0, source="count"),
    Metric(name="objects-not-shown", summary="objects that the view does not show", unit="objects", low=0,
           source="count"),
)  # fmt: skip
