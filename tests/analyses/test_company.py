"""The numbers of an analysis are the same to the bit in any company, and whatever was stored before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from itertools import combinations
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from toys import TOY, outcomes_of
from vitan.engine.job import prepare
from vitan.engine.plan import make_plan
from vitan.engine.runner import Outcome
from vitan.engine.store import Store
from vitan.registry.hooks import hookimpl
from vitan.registry.names import Provider
from vitan.registry.plugins import Plugins

DATASETS = {
    "shapes": {"per_class": 4, "classes": 4, "size": 48},
    "shapes-video": {"films": 2, "frames": 4, "height": 48, "width": 64},
}
OPTIONS = {"knn": {"k": [1]}}  # the bank is smaller than the usual k
SILENT: Any = SimpleNamespace(**dict.fromkeys(("begin", "advance", "end", "note", "download"), lambda *_, **__: None))


@cache
def plugins() -> Plugins:
    """The installed analyses and datasets, with a tiny model beside them."""

    @hookimpl
    def vitan_models() -> Any:
        yield replace(TOY, name="company-T8")

    installed = Plugins()
    installed.load_installed()
    installed.register(Provider("company", "1"), "company", SimpleNamespace(vitan_models=vitan_models))
    return installed


def run(names: tuple[str, ...], dataset: str, folder: Path) -> Mapping[str, Outcome]:
    content = {
        "analyses": [{"name": name, "options": OPTIONS.get(name, {})} for name in names],
        "models": [{"name": "company-T8"}],
        "dataset": {"name": dataset, "options": DATASETS[dataset]},
        "batch_size": 5,
    }
    job = prepare(make_plan(content, "test"), plugins())
    return {outcome.analysis.spec.name: outcome for outcome in outcomes_of(job, 0, Store(folder), SILENT)}


def _served(dataset: str) -> list[str]:
    offered = plugins().datasets.get(dataset).offers
    kinds = {spec.name: spec.load() for _, spec in plugins().probes}
    return [name for name, kind in kinds.items() if kind.requires(kind.Options(**OPTIONS.get(name, {}))) <= offered]


PAIRS = [(dataset, *pair) for dataset in DATASETS for pair in combinations(_served(dataset), 2)]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Any:
    @cache
    def of(dataset: str, name: str) -> Outcome:
        return run((name,), dataset, tmp_path_factory.mktemp("alone"))[name]

    return of


def check_same(outcome: Outcome, other: Outcome) -> None:
    assert [repr(record) for record in outcome.result.records] == [repr(record) for record in other.result.records]
    assert outcome.result.arrays.keys() == other.result.arrays.keys()
    for name, values in outcome.result.arrays.items():
        np.testing.assert_array_equal(values, other.result.arrays[name], err_msg=name)


@pytest.mark.large
@pytest.mark.parametrize(("dataset", "first", "second"), PAIRS)
def test_a_pair_gives_what_each_gives_alone(dataset: str, first: str, second: str, alone: Any, tmp_path: Path) -> None:
    together = run((first, second), dataset, tmp_path)
    for name in (first, second):
        check_same(together[name], alone(dataset, name))


@pytest.mark.parametrize("dataset", DATASETS)
def test_all_at_once_give_what_each_gives_alone(dataset: str, alone: Any, tmp_path: Path) -> None:
    together = run(tuple(_served(dataset)), dataset, tmp_path)
    for name, outcome in together.items():
        check_same(outcome, alone(dataset, name))


@pytest.mark.parametrize("half", [0, 1])
@pytest.mark.parametrize("dataset", DATASETS)
def test_what_was_stored_before_changes_nothing(dataset: str, half: int, alone: Any, tmp_path: Path) -> None:
    """Every other analysis is stored, and the rest is computed without it; as after a kill, some files are gone."""
    served = _served(dataset)
    run(tuple(served[half::2]), dataset, tmp_path)
    for path in sorted(tmp_path.glob("??/*.safetensors"))[::3]:
        path.unlink()
    for name, outcome in run(tuple(served), dataset, tmp_path).items():
        check_same(outcome, alone(dataset, name))


def test_an_analysis_that_takes_a_block_out_of_its_kernel_would_be_seen(
    monkeypatch: pytest.MonkeyPatch, alone: Any, tmp_path: Path
) -> None:
    """The test itself can fail: with another forward pass, bits differ."""

    def unfused() -> Any:
        module = TOY.build()
        for block in module.blocks:
            block.attn.fused_attn = False
        return module

    spec = plugins().models.get("company-T8")
    monkeypatch.setattr(Plugins, "model", lambda *_: replace(spec, build=unfused))
    other = run(("spectrum",), "shapes", tmp_path)["spectrum"]
    monkeypatch.undo()
    with pytest.raises(AssertionError):
        check_same(other, alone("shapes", "spectrum"))
