"""What a pass has seen, put together from its shards."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..analysis.probe import Probe, Recording
from .job import Analysis
from .loader import Skipped


@dataclass(frozen=True)
class Named:
    """Which image a position of the dataset is."""

    index: int
    id: str
    label: int | None
    role: str
    group: str


@dataclass(frozen=True)
class Seen:
    """What the state of an analysis was made of.

    ``units`` are the keys of the stored units, shard by shard, of the probe itself (under "") and of each thing that it
    shares (under its attribute). ``place`` says which images they hold, in which view and batches.
    """

    units: Mapping[str, Sequence[str]]
    place: Mapping[str, Any]
    n_batches: int


@dataclass(frozen=True)
class Part:
    """What one recording has seen of one shard."""

    recording: Recording
    images: Sequence[Named]
    skipped: Sequence[Skipped]
    stored: bool


@dataclass
class Found:
    """What one recording has seen so far. ``reused`` says that all of it was stored."""

    recording: Recording
    images: list[Named] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    reused: bool = True


class Gathered:
    """Everything that a pass has seen, by analysis."""

    def __init__(self, tracks: Mapping[Any, Found], make: Callable[[Analysis], Probe]) -> None:
        self._tracks, self._make = tracks, make

    def probe(self, analysis: Analysis) -> Probe:
        """The probe with its own state and all that it shares."""
        own = self._tracks.get(id(analysis))
        probe = own.recording if own else self._make(analysis)
        assert isinstance(probe, Probe)
        for name, kind in probe.uses.items():
            setattr(probe, name, self._tracks[kind].recording)
        return probe

    def skipped(self, analysis: Analysis) -> tuple[Skipped, ...]:
        """The images that were left out; every recording of a pass has left out the same."""
        return tuple(next(self._of(analysis)).skipped)

    def images(self, analysis: Analysis) -> tuple[Named, ...]:
        """The images that were seen, by position."""
        return tuple(sorted(next(self._of(analysis)).images, key=lambda image: image.index))

    def reused(self, analysis: Analysis) -> bool:
        """Whether all that the analysis needed was stored."""
        return all(found.reused for found in self._of(analysis))

    def _of(self, analysis: Analysis) -> Iterator[Found]:
        return (self._tracks[key] for key in (id(analysis), *analysis.kind.uses.values()) if key in self._tracks)
