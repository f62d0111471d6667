"""The metrics of the ``attention-maps`` analysis."""

from __future__ import annotations

from vitan.registry.specs import Metric

METRICS = (
    Metric(
        name="mask-area",
        summary="share of the patches that it takes to hold a given mass of the attention",
        unit="share of patches",
        low=0,
        high=1,
        source="Caron et al. 2021",
    ),
    Metric(
        name="peak",
        summary="what the strongest patch holds of the attention on patches",
        unit="share of attention",
        low=0,
        high=1,
        source="ours",
    ),
)
