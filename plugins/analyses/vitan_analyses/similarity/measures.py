"""The measures by name, each with its range, what it does not see, and where it is from.

All are symmetric, 1 for equal features, do not depend on the order of the samples, and are higher for more alike ones.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from . import kernels, neighbours, spaces
from .layers import Floats, Prepared

#: What may be done to the features of one layer alone, in the words of ``Measure.invariances``.
INVARIANCES = {
    "orthogonal": "rotating or reflecting the channels",
    "scale": "multiplying all features by one positive number",
    "offset": "adding one vector to the features of every sample",
    "linear": "any invertible linear map of the channels",
}


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One measure of how alike two layers are, as seen by the same samples.

    ``prepare`` takes a layer (sample, channel) and k, and ``compare`` what two layers were made into; both raise
    ``layers.Undefined`` where there is no value. ``lowest`` is the lower end of the range, whose upper end is 1.
    ``invariances`` are keys of ``INVARIANCES``: what changes nothing; what is not named may change the value.
    ``unrelated`` says what to expect of features that have nothing to do with one another.
    """

    name: str
    title: str
    lowest: float
    invariances: frozenset[str]
    unrelated: str
    paper: str
    prepare: Callable[[Floats, int], Prepared]
    compare: Callable[[Any, Any], float]
    uses_k: bool = False
    highest: float = 1.0

    def __call__(self, first: Floats, second: Floats, k: int = 10) -> float:
        """The value for two layers (sample, channel), rows in the same order; raises ``layers.Undefined``."""
        return self.compare(self.prepare(first, k), self.prepare(second, k))


_ALL = (
    Measure(
        name="cka",
        title="CKA",
        lowest=-1.0,
        invariances=frozenset({"orthogonal", "scale", "offset"}),
        unrelated="about 0 at any width",
        paper="Kornblith et al. 2019; debiased: Song et al. 2012, Nguyen et al. 2021",
        prepare=kernels.prepare_cka,
        compare=kernels.cka,
    ),
    Measure(
        name="mutual-knn",
        title="mutual k-NN",
        lowest=0.0,
        invariances=frozenset({"orthogonal", "scale"}),
        unrelated="k / (n - 1)",
        paper="Huh et al. 2024",
        prepare=neighbours.prepare,
        compare=neighbours.mutual_knn,
        uses_k=True,
    ),
    Measure(
        name="cknna",
        title="CKNNA",
        lowest=-1.0,
        invariances=frozenset({"orthogonal", "scale"}),
        unrelated="up to about k / (n - 1)",
        paper="Huh et al. 2024",
        prepare=neighbours.prepare,
        compare=neighbours.cknna,
        uses_k=True,
    ),
    Measure(
        name="procrustes",
        title="Procrustes",
        lowest=0.0,
        invariances=frozenset({"orthogonal", "scale", "offset"}),
        unrelated="above 0, and near 1 where there are many more channels than samples",
        paper="Ding et al. 2021, Williams et al. 2021",
        prepare=spaces.prepare_procrustes,
        compare=spaces.procrustes,
    ),
    Measure(
        name="rsa",
        title="RSA",
        lowest=-1.0,
        invariances=frozenset({"scale"}),
        unrelated="about 0 at any width",
        paper="Kriegeskorte et al. 2008",
        prepare=kernels.prepare_rsa,
        compare=kernels.rsa,
    ),
    Measure(
        name="svcca",
        title="SVCCA",
        lowest=0.0,
        invariances=frozenset({"orthogonal", "scale", "offset"}),
        unrelated="above 0, the more so the fewer samples there are per kept direction",
        paper="Raghu et al. 2017",
        prepare=spaces.prepare_svcca,
        compare=spaces.svcca,
    ),
    Measure(
        name="pwcca",
        title="PWCCA",
        lowest=0.0,
        invariances=frozenset({"scale", "offset"}),
        unrelated="above 0, the more so the fewer samples there are per channel",
        paper="Morcos et al. 2018",
        prepare=spaces.prepare_pwcca,
        compare=spaces.pwcca,
    ),
)


def swept(measure: Measure, k: int) -> dict[str, Any]:
    """The parameter of its records: how many neighbours it looks at, if it looks at any."""
    return {"parameter": "k", "at": k} if measure.uses_k else {}


#: Every measure by its name. RSA correlates two samples over their channels, and PWCCA sums sizes over channels: both
#: know one channel from another, so that a rotation counts.
MEASURES = {measure.name: measure for measure in _ALL}
