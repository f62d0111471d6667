"""Units made elsewhere: a job's shards as tasks that any worker can do, and what becomes of those that workers lose.

A worker rebuilds the job from its plan, makes the units of a shard, and stores them itself; nothing but word of it
comes back. What fails there fails again, and is told, where the units are merged.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch

from ..errors import LostError, VitanError
from ..registry.executors import Executor
from ..registry.plugins import Plugins, plugins_from
from .job import Job, prepare, resolve
from .numerics import computing
from .passes import Pass
from .plan import Plan
from .progress import Reporter, Silent
from .runner import loaded, minding_memory
from .schedule import arrange, partition_of
from .store import Store

#: How many workers may end while they do a task, before it is given up.
ATTEMPTS = 3


@dataclass(frozen=True)
class ShardTask:
    """The units of one shard: all that a worker has to know to make them, small enough to be sent.

    ``plan`` is the plan's canonical text, ``files`` the plugin files beside what is installed, ``cache`` the folder of
    stored state, and ``threads`` how many a worker computes with, on which the last bits of a CPU's products depend.
    ``model``, ``sharing`` and ``shard`` count within the job.
    """

    plan: str
    files: tuple[str, ...]
    cache: str
    threads: int
    model: int
    sharing: int
    shard: int

    def __call__(self, worker: int = 0) -> None:
        """Make the units, on the GPU of that number if there are several. Raises whatever keeps it from that."""
        torch.set_num_threads(self.threads)
        job = _job(self.plan, self.files, worker)
        with minding_memory(job), computing(job.plan.precision):
            _pass(self.plan, self.files, self.cache, worker, self.model, self.sharing).complete([self.shard])


@lru_cache(1)
def _job(plan: str, files: tuple[str, ...], worker: int) -> Job:
    plugins = plugins_from([Path(file) for file in files])
    job = prepare(resolve(Plan.model_validate_json(plan), plugins), plugins)
    count = torch.cuda.device_count() if job.plan.device == "cuda" else 0
    if count > 1:
        part = job.plan.model_copy(update={"device": f"cuda:{worker % count}"})
        job = prepare(resolve(part, plugins), plugins)
    return job


@lru_cache(1)  # a worker does one model after the other, and has room for one
def _pass(plan: str, files: tuple[str, ...], cache: str, worker: int, model: int, sharing: int) -> Pass:
    job = _job(plan, files, worker)
    one = arrange(job.analyses, job.plan.batch_size)[sharing]
    return Pass(job, loaded(job, model, Silent()), one, Store(Path(cache)), Silent())


def tasks_of(job: Job, plugins: Plugins, cache: Path) -> list[ShardTask]:
    """A task for each shard of each pass of each model, model by model."""
    plan, files = job.plan.canonical(), tuple(map(str, plugins.files()))
    counts = [len(partition_of(job, one).shards()) for one in arrange(job.analyses, job.plan.batch_size)]
    return [
        ShardTask(plan, files, str(cache.absolute()), torch.get_num_threads(), model, sharing, shard)
        for model in range(len(job.models))
        for sharing, count in enumerate(counts)
        for shard in range(count)
    ]


def spread(job: Job, plugins: Plugins, executor: Executor, cache: Path, reporter: Reporter) -> dict[str, VitanError]:
    """Have all units made by an executor; returns what was given up, by the model that it is of.

    A task whose worker ends is done again by another, ``ATTEMPTS`` times in all.
    """
    left = tasks_of(job, plugins, cache)
    ended = dict.fromkeys(left, 0)
    reporter.begin(f"{len(left)} shards, on {type(executor).__name__}", len(left))
    try:
        while left:
            lost = []
            for task, lived in executor.run(left):
                assert isinstance(task, ShardTask), "executors give back what they were given"
                if lived:
                    reporter.advance(1)
                else:
                    ended[task] += 1
                    lost.append(task)
            left = [task for task in lost if ended[task] < ATTEMPTS]
    finally:
        reporter.end()
    return {
        _name(job, task): LostError(
            f"shard {task.shard} of pass {task.sharing} of {_name(job, task)} ended every worker that was at it "
            f"({times}); too little memory is the usual reason: use a smaller --batch-size, or fewer --jobs"
        )
        for task, times in ended.items()
        if times >= ATTEMPTS
    }


def _name(job: Job, task: ShardTask) -> str:
    return job.models[task.model][0].name
