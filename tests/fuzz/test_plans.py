"""Plans, damaged as values and as text, and YAML that is made to do harm."""

from __future__ import annotations

import json
import time
from pathlib import Path
from random import Random
from typing import Any

import pytest
import yaml

from fuzzing import COMMAND, command, expect_named
from spoiling import spoil, spoil_text, spoil_tree
from vitan.engine.plan import Plan
from vitan.errors import PlanError, VitanError

TOYS = Path(__file__).parents[1] / "core" / "cli" / "toys.py"
HONEST: tuple[dict[str, Any], ...] = (
    {
        "analyses": [{"name": "mean", "options": {"mass": 0.5, "kind": "plain", "only": [0, 1], "cap": None}}],
        "models": [{"name": "toy-A8"}, {"name": "toy-B8", "weights": "weights.pth"}],
        "dataset": {"name": "dots", "options": {"n": 5}},
        "blocks": ["0", "last"],
        "limit": 3,
        "batch_size": 2,
        "dtype": "float32",
        "device": "cpu",
        "on_error": "skip",
    },
    {
        "analyses": ["attention", {"name": "knn", "options": {"k": [1, 5]}}, "cka"],
        "models": ["random-S32"],
        "dataset": {"name": "shapes", "options": {"per_class": 4, "classes": 3, "size": 64}},
    },
    {"analyses": ["mean"], "models": ["toy-A8"], "dataset": {"name": "folder", "options": {"root": "photos"}}},
)
BOMB = "a: &a [x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)
HOSTILE = (
    f"analyses: !!python/object/apply:os.system [{COMMAND!r}]\nmodels: [toy-A8]\n",
    f"!!python/object/new:os.system [{COMMAND!r}]",
    BOMB,
    f"{BOMB}analyses: *i\nmodels: *i\n",
    f"{BOMB}analyses: [mean]\nmodels: [toy-A8]\ndataset: {{name: dots, options: {{n: *i}}}}\n",
    "analyses: &a [*a]\nmodels: [toy-A8]\n",
    "analyses: [mean]\nmodels: [toy-A8]\ndataset: &d {name: dots, options: {n: *d}}\n",
    "analyses: [mean]\nmodels: [toy-A8]\nblocks: 0-99999999999\n",
    "analyses: [mean]\nmodels: [toy-A8]\nblocks: ['0-99999999999']\n",
    "analyses: [mean]\nmodels: [toy-A8]\nlimit: " + "9" * 5000 + "\n",
    "analyses: [mean]\nmodels: [toy-A8]\nlimit: 0x" + "f" * 5000 + "\n",
    "analyses: [mean]\nmodels: [toy-A8]\ndataset: {name: dots, options: {n: 0x" + "f" * 5000 + "}}\n",
    "analyses: [{name: mean, options: {mass: 0x" + "f" * 5000 + "}}]\nmodels: [toy-A8]\n",
    "[" * 100_000,
    "{a: " * 100_000,
    "? " * 100_000,
    "- " * 100_000,
    "--- [mean]\n--- {}\n",
    "%YAML 9.9\n---\n",
    "analyses: [2024-99-99]\nmodels: [0o9, 1:99:99]\n",
    "",
    "\ufeffanalyses: [mean]\nmodels: [toy-A8]\ndataset: dots\n",
)  # fmt: skip


def content_of(random: Random) -> bytes:
    """A plan as YAML, or as JSON, which is YAML too."""
    honest = random.choice(HONEST)
    text = yaml.safe_dump(honest, default_flow_style=random.choice([None, True]))
    match random.randrange(6):
        case 0:
            return random.choice(HOSTILE).encode()
        case 1:
            return spoil(random, text.encode())
        case 2:
            return spoil_text(random, text).encode("utf-8", "surrogatepass")
        case _:
            return json.dumps(spoil_tree(random, honest), indent=random.choice([None, 1])).encode()


def attempt(random: Random, folder: Path) -> None:
    path = folder / "plan.yaml"
    path.write_bytes(content_of(random))
    try:
        command("-p", str(TOYS), "validate", str(path))
    except VitanError as error:
        expect_named(error, path.name)
        raise


def test_plans_are_read_or_refused(fuzz: Any) -> None:
    fuzz(attempt, some=20, many=400)


@pytest.mark.parametrize("content", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_plan_is_read_or_refused_soon(content: str, tmp_path: Path) -> None:
    path = tmp_path / "plan.yaml"
    path.write_text(content, encoding="utf-8")
    began = time.monotonic()
    try:
        assert Plan.read(path) == Plan.read(path)
    except PlanError as error:
        expect_named(error, "plan.yaml")
    assert time.monotonic() - began < 5
