"""Making the units of one shard: read, run the model, record, store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import astuple
from typing import Any

from torch import Tensor

from ..analysis.probe import Recording
from ..data.batch import Batch
from ..data.preparation import Preparation
from ..data.views import View
from ..errors import VitanError
from ..models.model import Model
from . import keys
from .isolation import blaming
from .job import Job
from .loader import Loader, Prepared, Skipped, Wanted
from .progress import Reporter
from .provenance import circumstances
from .schedule import Partition
from .store import Store
from .track import Named, Track
from .untouched import untouched


class Maker:
    """Makes and stores what tracks record of the shards of one pass.

    ``places`` say of each shard which images it holds, in which view and batches.
    """

    def __init__(
        self, job: Job, model: Model, view: View, partition: Partition, places: Sequence[Mapping[str, Any]],
        store: Store, reporter: Reporter,
    ) -> None:  # fmt: skip
        self._model, self._partition, self._shards, self._places = model, partition, partition.shards(), places
        self._store, self._reporter = store, reporter
        spec, grid = model.spec, model.info.layout.grid
        skip, workers = job.plan.on_error == "skip", job.workers
        self._loader = Loader(job.dataset, view, spec.mean, spec.std, grid, skip=skip, workers=workers)
        self._circumstances = circumstances(job.plan.device)
        self._checked = False

    def make(self, tracks: Sequence[Track], number: int, then: int | None = None) -> None:
        """Store what each track records of one shard. One that raises something sees nothing more and has no unit.

        Towards its end images of the shard ``then`` are read already, for the next call.
        """
        recordings = self._recordings(tracks)
        wanted = self._wanted(tracks, number)
        following = None if then is None else self._wanted(tracks, then)
        before = wanted.prepared
        fresh: dict[Preparation, dict[str, Tensor]] = {p: {} for p, known in before.items() if known is None}
        images: list[Named] = []
        skipped: list[Skipped] = []
        shard = self._shards[number]
        for index, loaded in zip(shard, self._loader.batches(self._partition, wanted, following), strict=True):
            for preparation, error in loaded.failed.items():
                fresh.pop(preparation, None)
                _end(tracks, preparation, error)
            skipped += loaded.skipped
            if loaded.batch is not None and not all(track.error for track in tracks):
                self._forward(loaded.batch, tracks, recordings)
            if all(track.error for track in tracks):
                return
            if loaded.batch is not None:
                images += _named(loaded.batch)
                _collect(loaded.batch, fresh)
            self._reporter.advance(len(self._partition.indices(index)))
        for preparation, tensors in fresh.items():
            self._store.put(self._preparing(preparation, number), tensors, {"made_by": self._circumstances})
        named, left_out = ([astuple(each) for each in part] for part in (images, skipped))
        notes = {"images": named, "skipped": left_out, "made_by": self._circumstances}
        self._put(tracks, recordings, number, notes)

    def close(self) -> None:
        """Read no more."""
        self._loader.close()

    def _wanted(self, tracks: Sequence[Track], number: int) -> Wanted:
        kinds = {track.preparation for track in tracks if track.preparation}
        return Wanted(self._shards[number], {kind: self._prepared(kind, number) for kind in kinds})

    def _recordings(self, tracks: Sequence[Track]) -> dict[str, Recording]:
        recordings: dict[str, Recording] = {}
        for track in tracks:
            with track.answering("__init__"):
                recordings[track.name] = track.make()
        return recordings

    def _put(
        self, tracks: Sequence[Track], recordings: Mapping[str, Recording], number: int, notes: Mapping[str, Any]
    ) -> None:
        """Store what the tracks that go on have seen of a shard; it is then on the disk and no longer in memory."""
        for track in tracks:
            if track.error is not None:
                continue
            state: Mapping[str, Tensor] = {}
            with track.answering("finish"):
                recordings[track.name].finish()
                state = recordings[track.name].state()
            if track.error is None:
                self._store.put(track.contents[number], state, notes)

    def _preparing(self, preparation: Preparation, number: int) -> dict[str, Any]:
        return keys.of_preparation(preparation, self._places[number], self._model.info.layout.grid)

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
        wanted = dict.fromkeys(self._model.info.blocks, taps)
        first, self._checked = not self._checked, True

        def on_block(block: int, caught: Mapping[str, Tensor]) -> None:
            for track, recording in running:
                if track.error is None:
                    handed = {name: caught[name] for name in recording.taps}
                    watch = untouched(track.owner, block, handed, batch) if first else nullcontext()
                    with track.answering("update_block"), watch:
                        recording.update_block(block, handed, batch)

        with blaming(f"model {self._model.info.name}", "its forward pass"):
            if first:
                self._model.check_recording(wanted, batch.pixels[:1], images=batch.names[:1])
            with self._model.record(wanted, on_block, images=batch.names):
                self._model.forward(batch.pixels)


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
