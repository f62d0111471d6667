"""The ``spectrum`` analysis: how many dimensions features use, and which tokens stand out, without any label."""

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
        name="spectrum",
        summary="How many dimensions features use, block by block, and which patch tokens stand out; needs no labels.",
        load=_load,
        metrics=METRICS,
        figures=_figures,
        anchors=_anchors,
        paper="RankMe (Garrido et al. 2023), TwoNN (Facco et al. 2017), registers (Darcet et al. 2024)",
    )


def _load() -> type[Probe]:
    from .probe import SpectrumProbe

    return SpectrumProbe


def _figures() -> Draw:
    from .figures import draw

    return draw


def _anchors() -> Iterable[Anchor]:
    from .anchors import anchors

    return anchors()
