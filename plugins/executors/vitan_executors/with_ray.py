"""Tasks done by the workers of Ray."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from types import TracebackType

from vitan import Ended, Executor, Task, Word
from vitan.errors import UsageError

try:
    import ray
except ImportError as error:
    raise UsageError(f"--executor ray: Ray is not installed ({error}); pip install 'vitan[ray]'") from error


class RayExecutor(Executor):
    """Workers on this machine, or of a cluster that runs."""

    def __init__(self, where: str, jobs: int | None, threads: int) -> None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        import torch

        gpus = torch.cuda.device_count()
        environment = {"env_vars": {name: str(threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}}
        try:
            if where:
                ray.init(where, runtime_env=environment, log_to_driver=False)
            else:
                ray.init(
                    num_cpus=jobs or gpus or 2, include_dashboard=False, runtime_env=environment, log_to_driver=False
                )
        except ConnectionError as error:
            raise UsageError(f"--executor ray:{where}: no cluster answers there ({error})") from error
        # by itself, Ray would end a worker that has a GPU after each task, and the model that it has loaded with it
        self._do = ray.remote(num_cpus=1, num_gpus=1 if gpus else 0, max_retries=0, max_calls=0)(_do)

    def run(self, tasks: Sequence[Task]) -> Iterator[tuple[Task, Ended]]:
        """See ``Executor``."""
        waiting = {self._do.remote(task): task for task in tasks}
        while waiting:
            (done,), _ = ray.wait(list(waiting), num_returns=1)
            yield waiting.pop(done), _ended(done)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        ray.shutdown()


def _do(task: Task) -> Word:
    return task()  # Ray shows each worker the GPU that is its own, and no other


def _ended(done: ray.ObjectRef[Word]) -> Ended:
    try:
        return ray.get(done)
    except Exception as error:  # the worker has died, or could not even read the task
        return error
