"""What a plugin raises is told in one line, and takes nothing else with it; and errors that are kept hold no memory."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
import torch
from PIL import Image

import vitan
from toys import SHALLOW, TOY, toy_plugins
from vitan import DatasetSpec, ModelSpec, ProbeSpec, hookimpl
from vitan.analysis.accumulators import Sum
from vitan.analysis.probe import Probe, Recording
from vitan.analysis.records import Record, Result
from vitan.data.preparation import Preparation
from vitan.data.samples import Dataset, Sample
from vitan.engine import loader
from vitan.engine.isolation import blaming, forget, is_out_of_memory
from vitan.engine.job import prepare
from vitan.engine.plan import make_plan
from vitan.engine.runner import run_model
from vitan.engine.store import Store
from vitan.errors import ImageError, OutOfMemoryError, PluginError, VitanError
from vitan.registry.names import Provider

MEANT = "not what\n  was meant"


class Fails:
    """Whether the code below raises something, and where."""

    place = ""

    @classmethod
    def at(cls, place: str) -> None:
        if cls.place == place:
            raise LookupError(MEANT)


@dataclass(frozen=True)
class Made(Preparation):
    name = "test/made"

    def prepare(self, sample: Any, placement: Any, grid: Any, view: Any) -> Any:
        Fails.at("prepare")
        return {"made": torch.zeros(1)}


class Fragile(Probe):
    taps = frozenset({"block"})

    def __init__(self, options: Any, model: Any) -> None:
        super().__init__(options, model)
        Fails.at("__init__")
        self.total = Sum()

    @classmethod
    def preparation(cls, options: Any) -> Any:
        return Made()

    def bytes_per_image(self) -> Any:
        Fails.at("bytes_per_image")
        return 0

    def update_block(self, block: Any, taps: Any, batch: Any) -> None:
        if batch.index[0] >= 4:
            Fails.at("update_block")
        self.total.add(block, taps["block"].mean((1, 2)))

    def finish(self) -> None:
        Fails.at("finish")

    def merge(self, other: Any) -> None:
        Fails.at("merge")
        super().merge(other)

    def compute(self) -> Any:
        Fails.at("compute")
        value = {"text": "high", "none": None}.get(Fails.place, 1.0)
        return Result(records=(Record(metric="strength", value=value),))


class Dense(Fragile):
    view = "dense"


class Frail(Recording):
    name = "test/frail"
    taps = frozenset({"block"})

    def update_block(self, block: Any, taps: Any, batch: Any) -> None:
        Fails.at("shared")


class Sharing(Probe):
    uses = {"frail": Frail}  # noqa: RUF012

    def compute(self) -> Any:
        return Result(records=(Record(metric="strength", value=1.0),))


class Numbered(Dataset):
    def __len__(self) -> Any:
        Fails.at("len")
        return 9

    def __getitem__(self, index: Any) -> Any:
        Fails.at("sample")
        return Sample(id=f"{index}", image=Image.new("RGB", (32, 32), (index, 0, 0)))

    def fingerprint(self) -> Any:
        Fails.at("fingerprint")
        return "numbered"


def _built() -> Any:
    Fails.at("build")
    module = TOY.build()
    module.register_forward_pre_hook(lambda *_: Fails.at("forward"))
    return module


def plugins() -> Any:
    @hookimpl
    def vitan_models() -> Iterator[Any]:
        yield ModelSpec(name="own-T8", summary="one", family="toy", arch="T", patch=8, image_size=32, build=_built)

    @hookimpl
    def vitan_probes() -> Iterator[Any]:
        for name, kind in {"fragile": Fragile, "dense": Dense, "sharing": Sharing}.items():
            yield ProbeSpec(name=name, summary=name, load=lambda kind=kind: kind)
        yield ProbeSpec(name="unloadable", summary="none", load=lambda: Fails.at("load"))

    @hookimpl
    def vitan_datasets() -> Iterator[Any]:
        yield DatasetSpec(name="numbered", summary="one", load=lambda: Numbered)

    found = toy_plugins()
    hooks = SimpleNamespace(vitan_models=vitan_models, vitan_probes=vitan_probes, vitan_datasets=vitan_datasets)
    found.register(Provider("acme", "1.2"), "acme", hooks)
    return found


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(Fails, "place", "")
    monkeypatch.setattr("vitan.engine.schedule.SHARD_IMAGES", 4)
    monkeypatch.setenv("VITAN_CACHE", str(tmp_path / "cache"))


def run(folder: Any, *analyses: Any, model: Any = "toy-T8", dataset: Any = "pictures") -> Any:
    content = {"analyses": list(analyses), "models": [model], "dataset": dataset, "batch_size": 2}
    return run_model(prepare(make_plan(content, "test"), plugins()), 0, Store(folder), Mock())


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("__init__", "bytes_per_image"),  # there a recording is made first
        ("bytes_per_image", "bytes_per_image"),
        ("prepare", "prepare of picture-"),
        ("update_block", "update_block"),
        ("finish", "finish"),
        ("merge", "merging its state"),
        ("compute", "compute"),
    ],
)
def test_an_analysis_that_raises_something_fails_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: Any, said: Any
) -> None:
    """The others have the numbers that they have without it, in its pass and in another."""
    expected = run(tmp_path / "alone", "sharpness", "dense").outcomes
    monkeypatch.setattr(Fails, "place", place)
    monkeypatch.setattr(Dense, "preparation", classmethod(lambda cls, options: None))
    for name in ("__init__", "update_block", "bytes_per_image", "finish", "merge", "compute"):
        if place == name:  # the dense one is healthy
            monkeypatch.setattr(Dense, name, getattr(Healthy, name))
    done = run(tmp_path / "store", "sharpness", "fragile", "dense")
    assert [outcome.analysis.spec.name for outcome in done.outcomes] == ["sharpness", "dense"]
    for outcome, alone in zip(done.outcomes, expected, strict=True):
        assert [record.value for record in outcome.result.records] == [record.value for record in alone.result.records]
    (failure,) = done.failures
    assert failure.analysis.spec.name == "fragile"
    text = str(failure.error)
    assert isinstance(failure.error, PluginError)
    assert f"failed in {said}" in text
    assert text.endswith("LookupError: not what was meant")
    assert "test_isolation.py:" in text
    if place != "prepare":
        assert text.startswith("analysis fragile (acme 1.2) failed in")
    assert 'Fails.at("' + place in failure.error.details
    monkeypatch.setattr(Fails, "place", "")
    assert not run(tmp_path / "store", "fragile").failures


class Healthy(Dense):
    """The methods of ``Dense`` without what fails."""

    def __init__(self, options: Any, model: Any) -> None:
        Probe.__init__(self, options, model)
        self.total = Sum()

    def bytes_per_image(self) -> Any:
        return 0

    def update_block(self, block: Any, taps: Any, batch: Any) -> None:
        self.total.add(block, taps["block"].mean((1, 2)))

    def finish(self) -> None:
        pass

    def merge(self, other: Any) -> None:
        Probe.merge(self, other)

    def compute(self) -> Any:
        return Result(records=(Record(metric="strength", value=1.0),))


def test_a_pass_in_which_all_fail_ends_and_the_next_one_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Fails, "place", "update_block")
    monkeypatch.setattr(Dense, "update_block", Healthy.update_block)
    monkeypatch.setattr(loader, "_AHEAD", 0)
    seen = []
    real = Numbered.__getitem__
    monkeypatch.setattr(Numbered, "__getitem__", lambda self, index: (seen.append(index), real(self, index))[1])
    done = run(tmp_path, "fragile", dataset="numbered")
    assert [failure.analysis.spec.name for failure in done.failures] == ["fragile"]
    assert 8 not in seen  # it failed at 4, and nobody looks at the rest
    assert [outcome.analysis.spec.name for outcome in run(tmp_path, "fragile", "dense").outcomes] == ["dense"]


def test_what_analyses_share_fails_for_those_that_share_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Fails, "place", "shared")
    done = run(tmp_path, "sharing", "sharpness")
    assert [outcome.analysis.spec.name for outcome in done.outcomes] == ["sharpness"]
    assert "the recording test/frail" in str(done.failures[0].error)


@pytest.mark.parametrize("value", ["text", "none"])
def test_a_value_that_is_no_number_is_refused_with_its_metric(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: Any
) -> None:
    monkeypatch.setattr(Fails, "place", value)
    (failure,) = run(tmp_path, "fragile").failures
    assert "analysis fragile (acme 1.2) failed in compute" in str(failure.error)
    assert "the value of strength is" in str(failure.error)


@pytest.mark.parametrize(
    ("place", "asked", "said"),
    [
        ("load", {"analysis": "unloadable"}, r"analysis unloadable \(acme 1.2\) failed in loading"),
        ("len", {"dataset": "numbered"}, "dataset numbered failed in classes"),
        ("fingerprint", {"dataset": "numbered"}, "dataset numbered failed in fingerprint"),
        ("sample", {"dataset": "numbered"}, "dataset Numbered failed in reading image 0"),
        ("build", {"model": "own-T8"}, "model own-T8 failed in loading"),
        ("forward", {"model": "own-T8"}, "model own-T8 failed in its forward pass"),
    ],
)
def test_models_and_datasets_are_named_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: Any, asked: Any, said: Any
) -> None:
    monkeypatch.setattr(Fails, "place", place)
    with pytest.raises(PluginError, match=said + r" \(\S*test_isolation.py:\d+\): LookupError: not what was meant"):
        run(tmp_path, asked.pop("analysis", "sharpness"), **asked)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("MPS backend out of memory (MPS allocated: 5.00 GB, other allocations: 1.00 GB)"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: can't allocate memory: you"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:73] . DefaultCPUAllocator: not enough memory: you tried to"),
        RuntimeError("HIP out of memory"),
    ],
    ids=lambda error: str(error)[:30],
)
def test_too_little_memory_is_nobodys_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Any) -> None:
    """Wherever it happens, and whatever torch calls it on that device."""
    assert is_out_of_memory(error)
    monkeypatch.setattr(Fragile, "update_block", Mock(side_effect=error))
    with pytest.raises(OutOfMemoryError, match="the memory of cpu is not enough; try --batch-size 1"):
        run(tmp_path, "fragile")


@pytest.mark.parametrize("error", [ValueError("out of memory"), RuntimeError("shape mismatch"), KeyError("memory")])
def test_other_errors_are_not_about_memory(error: Any) -> None:
    assert not is_out_of_memory(error)


def test_an_error_that_is_kept_holds_nothing() -> None:
    """Neither its own frames, nor those of what it was raised from, nor those of what was handled meanwhile."""
    held = []

    def fail(deeper: Any) -> None:
        tensor = torch.zeros(3)
        held.append(weakref.ref(tensor))
        raise (VitanError if deeper else ValueError)(f"with {len(tensor)}")

    def chained() -> None:
        try:
            fail(deeper=False)
        except ValueError as error:
            try:
                fail(deeper=True)
            except VitanError as other:
                raise other from error

    with pytest.raises(VitanError) as caught:
        chained()
    error = caught.value
    del caught
    assert any(reference() is not None for reference in held)
    kept = forget(error)
    gc.collect()
    assert all(reference() is None for reference in held)
    assert (kept.__traceback__, kept.__cause__, kept.__context__) == (None, None, None)
    assert "ValueError: with 3" in kept.details


def test_blaming_lets_pass_what_is_no_fault_of_a_plugin() -> None:
    for error in (ImageError("one"), MemoryError(), KeyboardInterrupt()):
        with pytest.raises(type(error)), blaming("somebody", "something"):
            raise error


@pytest.mark.parametrize("kind", [torch.cuda.OutOfMemoryError, LookupError])
def test_a_model_that_fails_is_gone_when_the_next_one_is_loaded(monkeypatch: pytest.MonkeyPatch, kind: Any) -> None:
    """Its weights and activations are; or the next model would run out of memory as well."""
    alive = []

    def built(spec: Any) -> Any:
        assert [reference for reference in alive if (gc.collect(), reference())[1] is not None] == []
        module = spec.build()
        alive.append(weakref.ref(module))
        return module

    @hookimpl
    def vitan_models() -> Iterator[Any]:
        for spec in (TOY, SHALLOW):
            about = {"family": "toy", "arch": "T", "patch": 8, "image_size": 32}
            yield ModelSpec(name=f"own-{spec.name}", summary="one", build=lambda spec=spec: built(spec), **about)

    def failing(*_: Any) -> None:
        raise kind("CUDA out of memory")

    monkeypatch.setattr("toys.Sharpness.update_block", failing)
    known = plugins()
    known.register(Provider("more", "1"), "more", SimpleNamespace(vitan_models=vitan_models))
    models = [f"own-{spec.name}" for spec in (TOY, SHALLOW)]
    found = vitan.run(["sharpness", "norms"], models, "pictures", plugins=known, device="cpu")
    assert len(alive) == 2
    assert len(found.failed) == 2
    assert len(found) == (2 if kind is LookupError else 0)
