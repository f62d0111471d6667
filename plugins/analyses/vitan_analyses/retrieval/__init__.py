"""The ``retrieval`` analysis: do the pictures that are most alike show the same thing?"""

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
        name="retrieval",
        summary="Whether the most similar pictures show the same thing: mAP and mP@k of rankings, block by block.",
        load=_load,
        metrics=METRICS,
        figures=_figures,
        anchors=_anchors,
        paper="Radenović et al. 2018, Revisiting Oxford and Paris: Large-Scale Image Retrieval Benchmarking",
    )


def _load() -> type[Probe]:
    from .probe import RetrievalProbe

    return RetrievalProbe


def _figures() -> Draw:
    from .figures import draw

    return draw


def _anchors() -> Iterable[Anchor]:
    from .anchors import anchors

    return anchors()
