"""The ``video-segmentation`` analysis: do features follow objects through a video?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from vitan import ProbeSpec, hookimpl

from .glossary import METRICS

if TYPE_CHECKING:
    from vitan.analysis.figures import Draw, MakeFiles
    from vitan.analysis.probe import Probe
    from vitan.registry.specs import Anchor


@hookimpl
def vitan_probes() -> Iterator[ProbeSpec]:
    """One analysis."""
    yield ProbeSpec(
        name="video-segmentation",
        summary="Whether features follow objects through a video: first masks carried on from frame to frame, J & F.",
        load=_load,
        metrics=METRICS,
        figures=_figures,
        anchors=_anchors,
        files=_files,
        paper="Teaching Matters: Investigating the Role of Supervision in Vision Transformers (CVPR 2023)",
    )


def _load() -> type[Probe]:
    from .probe import VideoSegmentationProbe

    return VideoSegmentationProbe


def _figures() -> Draw:
    from .figures import draw

    return draw


def _files() -> MakeFiles:
    from .files import make_files

    return make_files


def _anchors() -> Iterable[Anchor]:
    from .anchors import anchors

    return anchors()
