"""How all benchmarks measure: CPU seconds of one thread, in turn. Import it before anything that imports torch."""

from __future__ import annotations

import os

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
os.environ |= {"OMP_WAIT_POLICY": "passive"}  # read when torch and numpy are imported

import argparse
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import torch


def parser(doc: str, rounds: int) -> argparse.ArgumentParser:
    """What every benchmark can be told; ``doc`` is the module's own."""
    found = argparse.ArgumentParser(description=doc.partition("\n")[0])
    found.add_argument("--rounds", type=int, default=rounds, help=f"how often, after one to warm up [{rounds}]")
    return found


def one_thread() -> None:
    """Keep torch to one thread, and from recording gradients."""
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)


def timed(run: Callable[[], object]) -> float:
    """CPU seconds, so that other work on the machine disturbs little."""
    start = time.process_time()
    run()
    return time.process_time() - start


def alternate(runs: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """CPU seconds of each run, in turn; the first round only warms up."""
    return in_turn({name: partial(timed, run) for name, run in runs.items()}, rounds)


def in_turn(runs: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """The seconds that each run itself says it took, for those of which only a part counts."""
    found = [{name: run() for name, run in runs.items()} for _ in range(rounds + 1)]
    return {name: [each[name] for each in found[1:]] for name in runs}


def ratios(over: Sequence[float], under: Sequence[float], scale: float = 1) -> list[float]:
    """Round by round, so that what slows a whole round down leaves its ratio alone."""
    return [scale * a / b for a, b in zip(over, under, strict=True)]


def rows(seconds: Mapping[str, Sequence[float]], unit: str, scale: float = 1) -> None:
    """A line for each run, in units of which a second has ``scale``."""
    for name, times in seconds.items():
        row(name, [scale * each for each in times], unit)


def compare(seconds: Mapping[str, Sequence[float]], unit: str, scale: float = 1) -> None:
    """The rows of two runs, and how many times the first costs the second."""
    rows(seconds, unit, scale)
    (first, slow), (second, fast) = seconds.items()
    row(f"{first} / {second}", ratios(slow, fast), "x")


def row(name: str, values: Sequence[float], unit: str) -> None:
    """Print the median, the smallest and the largest."""
    middle, least, most = map(number, (statistics.median(values), min(values), max(values)))
    print(f"  {name:60}{middle:>9} {unit}  ({least} to {most})", flush=True)


def number(value: float) -> str:
    return f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}"
