"""The ``knn`` analysis: do an image's nearest neighbours tell its class?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from vitan import ProbeSpec, hookimpl

from .glossary import METRICS

if TYPE_CHECKING:
    from vitan.analysis.figures import Draw
    from vitan.analysis.probe import Probe
    from vitan.registry.specs import Anchor


@hookimpl
def vitan_probes() -> Iterator[ProbeSpec]:
    """One analysis."""
    yield ProbeSpec(
        name="knn",
        summary="Whether the nearest neighbours of an image tell its class: weighted k-NN, block by block.",
        load=_load,
        metrics=METRICS,
        figures=_figures,
        anchors=_anchors,
        paper="Wu et al. 2018, Unsupervised Feature Learning via Non-Parametric Instance Discrimination, section 3.4",
    )


def _load() -> type[Probe]:
    from .probe import KnnProbe

    return KnnProbe


def _figures() -> Draw:
    from .figures import draw

    return draw


def _anchors() -> Iterable[Anchor]:
    from .anchors import anchors

    return anchors()
