"""Panels of how well clusters agree with classes, over depth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vitan.analysis.figures import Drawable

from ..clusters import FLOOR, METRICS
from .curves import Panel


def agreement_panels(drawables: Sequence[Drawable], kinds: Mapping[str, str]) -> list[Panel]:
    """A panel for each measure of each kind of feature; ``kinds`` are the names of arrays (block, metric), in words."""
    return [
        Panel(
            f"{metric}, {word}",
            "",
            [d.result.arrays[kind][:, column] if kind in d.result.arrays else None for d in drawables],
            across=float(drawables[0].result.arrays[FLOOR][column]),
        )
        for kind, word in kinds.items()
        if any(kind in d.result.arrays for d in drawables)
        for column, metric in enumerate(METRICS.values())
    ]
