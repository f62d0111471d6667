"""A recording that changes what it is handed is refused by name."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

import toys
from vitan import ProbeSpec
from vitan.data.batch import Batch
from vitan.data.samples import Sample
from vitan.engine.job import prepare
from vitan.engine.plan import make_plan
from vitan.engine.store import Store
from vitan.engine.untouched import untouched
from vitan.errors import PluginError
from vitan.registry.hooks import hookimpl
from vitan.registry.names import Provider


def _batch() -> Batch:
    parts = [{"mask": torch.tensor([[True, False]])}, {"mask": torch.tensor([[False, False]])}]
    samples = [Sample(id=name, image=None) for name in "ab"]
    return Batch((0, 1), samples, (), torch.randn(2, 3, 4, 4), prepared={"masks": parts})


def _numpy(taps: Any, batch: Any) -> None:
    array = taps["block"].numpy()
    array[1, 2] = 7


CHANGES = {
    "one value of the last image": (lambda taps, _: taps["block"][1, 2, 3].add_(1e-6), "the tap 'block'"),
    "through a view": (lambda taps, _: taps["block"].transpose(0, 1)[1:].mul_(-1), "the tap 'block'"),
    "through numpy": (_numpy, "the tap 'block'"),
    "the order alone": (lambda taps, _: taps["block"].copy_(taps["block"].flip(-1)), "the tap 'block'"),
    "half precision": (lambda taps, _: taps["attention"].sub_(0.5), "the tap 'attention'"),
    "pixels": (lambda _, batch: batch.pixels.zero_(), "batch.pixels"),
    "what was prepared": (
        lambda _, batch: batch.prepared["masks"][1]["mask"].fill_(True),
        r"batch.prepared \('mask' of b\)",
    ),
}


def _taps() -> dict[str, torch.Tensor]:
    return {"block": torch.randn(2, 5, 8), "attention": torch.rand(2, 1, 5, 5).half()}


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_is_seen(change: str) -> None:
    act, what = CHANGES[change]
    taps, batch = _taps(), _batch()
    with (
        pytest.raises(PluginError, match=rf"analysis acme changes {what} in place at block 3: .*\.clone\(\)"),
        untouched("analysis acme", 3, taps, batch),
    ):
        act(taps, batch)


def test_those_who_only_look_are_let_be() -> None:
    taps, batch = _taps(), _batch()
    with untouched("analysis acme", 0, taps, batch):
        taps["block"].clone().zero_()
        taps["attention"].float().sub_(1)
        taps.clear()  # its own mapping


def test_nothing_of_such_a_pass_is_stored(tmp_path: Path) -> None:
    class Careless(toys.Features):
        def update_block(self, block: Any, taps: Any, batch: Any) -> None:
            taps["block"].sub_(taps["block"].mean())

    @hookimpl
    def vitan_probes() -> Any:
        yield ProbeSpec(name="careless", summary="a vandal", load=lambda: Careless)

    plugins = toys.toy_plugins()
    plugins.register(Provider("acme", "1"), "acme", SimpleNamespace(vitan_probes=vitan_probes))
    content = {
        "analyses": [{"name": "careless"}, {"name": "norms"}],
        "models": [{"name": "toy-T8"}],
        "dataset": {"name": "pictures"},
    }
    job = prepare(make_plan(content, "test"), plugins)
    with pytest.raises(PluginError, match=r"analysis careless \(acme 1\) changes the tap 'block' in place at block 0"):
        toys.outcomes_of(job, 0, Store(tmp_path), toys_reporter())
    assert not list(tmp_path.glob("??/*"))


def toys_reporter() -> Any:
    return SimpleNamespace(**dict.fromkeys(("begin", "advance", "end", "note", "download"), lambda *_: None))
