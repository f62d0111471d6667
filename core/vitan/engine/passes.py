"""A pass: one model over one dataset in one view and one order, feeding everything that was asked for."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from itertools import zip_longest
from typing import Any

from ..analysis.probe import Recording
from ..data.preparation import Preparation
from ..data.views import make_view
from ..errors import MismatchError, StoreError, VitanError
from ..models.model import Model
from . import keys
from .claims import claiming
from .job import Job
from .making import Maker
from .progress import Reporter
from .schedule import Sharing, partition_of
from .store import Store
from .track import Track, own_name, shared_name

#: From this many bytes on, the size of what a pass will store is announced.
_MUCH = 1_000_000_000
#: Seconds between two looks at whether others have made what they are at.
_PAUSE = 0.5


@dataclass(frozen=True)
class Work:
    """The units of one shard that have to be made, by the track that makes each: their names in the store."""

    shard: int
    units: Mapping[str, str]


@dataclass(frozen=True)
class Made:
    """What came of the work on a shard: nothing but the tracks that failed; the units are in the store."""

    shard: int
    failed: Mapping[str, VitanError]


class Pass:
    """One model over one dataset in one view and order, feeding several recordings."""

    def __init__(self, job: Job, model: Model, sharing: Sharing, store: Store, reporter: Reporter) -> None:
        self.model, self._job, self._sharing, self._store, self._reporter = model, job, sharing, store, reporter
        self.view = make_view(sharing.view, model.spec.image_size, model.spec.patch)
        self.partition = partition_of(job, sharing)
        self._shards = self.partition.shards()
        self._places = [keys.of_place(job, sharing, self.partition, self.view, model, s) for s in self._shards]
        self._maker = Maker(job, model, self.view, self.partition, self._places, store, reporter)
        self.tracks = self._tracks()
        self._made: set[str] = set()

    def run(self) -> dict[str, Track]:
        """Have every unit made, then merge them shard by shard. Tracks by their names.

        Raises what ``complete`` raises.
        """
        shards = range(len(self._shards))
        with self._telling(self._job.n):
            self._complete(shards)
            for number in shards:
                self._merge(number)
        return self.tracks

    def complete(self, shards: Collection[int]) -> None:
        """See to it that the store has every unit of these shards, but for those of tracks that fail.

        Makes what it lacks, and waits for what others are making. Raises ``StoreError`` before anything is computed if
        what has to be stored does not fit the disk, and what ``make`` raises.
        """
        with self._telling(sum(map(self._count, shards))):
            self._complete(shards)

    def attempt(self, shards: Collection[int]) -> list[Work]:
        """Make, of these shards, what nobody else is making; returns what is left: what others are at.

        Raises what ``make`` raises.
        """
        try:
            self._sweep(self.units(shards))
        finally:
            self._maker.close()
        return self.units(shards)

    @contextmanager
    def _telling(self, images: int) -> Iterator[None]:
        self.check_room()
        names = ", ".join(analysis.spec.name for analysis in self._sharing.analyses)
        self._reporter.begin(f"{self.model.info.name} · {self._job.dataset_name} · {names}", images)
        try:
            yield
        finally:
            self._maker.close()
            self._reporter.end()

    def _complete(self, shards: Collection[int]) -> None:
        left, ours = {*shards}, set[int]()
        while True:
            lacking = self.units(left)
            for number in sorted(left - ours - {work.shard for work in lacking}):
                self._reporter.advance(self._count(number), reused=True)
            if not lacking:
                return
            left, made = {work.shard for work in lacking}, self._sweep(lacking)
            ours |= made
            if not made:
                time.sleep(_PAUSE)

    def _sweep(self, lacking: Sequence[Work]) -> set[int]:
        """Make what nobody else is making, going over it once; returns the shards of which there was some."""
        following = [work.shard for work in lacking[1:]]
        return {work.shard for work, then in zip_longest(lacking, following) if self._share(work, then)}

    def _share(self, work: Work, then: int | None) -> bool:
        """Make those units of a shard that nobody else is making; returns whether there were some."""
        with claiming(self._store, work.units.values()) as mine:
            units = {name: key for name, key in work.units.items() if key in mine}
            if units:
                self.make(Work(work.shard, units), then)
        return bool(units)

    def units(self, shards: Iterable[int] | None = None) -> list[Work]:
        """What the store lacks of these shards, or of all: pure work, to be done in any order, with ``make``."""
        running = [track for track in self.tracks.values() if track.error is None]
        shards = range(len(self._shards)) if shards is None else sorted(shards)
        units = [{t.name: key for t in running if not self._store.has(key := t.keys[number])} for number in shards]
        return [Work(number, lacking) for number, lacking in zip(shards, units, strict=True) if lacking]

    def make(self, work: Work, then: int | None = None) -> Made:
        """Make and store what is still lacking of a shard; returns which tracks failed, and why.

        ``then`` is the shard that will follow, images of which may be read already.

        Raises ``MismatchError`` where these units would be others here, ``ImageError`` for a picture that cannot be
        read, and ``StoreError`` where the disk refuses.
        """
        tracks = [self.tracks[name] for name in work.units]
        for track in tracks:
            if track.keys[work.shard] != work.units[track.name]:
                raise MismatchError(
                    f"{track.owner}: shard {work.shard} of {self.model.info.name} is not the same here as where it was "
                    "asked for; weights, data, options, versions and the number of threads have to agree"
                )
        lacking = [t for t in tracks if t.error is None and not self._store.has(t.keys[work.shard])]
        if lacking:
            self._maker.make(lacking, work.shard, then)
            self._made |= {track.keys[work.shard] for track in lacking}
        return Made(work.shard, {track.name: track.error for track in tracks if track.error is not None})

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

    def check_room(self) -> None:
        """Raise ``StoreError`` if what has to be stored does not fit the disk."""
        needed = 0
        for track in self.tracks.values():
            size = 0
            with track.answering("bytes_per_image"):
                size = track.make().bytes_per_image()
            if size:
                missing = [n for n, key in enumerate(track.keys) if not self._store.has(key)]
                needed += size * sum(map(self._count, missing))
        if needed > 0:
            self._store.check_room(needed)
        if needed > _MUCH:
            self._reporter.note(f"will store about {needed / 1e9:.1f} GB in {self._store.folder}")

    def _count(self, number: int) -> int:
        shard = self._shards[number]
        return self.partition.bounds[shard.stop] - self.partition.bounds[shard.start]

    def _merge(self, number: int) -> None:
        """Every track takes its unit of one shard; one that has been damaged since it was made is made anew."""
        for track in self.tracks.values():
            key = track.keys[number]
            if track.error is None and (unit := self._store.get(key)) is None:
                self.make(Work(number, {track.name: key}))
                unit = self._store.get(key)
            if track.error is None:
                if unit is None:
                    raise StoreError(f"{self._store.path(key)} was written, and cannot be read back; is the disk full?")
                track.take(unit, stored=key not in self._made)
