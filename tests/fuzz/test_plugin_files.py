"""Plugin files that are damaged or break their contract: a line of an error, whatever they raise and wherever."""

from __future__ import annotations

import re
from pathlib import Path
from random import Random
from typing import Any

import pytest

from fuzzing import command
from spoiling import spoil, spoil_text

HONEST = """\
import numpy as np
import torch
from PIL import Image
from timm.models.vision_transformer import VisionTransformer

from vitan import Dataset, DatasetSpec, ModelSpec, Options, Picture, Probe, ProbeSpec, Record, Result, Sample, Sum
from vitan import hookimpl


def build():
    return VisionTransformer(img_size=32, patch_size=8, embed_dim=16, depth=2, num_heads=2, num_classes=0)


class Mean(Probe):
    class Options(Options):
        mass: float = 0.5

    taps = frozenset({"block"})

    def __init__(self, options, model):
        super().__init__(options, model)
        self.means = Sum()

    def update_block(self, block, taps, batch):
        self.means.add(block, taps["block"].float().mean((1, 2)))

    def compute(self):
        mean = self.means.mean
        records = [Record(metric="mean", value=float(mean(b)), block=b, unit="au") for b in self.model.blocks]
        return Result(records=tuple(records), headline=("mean",))


class Dots(Dataset):
    class Options(Options):
        n: int = 3

    def __len__(self):
        return self.options.n

    def __getitem__(self, index):
        return Sample(id=f"dot{index}", image=Image.new("RGB", (40, 40), (index * 5, 0, 90)), label=index % 2)

    def fingerprint(self):
        return "dots"


def draw(drawables):
    yield Picture(name="overview", pixels=np.zeros((4, 4, 3), np.uint8))


@hookimpl
def vitan_models():
    yield ModelSpec(name="mine-A8", summary="small", family="mine", arch="A", patch=8, image_size=32, build=build)


@hookimpl
def vitan_probes():
    yield ProbeSpec(name="mine", summary="a mean", load=lambda: Mean, figures=lambda: draw)


@hookimpl
def vitan_datasets():
    yield DatasetSpec(name="mydots", summary="dots", load=lambda: Dots, files="no files", licence="CC0-1.0")
"""
#: What may stand where a value, a method's body or a line is expected.
EXPRESSIONS = (
    "None", "-1", "0", "0.5", "float('nan')", "10**400", "''", "'a/b'", "'\\0'", "'\\x1b[31m'", "'$\\\\frac{$'", "()",
    "[None]", "{}", "object()", "build", "lambda: None", "lambda *_: 1 / 0", "torch.zeros(3)", "np.zeros((0, 3))",
    "Mean", "undefined", "int('x')", "torch.nn.Identity()", "np.full((4, 4, 3), 300.0)", "'x' * 5000", "frozenset({7})",
)  # fmt: skip
STATEMENTS = (
    "raise ValueError('\\x1b[31mred')", "raise SystemExit(3)", "raise KeyError", "import os, sys; sys.exit('gone')",
    "raise MemoryError", "raise RecursionError", "raise StopIteration", "raise OSError(28, 'No space left on device')",
    "import nowhere", "return", "yield", "pass", "assert False", "print('hello')", "del hookimpl",
    "raise type('Odd', (Exception,), {'__str__': lambda self: 1 / 0})()",
)  # fmt: skip


def broken(random: Random) -> bytes:
    """The honest plugin with another value, another statement, or text and bytes that are damaged."""
    lines = HONEST.splitlines()
    match random.randrange(8):
        case 0:
            return spoil(random, HONEST.encode())
        case 1:
            return spoil_text(random, HONEST).encode("utf-8", "surrogatepass")
        case 2 | 3:
            place = random.randrange(6, len(lines))
            indent = len(lines[place]) - len(lines[place].lstrip())
            lines.insert(place, " " * indent + random.choice(STATEMENTS))
        case _:
            places = [place for place, line in enumerate(lines) if any(sign in line for sign in ("=", "return "))]
            place = random.choice(places)
            lines[place] = with_value(random, lines[place])
    return "\n".join(lines).encode()


def with_value(random: Random, line: str) -> str:
    """A line in which one argument, or what is returned or assigned, is another value."""
    spans = [found.span(1) for found in re.finditer(r"(?:=\s?|return )([^,=()]+|[^=]*\))(?=,|\)|$)", line)]
    if not spans:
        return line
    start, end = random.choice(spans)
    return line[:start] + random.choice(EXPRESSIONS) + line[end:]


def attempt(random: Random, folder: Path) -> None:
    path = folder / "plugin.py"
    path.write_bytes(broken(random))
    command("-p", str(path), "run", "mine", "-m", "mine-A8", "-d", "mydots")


@pytest.mark.filterwarnings("ignore")
def test_plugin_files_work_or_are_blamed(fuzz: Any) -> None:
    fuzz(attempt, some=15, many=250)
