"""How far, where to and how differently the heads of a model attend."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from vitan.registry.hooks import hookimpl
from vitan.registry.specs import Anchor, ProbeSpec

from .glossary import METRICS

if TYPE_CHECKING:
    from vitan.analysis.figures import Draw
    from vitan.analysis.probe import Probe


def _probe() -> type[Probe]:
    from .probe import AttentionProbe

    return AttentionProbe


def _figures() -> Draw:
    from .figures import draw

    return draw


def _anchors() -> Iterable[Anchor]:
    from .anchors import anchors

    return anchors()


@hookimpl
def vitan_probes() -> Iterable[ProbeSpec]:
    """Offer the ``attention`` analysis."""
    yield ProbeSpec(
        name="attention",
        summary="How far each head looks, at what, and which type of head it is, block by block.",
        load=_probe,
        metrics=METRICS,
        figures=_figures,
        anchors=_anchors,
        paper="Teaching Matters: Investigating the Role of Supervision in Vision Transformers (CVPR 2023)",
    )
