"""Passes, shards, stored state: the same numbers whatever happens on the way."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open

import vitan.engine.schedule
import vitan_analyses.cka
from toys import Sharpness, outcomes_of, toy_plugins
from vitan.analysis.figures import File
from vitan.anatomy import select_blocks
from vitan.engine.job import prepare, resolve
from vitan.engine.plan import Plan, make_plan, read_plan
from vitan.engine.store import Store
from vitan.errors import ImageError, MismatchError, OptionError, PlanError, UnknownNameError
from vitan.files import replacing, replacing_folder
from vitan.registry.names import Provider
from vitan.results.drawing import files, save
from vitan.results.folder import write_root
from vitan.results.save import compare_findings, finding_of
from vitan.results.write import write_outcome


class Silent:
    def __init__(self) -> None:
        self.images = 0

    def begin(self, title: Any, total: Any) -> None:
        self.total = total

    def advance(self, images: Any, *, reused: bool = False) -> None:
        self.images += images

    def begin_drawing(self, what: Any) -> None:
        pass

    def drawn(self, name: Any) -> None:
        pass

    def end(self) -> None:
        pass

    def note(self, text: Any) -> None:
        pass

    def download(self, what: Any, done: Any, total: Any) -> None:
        pass


def _plan(**changes: Any) -> Any:
    content = {
        "analyses": [{"name": "sharpness"}],
        "models": [{"name": "toy-T8"}],
        "dataset": {"name": "pictures"},
        "batch_size": 2,
        **changes,
    }
    return make_plan(content, "test")


def _run(folder: Any, monkeypatch: pytest.MonkeyPatch = None, shard: Any = None, **changes: Any) -> Any:
    if shard:
        monkeypatch.setattr(vitan.engine.schedule, "SHARD_IMAGES", shard)
    job = prepare(_plan(**changes), toy_plugins())
    Sharpness.forwards.clear()
    return outcomes_of(job, 0, Store(folder), Silent())


def _same(first: Any, second: Any) -> Any:
    return torch.equal(
        torch.from_numpy(first.result.arrays["sharpness"]), torch.from_numpy(second.result.arrays["sharpness"])
    ) and [record.value for record in first.result.records] == [record.value for record in second.result.records]


def test_shards_change_no_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (whole,) = _run(tmp_path / "a", monkeypatch, shard=1000)
    (sharded,) = _run(tmp_path / "b", monkeypatch, shard=4)
    assert len(list((tmp_path / "b").glob("??/*"))) == 3
    assert len(list((tmp_path / "a").glob("??/*"))) == 1
    assert _same(whole, sharded)


def test_batch_size_changes_only_rounding(tmp_path: Path) -> None:
    (two,) = _run(tmp_path, batch_size=2)
    (five,) = _run(tmp_path, batch_size=5)
    assert two.result.arrays["sharpness"] == pytest.approx(five.result.arrays["sharpness"], rel=1e-5)


def test_a_second_run_reuses_everything(tmp_path: Path) -> None:
    (first,) = _run(tmp_path)
    assert Sharpness.forwards
    assert not first.reused
    (second,) = _run(tmp_path)
    assert Sharpness.forwards == []
    assert second.reused
    assert _same(first, second)


def test_an_option_of_the_summary_reuses_state_and_a_seen_one_does_not(tmp_path: Path) -> None:
    (first,) = _run(tmp_path)
    (scaled,) = _run(tmp_path, analyses=[{"name": "sharpness", "options": {"scale": 2.0}}])
    assert Sharpness.forwards == []
    assert scaled.result.records[0].value == 2 * first.result.records[0].value
    _run(tmp_path, analyses=[{"name": "sharpness", "options": {"power": 2.0}}])
    assert Sharpness.forwards


def test_more_images_reuse_the_shards_they_share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _run(tmp_path, monkeypatch, shard=4, limit=8)
    _run(tmp_path, monkeypatch, shard=4)
    assert Sharpness.forwards == [(8, 9), (10,)]


def test_analyses_share_a_pass_and_a_new_one_costs_only_itself(tmp_path: Path) -> None:
    _run(tmp_path)
    both = _run(tmp_path, analyses=[{"name": "norms"}, {"name": "sharpness"}])
    assert [outcome.analysis.spec.name for outcome in both] == ["norms", "sharpness"]
    assert Sharpness.forwards == []
    assert [outcome.reused for outcome in both] == [False, True]


def test_an_interrupted_run_ends_with_the_same_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (whole,) = _run(tmp_path / "whole", monkeypatch, shard=4)
    real = Sharpness.update_block

    def interrupted(self: Any, block: Any, taps: Any, batch: Any) -> None:
        if batch.index[0] == 6:
            raise KeyboardInterrupt
        real(self, block, taps, batch)

    monkeypatch.setattr(Sharpness, "update_block", interrupted)
    with pytest.raises(KeyboardInterrupt):
        _run(tmp_path / "cut")
    monkeypatch.setattr(Sharpness, "update_block", real)
    (continued,) = _run(tmp_path / "cut")
    assert Sharpness.forwards[0] == (4, 5)  # the first shard was kept, the second is done anew
    assert _same(whole, continued)


_KILLED = """
import json, os, pathlib, signal, sys
from unittest.mock import Mock
import vitan.engine.schedule, vitan.engine.runner
import vitan_analyses.cka
from toys import Sharpness, toy_plugins
from vitan.analysis.figures import File
from vitan.engine.job import prepare
from vitan.registry.names import Provider
from vitan.engine.plan import make_plan
from vitan.engine.store import Store

