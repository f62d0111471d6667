"""A pass: one model over one dataset in one view and one order, feeding everything that was asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, astuple
from functools import partial
from typing import Any

from torch import Tensor

from ..analysis.probe import Recording
from ..data.batch import Batch
from ..data.preparation import Preparation
from ..data.views import make_view
from ..errors import VitanError
from ..models.model import Model
from . import keys
from .isolation import blaming
from .job import Job
from .loader import Loader, Prepared, Skipped
from .progress import Reporter
from .provenance import circumstances
from .schedule import Sharing, partition_of
from .store import Store, Unit
from .track import Named, Track, own_name, shared_name
from .untouched import untouched

#: From this many bytes on, the size of what a pass will store is announced.
_MUCH = 1_000_000_000


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
                if running := [track for track in tracks.values() if track.error is None]:
                    self._shard(running, number)
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
            size = 0
            with track.answering("bytes_per_image"):
                size = track.make().bytes_per_image()
            if size:
                missing = [n for n, key in enumerate(track.keys) if not self._store.path(key).exists()]
                needed += size * sum(map(self._count, missing))
        if needed > 0:
            self._store.check_room(needed)
        if needed > _MUCH:
            self._reporter.note(f"will store about {needed / 1e9:.1f} GB in {self._store.folder}")

    def _count(self, number: int) -> int:
        shard = self._shards[number]
        return self.partition.bounds[shard.stop] - self.partition.bounds[shard.start]

    def _shard(self, tracks: Sequence[Track], number: int) -> None:
        """Every track takes its unit of one shard; what was not stored is stored before anything else is done."""
        stored = {track.name: unit for track in tracks if (unit := self._store.get(track.keys[number])) is not None}
        missing = [track for track in tracks if track.name not in stored]
        computed = self._compute(missing, number) if missing else {}
        if not missing:
            self._reporter.advance(self._count(number), reused=True)
        for track in tracks:
            if unit := stored.get(track.name) or computed.get(track.name):
                track.take(unit, stored=track.name in stored)

    def _compute(self, tracks: Sequence[Track], number: int) -> dict[str, Unit]:
        """What each track records of one shard, stored. One that raises something sees nothing more and has no unit."""
        recordings = self._recordings(tracks)
        before = {wanted: self._prepared(wanted, number) for track in tracks if (wanted := track.preparation)}
        fresh: dict[Preparation, dict[str, Tensor]] = {p: {} for p, known in before.items() if known is None}
        images: list[Named] = []
        skipped: list[Skipped] = []
        shard = self._shards[number]
        for index, loaded in zip(shard, self._loader.batches(self.partition, shard, before), strict=True):
            for preparation, error in loaded.failed.items():
                fresh.pop(preparation, None)
                _end(tracks, preparation, error)
            if all(track.error for track in tracks):
                return {}
            skipped += loaded.skipped
            if loaded.batch is not None:
                self._forward(loaded.batch, tracks, recordings)
                images += _named(loaded.batch)
                _collect(loaded.batch, fresh)
            self._reporter.advance(len(self.partition.indices(index)))
        for preparation, tensors in fresh.items():
            self._store.put(self._preparing(preparation, number), tensors, {"made_by": self._circumstances})
        named, left_out = ([astuple(each) for each in part] for part in (images, skipped))
        notes = {"images": named, "skipped": left_out, "made_by": self._circumstances}
        return self._put(tracks, recordings, number, notes)

    def _recordings(self, tracks: Sequence[Track]) -> dict[str, Recording]:
        recordings: dict[str, Recording] = {}
        for track in tracks:
            with track.answering("__init__"):
                recordings[track.name] = track.make()
        return recordings

    def _put(
        self, tracks: Sequence[Track], recordings: Mapping[str, Recording], number: int, notes: Mapping[str, Any]
    ) -> dict[str, Unit]:
        """Store what the tracks that go on have seen of a shard; it is then on the disk and no longer in memory."""
        units: dict[str, Unit] = {}
        for track in tracks:
            if track.error is not None:
                continue
            state: Mapping[str, Tensor] = {}
            with track.answering("finish"):
                recordings[track.name].finish()
                state = recordings[track.name].state()
            if track.error is None:
                self._store.put(track.contents[number], state, notes)
                unit = self._store.get(track.keys[number])
                units[track.name] = unit or Unit(state, track.contents[number], notes)
        return units

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

    def _forward(self, batch: Batch, tracks: Sequence[Track], recordings: Mapping[str, Recording]) -> None:
        running = [(track, recordings[track.name]) for track in tracks if track.error is None]
        taps = frozenset().union(*(recording.taps for _, recording in running))
        wanted = dict.fromkeys(self.model.info.blocks, taps)
        first, self._checked = not self._checked, True

        def on_block(block: int, caught: Mapping[str, Tensor]) -> None:
            for track, recording in running:
                if track.error is None:
                    handed = {name: caught[name] for name in recording.taps}
                    watch = untouched(track.owner, block, handed, batch) if first else nullcontext()
                    with track.answering("update_block"), watch:
                        recording.update_block(block, handed, batch)

        with blaming(f"model {self.model.info.name}", "its forward pass"):
            if first:
                self.model.check_recording(wanted, batch.pixels[:1], images=batch.names[:1])
            with self.model.record(wanted, on_block, images=batch.names):
                self.model.forward(batch.pixels)


def _named(batch: Batch) -> list[Named]:
    pairs = zip(batch.index, batch.samples, strict=True)
    return [Named(index, sample.id, sample.label, sample.role, sample.group) for index, sample in pairs]


def _collect(batch: Batch, fresh: Mapping[Preparation, dict[str, Tensor]]) -> None:
    """Keep what was prepared just now, to be stored at the end of the shard."""
    for preparation, tensors in fresh.items():
        for index, parts in zip(batch.index, batch.prepared[preparation], strict=True):
            tensors.update({f"{index}.{name}": tensor for name, tensor in parts.items()})


def _end(tracks: Sequence[Track], preparation: Preparation, error: VitanError) -> None:
    """End the tracks that need a preparation which has failed."""
    for track in tracks:
        if track.preparation == preparation:
            track.error = track.error or error
