"""The ``similarity`` analysis: seven measures of how alike two layers are, each with its own blind spots."""

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
        name="similarity",
        summary="How alike blocks and models are by seven measures (k-NN, Procrustes, RSA, CCA ...), with p-values.",
        load=_load,
        metrics=METRICS,
        figures=_figures,
        anchors=_anchors,
        comparison=_comparison,
        paper="Huh et al. 2024, Williams et al. 2021, Kriegeskorte et al. 2008, Raghu et al. 2017, Morcos et al. 2018",
    )


def _load() -> type[Probe]:
    from .probe import SimilarityProbe

    return SimilarityProbe


def _figures() -> Draw:
    from .figures import draw

    return draw


def _comparison() -> DrawComparison:
    from .comparison import draw_comparison

    return draw_comparison


def _anchors() -> Iterable[Anchor]:
    from .anchors import anchors

    return anchors()
