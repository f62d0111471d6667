"""The worker's side of units that are made elsewhere: a task, and what a process keeps between two of them."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock
from typing import Any

import torch

from ..errors import VitanError
from ..models.model import Model
from ..registry.executors import Word
from ..registry.plugins import plugins_from
from .isolation import blaming, forget
from .job import Job, prepare, resolve
from .numerics import computing
from .passes import Pass
from .plan import Plan
from .progress import Silent
from .runner import loaded, minding_memory
from .schedule import arrange
from .store import Store


@dataclass(frozen=True)
class Order:
    """A job as it is sent: all that another process has to know to make it anew.

    ``run`` is another one each time, so that a worker that outlives a run keeps nothing of it for the next. ``plan`` is
    the plan's canonical text, ``files`` the plugin files beside what is installed. ``folder`` is where relative paths
    start, ``environment`` vitan's variables, among them the cache. ``threads`` is how many a worker computes with, on
    which the last bits of a CPU's products depend, and ``workers`` how many read pictures.
    """

    run: str
    plan: str
    files: tuple[str, ...]
    folder: str
    environment: tuple[tuple[str, str], ...]
    cache: str
    threads: int
    workers: int

    def job(self, worker: int) -> Job:
        """The job; where there are several GPUs, on the one that the worker has by its number."""
        plugins = plugins_from([Path(file) for file in self.files])
        plan = Plan.model_validate_json(self.plan)
        count = torch.cuda.device_count() if plan.device == "cuda" else 0
        if count > 1:
            plan = plan.model_copy(update={"device": f"cuda:{worker % count}"})
        return prepare(resolve(plan, plugins), plugins, self.workers)

    @contextmanager
    def surroundings(self) -> Iterator[None]:
        """Inside, the folder, the variables and the number of threads are those of whoever gave the order."""
        folder, before = Path.cwd(), {name: os.environ.get(name) for name, _ in self.environment}
        torch.set_num_threads(self.threads)
        try:
            os.chdir(self.folder)
            os.environ.update(self.environment)
            yield
        finally:
            os.chdir(folder)
            for name, value in before.items():
                os.environ.pop(name, None) if value is None else os.environ.update({name: value})


@dataclass(frozen=True)
class ShardsTask:
    """The units of some shards of one pass: small enough to be sent. ``model`` and ``sharing`` count within the job."""

    order: Order
    model: int
    sharing: int
    shards: tuple[int, ...]

    def __call__(self, worker: int = 0) -> Word:
        """Make those that nobody else is at, on the GPU of that number if there are several."""
        owner = f"the worker on {socket.gethostname()}"
        try:
            with _ALONE, blaming(owner, f"making shards {self.shards}"), self.order.surroundings():
                return self._make(worker)
        except Exception as error:  # too little memory, where no job has been made yet that could name a way out
            known = error if isinstance(error, VitanError) else VitanError(f"{owner}: {error}")
            return Word(error=forget(known))

    def apart(self) -> list[ShardsTask]:
        """The same work as tasks of one shard each."""
        return [replace(self, shards=(shard,)) for shard in self.shards]

    def _make(self, worker: int) -> Word:
        job = _KEPT.job(self, worker)
        with minding_memory(job), computing(job.plan.precision):
            one = _KEPT.pass_of(self, worker)
            busy = bool(one.attempt(self.shards))
        tracks = one.tracks.values()
        units = [track.keys[shard] for track in tracks if track.error is None for shard in self.shards]
        error = next((track.error for track in tracks if track.error is not None), None)
        return Word(() if busy else tuple(units), busy, error)


#: What a worker keeps, and what cannot stay without it: a model has to go before there is room for another.
_LEANING = {"job": ("pass", "model", "job"), "model": ("pass", "model"), "pass": ("pass",)}


class _Desk:
    """What a worker keeps from task to task: one job, one model of it, and one pass of that."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[object, Any]] = {}

    def job(self, task: ShardsTask, worker: int) -> Job:
        """The job of a task."""
        job: Job = self._keep("job", (task.order, worker), lambda: task.order.job(worker))
        return job

    def pass_of(self, task: ShardsTask, worker: int) -> Pass:
        """The pass of a task."""
        job, of = self.job(task, worker), (task.order, worker, task.model)
        model: Model = self._keep("model", of, lambda: loaded(job, task.model, Silent()))

        def make() -> Pass:
            sharing = arrange(job.analyses, job.plan.batch_size)[task.sharing]
            one = Pass(job, model, sharing, Store(Path(task.order.cache)), Silent())
            one.check_room()
            return one

        one: Pass = self._keep("pass", (*of, task.sharing), make)
        return one

    def _keep(self, name: str, of: object, make: Callable[[], Any]) -> Any:
        """What is kept under a name, if it is of just that; else it goes, with what leans on it, and is made."""
        if name not in self._kept or self._kept[name][0] != of:
            for gone in _LEANING[name]:
                self._kept.pop(gone, None)
            self._kept[name] = of, make()
        return self._kept[name][1]


#: A process does one task at a time, whatever its executor allows: threads and variables are the whole process's.
_ALONE, _KEPT = Lock(), _Desk()
