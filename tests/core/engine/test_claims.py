"""Who is at which unit."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from vitan.engine import claims
from vitan.engine.claims import claiming
from vitan.engine.store import Store

KEYS = ["a" * 64, "b" * 64]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def claim_of(store: Store, key: str) -> Path:
    (path,) = store.path(key).parent.glob(f".{key}*")
    return path


def test_a_unit_is_claimed_by_one_at_a_time(store: Store) -> None:
    with claiming(store, KEYS[:1]) as mine:
        assert mine == {KEYS[0]}
        with claiming(store, KEYS) as others:
            assert others == {KEYS[1]}
        with claiming(store, KEYS) as again:
            assert again == {KEYS[1]}, "it is free again"
    with claiming(store, KEYS) as freed:
        assert freed == {*KEYS}
    assert [path for path in store.folder.rglob("*") if path.is_file()] == []


def test_a_claim_ends_with_an_error(store: Store) -> None:
    with pytest.raises(KeyboardInterrupt), claiming(store, KEYS):
        raise KeyboardInterrupt
    with claiming(store, KEYS) as mine:
        assert mine == {*KEYS}


def leave(store: Store, host: str, process: int, age: float) -> None:
    """A claim that somebody has left behind."""
    with claiming(store, KEYS[:1]):
        path = claim_of(store, KEYS[0])
    path.write_text(json.dumps({"host": host, "process": process}))
    os.utime(path, (time.time() - age,) * 2)


def ended_process() -> int:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


def test_a_claim_of_a_process_that_has_ended_is_taken_over(store: Store) -> None:
    leave(store, socket.gethostname(), ended_process(), 0)
    with claiming(store, KEYS) as mine:
        assert mine == {*KEYS}


@pytest.mark.parametrize(("age", "taken"), [(claims.LOST - 30, False), (claims.LOST + 30, True)])
def test_a_claim_of_another_machine_lasts_as_long_as_it_gives_signs(store: Store, age: float, taken: bool) -> None:
    leave(store, "elsewhere", os.getpid(), age)
    with claiming(store, KEYS) as mine:
        assert (KEYS[0] in mine) == taken


@pytest.mark.parametrize("content", ["", "[", "[]", '{"host": 1}', '{"host": "here", "process": "x"}'])
def test_a_claim_that_cannot_be_read_counts_by_its_age(store: Store, content: str) -> None:
    leave(store, "", 0, 0)
    path = claim_of(store, KEYS[0])
    path.write_text(content)
    with claiming(store, KEYS) as mine:
        assert mine == {KEYS[1]}
    os.utime(path, (time.time() - claims.LOST - 1,) * 2)
    with claiming(store, KEYS) as mine:
        assert mine == {*KEYS}


def test_signs_are_given_as_long_as_the_work_lasts(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "BEAT", 0.01)
    with claiming(store, KEYS[:1]):
        path = claim_of(store, KEYS[0])
        os.utime(path, (1, 1))
        deadline = time.time() + 10
        while path.stat().st_mtime == 1 and time.time() < deadline:
            time.sleep(0.01)
        assert path.stat().st_mtime > 1


def test_without_room_for_claims_everything_is_ours(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with claiming(Store(tmp_path / "file"), KEYS) as mine:
        assert mine == {*KEYS}


def test_what_killed_runs_leave_is_cleared_away(store: Store) -> None:
    leave(store, "elsewhere", 1, 2 * 24 * 3600)
    store.clear_leftovers()
    assert [path for path in store.folder.rglob("*") if path.is_file()] == []
