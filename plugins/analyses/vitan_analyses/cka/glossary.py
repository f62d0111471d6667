"""The metrics of the ``cka`` analysis."""

from __future__ import annotations

from vitan.registry.specs import Metric

from ..shared_metrics import MINIBATCHES

METRICS = (
    Metric(
        name="cka-with-last",
        summary="linear CKA of a block with the last block of the same model",
        low=-1,
        high=1,
        source="Kornblith et al. 2019; debiased: Song et al. 2012, Nguyen et al. 2021",
    ),
    Metric(
        name="cka-last",
        summary="linear CKA of the last blocks of two models",
        low=-1,
        high=1,
        source="Kornblith et al. 2019; debiased: Song et al. 2012, Nguyen et al. 2021",
    ),
    *MINIBATCHES,
)
