"""Executors that come with vitan: Dask and Ray."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from vitan import ExecutorSpec, hookimpl

if TYPE_CHECKING:
    from vitan import Executor


def _dask() -> type[Executor]:
    from .with_dask import DaskExecutor

    return DaskExecutor


def _ray() -> type[Executor]:
    from .with_ray import RayExecutor

    return RayExecutor


@hookimpl
def vitan_executors() -> Iterator[ExecutorSpec]:
    """Both; their libraries are imported when they are used."""
    yield ExecutorSpec(
        name="dask",
        summary="workers of Dask, here, on a cluster that runs, or through Slurm, PBS or LSF",
        where="the address of a scheduler (dask:tcp://HOST:8786), or slurm, pbs or lsf; without, workers here",
        load=_dask,
    )
    yield ExecutorSpec(
        name="ray",
        summary="workers of Ray, here or on a cluster that runs",
        where="the address of a cluster (ray:HOST:6379, or ray:auto for the one that this machine is in)",
        load=_ray,
    )
