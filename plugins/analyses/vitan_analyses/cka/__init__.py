"""The ``cka`` analysis: which blocks, of which models, see the same images alike."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from vitan import ProbeSpec, hookimpl

from .glossary import METRICS

if TYPE_CHECKING:
    from vitan.analysis.figures import Draw, DrawComparison
    from vitan.analysis.probe import Probe
    from vitan.registry.specs import Anchor


@hookimpl
def vitan_probes() -> Iterator[ProbeSpec]:
    """One analysis."""
    yield ProbeSpec(
        name="cka",
        summary="Which layers, of which models, see the same images alike: linear CKA without its bias.",
        load=_load,
        metrics=METRICS,
        figures=_figures,
        anchors=_anchors,
        comparison=_comparison,
        paper="Kornblith et al. 2019; debiased: Song et al. 2012, Nguyen et al. 2021",
    )


def _load() -> type[Probe]:
    from .probe import CkaProbe

    return CkaProbe


def _figures() -> Draw:
    from .figures import draw

    return draw


def _comparison() -> DrawComparison:
    from .figures import draw_comparison

    return draw_comparison


def _anchors() -> Iterable[Anchor]:
    from .anchors import anchors

    return anchors()
