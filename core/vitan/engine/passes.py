"""A pass: one model over one dataset in one view and one order, feeding everything that was asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, astuple, dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ..analysis.probe import Recording
from ..data.batch import Batch
from ..data.preparation import Preparation
from ..data.views import make_view
from ..errors import MismatchError
from ..models.model import Model
from .gathered import Found, Gathered, Named, Part, Seen
from .job import Analysis, Job
from .loader import Loader, Prepared, Skipped
from .partition import Partition, cut, cut_by_group
from .progress import Reporter
from .sharing import Sharing
from .store import Store

#: From this many bytes on, the size of what a pass will store is announced.
_MUCH = 1_000_000_000


@dataclass(frozen=True)
class _Track:
    """One recording of a pass: a probe, or what probes share. ``what`` names it in the keys of its stored state."""

    what: Mapping[str, Any]
    make: Callable[[], Recording]
    preparation: Preparation | None


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
        found: dict[Any, Found] = {}
        names = ", ".join(analysis.spec.name for analysis in self._sharing.analyses)
        self._reporter.begin(f"{self.model.info.name} · {self._job.dataset_name} · {names}", self._job.n)
        try:
            for shard in self.partition.shards():
                for key, part in self._shard(tracks, shard).items():
                    if key in found:
                        found[key].recording.merge(part.recording)
                    else:
                        found[key] = Found(part.recording)
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
                what = {"recording": [shared.name, shared.version], "options": plain.seen()}
                tracks[shared] = _Track(what, partial(shared, plain, info), shared.preparation(plain))
        return tracks

    def _check_room(self, tracks: Mapping[Any, _Track]) -> None:
        shards, needed = self.partition.shards(), 0
        for track in tracks.values():
            if each := track.make().bytes_per_image():
                missing = [shard for shard in shards if not self._store.path(self._key(track, shard)).exists()]
                needed += each * sum(map(self._count, missing))
        if needed > 0:
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

    def _shard(self, tracks: Mapping[Any, _Track], shard: range) -> dict[Any, Part]:
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
            parts[key] = Part(again.recording if again else recording, images, skipped, stored=False)
        return parts

    def _stored(self, track: _Track, shard: range) -> Part | None:
        unit = self._store.get(self._key(track, shard))
        if unit is None:
            return None
        recording = track.make()
        recording.load(unit.tensors)
        images = [Named(*each) for each in unit.notes["images"]]
        return Part(recording, images, [Skipped(*each) for each in unit.notes["skipped"]], stored=True)

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
        what = [preparation.name, preparation.version]
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
