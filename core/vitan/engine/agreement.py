"""Whether a device gives the numbers that the CPU gives: a small job of every analysis, on both."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ..analysis.records import Record, identity
from ..errors import VitanError
from ..registry.plugins import Plugins
from .isolation import forget
from .job import Job, prepare, resolve
from .plan import make_plan
from .progress import Silent
from .runner import run_model
from .store import Store

#: How far from the CPU's a number may be, of the largest of its metric, and how many of them have to be as near: a
#: neighbour or a cluster that two devices see otherwise changes a number by a whole step.
NEAR, SHARE = 1e-3, 0.98
_IMAGES = 56


@dataclass(frozen=True)
class Agreement:
    """How an analysis fares on a device: numbers compared, the share that is ``NEAR``, and the largest difference.

    ``speed`` is images in a second of the device's run, everything included. ``error`` is what kept it from numbers.
    """

    analysis: str
    dataset: str
    numbers: int
    share: float
    off: float
    speed: float
    error: VitanError | None = None

    @property
    def ok(self) -> bool:
        """Whether enough numbers agree."""
        return self.error is None and self.numbers > 0 and self.share >= SHARE


def agreements(device: str, plugins: Plugins, model: str, precision: str = "ieee") -> Iterator[Agreement]:
    """One for each analysis, on the first images of a dataset that has what it needs.

    An analysis that no dataset at hand has all for is left out.
    """
    for _, spec in plugins.probes:
        jobs = [_job(spec.name, model, plugins, device=each, precision=precision) for each in ("cpu", device)]
        if jobs[0] is None or jobs[1] is None:
            continue
        dataset, n = jobs[1].dataset_name, jobs[1].n
        try:
            expected, _ = _numbers(jobs[0])
            got, seconds = _numbers(jobs[1])
        except VitanError as error:
            yield Agreement(spec.name, dataset, 0, 0.0, math.nan, 0.0, forget(error))
            continue
        offs = list(_differences(expected, got))
        share = sum(off <= NEAR for off in offs) / max(len(offs), 1)
        yield Agreement(spec.name, dataset, len(offs), share, max(offs, default=math.nan), n / seconds)


def _job(analysis: str, model: str, plugins: Plugins, **how: Any) -> Job | None:
    """On the first dataset that has what the analysis needs: the model's own, one that needs no files, any other."""
    specs = sorted((spec for _, spec in plugins.datasets), key=lambda spec: bool(spec.files))
    names = [plugins.home([model]), *(spec.name for spec in specs)]
    for name in filter(None, dict.fromkeys(names)):
        plan = {"analyses": [analysis], "models": [model], "dataset": name, "limit": _IMAGES, **how}
        try:
            return prepare(resolve(make_plan(plan, "verify"), plugins), plugins)
        except VitanError:
            continue
    return None


def _numbers(job: Job) -> tuple[Sequence[Record], float]:
    """The records of a job, computed anew, and the seconds that took."""
    with TemporaryDirectory() as folder:
        began = time.perf_counter()
        run = run_model(job, 0, Store(Path(folder)), Silent())
        seconds = time.perf_counter() - began
    if run.failures:
        raise run.failures[0].error
    return run.outcomes[0].result.records, seconds


def _differences(expected: Sequence[Record], got: Sequence[Record]) -> Iterator[float]:
    """Of each number, relative to the largest of its metric; infinite for one that only one of both has."""
    known = {identity(record): record.value for record in got}
    largest: dict[str, float] = {}
    for record in expected:
        if math.isfinite(record.value):
            largest[record.metric] = max(largest.get(record.metric, 0.0), abs(record.value))
    for record in expected:
        value = known.get(identity(record), math.inf)
        if math.isfinite(record.value):
            yield abs(value - record.value) / (largest[record.metric] or 1.0) if math.isfinite(value) else math.inf
        elif math.isfinite(value):
            yield math.inf