real = Sharpness.update_block

def kill(self, block, taps, batch):
    if batch.index[0] == 6:
        os.kill(os.getpid(), signal.SIGKILL)
    real(self, block, taps, batch)

Sharpness.update_block = kill
vitan.engine.schedule.SHARD_IMAGES = 4
job = prepare(make_plan(json.loads(sys.argv[2]), "test"), toy_plugins())
vitan.engine.runner.run_model(job, 0, Store(pathlib.Path(sys.argv[1])), Mock())
"""


def test_a_killed_run_ends_with_the_same_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGKILL in the middle of a shard leaves nothing half-written, and the next run goes on."""
    process = subprocess.run(
        [sys.executable, "-c", _KILLED, str(tmp_path / "cut"), json.dumps(_plan().model_dump(mode="json"))],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
    )
    assert process.returncode == -signal.SIGKILL, process.stderr
    assert len(list((tmp_path / "cut").glob("??/*.safetensors"))) == 1
    (whole,) = _run(tmp_path / "whole", monkeypatch, shard=4)
    (continued,) = _run(tmp_path / "cut", monkeypatch, shard=4)
    assert Sharpness.forwards[0] == (4, 5)
    assert _same(whole, continued)


def test_half_precision_runs(tmp_path: Path) -> None:
    (exact,) = _run(tmp_path)
    (half,) = _run(tmp_path, dtype="bfloat16")
    assert half.result.arrays["sharpness"] == pytest.approx(exact.result.arrays["sharpness"], rel=0.1)
    assert not _same(exact, half)


def test_some_blocks(tmp_path: Path) -> None:
    (some,) = _run(tmp_path, blocks=["0", "last"])
    (all_,) = _run(tmp_path)
    assert [record.block for record in some.result.records] == [0, 2]
    assert some.result.records[1].value == pytest.approx(all_.result.records[2].value, rel=1e-5)


