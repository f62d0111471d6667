"""Tasks done by the workers of Dask.

A worker that dies takes none of its results along, since it has stored them. Dask is therefore told to do nothing again
by itself; what was lost comes back as lost, and the engine decides.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib import import_module
from types import TracebackType
from typing import Any

from vitan import Ended, Executor, Task, Word
from vitan.errors import UsageError

try:
    import dask
    from distributed import Client, Future, LocalCluster, as_completed, get_worker
except ImportError as error:
    raise UsageError(f"--executor dask: Dask is not installed ({error}); pip install 'vitan[dask]'") from error

#: Classes of dask-jobqueue; how a job is asked for is in Dask's own configuration.
_QUEUES = {"slurm": "SLURMCluster", "pbs": "PBSCluster", "lsf": "LSFCluster"}


class DaskExecutor(Executor):
    """Workers on this machine, of a scheduler that runs, or that a queue of a cluster starts."""

    def __init__(self, where: str, jobs: int | None, threads: int) -> None:
        # Dask's nanny would set malloc's trimming, which makes torch on a CPU half as fast again slower.
        environment = {name: str(threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
        dask.config.set({"distributed.nanny.pre-spawn-environ": environment})
        dask.config.set({"distributed.scheduler.allowed-failures": 0, "distributed.scheduler.worker-saturation": 1.0})
        self._cluster: Any = None
        if where in _QUEUES:
            self._cluster = _queued(where, jobs or 1)
        elif not where:
            self._cluster = LocalCluster(  # type: ignore[no-untyped-call]
                n_workers=jobs or _workers_here(), threads_per_worker=1, processes=True, dashboard_address=None
            )
        try:
            self._client = Client(self._cluster or where)  # type: ignore[no-untyped-call]
        except (OSError, ValueError) as error:
            raise UsageError(f"--executor dask:{where}: no scheduler answers there ({error})") from error

    def run(self, tasks: Sequence[Task]) -> Iterator[tuple[Task, Ended]]:
        """See ``Executor``."""
        waiting = {self._client.submit(_do, task, pure=False): task for task in tasks}
        for future in as_completed(list(waiting)):  # type: ignore[no-untyped-call]
            yield waiting.pop(future), _ended(future)
            future.release()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._client.close()  # type: ignore[no-untyped-call]
        if self._cluster is not None:
            self._cluster.close()


def _do(task: Task) -> Word:
    name = str(get_worker().name)
    return task(int(name) if name.isdigit() else 0)


def _ended(future: Future[Word]) -> Ended:
    try:
        return future.result()
    except Exception as error:  # the worker has died, or could not even read the task
        return error


def _workers_here() -> int:
    """One for each GPU, or else two."""
    import torch

    return torch.cuda.device_count() or 2


def _queued(where: str, jobs: int) -> Any:
    try:
        queues = import_module("dask_jobqueue")
    except ImportError as error:
        raise UsageError(f"--executor dask:{where}: pip install dask-jobqueue ({error})") from error
    cluster = getattr(queues, _QUEUES[where])()
    cluster.scale(jobs=jobs)
    return cluster
