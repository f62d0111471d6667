"""Units made elsewhere: a job's shards as tasks that any worker can do, and what becomes of those that workers lose.

A worker rebuilds the job from its plan, makes the units of some shards, and stores them itself; nothing but word of it
comes back. What fails there fails again, and is told, where the units are merged.
"""

from __future__ import annotations

import os
import time
import uuid
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path

import torch

from ..errors import LostError, MismatchError, StoreError, VitanError, text_of
from ..registry.executors import Executor, Word
from ..registry.plugins import Plugins
from .job import Job
from .progress import Reporter
from .schedule import arrange, partition_of
from .store import Store
from .worker import Order, ShardsTask

#: How many workers may end while they do a task, before it is given up.
ATTEMPTS = 3
#: At most so many shards in a row are one task, and only of passes that have many times as many.
_ROW, _ROWS = 8, 64
#: Seconds after which a machine has to see what another one has stored; network disks look again after a minute.
_SEEN = 90.0
#: Seconds between two looks at what is not there yet.
_PAUSE = 0.5


def order_of(job: Job, plugins: Plugins, cache: Path) -> Order:
    """The job as it is sent; raises ``MismatchError`` for what no other process can make anew."""
    names = {job.dataset_spec.name, *(spec.name for _, spec in job.models)}
    if scripted := sorted(names & plugins.scripted):
        raise MismatchError(
            f"{', '.join(scripted)}: workers cannot make anew what a script has; put it into a file of its own, and "
            "name that as a plugin (-p FILE, or plugins=[FILE])"
        )
    kept = {name: value for name, value in os.environ.items() if name.startswith("VITAN_")}
    return Order(
        run=uuid.uuid4().hex,
        plan=job.plan.canonical(),
        files=tuple(map(str, plugins.files())),
        folder=str(Path.cwd()),
        environment=tuple(sorted({**kept, "VITAN_CACHE": str(cache.parent.absolute())}.items())),
        cache=str(cache.absolute()),
        threads=torch.get_num_threads(),
        workers=job.workers,
    )


def tasks_of(job: Job, order: Order) -> list[ShardsTask]:
    """Tasks for the shards of each pass of each model, model by model."""
    counts = [len(partition_of(job, one).shards()) for one in arrange(job.analyses, job.plan.batch_size)]
    return [
        ShardsTask(order, model, sharing, shards)
        for model in range(len(job.models))
        for sharing, count in enumerate(counts)
        for shards in _rows(count)
    ]


def _rows(count: int) -> Iterator[tuple[int, ...]]:
    """Rows of shards, so that a worker reads on across their ends, but many more of them than there are workers."""
    length = max(1, min(_ROW, count // _ROWS))
    return (tuple(range(start, min(start + length, count))) for start in range(0, count, length))


def spread(job: Job, plugins: Plugins, executor: Executor, cache: Path, reporter: Reporter) -> dict[str, VitanError]:
    """Have all units made by an executor; returns what was given up, by the model that it is of.

    What a worker loses is done again by another, ``ATTEMPTS`` times in all; what others are at is asked for again.
    Raises ``StoreError`` where units do not appear that a worker has stored.
    """
    desk = _Desk(job, Store(cache))
    left = tasks_of(job, order_of(job, plugins, cache))
    reporter.begin(f"units, on {type(executor).__name__}", sum(len(task.shards) for task in left))
    try:
        while left:
            again: list[ShardsTask] = []
            for task, ended in executor.run(left):
                assert isinstance(task, ShardsTask), "executors give back what they were given"
                more = desk.take(task, ended)
                reporter.advance(len(task.shards) - sum(len(each.shards) for each in more))
                again += more
            if len(again) == len(left):
                time.sleep(_PAUSE)
            left = again
    finally:
        reporter.end()
    if desk.refused:
        reporter.note(
            f"warning: workers could not make {len(desk.refused)} parts of the work; what they would have made is made "
            f"here, if it can be. The first: {next(iter(desk.refused.values()))}"
        )
    return desk.given_up


class _Desk:
    """Takes word of tasks, and knows what to do about it."""

    def __init__(self, job: Job, store: Store) -> None:
        self._job, self._store = job, store
        self._lost: Counter[ShardsTask] = Counter()
        self.refused: dict[ShardsTask, VitanError] = {}
        self.given_up: dict[str, VitanError] = {}

    def take(self, task: ShardsTask, ended: Word | Exception) -> list[ShardsTask]:
        """What has to be done again, after a task has ended so; shards of a row apart, so that one takes none along."""
        if isinstance(ended, Exception):
            if len(task.shards) > 1:
                return task.apart()
            self._lost[task] += 1
            if self._lost[task] < ATTEMPTS:
                return [task]
            name = self._job.models[task.model][0].name
            self.given_up.setdefault(name, self._loss(task, name, ended))
        elif ended.error is not None:
            self.refused[task] = ended.error
        elif ended.busy:
            return [task]
        else:
            self._see(ended.units)
        return []

    def _see(self, units: Collection[str]) -> None:
        """Wait until what a worker has stored is seen here."""
        until = time.monotonic() + _SEEN
        for unit in units:
            while not self._store.has(unit):
                if time.monotonic() > until:
                    raise StoreError(
                        f"a worker has stored {unit}, and it is not in {self._store.folder}; VITAN_CACHE has to be a "
                        "folder on a disk that all machines see"
                    )
                time.sleep(_PAUSE)

    def _loss(self, task: ShardsTask, name: str, why: Exception) -> LostError:
        return LostError(
            f"shard {task.shards[0]} of pass {task.sharing} of {name} ended every worker that was at it "
            f"({ATTEMPTS}); too little memory is the usual reason: use a smaller --batch-size, or fewer --jobs. The "
            f"last one left: {text_of(why)}"
        )
