"""Peak memory, for which what is measured needs a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def of_own_process(benchmark: str, *what: str) -> list[float]:
    """The numbers that a benchmark of this folder prints when it is run with ``--memory`` and these words."""
    command = [sys.executable, "-m", f"benchmarks.{benchmark}", "--memory", *what]
    return [float(word) for word in subprocess.check_output(command, text=True).split()]


def peak() -> float:
    """MB that this process has held at most. ``getrusage`` would count its parent's before this one was started."""
    return _megabytes("VmHWM")


def now() -> float:
    """MB that this process holds. The peak starts anew here."""
    Path("/proc/self/clear_refs").write_text("5")
    return _megabytes("VmRSS")


def _megabytes(field: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024
