"""The ``keypoints`` analysis: does a point of one picture find the same point of the object in another?"""

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
        name="keypoints",
        summary="Whether patch features find the same point of an object in another picture (PCK), block by block.",
        load=_load,
        metrics=METRICS,
        figures=_figures,
        anchors=_anchors,
        paper="Teaching Matters: Investigating the Role of Supervision in Vision Transformers (CVPR 2023)",
    )


def _load() -> type[Probe]:
    from .probe import KeypointsProbe

    return KeypointsProbe


def _figures() -> Draw:
    from .figures import draw

    return draw


def _anchors() -> Iterable[Anchor]:
    from .anchors import anchors

    return anchors()
