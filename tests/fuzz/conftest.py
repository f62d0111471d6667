"""``fuzz``: some inputs by default, many with ``make fuzz``."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fuzzing import Attempt, try_all

Fuzz = Callable[..., None]


@pytest.fixture(autouse=True)
def _isolated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache and a home of the test's own, and no network."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("VITAN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("VITAN_OFFLINE", "1")


@pytest.fixture(params=["some", pytest.param("many", marks=pytest.mark.fuzz)])
def fuzz(request: pytest.FixtureRequest, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Fuzz:
    """Attempt ``some`` inputs, or ``many``, of the seed FUZZ_SEED (0), and print what became of many."""

    def run(attempt: Attempt, **counts: Any) -> None:
        count, seed = counts[request.param], int(os.environ.get("FUZZ_SEED", "0"))
        folder = tmp_path / "inputs"
        folder.mkdir()
        found = try_all(attempt, count, seed, folder)
        if request.param == "many":
            assert found.read, "none is read, so that honest parts of the reading were never reached"
            assert found.refused, "none is refused, so that nothing was spoilt"
            with capsys.disabled():
                what = f"{count} inputs of seed {seed}, {found.read} read, {found.refused} refused"
                print(f"\n{request.node.name}: {what}, the slowest in {found.slowest:.1f} s", end="")

    return run
