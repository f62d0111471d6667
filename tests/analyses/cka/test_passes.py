"""One pass for each model, however many are compared and however many analyses look on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
import torch

import toys
import vitan_analyses.cka
import vitan_analyses.clustering
import vitan_analyses.residual
import vitan_analyses.spectrum
from toys import outcomes_of
from vitan import DatasetSpec, hookimpl
from vitan.engine.job import prepare
from vitan.engine.plan import make_plan
from vitan.engine.progress import Silent
from vitan.engine.schedule import arrange
from vitan.engine.store import Store
from vitan.models.model import Model
from vitan.registry.names import Provider
from vitan.registry.plugins import Plugins
from vitan.results.save import compare_findings, finding_of

COUNT, IMAGES = 20, 11


def _build(seed: Any) -> Any:
    def build() -> Any:
        module = toys.build_toy()
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for parameter in module.parameters():
                parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator))
        return module

    return build


class Labelled(toys.Pictures):
    """Pictures of two classes."""

    def classes(self) -> Any:
        return ("even", "odd")


class Twenty:
    """As a plugin: twenty toys with weights of their own, and pictures with classes."""

    @hookimpl
    def vitan_datasets(self) -> Iterator[Any]:
        yield DatasetSpec(name="labelled", summary="noise", load=lambda: Labelled, offers=frozenset({"label"}))

    @hookimpl
    def vitan_models(self) -> Iterator[Any]:
        for seed in range(COUNT):
            yield replace(toys.TOY, name=f"toy{seed}-T8", build=_build(seed))


def _job(analyses: Any, models: Any, **changes: Any) -> Any:
    plugins = Plugins()
    plugins.register(Provider("toys", "1.0"), "toys", toys)
    plugins.register(Provider("twenty", "1.0"), "twenty", Twenty())
    for kind in (vitan_analyses.cka, vitan_analyses.residual, vitan_analyses.clustering, vitan_analyses.spectrum):
        plugins.register(Provider("vitan", "1.0"), kind.__name__, kind)
    content = {
        "analyses": [{"name": name, "options": options} for name, options in analyses.items()],
        "models": [{"name": name} for name in models],
        "dataset": {"name": "pictures"},
        **changes,
    }
    return prepare(make_plan(content, "test"), plugins)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The images of every forward pass."""
    found, real = [], Model.forward

    def forward(self: Any, pixels: Any) -> Any:
        found.append(len(pixels))
        return real(self, pixels)

    monkeypatch.setattr(Model, "forward", forward)
    monkeypatch.setattr(Model, "check_recording", lambda *_, **__: None)
    return found


def test_the_map_of_twenty_models_costs_twenty_passes(seen: Any, tmp_path: Path) -> None:
    job = _job({"cka": {"batch": 8}}, [f"toy{i}-T8" for i in range(COUNT)])
    outcomes = [outcome for i in range(COUNT) for outcome in outcomes_of(job, i, Store(tmp_path / "store"), Mock())]
    assert sum(seen) == COUNT * IMAGES
    compare_findings(
        [finding_of(outcome, job) for outcome in outcomes], tmp_path / "out", figures="none", reporter=Silent()
    )
    assert sum(seen) == COUNT * IMAGES  # no further forward for any of the 190 pairs
    arrays = np.load(tmp_path / "out" / "comparison" / "pictures" / "cka" / "arrays.npz")
    for kind in ("all", "spatial", "cls", "patches"):
        assert arrays[f"last-{kind}"].shape == (COUNT, COUNT)
        assert np.isfinite(arrays[f"last-{kind}"]).all()
        np.testing.assert_allclose(arrays[f"last-{kind}"].diagonal(), 1)


def test_four_analyses_share_one_pass(seen: Any, tmp_path: Path) -> None:
    analyses = {"cka": {}, "residual": {}, "clustering": {}, "spectrum": {}}
    job = _job(analyses, ["toy-T8"], batch_size=3, dataset={"name": "labelled"})
    (sharing,) = arrange(job.analyses, 3)
    assert (sharing.batching.size, sharing.batching.seed) == (64, 0)
    assert len(outcomes_of(job, 0, Store(tmp_path), Mock())) == 4
    assert seen == [IMAGES]


def test_published_minibatches_are_in_order_and_the_default_is_not(seen: Any, tmp_path: Path) -> None:
    kept = {}
    for protocol in ("paper", "default"):
        job = _job({"cka": {"protocol": protocol, "batch": 4}}, ["toy-T8"])
        (outcome,) = outcomes_of(job, 0, Store(tmp_path), Mock())
        kept[protocol] = outcome.probe.images.rows(0)
    assert kept["paper"].tolist() == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, -1]]
    assert kept["default"].flatten().tolist() != kept["paper"].flatten().tolist()
    assert sorted(kept["default"].flatten().tolist()) == [-1, *range(IMAGES)]


def test_a_picture_that_cannot_be_read_leaves_its_batch_smaller(seen: Any, tmp_path: Path) -> None:
    job = _job(
        {"cka": {"protocol": "paper", "batch": 5}}, ["toy-T8"],
        dataset={"name": "pictures", "options": {"broken": [2]}}, on_error="skip",
    )  # fmt: skip
    (outcome,) = outcomes_of(job, 0, Store(tmp_path), Mock())
    assert outcome.probe.counts().tolist() == [4, 5, 1]
    assert {r.metric: r.value for r in outcome.result.records}["images-left-out"] == 1
