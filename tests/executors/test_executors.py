"""Dask and Ray: the same bits as one process, whatever becomes of workers and of who asked."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from threading import Timer
from typing import Any

import pytest
from safetensors import safe_open

import vitan
from vitan.engine.spread import ATTEMPTS
from vitan.errors import LostError

pytestmark = pytest.mark.executors

HERE = Path(__file__).parent
FILES = [HERE.parent / "core" / "cli" / "toys.py", HERE / "deadly.py"]
ENGINES = ("dask", "ray")


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VITAN_OFFLINE", "1")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.chdir(tmp_path)


def run(cache: Path, monkeypatch: pytest.MonkeyPatch, analyses: Any, models: Any, **how: Any) -> vitan.Results:
    monkeypatch.setenv("VITAN_CACHE", str(cache))
    return vitan.run(analyses, models, "dots", dataset_options={"n": 300}, plugins=FILES, **how)


def units(cache: Path) -> dict[str, str]:
    """The checksum of every unit."""
    found = {}
    for path in cache.rglob("[!.]*.safetensors"):
        with safe_open(path, "pt") as file:
            found[path.name] = file.metadata()["sha256"]
    return found


def values(found: vitan.Results) -> list[tuple[Any, ...]]:
    return [(r.model, r.metric, r.block, r.value) for r in found.records]


@pytest.mark.parametrize("engine", ENGINES)
def test_units_and_numbers_are_those_of_one_process(
    engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: Any = (["mean", "other"], ["toy-A8", "toy-B8"])
    here = run(tmp_path / "here", monkeypatch, *asked)
    there = run(tmp_path / "there", monkeypatch, *asked, executor=engine, jobs=2)
    assert there.failed == {}
    assert all(each.reused for each in there), "nothing was made where it was merged"
    assert units(tmp_path / "there") == units(tmp_path / "here")
    assert there.records == here.records


@pytest.mark.parametrize("engine", ENGINES)
def test_what_a_worker_was_at_when_it_died_is_done_by_another(
    engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = tmp_path / "mark"
    there = run(tmp_path / "c", monkeypatch, {"deadly": {"mark": str(mark)}}, "toy-A8", executor=engine, jobs=2)
    assert mark.read_text() == "x"
    living = {"deadly": {"mark": str(mark), "kills": "never"}}
    assert values(there) == values(run(tmp_path / "d", monkeypatch, living, "toy-A8"))


@pytest.mark.parametrize("engine", ENGINES)
def test_what_ends_every_worker_is_given_up_by_name_and_the_rest_is_done(
    engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = tmp_path / "mark"
    deadly = {"deadly": {"mark": str(mark), "kills": "always"}}
    with pytest.raises(LostError, match=r"shard 1 of pass 0 of toy-A8 ended every worker"):
        run(tmp_path / "c", monkeypatch, deadly, "toy-A8", executor=engine, jobs=2)
    assert mark.read_text() == "x" * ATTEMPTS
    assert len(units(tmp_path / "c")) == 2, "shards 0 and 2"


def test_a_worker_that_comes_late_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from distributed import LocalCluster

    with LocalCluster(n_workers=0, threads_per_worker=1, dashboard_address=None) as cluster:
        Timer(2, lambda: cluster.scale(1)).start()
        where = f"dask:{cluster.scheduler_address}"
        found = run(tmp_path / "c", monkeypatch, "mean", "toy-A8", executor=where)
    assert len(units(tmp_path / "c")) == 3
    assert all(each.reused for each in found)


def command(output: Path, *more: str) -> list[str]:
    files = [word for file in FILES for word in ("-p", str(file))]
    asked = ("mean", "other", "-m", "toy-A8", "-m", "toy-B8", "-d", "dots", "--n", "300", "--figures", "none")
    return [sys.executable, "-m", "vitan", *files, "run", *asked, "-o", str(output), *more]


def test_two_who_ask_at_once_and_one_that_is_killed_and_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VITAN_CACHE", str(tmp_path / "cache"))
    spread = ("--executor", "dask", "--jobs", "1")
    killed = subprocess.Popen(command(tmp_path / "a", *spread), start_new_session=True)
    deadline = time.time() + 60
    while not units(tmp_path / "cache") and time.time() < deadline:
        time.sleep(0.02)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    both = [subprocess.Popen(command(tmp_path / name, *spread)) for name in ("b", "c")]
    assert [each.wait(120) for each in both] == [0, 0]
    monkeypatch.setenv("VITAN_CACHE", str(tmp_path / "other"))
    assert subprocess.run(command(tmp_path / "d"), check=False).returncode == 0
    tables = [(tmp_path / name / "records.csv").read_text() for name in ("b", "c", "d")]
    assert tables[0] == tables[1] == tables[2]
    assert units(tmp_path / "cache") == units(tmp_path / "other")
