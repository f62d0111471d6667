"""The ``residual`` analysis: what each branch of a block adds, beside what it is added to."""

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
        name="residual",
        summary="How long and how alike the two summands of every residual addition are: skip stream and branch.",
        load=_load,
        metrics=METRICS,
        figures=_figures,
        anchors=_anchors,
        paper="Walmer et al. 2023, appendix; Raghu et al. 2021",
    )


def _load() -> type[Probe]:
    from .probe import ResidualProbe

    return ResidualProbe


def _figures() -> Draw:
    from .figures import draw

    return draw


def _anchors() -> Iterable[Anchor]:
    from .anchors import anchors

    return anchors()
