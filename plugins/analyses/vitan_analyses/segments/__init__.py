"""The ``segments`` analyses: do the features of objects fall into their categories?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from vitan import ProbeSpec, hookimpl

from .glossary import METRICS

if TYPE_CHECKING:
    from vitan.analysis.figures import Draw
    from vitan.analysis.probe import Probe
    from vitan.registry.specs import Anchor

_PAPER = "Teaching Matters: Investigating the Role of Supervision in Vision Transformers (CVPR 2023)"


@hookimpl
def vitan_probes() -> Iterator[ProbeSpec]:
    """The same analysis of the centre crop, and of the whole picture at twice the size."""
    yield ProbeSpec(
        name="segments",
        summary="Whether features of objects or parts fall into their categories, block by block, in the crop.",
        load=_load,
        metrics=METRICS,
        figures=_figures,
        anchors=_anchors,
        paper=_PAPER,
    )
    yield ProbeSpec(
        name="segments-dense",
        summary="The same as segments, for the whole picture at twice the size, in windows.",
        load=_load_dense,
        metrics=METRICS,
        figures=_figures,
        anchors=_anchors,
        paper=_PAPER,
    )


def _load() -> type[Probe]:
    from .probe import SegmentsProbe

    return SegmentsProbe


def _load_dense() -> type[Probe]:
    from .probe import DenseSegmentsProbe

    return DenseSegmentsProbe


def _figures() -> Draw:
    from .figures import draw

    return draw


def _anchors() -> Iterable[Anchor]:
    from .anchors import anchors

    return anchors()
