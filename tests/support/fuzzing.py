"""Attempts to read inputs that nobody made in good faith, and what must hold for each of them."""

from __future__ import annotations

import faulthandler
import os
import resource
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from random import Random

from vitan.cli import main
from vitan.errors import VitanError, printable

#: Writes an input below a folder and reads it; raises what refuses it.
Attempt = Callable[[Random, Path], object]

MOST_SECONDS = 10
MOST_MEMORY = 2 << 30  # bytes that reading a kind of inputs may add to what the process has used at most
#: What a payload of an input does when it runs: a file of this name appears in the working folder.
COMMAND, PLANTED = "touch executed", "executed"


class TooSlowError(BaseException):
    """Reading has taken too long; no code that reads catches this by accident."""


@dataclass(frozen=True)
class Counts:
    """How many inputs were read and how many refused, and the longest time that one has taken, in seconds."""

    read: int
    refused: int
    slowest: float


def try_all(attempt: Attempt, count: int, seed: int, folder: Path) -> Counts:
    """Attempt inputs of a seed by their numbers, each in an empty folder that is also the working folder.

    Raises ``AssertionError`` with the numbers and tracebacks of the first ones that were neither read nor refused by
    a ``VitanError`` that names them, that took too long, or that ran what they hold.
    """
    read = refused = 0
    slowest, faults = 0.0, []
    before = _most_memory()
    for number in range(count):
        place = folder / f"input-{number}"
        place.mkdir()
        began = time.monotonic()
        try:
            with _working_in(place), _limited():
                attempt(Random(f"{seed} {number}"), place)  # no secrets
            read += 1
        except VitanError as error:
            refused += 1
            if not str(error).strip():
                faults.append(f"input {number} of seed {seed}: refused without a word: {error!r}")
        except (Exception, SystemExit, TooSlowError):
            faults.append(f"input {number} of seed {seed}:\n{traceback.format_exc(limit=-12)}")
        slowest = max(slowest, time.monotonic() - began)
        if (place / PLANTED).exists():
            faults.append(f"input {number} of seed {seed}: what it holds was executed")
        shutil.rmtree(place, ignore_errors=True)
    grown = _most_memory() - before
    assert not faults, f"{len(faults)} of {count} inputs:\n" + "\n".join(faults[:5])
    assert grown < MOST_MEMORY, f"reading them has taken {grown >> 20} MB"
    return Counts(read, refused, slowest)


def expect_named(error: VitanError, name: str) -> None:
    """Raises ``AssertionError`` for a refusal that does not say what it refuses."""
    assert name in str(error), f"the message does not name {name}: {error}"


def command(*words: str) -> str:
    """What the command prints, run in this process.

    Raises ``VitanError`` with what it said where it refuses, and ``AssertionError`` where it prints a traceback or what
    would command a terminal.
    """
    out, err = StringIO(), StringIO()
    code: object = None
    with redirect_stdout(out), redirect_stderr(err):
        try:
            main(list(words), prog_name="vitan")
        except SystemExit as left:
            code = left.code
    said = out.getvalue() + err.getvalue()
    assert "Traceback" not in said, said
    assert printable(said) == said, f"what would command a terminal is printed: {said!r}"
    assert code in (0, 1, 2), f"exit code {code}: {said}"
    if code:
        assert "error: " in said.lower(), f"exit code {code} without an error: {said}"
        raise VitanError(said)
    return out.getvalue()


@contextmanager
def _working_in(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


@contextmanager
def _limited() -> Iterator[None]:
    """Raises ``TooSlowError`` inside after a while; ends the whole process where not even that is possible."""

    def stop(number: int, frame: object) -> None:  # as handlers are called
        raise TooSlowError(f"longer than {MOST_SECONDS} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, MOST_SECONDS)
    faulthandler.dump_traceback_later(6 * MOST_SECONDS, exit=True, file=sys.__stderr__)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _most_memory() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