def test_unreadable_images_stop_or_are_counted(tmp_path: Path) -> None:
    broken = {"name": "pictures", "options": {"broken": [3, 4]}}
    with pytest.raises(ImageError, match="picture-3: it is broken; or leave such pictures out with --on-error skip"):
        _run(tmp_path, dataset=broken)
    (skipped,) = _run(tmp_path, dataset=broken, on_error="skip")
    assert [item.index for item in skipped.skipped] == [3, 4]
    assert skipped.result.records[0].n == 9
    assert len(skipped.result.arrays["sharpness"]) == 9
    with pytest.raises(ImageError, match=r"picture-3: it is broken \(2 such images; --on-error skip"):
        _run(tmp_path, dataset=broken)  # the state is there, but it is not what was asked for
    none = {"name": "pictures", "options": {"count": 1, "broken": [0]}}
    with pytest.raises(ImageError, match="none of the 1 images"):
        _run(tmp_path, dataset=none, on_error="skip")


def _cut(data: Any) -> Any:
    return data[:100]


def _flip(data: Any) -> Any:
    """One bit of the last tensor."""
    return data[:-3] + bytes([data[-3] ^ 64]) + data[-2:]


@pytest.mark.parametrize("damage", [_cut, _flip])
def test_damaged_state_is_put_aside_and_computed_anew(tmp_path: Path, damage: Any) -> None:
    (first,) = _run(tmp_path)
    (file,) = tmp_path.glob("??/*.safetensors")
    file.write_bytes(damage(file.read_bytes()))
    (again,) = _run(tmp_path)
    assert Sharpness.forwards
    assert not again.reused
    assert _same(first, again)
    assert list(tmp_path.glob("??/*.damaged"))


def test_state_says_what_it_is(tmp_path: Path) -> None:
    _run(tmp_path)
    (file,) = tmp_path.glob("??/*.safetensors")
    with safe_open(file, "pt") as opened:
        content = json.loads(opened.metadata()["content"])
    assert content["probe"] == ["sharpness", "toys", "1"]
    assert content["images"] == [0, 11]
    ((_, listed),) = Store(tmp_path)
    assert listed == content


def test_output_folder(tmp_path: Path) -> None:
    plugins = toy_plugins()
    job = prepare(resolve(_plan(models=[{"name": "toy-T8"}]), plugins), plugins)
    outcomes = outcomes_of(job, 0, Store(tmp_path / "store"), Silent())
    written = write_outcome(outcomes[0], job, tmp_path / "out")
    assert written == tmp_path / "out" / "toy-T8" / "pictures" / "sharpness"
    assert {path.name for path in written.iterdir()} == {
        "plan.yaml", "records.csv", "arrays.npz", "arrays.json", "images.csv", "provenance.json",
    }  # fmt: skip
    (alone, failed) = compare_findings(
        [finding_of(outcomes[0], job)], tmp_path / "out", figures="all", reporter=Silent()
    )
    assert (alone, failed) == ([], {})
    root = write_root(tmp_path / "out").read_text()
    assert root.count("toy-T8") == 3
    images = list(csv.DictReader((written / "images.csv").read_text().splitlines()))
    assert [(image["index"], image["id"], image["label"], image["class"]) for image in images[:2]] == [
        ("0", "picture-0", "0", ""),
        ("1", "picture-1", "1", ""),
    ]
    assert len(images) == 11
    provenance = json.loads((written / "provenance.json").read_text())
    assert provenance["weights"]["sha256"] == outcomes[0].weights
    again = read_plan(written / "plan.yaml")
    assert again == resolve(again, plugins)
    assert again.analyses[0].options == {"power": 1.0, "scale": 1.0}
    write_outcome(outcomes[0], job, tmp_path / "out")  # replaces the folder as a whole
    assert sorted(path.name for path in (tmp_path / "out").rglob(".*")) == []


