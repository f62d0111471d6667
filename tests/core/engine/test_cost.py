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
from vitan.engine.devices import machine_memory
from vitan.engine.job import prepare, resolve
from vitan.engine.plan import make_plan
from vitan.errors import OutOfMemoryError, StoreError
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

    def memory(self, images: int) -> int:
        return 10**10 * images * self.model.depth

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


def test_what_no_memory_holds_is_refused_before_any_model_is_loaded(
    cache: Path, plugins: Plugins, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cost, "MANY", 10)
    monkeypatch.setattr(cost, "machine_memory", lambda: 10**9)
    monkeypatch.setattr(cost, "check_disk", lambda *_: 0)
    monkeypatch.setattr("vitan.engine.runner.load_model", lambda *_, **__: pytest.fail("weights were loaded"))
    with pytest.raises(OutOfMemoryError, match=r"hoarder of toy-T8 would need about 330\.0 GB .* has 1\.0 GB"):
        vitan.run("hoarder", [SHALLOW.name, TOY.name], "pictures", plugins=plugins)


def test_a_machine_tells_its_memory() -> None:
    there = machine_memory()
    assert there is not None
    assert 10**8 < there < 10**14


def test_clustering_and_spectrum_of_imagenet_fit_a_workstation_and_similarity_does_not_grow() -> None:
    """Of all blocks at once clustering would hold 94 GB."""
    known = plugins_from(None)
    job = job_of(known, ["clustering", "spectrum", "similarity"], ["dino-B16"], {"name": "shapes"})
    info, gigabytes = cost.shape_of(known.model("dino-B16"), ["all"]), {}
    for analysis in job.analyses:
        gigabytes[analysis.spec.name] = analysis.kind(analysis.options, info).memory(1_280_000) / 1e9
    assert gigabytes["clustering"] == pytest.approx(8.0, abs=0.1)
    assert gigabytes["spectrum"] == pytest.approx(7.9, abs=0.1)
    assert gigabytes["similarity"] < 4


@pytest.mark.parametrize("name", [spec.name for _, spec in plugins_from(None).probes])
def test_every_analysis_says_what_its_numbers_need(name: str) -> None:
    """It never shrinks with more images, and grows at most as they do."""
    known = plugins_from(None)
    spec = known.probes.get(name)
    kind, info = spec.load(), cost.shape_of(known.model("dino-B16"), ["all"])
    few, many, most = (kind(kind.Options(), info).memory(images) for images in (1, 100_000, 1_000_000))
    assert 0 <= few <= many <= most <= 10 * many
    assert isinstance(most, int)
