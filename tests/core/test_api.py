"""The library's front door: what the command line does, from Python."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import vitan
from toys import toy_plugins
from vitan.errors import MismatchError, PlanError, PluginError, StoreError, UnknownNameError, UsageError
from vitan.registry.plugins import Plugins

ROOT = Path(__file__).parents[2]
PUBLIC = {
    *(
        "Animation",
        "Batch",
        "Batching",
        "CheckpointFormat",
        "Dataset",
        "DatasetSpec",
        "Drawable",
        "Ended",
        "Executor",
        "ExecutorSpec",
        "File",
        "FileSource",
    ),
    *("HubSource",),
    *("Imported", "ImporterSpec", "Labels", "Metric", "ModelCatalog", "ModelInfo", "ModelSpec", "Options"),
    *("PackageSource", "PerImage", "Picture", "Plan", "Plot", "Pooled", "Preparation", "Probe", "ProbeSpec", "Ragged"),
    *("RecipeSpec",),
    *(
        "Record",
        "Recording",
        "Result",
        "Results",
        "Roles",
        "Sample",
        "Sum",
        "TapMap",
        "Task",
        "TokenLayout",
        "UrlSource",
        "Word",
    ),
    *("VitanError", "__version__", "best_blocks", "check", "compare", "hookimpl", "list_analyses", "list_datasets"),
    *("list_models", "load_dataset", "load_model", "load_results", "make_share", "report", "run", "run_plan"),
    "summary",
}


@pytest.fixture
def plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plugins:
    monkeypatch.setenv("VITAN_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return toy_plugins()


def test_what_is_public_is_pinned_and_there() -> None:
    assert set(vitan.__all__) == PUBLIC
    assert all(getattr(vitan, name) is not None for name in vitan.__all__)
    assert set(dir(vitan)) == PUBLIC
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        vitan.nonsense  # noqa: B018


def test_a_run_gives_arrays_records_and_a_table(plugins: Plugins, capfd: pytest.CaptureFixture[str]) -> None:
    found = vitan.run("sharpness", ["toy-T8", "toy-shallow-T8"], "pictures", plugins=plugins)
    assert [(each.analysis, each.model, each.n) for each in found] == [
        ("sharpness", "toy-T8", 11),
        ("sharpness", "toy-shallow-T8", 11),
    ]
    one = found["sharpness", "toy-T8"]
    assert one.arrays["sharpness"].shape == (11, 3)
    assert one.axes["sharpness"] == ("image", "block")
    assert {record.model for record in found.records} == {"toy-T8", "toy-shallow-T8"}
    assert found.folder is None
    assert not Path("results").exists()
    assert "toy-shallow-T8" in found._repr_html_()
    assert "sharpness · toy-T8 · pictures · 11 images" in repr(found)
    assert capfd.readouterr() == ("", "")


def test_a_name_that_is_not_there_says_what_is(plugins: Plugins) -> None:
    found = vitan.run("sharpness", ["toy-T8", "toy-shallow-T8"], "pictures", plugins=plugins)
    with pytest.raises(KeyError, match=r"2 findings; there is \('sharpness', 'toy-T8'\)"):
        found["sharpness"]
    with pytest.raises(KeyError, match="0 findings"):
        found["sharpness", "toy-X8"]
    with pytest.raises(UsageError, match="no column colour"):
        found.frame(colour="red")


def test_frames_are_the_records_that_match(plugins: Plugins) -> None:
    pytest.importorskip("pandas")
    found = vitan.run("sharpness", "toy-T8", "pictures", plugins=plugins)
    frame = found.frame(block=1)
    assert list(frame["value"]) == [record.value for record in found.records if record.block == 1]
    assert len(found.frame()) == len(found.records)


def test_options_and_settings_are_those_of_the_command_line(plugins: Plugins) -> None:
    found = vitan.run(
        {"sharpness": {"scale": 2.0}}, "toy-T8", "pictures", limit=4, blocks=["last"], batch_size=2, plugins=plugins
    )
    plain = vitan.run("sharpness", "toy-T8", "pictures", limit=4, blocks="last", plugins=plugins)
    values = [[record.value for record in each.records] for each in (found, plain)]
    assert values[0] == pytest.approx([2 * value for value in values[1]])
    assert {record.options for record in found.records} == {"scale=2.0"}
    assert plain["sharpness"].n == 4


@pytest.mark.parametrize(
    ("asked", "error", "said"),
    [
        ({"analyses": "sharpnes"}, UnknownNameError, "Did you mean sharpness"),
        ({"models": "toy-T9"}, UnknownNameError, "Did you mean toy-T8"),
        ({"dataset": "./nowhere"}, UsageError, "there is no such folder"),
        ({"limit": 0}, PlanError, "vitan.run:\n  limit"),
        ({"blocks": "9"}, MismatchError, "9"),
        ({"models": {"toy-T8": "none.pth"}}, MismatchError, "there is no such file"),
    ],
)
def test_what_cannot_work_is_refused_as_on_the_command_line(
    plugins: Plugins, asked: dict[str, object], error: type[Exception], said: str
) -> None:
    usual = {"analyses": "sharpness", "models": "toy-T8", "dataset": "pictures", "plugins": plugins}
    with pytest.raises(error, match=said):
        vitan.run(**{**usual, **asked})  # type: ignore[arg-type]


def test_one_failing_model_does_not_stop_the_others(plugins: Plugins) -> None:
    Path("broken.pth").write_bytes(b"no checkpoint at all")
    found = vitan.run("sharpness", {"toy-T8": None, "toy-shallow-T8": "broken.pth"}, "pictures", plugins=plugins)
    assert [each.model for each in found] == ["toy-T8"]
    assert "broken.pth" in str(found.failed["toy-shallow-T8"])
    with pytest.raises(vitan.VitanError, match=r"broken\.pth"):
        vitan.run("sharpness", {"toy-shallow-T8": "broken.pth"}, "pictures", plugins=plugins)


def test_what_is_written_is_read_back_the_same(plugins: Plugins) -> None:
    found = vitan.run("sharpness", ["toy-T8", "toy-shallow-T8"], "pictures", output="out", plugins=plugins)
    again = vitan.load_results("out", plugins=plugins)
    assert {each.model for each in again} == {each.model for each in found}
    for each in found:
        other = again[each.analysis, each.model]
        assert other.records == each.records
        assert np.array_equal(other.arrays["sharpness"], each.arrays["sharpness"])
        assert (other.weights, other.n, other.folder) == (each.weights, each.n, each.folder)
    with pytest.raises(StoreError, match="no results of none"):
        vitan.load_results("out", analysis="none")


def test_writing_later_gives_the_same_files(plugins: Plugins) -> None:
    vitan.run("sharpness", "toy-T8", "pictures", output="now", plugins=plugins)
    later = vitan.run("sharpness", "toy-T8", "pictures", plugins=plugins).write("later")
    assert later.folder == Path("later")
    assert Path("now/records.csv").read_text() == Path("later/records.csv").read_text()


def test_results_are_read_without_torch(plugins: Plugins) -> None:
    vitan.run("sharpness", "toy-T8", "pictures", output="out", plugins=plugins)
    code = (
        "import json, sys, vitan\n"
        "found = vitan.load_results('out')\n"
        "shape = found['sharpness'].arrays['sharpness'].shape\n"
        "vitan.best_blocks(found)\n"
        "print(json.dumps([len(found.records), list(shape), 'torch' in sys.modules]))\n"
    )
    path = [str(ROOT / "core")]
    start = f"import sys\nsys.path[:0] = {path!r}\n"
    done = subprocess.run([sys.executable, "-c", start + code], capture_output=True, text=True, check=True)
    records, shape, torch = json.loads(done.stdout)
    assert (records > 0, shape, torch) == (True, [11, 3], False)


def test_plans_are_read_checked_and_run(plugins: Plugins) -> None:
    Path("plan.yaml").write_text("analyses: [sharpness]\nmodels: [toy-T8]\ndataset: pictures\n")
    plan = vitan.Plan.read("plan.yaml")
    assert vitan.check(plan, plugins=plugins) == []
    assert len(vitan.run_plan(plan, plugins=plugins)) == 1
    wrong = plan.model_copy(update={"models": (plan.models[0].model_copy(update={"name": "toy-T9"}),)})
    (problem,) = vitan.check(wrong, plugins=plugins)
    assert "toy-T9" in problem


def test_names_are_listed_and_datasets_opened(plugins: Plugins) -> None:
    assert "toy-T8" in vitan.list_models("toy-*8", plugins=plugins)
    assert vitan.list_models("nothing*", plugins=plugins) == []
    assert "sharpness" in vitan.list_analyses(plugins=plugins)
    assert "pictures" in vitan.list_datasets(plugins=plugins)
    assert len(vitan.load_dataset("pictures", plugins=plugins)) == 11


def test_a_script_brings_files_models_and_datasets_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import toys

    monkeypatch.setenv("VITAN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("vitan.registry.plugins.distributions", lambda: ())
    small = vitan.DatasetSpec(name="small", summary="three", load=lambda: toys.Pictures)
    own = replace(toys.SHALLOW, name="mine-T8")
    plugins = [toys.__file__, small, own]
    found = vitan.run("sharpness", ["toy-T8", "mine-T8"], "small", dataset_options={"count": 3}, plugins=plugins)
    assert [(each.model, each.dataset, each.n) for each in found] == [("toy-T8", "small", 3), ("mine-T8", "small", 3)]
    assert "mine-T8" in vitan.list_models(plugins=plugins)
    assert vitan.list_models(plugins=own) == ["mine-T8"]
    probe = vitan.ProbeSpec(name="gaze", summary="somewhere", load=lambda: toys.Sharpness)
    with pytest.raises(PluginError, match="'gaze' is neither a ModelSpec nor a DatasetSpec: name the file"):
        vitan.run("gaze", "toy-T8", plugins=[probe])
    with pytest.raises(PluginError, match=r"none\.py"):
        vitan.list_models(plugins=["none.py"])


@pytest.mark.parametrize("name", ["photo.JPG", "photo.gif"])
def test_a_single_picture_is_a_dataset(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    plan = vitan.api.dataset_named(str(tmp_path / name))
    assert (plan.name, plan.options) == ("folder", {"root": str(tmp_path / name)})
    (tmp_path / "notes.txt").touch()
    with pytest.raises(UsageError, match="this is a file, and no picture"):
        vitan.api.dataset_named(str(tmp_path / "notes.txt"))
