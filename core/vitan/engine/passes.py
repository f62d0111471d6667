"""A pass: one model over one dataset in one view and one order, feeding everything that was asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, astuple, dataclass, field
from functools import partial
from typing import Any

from torch import Tensor

from ..analysis.probe import Probe, Recording
from ..data.batch import Batch
from ..data.preparation import Preparation
from ..data.views import make_view
from ..errors import VitanError
from ..models.model import Model
from . import keys
from .isolation import blaming, forget
from .job import Analysis, Job
from .loader import Loader, Prepared, Skipped
from .progress import Reporter
from .provenance import circumstances
from .schedule import Sharing, partition_of
from .store import Store, Unit

#: From this many bytes on, the size of what a pass will store is announced.
_MUCH = 1_000_000_000


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

    def take(self, unit: Unit, *, stored: bool) -> None:
        """Merge in a shard; ``stored`` says that it was there before."""
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


class Pass:
    """One model over one dataset in one view and order, feeding several recordings."""

    def __init__(self, job: Job, model: Model, sharing: Sharing, store: Store, reporter: Reporter) -> None:
        self.model, self._job, self._sharing, self._store, self._reporter = model, job, sharing, store, reporter
        self.view = make_view(sharing.view, model.spec.image_size, model.spec.patch)
        self.partition = partition_of(job, sharing)
        self._shards = self.partition.shards()
        self._places = [keys.of_place(job, sharing, self.partition, self.view, model, s) for s in self._shards]
        self._loader = Loader(
            job.dataset,
            self.view,
            model.spec.mean,
            model.spec.std,
            model.info.layout.grid,
            skip=job.plan.on_error == "skip",
        )
        self._circumstances = circumstances(job.plan.device)
        self._checked = False

    def run(self) -> dict[str, Track]:
        """Shard by shard, take what the store has, compute what it lacks, and merge. Tracks by their names.

        Raises ``StoreError`` before anything is computed if what has to be stored does not fit the disk.
        """
        tracks = self._tracks()
        self._check_room(list(tracks.values()))
        names = ", ".join(analysis.spec.name for analysis in self._sharing.analyses)
        self._reporter.begin(f"{self.model.info.name} · {self._job.dataset_name} · {names}", self._job.n)
        try:
            for number in range(len(self._shards)):
                self._shard([track for track in tracks.values() if track.error is None], number)
        finally:
            self._reporter.end()
        return tracks

    def place(self) -> dict[str, Any]:
        """What the numbers of all of its analyses depend on besides the model and their options."""
        view, n = self.view.name, self._job.n
        return {
            "fingerprint": self._job.fingerprint,
            "images": n,
            "view": view,
            **asdict(self._sharing.batching),
        }

    def _tracks(self) -> dict[str, Track]:
        """Probes that have taps of their own by the name of their analysis, what they share by its own."""
        info = self.model.info
        tracks: dict[str, Track] = {}
        for analysis in self._sharing.analyses:
            kind, options = analysis.kind, analysis.options
            if kind.taps:
                tracks[own_name(analysis)] = self._track(
                    own_name(analysis),
                    analysis.owner,
                    keys.of_probe(analysis),
                    partial(kind, options, info),
                    kind.preparation(options),
                )
            for shared in kind.uses.values():
                plain = shared.Options()
                tracks[shared_name(shared)] = self._track(
                    shared_name(shared),
                    f"the recording {shared.name} ({shared.__module__})",
                    keys.of_shared(shared, plain),
                    partial(shared, plain, info),
                    shared.preparation(plain),
                )
        return tracks

    def _track(
        self,
        name: str,
        owner: str,
        what: Mapping[str, Any],
        make: Callable[[], Recording],
        preparation: Preparation | None,
    ) -> Track:
        contents = [keys.of_unit(what, place, self.model, self._job.plan) for place in self._places]
        return Track(name, owner, make, preparation, contents, [self._store.key(content) for content in contents])

    def _check_room(self, tracks: Sequence[Track]) -> None:
        needed = 0
        for track in tracks:
            if each := track.make().bytes_per_image():
                missing = [n for n, key in enumerate(track.keys) if not self._store.path(key).exists()]
                needed += each * sum(map(self._count, missing))
        if needed > 0:
            self._store.check_room(needed)
        if needed > _MUCH:
            self._reporter.note(f"will store about {needed / 1e9:.1f} GB in {self._store.folder}")

    def _count(self, number: int) -> int:
        shard = self._shards[number]
        return self.partition.bounds[shard.stop] - self.partition.bounds[shard.start]

    def _shard(self, tracks: Sequence[Track], number: int) -> None:
        """Every track takes its unit of one shard; what was not stored is stored before anything else is done."""
        units = [(track, self._store.get(track.keys[number])) for track in tracks]
        missing = [track for track, unit in units if unit is None]
        for track, unit in units:
            if unit is not None:
                track.take(unit, stored=True)
        if not missing:
            self._reporter.advance(self._count(number))
            return
        recordings, notes = self._compute(missing, number)
        for track, recording in zip(missing, recordings, strict=True):
            if track.error is None:
                self._store.put(track.contents[number], recording.state(), notes)
                unit = self._store.get(track.keys[number])  # on the disk and no longer in memory
                track.take(unit or Unit(recording.state(), track.contents[number], notes), stored=False)

    def _compute(self, tracks: Sequence[Track], number: int) -> tuple[list[Recording], dict[str, Any]]:
        """What each track records of one shard, and notes of which images that were.

        A recording that raises something sees nothing more, and its track keeps the error.
        """
        shard, recordings = self._shards[number], [track.make() for track in tracks]
        before = {wanted: self._prepared(wanted, number) for track in tracks if (wanted := track.preparation)}
        fresh: dict[Preparation, dict[str, Tensor]] = {p: {} for p, known in before.items() if known is None}
        images: list[Named] = []
        for batch, index in zip(self._loader.batches(self.partition, shard, before), shard, strict=True):
            if batch is not None:
                self._forward(batch, tracks, recordings)
                pairs = zip(batch.index, batch.samples, strict=True)
                images += [Named(position, each.id, each.label, each.role, each.group) for position, each in pairs]
                for preparation, tensors in fresh.items():
                    for position, parts in zip(batch.index, batch.prepared[preparation], strict=True):
                        tensors.update({f"{position}.{name}": tensor for name, tensor in parts.items()})
            self._reporter.advance(len(self.partition.indices(index)))
        for preparation, tensors in fresh.items():
            self._store.put(self._preparing(preparation, number), tensors, {"made_by": self._circumstances})
        for track, recording in zip(tracks, recordings, strict=True):
            _attempt(track, "finish", recording.finish)
        skipped = [astuple(image) for image in self._loader.skipped]
        named = [astuple(image) for image in images]
        return recordings, {"images": named, "skipped": skipped, "made_by": self._circumstances}

    def _preparing(self, preparation: Preparation, number: int) -> dict[str, Any]:
        return keys.of_preparation(preparation, self._places[number], self.model.info.layout.grid)

    def _prepared(self, preparation: Preparation, number: int) -> Prepared | None:
        unit = self._store.get(self._store.key(self._preparing(preparation, number)))
        if unit is None:
            return None
        prepared: dict[int, dict[str, Tensor]] = {}
        for name, tensor in unit.tensors.items():
            index, _, part = name.partition(".")
            prepared.setdefault(int(index), {})[part] = tensor
        return prepared

    def _forward(self, batch: Batch, tracks: Sequence[Track], recordings: Sequence[Recording]) -> None:
        taps = frozenset().union(*(recording.taps for recording in recordings))
        wanted = dict.fromkeys(self.model.info.blocks, taps)
        if not self._checked:
            self.model.check_recording(wanted, batch.pixels[:1], images=batch.names[:1])
            self._checked = True

        def on_block(block: int, caught: Mapping[str, Tensor]) -> None:
            for track, recording in zip(tracks, recordings, strict=True):
                if track.error is None:
                    seen = {name: caught[name] for name in recording.taps}
                    _attempt(track, "update_block", partial(recording.update_block, block, seen, batch))
            if all(track.error for track in tracks):
                raise tracks[0].error or AssertionError("all have failed")

        with self.model.record(wanted, on_block, images=batch.names):
            self.model.forward(batch.pixels)


def _attempt(track: Track, doing: str, act: Callable[[], None]) -> None:
    """Let a recording act; what it raises ends its track, and nothing else. Memory is a matter of the whole pass."""
    if track.error is not None:
        return
    try:
        with blaming(track.owner, doing):
            act()
    except VitanError as error:
        track.error = forget(error)


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
