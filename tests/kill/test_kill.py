"""Runs that are killed, at every kind of call to the disk and at any moment, and what the next run makes of them."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator
from importlib.metadata import distributions
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from killable import DISK_CALLS, Ended, Kill, Runner, runner

TOYS = Path(__file__).parents[1] / "core" / "cli" / "toys.py"
INSTALLED = sorted({d.name for d in distributions() for point in d.entry_points if point.group == "vitan"})
RUN = ("run", "mean", "other", "-m", "toy-A8", "-m", "toy-B8", "-d", "dots", "--n", "50", "--batch-size", "4")
#: An earlier run, of which everything is to be replaced.
EARLIER = (*RUN, "--mean.mass", "0.9", "--other.mass", "0.9")
DAY = 24 * 3600


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    with runner(TOYS, ",".join(INSTALLED), tmp_path_factory.mktemp("runner")) as runs:
        yield runs


class World:
    """A beginning that runs are killed in, the calls of an undisturbed run there, and what that leaves."""

    def __init__(self, runs: Runner, folder: Path, earlier: bool) -> None:
        self.runs, self.beginning = runs, folder / "beginning"
        self.beginning.mkdir(parents=True)
        if earlier:
            finished(runs.run(self.beginning, EARLIER))
        undisturbed = shutil.copytree(self.beginning, folder / "undisturbed")
        self.ended = finished(runs.run(undisturbed, RUN))
        self.left = content(undisturbed / "results")
        assert list(leftovers(undisturbed)) == []

    def check(self, kill: Kill, folder: Path) -> bool:
        """Kill a run, and hold the next ones to what an undisturbed run leaves; returns whether it was killed."""
        shutil.copytree(self.beginning, folder)
        killed = self.runs.run(folder, RUN, kill)
        assert killed.code in (-9, 0), killed.said
        finished(self.runs.run(folder, RUN))
        assert content(folder / "results") == self.left, "the next run gives something else"
        for path in leftovers(folder):
            os.utime(path, (time.time() - 2 * DAY,) * 2)
        finished(self.runs.run(folder, RUN))
        assert content(folder / "results") == self.left, "the run after the next gives something else"
        assert list(leftovers(folder)) == []
        shutil.rmtree(folder)
        return killed.code == -9


def finished(ended: Ended) -> Ended:
    assert ended.code == 0, ended.said
    return ended


def leftovers(folder: Path) -> Iterator[Path]:
    """Whatever was being written when a run was killed: those of our own that nobody has moved to their place."""
    return (path for path in folder.rglob(".*") if not path.name.endswith(".sqlite"))


def content(results: Path) -> dict[str, Any]:
    """Every file of results with what decides whether it is the same; files that are being written are none."""
    found: dict[str, Any] = {}
    for path in sorted(results.rglob("*")):
        name = path.relative_to(results).as_posix()
        if path.is_file() and not any(part.startswith(".") for part in Path(name).parts):
            found[name] = same_of(path)
    return found


def same_of(path: Path) -> Any:
    if path.suffix == ".npz":
        with np.load(path) as arrays:
            return {name: (arrays[name].shape, arrays[name].dtype, arrays[name].tobytes()) for name in arrays.files}
    if path.name == "provenance.json":
        facts = json.loads(path.read_text())
        return {name: facts[name] for name in ("model", "weights", "probe", "plan_sha256", "dataset", "skipped")}
    return path.read_bytes()


@pytest.fixture(scope="module", params=[False, True], ids=["nothing before", "another result before"])
def world(request: pytest.FixtureRequest, runs: Runner, tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(runs, tmp_path_factory.mktemp("world"), request.param)


def kills_at_calls(calls: tuple[str, ...], most: int) -> list[Kill]:
    """Before and after calls of every kind: the first, the last and some between, ``most`` of a kind at most."""
    kills = []
    for call in dict.fromkeys(calls):
        numbers = np.unique(np.linspace(0, calls.count(call) - 1, most).astype(int)).tolist()
        kills += [Kill(call=call, number=number, after=after) for number in numbers for after in (False, True)]
    return kills


def test_a_killed_run_is_gone_on_with(world: World, tmp_path: Path) -> None:
    """A few kills: around the last writing of a unit and of a result, and in the middle of computing."""
    kills = [
        Kill(call="vitan.engine.store.save_file", number=1),
        Kill(call="numpy.savez_compressed", number=1, after=True),
        Kill(call="os.replace", number=world.ended.calls.count("os.replace") - 1),
    ]
    for number, kill in enumerate(kills):
        assert world.check(kill, tmp_path / str(number)), f"{kill} never came"


@pytest.mark.kill
def test_every_kind_of_call_is_met(world: World) -> None:
    """So that no kind of kill is one of nothing; only what replaces a folder needs one that is there."""
    kinds = {f"{module}.{name}" for module, name in DISK_CALLS}
    if "results" not in {path.name for path in world.beginning.iterdir()}:
        kinds -= {"vitan.files._exchange"}
    assert kinds <= set(world.ended.calls) | {"os.rmdir"}


@pytest.mark.kill
def test_kills_around_every_kind_of_call(world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kills = kills_at_calls(world.ended.calls, 4)
    for number, kill in enumerate(kills):
        assert world.check(kill, tmp_path / str(number)), f"{kill} never came"
    with capsys.disabled():
        print(f"\n{len(kills)} kills before and after {len(set(world.ended.calls))} kinds of calls", end="")


@pytest.mark.kill
def test_kills_at_any_moment(world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    random, count = Random(int(os.environ.get("KILL_SEED", "0"))), 40
    moments = [random.uniform(0, world.ended.seconds) for _ in range(count)]
    killed = [world.check(Kill(seconds=moment), tmp_path / str(number)) for number, moment in enumerate(moments)]
    assert sum(killed) > count / 2
    with capsys.disabled():
        print(f"\n{sum(killed)} kills at random moments", end="")
