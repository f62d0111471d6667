"""The metrics of the ``clustering`` analysis."""

from __future__ import annotations

from ..shared_metrics import CLUSTERS

METRICS = CLUSTERS
