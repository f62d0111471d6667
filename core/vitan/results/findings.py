"""What one analysis found of one model, and what one found between models."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..analysis.records import Record, Result

if TYPE_CHECKING:
    from ..analysis.figures import Drawings
    from ..engine.job import Job
    from ..engine.runner import Outcome


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What one analysis found of one model over one dataset.

    ``n`` is how many images were seen, ``weights`` the sha256 of the file of weights and ``origin`` where it came from.
    ``skipped`` says of each image that was left out why. ``folder`` is where it is written, and ``pictures`` what was
    drawn there; ``job`` is what it was a part of, where it was run just now.
    """

    analysis: str
    model: str
    dataset: str
    n: int
    weights: str = ""
    origin: str = ""
    reused: bool = True
    skipped: tuple[tuple[int, str], ...] = ()
    folder: Path | None = None
    pictures: tuple[Path, ...] = ()
    load: Callable[[], Result] = field(repr=False)
    load_outcome: Callable[[], Outcome] = field(repr=False)
    job: Job | None = field(default=None, repr=False)

    @cached_property
    def result(self) -> Result:
        """Records, arrays and their axes; read when they are asked for first."""
        return self.load()

    @property
    def records(self) -> tuple[Record, ...]:
        """The numbers, one a row."""
        return self.result.records

    @property
    def arrays(self) -> Mapping[str, Any]:
        """Named numpy arrays; ``axes`` names their axes."""
        return self.result.arrays

    @property
    def axes(self) -> Mapping[str, tuple[str, ...]]:
        """The names of the axes of the arrays."""
        return self.result.axes

    def figures(self) -> Drawings:
        """Draw it; a notebook shows what comes back. Figures of pictures need the dataset to be on this machine."""
        from ..analysis.figures import Drawings
        from .drawing import draw

        return Drawings(draw(self.load_outcome()))


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What an analysis found between models; ``result`` is None where it only draws them together.

    ``findings`` are those of the models alone, in the same order, where they are at hand.
    """

    analysis: str
    dataset: str
    models: tuple[str, ...]
    result: Result | None
    findings: tuple[Finding, ...] = field(default=(), repr=False)
    folder: Path | None = None
    pictures: tuple[Path, ...] = ()
