"""One recording of a pass: how its state is made and found, and what it has seen so far."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from ..analysis.probe import Probe, Recording
from ..data.preparation import Preparation
from ..errors import VitanError
from ..models.model import Model
from .isolation import blaming, forget
from .job import Analysis
from .loader import Skipped
from .store import Unit


@dataclass(frozen=True)
class Named:
    """Which image a position of the dataset is."""

    index: int
    id: str
    label: int | None
    role: str
    group: str


@dataclass
class Track:
    """One recording of a pass, and what it has seen so far.

    ``contents`` are what its stored units depend on, shard by shard, and ``keys`` the names that follow from these.
    ``reused`` says that everything it has taken so far was stored before, and ``made_by`` under which circumstances
    each such unit was. ``owner`` is who is to blame for ``error``, after which it sees nothing more.
    """

    name: str
    owner: str
    make: Callable[[], Recording]
    preparation: Preparation | None
    contents: Sequence[Mapping[str, Any]]
    keys: Sequence[str]
    recording: Recording | None = None
    images: list[Named] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    reused: bool = True
    made_by: list[Mapping[str, Any]] = field(default_factory=list)
    error: VitanError | None = None

    @contextmanager
    def answering(self, doing: str) -> Iterator[None]:
        """What is raised inside ends this track, and nothing else. Memory is a matter of the whole pass."""
        try:
            with blaming(self.owner, doing):
                yield
        except VitanError as error:
            self.error = forget(error)

    def take(self, unit: Unit, *, stored: bool) -> None:
        """Merge in a shard; ``stored`` says that it was there before."""
        with self.answering("merging its state"):
            shard = self.make()
            shard.load(unit.tensors)
            if self.recording is None:
                self.recording = shard
            else:
                self.recording.merge(shard)
        self.images += [Named(*image) for image in unit.notes["images"]]
        self.skipped += [Skipped(*image) for image in unit.notes["skipped"]]
        self.reused &= stored
        if stored:
            self.made_by.append(unit.notes["made_by"])


def own_name(analysis: Analysis) -> str:
    """The name of the track of an analysis with taps of its own."""
    return analysis.spec.name


def shared_name(kind: type[Recording]) -> str:
    """The name of the track of what analyses share; no analysis can be called so."""
    return f"shared {kind.name}"


def tracks_of(analysis: Analysis, tracks: Mapping[str, Track]) -> dict[str, Track]:
    """The tracks behind an analysis: its own under "", and each that it shares under its attribute."""
    own = {"": tracks[own_name(analysis)]} if analysis.kind.taps else {}
    return {**own, **{name: tracks[shared_name(kind)] for name, kind in analysis.kind.uses.items()}}


def probe_of(analysis: Analysis, tracks: Mapping[str, Track], model: Model) -> Probe:
    """The probe with its own state and all that it shares."""
    behind = tracks_of(analysis, tracks)
    probe = behind[""].recording if "" in behind else analysis.kind(analysis.options, model.info)
    assert isinstance(probe, Probe)
    for name in probe.uses:
        setattr(probe, name, behind[name].recording)
    return probe