def test_files_keep_their_names_and_stay_in_the_folder(tmp_path: Path) -> None:
    """They are no pictures, so that nobody is told to look at them."""
    plugins = toy_plugins()
    job = prepare(resolve(_plan(models=[{"name": "toy-T8"}]), plugins), plugins)
    (outcome,) = outcomes_of(job, 0, Store(tmp_path / "store"), Silent())
    names = ("blk 3/bear/00001.png", "../../up.csv", "/etc/table.csv")
    made = [File(name=name, content=name.encode()) for name in names]
    spec = replace(outcome.analysis.spec, files=lambda: lambda drawable: made)
    outcome = replace(outcome, analysis=replace(outcome.analysis, spec=spec))
    written = write_outcome(outcome, job, tmp_path / "out")
    assert save(files(outcome), written) == ()
    for name, path in zip(names, ("blk_3/bear/00001.png", "_/_/up.csv", "_/etc/table.csv"), strict=True):
        assert (written / path).read_bytes() == name.encode()


def test_what_is_between_models_is_written(tmp_path: Path) -> None:
    """The shallow toy is the first two blocks of the other, so its last block is that one's block 1."""
    plugins = toy_plugins()
    plugins.register(Provider("cka", "1.0"), "cka", vitan_analyses.cka)
    models = [{"name": "toy-T8"}, {"name": "toy-shallow-T8"}]
    job = prepare(_plan(analyses=[{"name": "cka"}, {"name": "sharpness"}], models=models), plugins)
    outcomes = [outcome for i in range(2) for outcome in outcomes_of(job, i, Store(tmp_path / "store"), Silent())]
    assert [outcome.probe is None for outcome in outcomes] == [False, True, False, True]
    findings = [finding_of(outcome, job) for outcome in outcomes]
    (found, drawn_only), failed = compare_findings(findings, tmp_path / "out", figures="all", reporter=Silent())
    assert failed == {}
    folder = tmp_path / "out" / "comparison" / "pictures" / "cka"
    assert found.folder == folder
    assert {picture.parent for picture in found.pictures} == {folder}
    assert (drawn_only.result, drawn_only.folder) == (None, None)
    about = json.loads((folder / "arrays.json").read_text())
    (key,) = (key for key, facts in about.items() if facts.get("name") == "cls" and "between" in facts)
    assert about[key]["between"] == ["toy-T8", "toy-shallow-T8"]
    between = np.load(folder / "arrays.npz")[key]
    assert between.shape == (3, 2)
    assert between[1, 1] == pytest.approx(1, abs=1e-9)
    rows = list(csv.DictReader((folder / "records.csv").open()))
    assert [(row["model"], row["other"], row["n"], row["dataset"]) for row in rows] == [
        ("toy-T8", "toy-shallow-T8", "11", "pictures")
    ] * 4
    assert {row["weights"] for row in rows} == {outcomes[0].weights}
    write_outcome(outcomes[0], job, tmp_path / "out")
    assert "toy-shallow-T8" in write_root(tmp_path / "out").read_text()
    bare, _ = compare_findings(findings, tmp_path / "bare", figures="none", reporter=Silent())
    assert [each.pictures for each in bare] == [(), ()]
    assert (tmp_path / "bare" / "comparison" / "pictures" / "cka" / "records.csv").is_file()


def test_records_of_an_older_version_are_brought_to_todays_columns(tmp_path: Path) -> None:
    """It knew neither ``other`` nor the order of today's columns, and a group may hold a comma and a line break."""
    old = tmp_path / "old" / "pictures" / "sharpness" / "records.csv"
    old.parent.mkdir(parents=True)
    old.write_text('value,model,metric,group\n0.5,old,sharp,"a, b\nc"\n')
    (row,) = csv.DictReader(write_root(tmp_path).open(newline=""))
    assert (row["model"], row["other"], row["value"], row["name"]) == ("old", "", "0.5", "a, b\nc")
    assert (row["of"], row["schema"]) == ("group", "1")


def test_writing_is_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "file.txt"
    target.write_text("old")
    with pytest.raises(IsADirectoryError), replacing(target) as temporary:
        _fail_after_writing(temporary)
    assert target.read_text() == "old"
    folder = tmp_path / "folder"
    with replacing_folder(folder) as new:
        (new / "a").write_text("1")
    with pytest.raises(IsADirectoryError), replacing_folder(folder) as new:
        _fail_after_writing(new / "b")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file.txt", "folder"]
    assert [path.name for path in folder.iterdir()] == ["a"]


