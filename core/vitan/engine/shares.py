"""A part of a job's units, made apart: for arrays of jobs on a cluster, each of which makes its share."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import groupby

from ..errors import OptionError, VitanError
from .isolation import forget
from .job import Job
from .numerics import computing
from .passes import Pass
from .progress import Reporter
from .runner import loaded, minding_memory
from .schedule import arrange, partition_of
from .store import Store


@dataclass(frozen=True)
class Share:
    """The ``number``-th of ``of`` equal parts of a job, from 1."""

    number: int
    of: int

    @classmethod
    def read(cls, text: str) -> Share:
        """The share that ``2/8`` means; raises ``OptionError`` for what means none."""
        match = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", text)
        if match is None or not 1 <= int(match[1]) <= int(match[2]):
            raise OptionError(f"--shard {text}: not a part of a whole, which are called 1/8, 2/8 and so on to 8/8")
        return cls(int(match[1]), int(match[2]))

    def part(self, count: int) -> range:
        """Which of so many things in a row are in it."""
        return range(count * (self.number - 1) // self.of, count * self.number // self.of)


@dataclass(frozen=True)
class Shared:
    """What came of a share: of how many shards the store has the units now, of how many in all, and what failed.

    ``failed`` says of what each error is.
    """

    shards: int
    of: int
    failed: dict[str, VitanError]


def make_share(job: Job, share: Share, store: Store, reporter: Reporter) -> Shared:
    """Make what the store lacks of one share of a job's units; nothing is merged.

    Which shards are in a share depends on nothing but the plan and the data: they follow one another model by model, so
    that each share needs few models. A model or an analysis that fails takes no other with it.
    """
    sharings = arrange(job.analyses, job.plan.batch_size)
    counts = [len(partition_of(job, sharing).shards()) for sharing in sharings]
    every = [(m, s, shard) for m in range(len(job.models)) for s, n in enumerate(counts) for shard in range(n)]
    mine = [every[i] for i in share.part(len(every))]
    failed: dict[str, VitanError] = {}
    for index, places in groupby(mine, key=lambda place: place[0]):
        try:
            with minding_memory(job), computing(job.plan.precision):
                model = loaded(job, index, reporter)
                for s, shards in groupby(places, key=lambda place: place[1]):
                    one = Pass(job, model, sharings[s], store, reporter)
                    one.complete([shard for _, _, shard in shards])
                    errors = {track.name: track.error for track in one.tracks.values() if track.error is not None}
                    failed |= {f"{name} of {model.info.name}": error for name, error in errors.items()}
        except VitanError as error:
            failed[job.models[index][0].name] = forget(error)
    return Shared(len(mine), len(every), failed)
