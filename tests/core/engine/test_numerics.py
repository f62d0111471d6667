"""How single precision is computed is decided by the plan, and by nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import vitan
from toys import TOY, Sharpness, toy_plugins
from vitan.engine.numerics import computing
from vitan.errors import UsageError
from vitan.models import attention
from vitan.registry.plugins import Plugins

LEVELS = {"ieee": ("highest", False), "tf32": ("high", True), "bf16": ("medium", True)}


def now() -> tuple[str, bool]:
    return torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32


@pytest.fixture(params=["highest", "high", "medium"])
def environment(request: pytest.FixtureRequest) -> Iterator[tuple[str, bool]]:
    before = now()
    torch.set_float32_matmul_precision(request.param)
    torch.backends.cudnn.allow_tf32 = request.param == "high"
    yield now()
    torch.set_float32_matmul_precision(before[0])
    torch.backends.cudnn.allow_tf32 = before[1]


@pytest.mark.parametrize("precision", LEVELS)
def test_it_is_set_whatever_the_environment_says_and_put_back(environment: Any, precision: str) -> None:
    with computing(precision):
        assert now() == LEVELS[precision]
    assert now() == environment
    with pytest.raises(KeyboardInterrupt), computing(precision):
        raise KeyboardInterrupt
    assert now() == environment


@pytest.fixture
def plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plugins:
    monkeypatch.setenv("VITAN_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return toy_plugins()


@pytest.mark.parametrize("precision", LEVELS)
def test_a_run_computes_as_its_plan_says(
    plugins: Plugins, environment: Any, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, real = set(), Sharpness.update_block
    monkeypatch.setattr(Sharpness, "update_block", lambda *given: (seen.add(now()), real(*given))[1])
    vitan.run("sharpness", TOY.name, "pictures", precision=precision, plugins=plugins)
    assert seen == {LEVELS[precision]}
    assert now() == environment


def test_state_of_one_precision_is_not_taken_for_another(plugins: Plugins) -> None:
    found = [vitan.run("sharpness", TOY.name, "pictures", precision=p, plugins=plugins)[0] for p in (*LEVELS, *LEVELS)]
    assert [each.reused for each in found] == [False] * 3 + [True] * 3


def test_a_precision_that_there_is_not_is_refused(plugins: Plugins) -> None:
    with pytest.raises(UsageError, match=r"precision.*ieee.*tf32.*bf16"):
        vitan.run("sharpness", TOY.name, "pictures", precision="half", plugins=plugins)


@pytest.mark.parametrize(("precision", "least"), [("ieee", 1e-4), ("tf32", 5e-3), ("bf16", 4e-2)])
def test_what_was_read_may_be_off_as_much_as_products_are(precision: str, least: float) -> None:
    with computing(precision):
        assert attention._mixed_tolerance(torch.float32) == least
        assert attention._mixed_tolerance(torch.float64) == 1e-9
        assert attention._mixed_tolerance(torch.bfloat16) == 4e-2
