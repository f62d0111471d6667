"""State is found again only by what made it, and says under which circumstances that was."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from toys import outcomes_of, toy_plugins
from vitan.engine import making
from vitan.engine.job import prepare
from vitan.engine.plan import make_plan
from vitan.engine.store import Store
from vitan.results.write import write_outcome

FILE = """
from dataclasses import dataclass
import torch
from toys import TOY, Pictures, Sharpness
from vitan import DatasetSpec, ModelSpec, ProbeSpec, hookimpl
from vitan.analysis.accumulators import PerImage
from vitan.analysis.probe import Probe, Recording
from vitan.analysis.records import Record, Result
from vitan.data.preparation import Preparation

NUMBER = 1

class Kept(Recording):
    name = "mine/kept"
    taps = frozenset({"block"})

    def __init__(self, options, model):
        super().__init__(options, model)
        self.rows = PerImage()

    def update_block(self, block, taps, batch):
        self.rows.add(block, batch.index, torch.full((len(batch), 1), float(NUMBER)))

class Shared(Probe):
    uses = {"kept": Kept}

    def compute(self):
        return Result(records=(Record(metric="number", value=float(self.kept.rows.rows(0).mean())),))

@dataclass(frozen=True)
class Numbered(Preparation):
    name = "mine/numbered"

    def prepare(self, sample, placement, grid, view):
        return {"number": torch.tensor(float(NUMBER))}

class Own(Kept, Probe):
    def update_block(self, block, taps, batch):
        self.rows.add(block, batch.index, torch.stack([made["number"] for made in batch.prepared[Numbered()]])[:, None])

    @classmethod
    def preparation(cls, options):
        return Numbered()

    def compute(self):
        return Result(records=(Record(metric="number", value=float(self.rows.rows(0).mean())),))

class Numbers(Pictures):
    pass

@hookimpl
def vitan_models():
    yield ModelSpec(name="mine-T8", summary="mine", family="toy", arch="T", patch=8, image_size=32, build=TOY.build)

@hookimpl
def vitan_probes():
    yield ProbeSpec(name="shared", summary="mine", load=lambda: Shared)
    yield ProbeSpec(name="own", summary="mine", load=lambda: Own)

@hookimpl
def vitan_datasets():
    yield DatasetSpec(name="numbers", summary="mine", load=lambda: Numbers)
"""


def run(store: Any, *files: Any, analysis: Any = "sharpness", model: Any = "toy-T8", dataset: Any = "pictures") -> Any:
    plugins = toy_plugins()
    for file in files:
        plugins.load_file(file)
    content = {"analyses": [{"name": analysis}], "models": [{"name": model}], "dataset": {"name": dataset}}
    job = prepare(make_plan(content, "test"), plugins)
    return job, outcomes_of(job, 0, Store(store), Mock())[0]


def written(folder: Any, number: Any = 1) -> Any:
    folder.mkdir()
    (folder / "mine.py").write_text(FILE.replace("NUMBER = 1", f"NUMBER = {number}"))
    return folder / "mine.py"


@pytest.mark.parametrize(
    "asked", [{"analysis": "own"}, {"analysis": "shared"}, {"model": "mine-T8"}, {"dataset": "numbers"}], ids=str
)
def test_a_plugin_file_is_what_is_in_it(tmp_path: Path, asked: Any) -> None:
    """Not its name, nor its place: another file of that name finds nothing, and the same one finds all that it left."""
    first, other = written(tmp_path / "first"), written(tmp_path / "other", 2)
    assert not run(tmp_path / "store", first, **asked)[1].reused
    found = run(tmp_path / "store", other, **asked)[1]
    assert not found.reused
    if "analysis" in asked:
        assert [record.value for record in found.result.records] == [2]
    moved = first.rename(tmp_path / "another-name.py")
    assert run(tmp_path / "store", moved, **asked)[1].reused
    moved.write_text(moved.read_text() + "# edited")
    assert not run(tmp_path / "store", moved, **asked)[1].reused


def test_what_is_installed_is_not_asked_for_its_file(tmp_path: Path) -> None:
    assert not run(tmp_path / "store")[1].reused
    assert run(tmp_path / "store", written(tmp_path / "mine"))[1].reused


def test_provenance_names_the_plugin_files(tmp_path: Path) -> None:
    file = written(tmp_path / "mine")
    job, outcome = run(tmp_path / "store", file, analysis="own", model="mine-T8")
    folder = write_outcome(outcome, job, tmp_path / "results")
    facts = json.loads((folder / "provenance.json").read_text())
    source = outcome.analysis.spec.source
    assert facts["plugin_files"] == {"analysis": source, "model": source}


def test_reused_state_names_what_made_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three shards: the first by one version, the second by another, the last of today."""
    monkeypatch.setattr("vitan.engine.schedule.SHARD_IMAGES", 8)
    plugins = toy_plugins()

    def limited(limit: Any, packages: Any) -> Any:
        monkeypatch.setattr(making, "circumstances", lambda device: {"threads": 1, "packages": packages})
        content = {"analyses": ["sharpness"], "models": ["toy-T8"], "dataset": "pictures", "limit": limit}
        job = prepare(make_plan({**content, "batch_size": 4}, "test"), plugins)
        return job, outcomes_of(job, 0, Store(tmp_path / "store"), Mock())[0]

    old, older = {"torch": "2.0", "vitan": "0.1"}, {"torch": "1.0", "vitan": "0.0"}
    assert limited(8, older)[1].made_by == ()
    assert limited(10, old)[1].made_by == ({"threads": 1, "packages": older},)
    job, outcome = limited(10, {"torch": "3.0", "vitan": "0.2"})
    assert outcome.reused
    assert [facts["packages"] for facts in outcome.made_by] == [older, old]
    state = json.loads((write_outcome(outcome, job, tmp_path / "results") / "provenance.json").read_text())["state"]
    assert [facts["packages"] for facts in state["made_by"]] == [older, old]


def test_a_unit_says_how_it_was_made(tmp_path: Path) -> None:
    run(tmp_path)
    ((path, _),) = Store(tmp_path)
    facts = Store(tmp_path).get(path.stem).notes["made_by"]
    assert {"python", "threads", "device", "packages"} <= facts.keys()
    assert {"vitan", "torch", "timm"} <= facts["packages"].keys()
    assert "when" not in facts
