"""Runs of the command that can be killed at any call to the disk, each in a process forked from one that has imported
everything, which makes a hundred of them affordable."""

from __future__ import annotations

import functools
import importlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

#: Every kind of call that changes the disk: the module, and the name in it.
DISK_CALLS = (
    *(("os", name) for name in ("mkdir", "open", "replace", "unlink", "rmdir", "chmod", "fsync")),
    ("io", "open"),
    ("numpy", "savez_compressed"),
    ("vitan.engine.store", "save_file"),
    ("vitan.files", "_exchange"),
)


@dataclass(frozen=True)
class Kill:
    """When a run is killed: before or after a call, by its kind and its number from 0, or after so many seconds."""

    call: str = ""
    number: int = 0
    after: bool = False
    seconds: float | None = None


@dataclass(frozen=True)
class Ended:
    """How a run has ended: its exit code, -9 where it was killed, what it said, the seconds, and its calls in order."""

    code: int
    said: str
    seconds: float
    calls: tuple[str, ...]


class Runner:
    """Runs the command in folders of its own; see ``runner``."""

    def __init__(self, process: subprocess.Popen[str], calls: Path) -> None:
        self._process, self._calls = process, calls

    def run(self, folder: Path, words: tuple[str, ...], kill: Kill | None = None) -> Ended:
        """Run the command with ``folder`` as its working folder, and with a cache in it."""
        self._calls.unlink(missing_ok=True)
        asked = {"folder": str(folder), "words": words, "kill": kill and asdict(kill), "calls": str(self._calls)}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        began = time.monotonic()
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        code = int(self._process.stdout.readline())
        seconds = time.monotonic() - began
        calls = tuple(json.loads(self._calls.read_text())) if code == 0 else ()
        return Ended(code, (folder / "said.txt").read_text(), seconds, calls)


@contextmanager
def runner(plugin: Path, disabled: str, scratch: Path) -> Iterator[Runner]:
    """A runner of the command with a plugin file, and without the plugins of the ``disabled`` distributions."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry),
        "VITAN_DISABLE_PLUGINS": disabled,
        "VITAN_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, __file__, str(plugin)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield Runner(process, scratch / "calls.json")
        process.stdin.close()


def _serve(plugin: str) -> None:
    """Fork a run for each line that asks for one, and say how it has ended. No run may leave a thread behind here."""
    heavy = ("torch", "timm", "vitan.cli", "vitan.engine.runner", "vitan.results.save")
    for name in (*heavy, *(module for module, _ in DISK_CALLS)):
        importlib.import_module(name)
    print("ready", flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        child = os.fork()
        if not child:
            _run(plugin, asked)
        seconds = (asked["kill"] or {}).get("seconds")
        if seconds is not None:
            time.sleep(seconds)
            os.kill(child, signal.SIGKILL)  # a child that has ended is still there, since nobody has waited for it
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _run(plugin: str, asked: dict[str, Any]) -> None:
    """One run; ends the process."""
    folder, code = Path(asked["folder"]), 70
    said = os.open(folder / "said.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(said, 1)
    os.dup2(said, 2)
    os.chdir(folder)
    os.environ["VITAN_CACHE"] = str(folder / "cache")
    from vitan.cli import main

    calls: list[str] = []
    kill = asked["kill"] or {}
    for module, name in DISK_CALLS:
        _watch(module, name, calls, kill)
    try:
        main(["-p", plugin, *asked["words"]], prog_name="vitan")
    except SystemExit as left:
        code = int(left.code or 0)
    finally:
        kill.clear()  # what is written from here on is none of the run's
        noted = json.dumps(calls)
        sys.stdout.flush()
        sys.stderr.flush()
        Path(asked["calls"]).write_text(noted)
        os._exit(code)


def _watch(module: str, name: str, calls: list[str], kill: dict[str, Any]) -> None:
    """Note every call of a function, and kill this process at the one that is meant."""
    home = importlib.import_module(module)
    function: Callable[..., Any] = getattr(home, name)
    call = f"{module}.{name}"

    @functools.wraps(function)
    def watched(*args: Any, **kwargs: Any) -> Any:
        if not _changes_the_disk(call, args, kwargs):
            return function(*args, **kwargs)
        meant = kill.get("call") == call and calls.count(call) == kill["number"]
        calls.append(call)
        if meant and not kill["after"]:
            os.kill(os.getpid(), signal.SIGKILL)
        try:
            return function(*args, **kwargs)
        finally:
            if meant:
                os.kill(os.getpid(), signal.SIGKILL)

    setattr(home, name, watched)


def _changes_the_disk(call: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """False for a file that is opened for reading."""
    if call == "io.open":
        return set(kwargs.get("mode", args[1] if len(args) > 1 else "r")) & set("wxa+") != set()
    if call == "os.open":
        return bool(args[1] & (os.O_WRONLY | os.O_RDWR))
    return True


if __name__ == "__main__":
    _serve(sys.argv[1])
