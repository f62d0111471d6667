"""Each command in odd surroundings: it works, or ends in a line that says what is wrong."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

TOYS = Path(__file__).with_name("toys.py")
RUN = ("run", "mean", "-m", "toy-A8", "-d", "dots", "--figures", "none")
COMMANDS = [("list",), ("show", "mean"), ("verify", "--help"), ("cache",), ("doctor",), ("table", "results"), RUN]


def _unset(name: str) -> Callable[[pytest.MonkeyPatch], None]:
    return lambda patch: patch.delenv(name, raising=False)


def _set(name: str, value: str) -> Callable[[pytest.MonkeyPatch], None]:
    return lambda patch: patch.setenv(name, value)


def _without_cache(change: Callable[[pytest.MonkeyPatch], None]) -> Callable[[pytest.MonkeyPatch], None]:
    """Where the cache is found from the home."""

    def both(patch: pytest.MonkeyPatch) -> None:
        _unset("VITAN_CACHE")(patch)
        patch.setattr("vitan.files.user_cache_path", lambda name: Path("~").expanduser() / ".cache" / name)
        change(patch)

    return both


def _closed(*streams: str) -> Callable[[pytest.MonkeyPatch], None]:
    def close(patch: pytest.MonkeyPatch) -> None:
        for name in streams:
            patch.setattr(sys, name, None)

    return close


def _gone(patch: pytest.MonkeyPatch) -> None:
    Path("gone").mkdir()
    patch.chdir("gone")
    Path.cwd().rmdir()


SURROUNDINGS = {
    "home is a file": _without_cache(_set("HOME", os.devnull)),
    "home cannot be made": _without_cache(_set("HOME", "/proc/none")),
    "home is a file, cache elsewhere": _set("HOME", os.devnull),
    "no home": _unset("HOME"),
    "cache is a file": _set("VITAN_CACHE", os.devnull),
    "cache of nobody": _set("VITAN_CACHE", "~nobody-of-that-name/cache"),
    "cache by no name": _set("VITAN_CACHE", ""),
    "odd xdg": _set("XDG_CACHE_HOME", "relative"),
    "no temporary folder": _set("TMPDIR", "/nowhere"),
    "no columns": _set("COLUMNS", "0"),
    "five columns": _set("COLUMNS", "5"),
    "minus three columns": _set("COLUMNS", "-3"),
    "columns in words": _set("COLUMNS", "many"),
    "dumb terminal": _set("TERM", "dumb"),
    "stdin closed": _closed("stdin"),
    "stdout closed": _closed("stdout"),
    "stderr closed": _closed("stderr"),
    "all closed": _closed("stdin", "stdout", "stderr"),
    "folder deleted": _gone,
}


@pytest.mark.parametrize("surrounding", SURROUNDINGS)
def test_every_command_works_or_says_what_is_wrong(
    surrounding: str, vitan: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert vitan(*RUN).code == 0  # so that there is something to show
    for words in COMMANDS:
        with monkeypatch.context() as patch:
            SURROUNDINGS[surrounding](patch)
            ran = vitan(*words)
        assert "Traceback" not in ran.err
        assert "has a bug" not in ran.err
        if ran.code and "closed" not in surrounding:
            last = (ran.err or ran.out).splitlines()[-1]
            assert last.startswith("error: ") or (words == ("doctor",) and "problem" in last), (words, ran)
        if "closed" in surrounding or "columns" in surrounding:
            assert ran.code == 0 or words[0] == "table", (words, ran)


@pytest.mark.parametrize(
    ("name", "words", "said"),
    [
        ("folder deleted", ("list",), "the current folder cannot be used (No such file or directory); change to"),
        ("cache is a file", RUN, "the cache /dev/null/states cannot be written (Not a directory); set VITAN_CACHE to"),
        ("cache is a file", ("doctor",), "/dev/null is a file, so that there can be no /dev/null; set VITAN_CACHE to"),
        ("cache of nobody", ("cache",), "there is no home of that user; write the whole path"),
    ],
)
def test_what_is_said(
    name: str, words: tuple[str, ...], said: str, vitan: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        SURROUNDINGS[name](patch)
        ran = vitan(*words)
    assert ran.code
    assert said in ran.err + ran.out


def test_a_path_that_is_not_utf8_is_used_or_named(vitan: Any) -> None:
    assert vitan(*RUN, "-o", "o\udcff").code == 0
    assert Path("o\udcff/records.csv").is_file()
    Path("w\udcff.pth").touch()
    ran = vitan(*RUN, "--weights", "w\udcff.pth")
    said = "error: command line: 'w\\udcff.pth' is not UTF-8, as everything in a plan must be; rename it"
    assert (ran.code, ran.err.splitlines()[-1]) == (2, said)


def test_nobody_who_answers_is_no_interruption(vitan: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert vitan(*RUN).code == 0
    for stdin in (None, io.StringIO()):
        monkeypatch.setattr(sys, "stdin", stdin)
        ran = vitan("cache", "clear")
        assert ran.code == 1
        assert "nothing was deleted, since nobody answered; --yes deletes without asking" in ran.err


@pytest.mark.parametrize("words", [("list",), (*RUN, "-o", "ausgäbe 写真")])
def test_a_terminal_of_plain_ascii(words: tuple[str, ...]) -> None:
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii"}
    ran = subprocess.run(
        [sys.executable, "-m", "vitan", "-p", str(TOYS), *words],
        env={**os.environ, **plain, "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)},
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout
