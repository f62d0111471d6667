"""The metrics of the ``residual`` analysis."""

from __future__ import annotations

from vitan.registry.specs import Metric

from ..shared_metrics import MINIBATCHES

METRICS = (
    Metric(
        name="skip-branch-cka-attention",
        summary="CKA between the residual stream and what the attention branch adds to it",
        low=-1,
        high=1,
        source="Teaching Matters (CVPR 2023)",
    ),
    Metric(
        name="skip-branch-cka-mlp",
        summary="CKA between the residual stream and what the MLP branch adds to it",
        low=-1,
        high=1,
        source="Teaching Matters (CVPR 2023)",
    ),
    Metric(
        name="norm-ratio-attention",
        summary="length of the residual stream over that of what the attention branch adds",
        unit="skip / branch",
        low=0,
        source="Teaching Matters (CVPR 2023); Raghu et al. 2021",
    ),
    Metric(
        name="norm-ratio-mlp",
        summary="length of the residual stream over that of what the MLP branch adds",
        unit="skip / branch",
        low=0,
        source="Teaching Matters (CVPR 2023); Raghu et al. 2021",
    ),
    *MINIBATCHES,
)
