"""Which of the two pooled vectors an analysis compares."""

from __future__ import annotations

from vitan.accumulators import PerImage

from .pooled import KINDS, Pooled


def chosen(pooled: Pooled, token: str) -> tuple[str, PerImage]:
    """The rows of ``cls`` or ``patches``, with the name of what they are; patches where the model has no CLS."""
    kept = pooled.kept()
    name = token if token in kept else "patches"
    return name, kept[name]


def said(name: str, token: str) -> str:
    """How a figure calls the vectors, and that they are not what was asked for where that is so."""
    return KINDS[name] if name == token else f"{KINDS[name]}, because this model has no CLS"
