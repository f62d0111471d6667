"""``vitan run --shard``: the work of one plan done in parts, by several processes, and merged by the plain command."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from safetensors import safe_open

TOYS = Path(__file__).with_name("toys.py")
RUN = ("run", "mean", "other", "-m", "toy-A8", "-m", "toy-B8", "-d", "dots", "--n", "300", "--figures", "none")


def units(cache: Path) -> dict[str, dict[str, str]]:
    """The checksum of each stored unit (of its tensors and texts), and its texts."""
    found = {}
    for path in cache.rglob("*.safetensors"):
        with safe_open(path, "pt") as file:
            found[path.name] = file.metadata()
    return found


def numbers(results: Path) -> str:
    return (results / "records.csv").read_text()


@pytest.fixture
def caches(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    def use(name: str) -> Path:
        monkeypatch.setenv("VITAN_CACHE", str(tmp_path / name))
        return tmp_path / name

    return use


def test_all_shares_in_any_order_leave_what_one_run_leaves(vitan: Any, caches: Any) -> None:
    whole = caches("whole")
    assert vitan(*RUN, "-o", "one").code == 0
    parts = caches("parts")
    said = [vitan(*RUN, "--shard", f"{number}/5") for number in (4, 2, 5, 1, 3)]
    assert [ran.code for ran in said] == [0] * 5
    counts = [int(ran.out.split()[2]) for ran in said]
    assert sum(counts) == 6 == int(said[0].out.split()[4])  # 300 images in 3 shards, for each of two models
    assert not Path("results").exists()
    assert units(parts) == units(whole)
    merged = vitan(*RUN, "-o", "merged")
    assert "reused stored state" in merged.err
    assert numbers(Path("merged")) == numbers(Path("one"))


def test_more_shares_than_work_leave_some_with_nothing_to_do(vitan: Any, caches: Any) -> None:
    caches("cache")
    ran = [vitan(*RUN, "--n", "3", "--shard", f"{number}/4") for number in range(1, 5)]
    assert [run.code for run in ran] == [0] * 4
    assert [int(run.out.split()[2]) for run in ran] == [0, 1, 0, 1]


@pytest.mark.parametrize("given", ["0/3", "4/3", "1", "1/0", "a/b", "-1/3", "1/3/5", "", "1.0/3"])
def test_what_is_no_share_is_refused_before_anything_is_made(vitan: Any, caches: Any, given: str) -> None:
    cache = caches("cache")
    ran = vitan(*RUN, f"--shard={given}")
    assert ran.code == 2
    assert f"--shard {given}: not a part of a whole" in ran.err
    assert units(cache) == {}


def test_what_fails_of_a_share_is_said_and_takes_nothing_with_it(vitan: Any, caches: Any) -> None:
    cache = caches("cache")
    ran = vitan("run", "mean", "-m", "toy-W8", "-m", "toy-A8", "-d", "dots", "--shard", "1/1")
    assert ran.code == 1
    assert "toy-W8" in ran.err
    assert len(units(cache)) == 1


def test_two_runs_at_once_share_the_work_and_find_the_same(caches: Any, tmp_path: Path) -> None:
    cache = caches("cache")
    command = [sys.executable, "-m", "vitan", "-p", str(TOYS), *RUN, "--json", "-o"]
    runs = [subprocess.Popen([*command, str(tmp_path / name)], stdout=subprocess.PIPE) for name in ("a", "b")]
    assert [run.wait(120) for run in runs] == [0, 0]
    assert numbers(tmp_path / "a") == numbers(tmp_path / "b")
    found = [json.loads((run.stdout or sys.stdin).read())["runs"] for run in runs]
    assert len(found[0]) == len(found[1]) == 4
    assert not list(cache.rglob("*in_hands*")), "no claim is left"
