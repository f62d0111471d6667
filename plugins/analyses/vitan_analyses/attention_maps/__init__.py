"""What single queries of single pictures look at, head by head."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from vitan.registry.hooks import hookimpl
from vitan.registry.specs import ProbeSpec

from .glossary import METRICS

if TYPE_CHECKING:
    from vitan.analysis.figures import Draw
    from vitan.analysis.probe import Probe
    from vitan.registry.specs import Anchor


def _probe() -> type[Probe]:
    from .probe import AttentionMapsProbe

    return AttentionMapsProbe


def _figures() -> Draw:
    from .figures import draw

    return draw


@hookimpl
def vitan_probes() -> Iterable[ProbeSpec]:
    """Offer the ``attention-maps`` analysis."""
    yield ProbeSpec(
        name="attention-maps",
        summary="What CLS and chosen patches look at in single pictures, for every block and head.",
        load=_probe,
        metrics=METRICS,
        figures=_figures,
        anchors=_anchors,
        paper="Teaching Matters: Investigating the Role of Supervision in Vision Transformers (CVPR 2023)",
    )


def _anchors() -> Iterable[Anchor]:
    from .anchors import anchors

    return anchors()
