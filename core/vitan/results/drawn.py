"""How much of what was found is drawn."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

from ..errors import OptionError

#: Every figure; those alone that lay models beside one another; or numbers alone.
Figures: TypeAlias = Literal["all", "comparisons", "none"]
CHOICES: tuple[Figures, ...] = get_args(Figures)


def check_figures(figures: object) -> None:
    """Raise ``OptionError`` for what is no choice."""
    if figures not in CHOICES:
        raise OptionError(f"figures: {figures!r} is none of {', '.join(CHOICES)}")