def _fail_after_writing(path: Any) -> None:
    path.write_text("half")
    raise IsADirectoryError


@pytest.mark.parametrize(
    ("words", "depth", "blocks"),
    [
        (["all"], 3, (0, 1, 2)),
        (["first", "q1", "middle", "q3", "last"], 12, (0, 2, 5, 8, 11)),
        (["first", "q1", "middle", "q3", "last"], 24, (0, 5, 11, 17, 23)),
        (["first", "q1", "middle", "q3", "last"], 32, (0, 7, 15, 23, 31)),
        (["last", "first", "5", "middle", "3"], 12, (0, 3, 5, 11)),
        (["2-4", "3"], 12, (2, 3, 4)),
    ],
)
def test_blocks_by_name(words: Any, depth: Any, blocks: Any) -> None:
    """The quarter points are those of the published code (spec of the wrappers)."""
    assert select_blocks(words, depth) == blocks


@pytest.mark.parametrize(
    "word", ["12", "-1", "2.5", "lst", "5-3", "", "0-99999999999", "9" * 17, "9" * 5000, "0-" + "9" * 5000, "²", "٣"]
)
def test_blocks_that_are_not_there(word: Any) -> None:
    with pytest.raises(MismatchError):
        select_blocks([word], 12)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"analyses": [{"name": "sharpnes"}]}, UnknownNameError, "Did you mean sharpness"),
        ({"models": [{"name": "toy-T9"}]}, UnknownNameError, "Did you mean toy-T8"),
        ({"dataset": {"name": "picture"}}, UnknownNameError, "vitan list datasets"),
        ({"analyses": [{"name": "sharpness", "options": {"power": "x"}}]}, OptionError, r"--power \(sharpness\)"),
        ({"analyses": [{"name": "sharpness", "options": {"pwr": 1}}]}, OptionError, "no option 'pwr'; it has power"),
        ({"blocks": ["lst"]}, MismatchError, "--blocks lst: give 'all'"),
        ({"device": "cuda:99"}, OptionError, "no such device here; use cpu"),
        ({"device": "tpu9"}, OptionError, "use cpu"),
        ({"models": [{"name": "toy-T8", "weights": "/nowhere/x.pth"}]}, MismatchError, "no such file"),
        ({"dataset": {"name": "pictures", "options": {"count": 0}}}, MismatchError, "is empty"),
    ],
)
def test_what_can_be_checked_is_checked_first(changes: Any, error: Any, message: Any) -> None:
    with pytest.raises(error, match=message):
        prepare(_plan(**changes), toy_plugins())


def test_plans_have_one_spelling(tmp_path: Path) -> None:
    plan = _plan(limit=3)
    (tmp_path / "plan.yaml").write_text(plan.to_yaml())
    (tmp_path / "plan.json").write_text(plan.canonical())
    assert read_plan(tmp_path / "plan.yaml") == read_plan(tmp_path / "plan.json") == plan
    assert read_plan(tmp_path / "plan.yaml").digest() == plan.digest()
    assert _plan(limit=4).digest() != plan.digest()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("models: [", "neither YAML nor JSON"),
        ("- a", "not a mapping"),
        ("models: [{name: a}]", "analyses: Field required"),
        ("{models: [{name: a}], analyses: [{name: b}], batch_size: 0}", r"batch_size: .*\(got 0\)"),
        ("{models: [{name: a}], analyses: [{name: b}], dtype: float8}", "dtype"),
        ("{models: [{name: a}], analyses: [{name: b}], modles: 1}", "modles"),
    ],
)
def test_bad_plans_say_where(tmp_path: Path, text: Any, message: Any) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(PlanError, match=message):
        read_plan(path)
    with pytest.raises(PlanError, match="cannot be read"):
        read_plan(tmp_path / "absent.yaml")
    assert isinstance(Plan.model_fields, dict)
