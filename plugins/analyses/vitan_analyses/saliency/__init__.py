"""The ``saliency`` analysis: do heads look at the objects of a picture?"""

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
        name="saliency",
        summary="Whether attention finds the objects: IoU of every head's map with the union of the masks.",
        load=_load,
        metrics=METRICS,
        figures=_figures,
        anchors=_anchors,
        paper="Teaching Matters: Investigating the Role of Supervision in Vision Transformers (CVPR 2023)",
    )


def _load() -> type[Probe]:
    from .probe import SaliencyProbe

    return SaliencyProbe


def _figures() -> Draw:
    from .figures import draw

    return draw


def _anchors() -> Iterable[Anchor]:
    from .anchors import anchors

    return anchors()
