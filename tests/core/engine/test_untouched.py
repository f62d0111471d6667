"""A recording that changes what it is handed is refused by name, and what it changed is put back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
import torch
from torch import Tensor

import toys
from vitan import ProbeSpec, hookimpl
from vitan.data.batch import Batch
from vitan.data.preparation import Preparation
from vitan.data.samples import Sample
from vitan.engine.job import prepare
from vitan.engine.plan import make_plan
from vitan.engine.runner import ModelRun, run_model
from vitan.engine.store import Store
from vitan.engine.untouched import untouched
from vitan.errors import PluginError
from vitan.registry.names import Provider


@dataclass(frozen=True)
class Made(Preparation):
    name = "test/masks"

    def prepare(self, sample: Any, placement: Any, grid: Any, view: Any) -> Any:
        raise NotImplementedError


MADE = Made()


def _batch() -> Batch:
    parts = [{"mask": torch.tensor([[True, False]])}, {"mask": torch.tensor([[False, False]])}]
    samples = [Sample(id=name, image=None) for name in "ab"]
    return Batch((0, 1), samples, (), torch.randn(2, 3, 4, 4), prepared={MADE: parts})


def _numpy(taps: Mapping[str, Tensor], batch: Batch) -> None:
    array = taps["block"].numpy()
    array[1, 2] = 7


CHANGES: dict[str, tuple[Callable[[Any, Any], Any], str]] = {
    "one value of the last image": (lambda taps, _: taps["block"][1, 2, 3].add_(1e-6), "the tap 'block'"),
    "through a view": (lambda taps, _: taps["block"].transpose(0, 1)[1:].mul_(-1), "the tap 'block'"),
    "through numpy": (_numpy, "the tap 'block'"),
    "the order alone": (lambda taps, _: taps["block"].copy_(taps["block"].flip(-1)), "the tap 'block'"),
    "half precision": (lambda taps, _: taps["attention"].sub_(0.5), "the tap 'attention'"),
    "pixels": (lambda _, batch: batch.pixels.zero_(), "batch.pixels"),
    "what was prepared": (
        lambda _, batch: batch.prepared[MADE][1]["mask"].fill_(True),
        r"batch.prepared \('mask' of b\)",
    ),
}


def _taps() -> dict[str, Tensor]:
    return {"block": torch.randn(2, 5, 8), "attention": torch.rand(2, 1, 5, 5).half()}


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_is_seen_and_put_back(change: str) -> None:
    act, what = CHANGES[change]
    taps, batch = _taps(), _batch()
    before = [*(tensor.clone() for tensor in taps.values()), batch.pixels.clone()]
    with (
        pytest.raises(PluginError, match=rf"^analysis acme changes {what} in place at block 3: .*\.clone\(\)"),
        untouched("analysis acme", 3, taps, batch),
    ):
        act(taps, batch)
    for tensor, was in zip([*taps.values(), batch.pixels], before, strict=True):
        torch.testing.assert_close(tensor, was, rtol=0, atol=0, equal_nan=True)
    assert not batch.prepared[MADE][1]["mask"].any()


def test_what_is_raised_goes_on_and_changes_are_put_back_all_the_same() -> None:
    taps = _taps()
    before = taps["block"].clone()
    with suppress(LookupError), untouched("analysis acme", 0, taps, _batch()):
        taps["block"].zero_()
        raise LookupError
    assert torch.equal(taps["block"], before)


def test_those_who_only_look_are_let_be() -> None:
    taps = _taps()
    taps["block"][0, 0, 0] = torch.nan
    with untouched("analysis acme", 0, taps, _batch()):
        taps["block"].clone().zero_()
        taps["attention"].float().sub_(1)


class Careless(toys.Features):
    name = "test/careless"

    def update_block(self, block: int, taps: Mapping[str, Tensor], batch: Batch) -> None:
        taps["block"].sub_(taps["block"].mean())


@hookimpl
def vitan_probes() -> Iterator[ProbeSpec]:
    yield ProbeSpec(name="careless", summary="a vandal", load=lambda: Careless)


def test_it_ends_alone_and_nothing_of_it_is_stored(tmp_path: Path) -> None:
    plugins = toys.toy_plugins()
    plugins.register(Provider("acme", "1"), "acme", SimpleNamespace(vitan_probes=vitan_probes))

    def run(*analyses: str) -> ModelRun:
        content = {"analyses": list(analyses), "models": ["toy-T8"], "dataset": "pictures", "batch_size": 2}
        folder = tmp_path / "-".join(analyses)
        return run_model(prepare(make_plan(content, "test"), plugins), 0, Store(folder), Mock())

    alone, beside = run("norms"), run("careless", "norms")
    (failure,) = beside.failures
    assert failure.analysis.spec.name == "careless"
    assert "analysis careless (acme 1) changes the tap 'block' in place at block 0" in str(failure.error)
    values = [[record.value for record in done.outcomes[0].result.records] for done in (alone, beside)]
    assert values[0] == values[1]
    units = [len(list((tmp_path / name).rglob("*.safetensors"))) for name in ("norms", "careless-norms")]
    assert units[0] == units[1] > 0
