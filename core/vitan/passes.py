"""A pass: one model over one dataset in one view and one order, feeding everything that was asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, astuple, dataclass, field
from functools import partial
from typing import Any, Protocol

import torch
from torch import Tensor

from .data import Batch
from .errors import MismatchError
from .job import Analysis, Job
from .loader import Loader, Prepared, Skipped
from .models import Model
from .partition import Partition, cut, cut_by_group
from .probe import Batching, Preparation, Probe, Recording
from .store import Store
from .views import make_view

#: From this many bytes on, the size of what a pass will store is announced.
_MUCH = 1_000_000_000
#: Divided views have several windows to a picture, and so take fewer pictures at a time.
_DIVIDED_VIEWS = ("dense", "dense-paper")


class Reporter(Protocol):
    """Who is told how far a run is."""

    def begin(self, title: str, total: int) -> None:
        """A pass over ``total`` images starts."""

    def advance(self, images: int) -> None:
        """So many more images are done."""

    def end(self) -> None:
        """The pass is over."""

    def note(self, text: str) -> None:
        """Something the user should know."""

    def download(self, description: str, done: int, total: int | None) -> None:
        """A file is being fetched; sizes in bytes."""


@dataclass(frozen=True)
class Sharing:
    """Analyses that one pass can feed."""

    view: str
    batching: Batching
    analyses: tuple[Analysis, ...]


def arrange(analyses: Sequence[Analysis], batch_size: int) -> list[Sharing]:
    """As few passes as the views and batchings of the analyses allow.

    An analysis that takes batches as they come joins another one in its view.
    """
    by_view: dict[str, list[Analysis]] = {}
    for analysis in analyses:
        by_view.setdefault(analysis.kind.view_for(analysis.options), []).append(analysis)
    found = []
    for view, looking in by_view.items():
        asked = [analysis.kind.batching(analysis.options) for analysis in looking]
        strict = sorted({each for each in asked if each}, key=lambda each: each.grouped) or [Batching()]
        own = max(1, batch_size // 4) if view in _DIVIDED_VIEWS else batch_size
        for batching in strict:
            sharing = [a for a, wish in zip(looking, asked, strict=True) if (wish or strict[0]) == batching]
            settled = Batching(batching.size or own, batching.seed, batching.grouped)
            found.append(Sharing(view, settled, tuple(sharing)))
    return found


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
class _Track:
    """One recording of a pass: a probe, or what probes share. ``what`` names it in the keys of its stored state."""

    what: Mapping[str, Any]
    make: Callable[[], Recording]
    preparation: Preparation | None


@dataclass
class _Found:
    """What has been seen so far. ``reused`` says that all of it was stored."""

    recording: Recording
    images: list[Named] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    reused: bool = True


@dataclass(frozen=True)
class _Part:
    """What one recording has seen of one shard."""

    recording: Recording
    images: Sequence[Named]
    skipped: Sequence[Skipped]
    stored: bool


class Gathered:
    """Everything that a pass has seen, by analysis."""

    def __init__(self, tracks: Mapping[Any, _Found], make: Callable[[Analysis], Probe]) -> None:
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

    def _of(self, analysis: Analysis) -> Iterator[_Found]:
        return (self._tracks[key] for key in (id(analysis), *analysis.kind.uses.values()) if key in self._tracks)


class Pass:
    """One model over one dataset in one view and order, feeding several recordings."""

    def __init__(self, job: Job, model: Model, sharing: Sharing, store: Store, reporter: Reporter) -> None:
        self.model, self._job, self._sharing, self._store, self._reporter = model, job, sharing, store, reporter
        self.view = make_view(sharing.view, model.spec.image_size, model.spec.patch)
        self.partition = _partition(job, sharing)
        self._loader = Loader(job.dataset, self.view, model, skip=job.plan.on_error == "skip")
        self._checked = False

    def run(self) -> Gathered:
        """Shard by shard, take what the store has, compute what it lacks, and merge.

        Raises ``StoreError`` before anything is computed if what has to be stored does not fit the disk.
        """
        tracks = self._tracks()
        self._check_room(tracks)
        found: dict[Any, _Found] = {}
        names = ", ".join(analysis.spec.name for analysis in self._sharing.analyses)
        self._reporter.begin(f"{self.model.info.name} · {self._job.dataset_name} · {names}", self._job.n)
        try:
            for shard in self.partition.shards():
                for key, part in self._shard(tracks, shard).items():
                    if key in found:
                        found[key].recording.merge(part.recording)
                    else:
                        found[key] = _Found(part.recording)
                    found[key].images += part.images
                    found[key].skipped += part.skipped
                    found[key].reused &= part.stored
        finally:
            self._reporter.end()
        return Gathered(found, lambda analysis: analysis.kind(analysis.options, self.model.info))

    def seen(self, analysis: Analysis) -> Seen:
        """Where the state of an analysis is stored."""
        tracks, shards = self._tracks(), self.partition.shards()
        parts = {"": id(analysis), **analysis.kind.uses}
        units = {
            name: [self._key(tracks[key], shard) for shard in shards] for name, key in parts.items() if key in tracks
        }
        batching, n = asdict(self._sharing.batching), self._job.n
        fingerprint, view = self._job.fingerprint, self.view.name
        return Seen(
            units, {"fingerprint": fingerprint, "images": n, "view": view, **batching}, self.partition.n_batches
        )

    def _tracks(self) -> dict[Any, _Track]:
        """The probes that have taps of their own by the identity of their analysis, what is shared by its class."""
        info = self.model.info
        tracks: dict[Any, _Track] = {}
        for analysis in self._sharing.analyses:
            kind, options = analysis.kind, analysis.options
            if kind.taps:
                name = [analysis.spec.name, analysis.provider.partition(" ")[0], kind.version]
                what = {"probe": name, "options": options.seen()}
                tracks[id(analysis)] = _Track(what, partial(kind, options, info), kind.preparation(options))
            for shared in kind.uses.values():
                plain = shared.Options()
                what = {"probe": [shared.__qualname__, shared.__module__, shared.version], "options": plain.seen()}
                tracks[shared] = _Track(what, partial(shared, plain, info), shared.preparation(plain))
        return tracks

    def _check_room(self, tracks: Mapping[Any, _Track]) -> None:
        missing = [
            track.make().bytes_per_image() * self._count(shard)
            for track in tracks.values()
            for shard in self.partition.shards()
            if not self._store.path(self._key(track, shard)).exists()
        ]
        if (needed := sum(missing)) > 0:
            self._store.check_room(needed)
        if needed > _MUCH:
            self._reporter.note(f"will store about {needed / 1e9:.1f} GB in {self._store.folder}")

    def _count(self, shard: range) -> int:
        return self.partition.bounds[shard.stop] - self.partition.bounds[shard.start]

    def _place(self, shard: range) -> dict[str, Any]:
        """Which images a shard holds, in which view and which batches, whatever is made of them."""
        partition, batching = self.partition, asdict(self._sharing.batching)
        return {
            "dataset": [self._job.dataset_spec.name, self._job.fingerprint],
            "view": [self.view.name, self.model.spec.image_size, self.model.spec.patch],
            "batching": batching if partition.order is None else {**batching, "n": partition.n},
            "images": [partition.bounds[shard.start], partition.bounds[shard.stop]],
        }

    def _content(self, track: _Track, shard: range) -> dict[str, Any]:
        """Everything that a shard's state depends on."""
        spec, plan = self.model.spec, self._job.plan
        return {
            **track.what,
            **self._place(shard),
            "model": spec.name,
            "weights": self.model.tensors,  # not of the file: how it is converted matters too
            "normalise": [spec.mean, spec.std],
            "blocks": self.model.info.blocks,
            "dtype": plan.dtype,
            "device": torch.device(plan.device).type,
        }

    def _key(self, track: _Track, shard: range) -> str:
        return self._store.key(self._content(track, shard))

    def _shard(self, tracks: Mapping[Any, _Track], shard: range) -> dict[Any, _Part]:
        """One part for each recording. What was not stored is stored now, before anything else is done."""
        parts = {key: part for key, track in tracks.items() if (part := self._stored(track, shard)) is not None}
        todo = {key: track for key, track in tracks.items() if key not in parts}
        if not todo:
            self._reporter.advance(self._count(shard))
            return parts
        recordings, images = self._compute(todo, shard)
        skipped = list(self._loader.skipped)
        notes = {"images": [astuple(each) for each in images], "skipped": [astuple(each) for each in skipped]}
        for key, recording in recordings.items():
            self._store.put(self._content(tracks[key], shard), recording.state(), notes)
            again = self._stored(tracks[key], shard)  # on the disk and no longer in memory
            parts[key] = _Part(again.recording if again else recording, images, skipped, stored=False)
        return parts

    def _stored(self, track: _Track, shard: range) -> _Part | None:
        unit = self._store.get(self._key(track, shard))
        if unit is None:
            return None
        recording = track.make()
        recording.load(unit.tensors)
        images = [Named(*each) for each in unit.notes["images"]]
        return _Part(recording, images, [Skipped(*each) for each in unit.notes["skipped"]], stored=True)

    def _compute(self, tracks: Mapping[Any, _Track], shard: range) -> tuple[dict[Any, Recording], list[Named]]:
        recordings = {key: track.make() for key, track in tracks.items()}
        wanted = {track.preparation for track in tracks.values() if track.preparation}
        before = {preparation: self._prepared(preparation, shard) for preparation in wanted}
        made: dict[Preparation, dict[str, Tensor]] = {p: {} for p, there in before.items() if there is None}
        images: list[Named] = []
        for batch, number in zip(self._loader.batches(self.partition, shard, before), shard, strict=True):
            if batch is not None:
                self._forward(batch, list(recordings.values()))
                seen = zip(batch.index, batch.samples, strict=True)
                images += [Named(index, each.id, each.label, each.role, each.group) for index, each in seen]
                for preparation, tensors in made.items():
                    for index, parts in zip(batch.index, batch.prepared[preparation], strict=True):
                        tensors.update({f"{index}.{name}": tensor for name, tensor in parts.items()})
            self._reporter.advance(len(self.partition.indices(number)))
        for preparation, tensors in made.items():
            self._store.put(self._preparing(preparation, shard), tensors, {})
        for recording in recordings.values():
            recording.finish()
        return recordings, images

    def _preparing(self, preparation: Preparation, shard: range) -> dict[str, Any]:
        """What a shard's preparation depends on: no model, but its patch grid."""
        what = [preparation.name, preparation.version, type(preparation).__module__]
        return {
            **self._place(shard),
            "preparation": what,
            "fields": asdict(preparation),  # type: ignore[call-overload]  # every preparation is a dataclass
            "grid": self.model.info.layout.grid,
        }

    def _prepared(self, preparation: Preparation, shard: range) -> Prepared | None:
        unit = self._store.get(self._store.key(self._preparing(preparation, shard)))
        if unit is None:
            return None
        found: dict[int, dict[str, Tensor]] = {}
        for name, tensor in unit.tensors.items():
            index, _, part = name.partition(".")
            found.setdefault(int(index), {})[part] = tensor
        return found

    def _forward(self, batch: Batch, recordings: Sequence[Recording]) -> None:
        taps = frozenset().union(*(recording.taps for recording in recordings))
        wanted = dict.fromkeys(self.model.info.blocks, taps)
        if not self._checked:
            self.model.check_recording(wanted, batch.pixels[:1])
            self._checked = True

        def on_block(block: int, caught: Mapping[str, Tensor]) -> None:
            for recording in recordings:
                recording.update_block(block, {name: caught[name] for name in recording.taps}, batch)

        with self.model.record(wanted, on_block):
            self.model.forward(batch.pixels)


def _partition(job: Job, sharing: Sharing) -> Partition:
    batching = sharing.batching
    assert batching.size is not None, "arrange has settled it"
    if not batching.grouped:
        return cut(job.n, batching.size, seed=batching.seed)
    groups = job.dataset.groups()
    if len(groups) != len(job.dataset):
        names = ", ".join(analysis.spec.name for analysis in sharing.analyses)
        raise MismatchError(f"{names} goes group by group, and dataset {job.dataset_spec.name} has no groups")
    return cut_by_group(groups[: job.n], batching.size)
