"""The metrics of the ``similarity`` analysis."""

from __future__ import annotations

from vitan.registry.specs import Metric

#: Each measure's title, lowest value and paper; all end at 1.
_MEASURES = {
    "cka": ("debiased linear CKA", -1, "Kornblith et al. 2019; Song et al. 2012, Nguyen et al. 2021"),
    "mutual-knn": ("mutual k-NN", 0, "Huh et al. 2024"),
    "cknna": ("CKNNA", -1, "Huh et al. 2024"),
    "procrustes": ("Procrustes similarity", 0, "Ding et al. 2021, Williams et al. 2021"),
    "rsa": ("RSA", -1, "Kriegeskorte et al. 2008"),
    "svcca": ("SVCCA", 0, "Raghu et al. 2017"),
    "pwcca": ("PWCCA", 0, "Morcos et al. 2018"),
}


def _of(name: str, title: str, low: float, paper: str) -> tuple[Metric, ...]:
    return (
        Metric(name=f"{name}-with-last", summary=f"{title} of a block and the last block of the same model",
               low=low, high=1, source=paper),
        Metric(name=f"{name}-last", summary=f"{title} of the last blocks of two models", low=low, high=1, source=paper),
        Metric(name=f"{name}-last-calibrated", summary=f"{title} of the last blocks, 0 for what chance explains",
               low=0, high=1, source="permutation null"),
    )  # fmt: skip


METRICS = (
    *(metric for name, known in _MEASURES.items() for metric in _of(name, *known)),
    Metric(name="p-value", summary="share of permutations that reach the value of the metric that it is of",
           better="lower", low=0, high=1, source="permutation test"),
)  # fmt: skip
