"""What a whole job keeps is known before it starts, and refused where it does not fit."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import vitan
from toys import SHALLOW, TOY, toy_plugins
from vitan.engine import cost
from vitan.engine.job import prepare, resolve
from vitan.engine.plan import make_plan
from vitan.errors import StoreError
from vitan.registry.names import Provider
from vitan.registry.plugins import Plugins, plugins_from

#: Analyses that keep much of each image, on what they need of a model that is at hand.
KEEPING = ("knn", "spectrum")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VITAN_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "cache" / "states"


def job_of(plugins: Plugins, analyses: Any, models: Any, dataset: Any, **more: Any) -> Any:
    plan = {"analyses": analyses, "models": models, "dataset": dataset, **more}
    return prepare(resolve(make_plan(plan, "test"), plugins), plugins)


@pytest.mark.parametrize("analysis", KEEPING)
def test_what_is_predicted_is_what_is_kept(cache: Path, analysis: str) -> None:
    known = plugins_from(None)
    dataset = {"name": "shapes", "options": {"per_class": 5}}
    job = job_of(known, [analysis], ["tiny-random"], dataset, batch_size=64)
    (predicted,) = cost.stored(job).values()
    vitan.run_plan(job.plan, plugins=known)
    kept = sum(path.stat().st_size for path in cache.rglob("*.safetensors"))
    assert predicted == pytest.approx(kept, rel=0.2)


def test_what_analyses_share_is_counted_once_and_blocks_and_images_count() -> None:
    known, dataset = plugins_from(None), {"name": "shapes", "options": {"per_class": 4}}

    def of(analyses: Any, **more: Any) -> int:
        return sum(cost.stored(job_of(known, analyses, ["tiny-random"], dataset, **more)).values())

    one = of(["knn"])
    assert one == 56 * 2 * 96 * 4 * 6  # images, CLS and mean patch, channels, bytes, blocks
    assert of(["knn", "clustering", "similarity"]) == one
    assert of(["knn"], blocks=["last"], limit=14) == one / 24


def test_published_models_are_known_without_their_weights() -> None:
    info = cost.shape_of(plugins_from(None).model("dino-B16"), ["all"])
    assert (info.depth, info.heads, info.dim, len(info.layout)) == (12, 12, 768, 197)


class Hoarder(vitan.Probe):
    """Says that it keeps gigabytes of each image."""

    Options = vitan.Options
    taps = frozenset({"block"})

    def bytes_per_image(self) -> int:
        return 10**9 * self.model.depth

    def update_block(self, block: int, taps: Any, batch: Any) -> None:
        pytest.fail("a model was run")

    def compute(self) -> Any: ...


@pytest.fixture
def plugins() -> Plugins:
    plugins = toy_plugins()
    spec = vitan.ProbeSpec(name="hoarder", summary="keeps much", load=lambda: Hoarder)
    plugins.probes.add(Provider("here", "1"), spec)
    return plugins


def test_what_does_not_fit_is_refused_before_any_model_is_loaded(
    cache: Path, plugins: Plugins, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cost, "MANY", 10)
    monkeypatch.setattr("vitan.engine.runner.load_model", lambda *_, **__: pytest.fail("weights were loaded"))
    with pytest.raises(StoreError, match=r"about 55\.0 GB of state \(33\.0 GB of toy-T8\)"):
        vitan.run("hoarder", [TOY.name, SHALLOW.name], "pictures", plugins=plugins)


def test_what_is_kept_already_counts_as_room(cache: Path, plugins: Plugins, monkeypatch: pytest.MonkeyPatch) -> None:
    job = job_of(plugins, ["hoarder"], [TOY.name], "pictures")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=10**9))
    with pytest.raises(StoreError):
        cost.check_disk(job, cache)
    (cache / "ab").mkdir(parents=True)
    with (cache / "ab" / "unit.safetensors").open("wb") as file:
        os.truncate(file.fileno(), 32 * 10**9)
    assert cost.check_disk(job, cache) == 33 * 10**9
