"""``vitan run``, from what is typed to what is written."""

from __future__ import annotations

import csv
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from pydantic import Field

from scripts import load_script
from vitan.engine.job import validate
from vitan.errors import OptionError
from vitan.options import Options

RUN = ("run", "mean", "-m", "toy-A8", "-d", "dots")


def _records(folder: str = "results") -> list[dict[str, str]]:
    with (Path(folder) / "records.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def _of_mean(records: list[dict[str, str]]) -> list[dict[str, str]]:
    """Without the options of the run, which are on every record."""
    return [{**record, "options": ""} for record in records if record["metric"] == "mean"]


def _value(metric: str, **wanted: str) -> float:
    (found,) = (
        float(record["value"])
        for record in _records()
        if record["metric"] == metric and all(record[key] == value for key, value in wanted.items())
    )
    return found


def test_figures_are_named_as_they_are_saved_and_kept_while_nothing_changes(vitan: Any) -> None:
    first = vitan(*RUN, "--json")
    said = first.err.splitlines()
    begin = said.index("  drawing mean")
    assert said[begin + 1] == "    overview.png"
    assert re.fullmatch(r"  drew 1 figure in \d+\.\d s", said[begin + 2])
    again = vitan(*RUN, "--json")
    assert "  mean: figures unchanged" in again.err.splitlines()
    assert "overview.png" not in again.err
    assert json.loads(again.out)["runs"][0]["figures"] == json.loads(first.out)["runs"][0]["figures"]
    assert "drawing mean" in vitan(*RUN, "--mass", ".5").err
    Path("results/toy-A8/dots/mean/overview.png").unlink()
    assert "drawing mean" in vitan(*RUN, "--mass", ".5").err


def _plan(**parts: object) -> Path:
    path = Path("plan.yaml")
    path.write_text(yaml.safe_dump(parts))
    return path


def test_one_model(vitan: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = vitan(*RUN)
    assert ran.code == 0, ran.err
    means = [f"{_value('mean', block=block, head=''):#.4g}" for block in "01"]
    assert [line.split() for line in ran.out.splitlines()] == [
        ["mean", "·", "toy-A8", "·", "dots", "·", "6", "images"],
        ["mean"],
        ["block", "(au)", "mass"],
        ["0", means[0]],
        ["1", means[1]],
        ["model", "0.6000"],
        [],
        ["pictures", "results/toy-A8/dots/mean/overview.png"],
        ["numbers", "results/records.csv"],
    ]
    assert "device " in ran.err
    assert "6 images" in ran.err
    assert "images/s" in ran.err
    assert Path("results/toy-A8/dots/mean/overview.png").is_file()


def test_the_mean_is_that_of_the_model(vitan: Any, tmp_path: Path) -> None:
    """The whole chain against the toy model run by hand."""
    import numpy as np

    toys = load_script(Path(__file__).with_name("toys.py"))
    assert vitan(*RUN, "--limit", 1).code == 0
    model = toys._vit(2, 0).eval()
    pixels = np.zeros((3, 32, 32), np.float32)
    pixels[2] = 90 / 255
    normal = (torch.tensor(pixels) - torch.tensor([0.485, 0.456, 0.406])[:, None, None]) / torch.tensor(
        [0.229, 0.224, 0.225]
    )[:, None, None]
    with torch.no_grad():
        blocks = model.forward_intermediates(normal[None], return_prefix_tokens=True, norm=False, output_fmt="NLC")[1]
    for block, (patches, prefix) in enumerate(blocks):
        expected = torch.cat([prefix, patches], 1).mean().item()
        assert _value("mean", block=str(block), head="") == pytest.approx(expected, abs=1e-5)


def test_no_figures_and_output(vitan: Any) -> None:
    ran = vitan(*RUN, "--figures", "none", "-o", "else/where")
    assert ran.code == 0
    assert "pictures" not in ran.out
    assert "else/where/records.csv" in ran.out
    assert not list(Path("else").rglob("*.png"))
    assert [path.read_text() for path in Path("else").rglob("official/table.csv")] == ["toy-A8"]


def test_options_reach_the_analysis_and_the_dataset(vitan: Any) -> None:
    ran = vitan(
        *RUN, "--mass", ".25", "--only", "1,2", "--only", "4", "--shout", "--cap=7", "--n", 3, "--kind", "squared"
    )
    assert ran.code == 0, ran.err
    assert (_value("mass"), _value("heads"), _value("shout"), _value("cap")) == (0.25, 7, 1, 7)
    plan = yaml.safe_load(Path("results/toy-A8/dots/mean/plan.yaml").read_text())
    assert plan["analyses"][0]["options"]["kind"] == "squared"
    assert plan["dataset"]["options"]["n"] == 3
    assert "3 images" in ran.out


def test_options_may_come_before_the_analysis(vitan: Any) -> None:
    ran = vitan("run", "--mass", ".25", "--n", 2, "-m", "toy-A8", "mean", "-d", "dots")
    assert ran.code == 0, ran.err
    assert _value("mass") == 0.25


def test_an_option_that_two_analyses_have_is_named_after_its_analysis(vitan: Any) -> None:
    ran = vitan(*RUN, "other", "--mean.mass", ".25", "--other.mass", "0.75", "--cap", 2)
    assert ran.code == 0, ran.err
    assert (_value("mass"), _value("other"), _value("cap")) == (0.25, 0.75, 2)


@pytest.mark.parametrize(
    ("args", "masses"),
    [
        (("--mass", ".25"), (0.25, 0.25)),
        (("--mass", ".25", "--other.mass", ".75"), (0.25, 0.75)),
        (("--mean.mass", ".75", "--mass", ".25"), (0.75, 0.25)),
        (("--other.mass", ".75"), (0.6, 0.75)),
    ],
)
def test_an_option_that_all_analyses_have_is_for_all_that_are_not_named(
    vitan: Any, args: tuple[str, ...], masses: tuple[float, float]
) -> None:
    ran = vitan(*RUN, "other", *args)
    assert ran.code == 0, ran.err
    assert (_value("mass"), _value("other")) == masses


def test_an_option_that_only_some_analyses_have_is_that_of_one(vitan: Any) -> None:
    ran = vitan(*RUN, "other", "needy", "--shout")
    assert ran.code == 2
    assert "--shout" in ran.err


def test_a_shared_value_that_one_analysis_refuses_is_an_error_of_that_one(vitan: Any) -> None:
    ran = vitan(*RUN, "other", "--mass", "2")
    assert ran.code == 2
    assert "mass" in ran.err
    assert "0 < mass <= 1" in ran.err


def test_help_shows_what_all_analyses_share(vitan: Any) -> None:
    out = vitan("run", "mean", "other", "-d", "dots", "--help").out
    assert out.index("Options of all analyses:") < out.index("--mass NUMBER") < out.index("Options of analysis mean:")
    assert "The same for mean, other" in " ".join(out.split())
    assert "Options of all analyses:" not in vitan("run", "mean", "-d", "dots", "--help").out


def test_the_long_form_of_an_option_always_holds(vitan: Any) -> None:
    ran = vitan(*RUN, "--mean.mass", ".25", "--no-mean.shout", "--dots.n", "2")
    assert ran.code == 0, ran.err
    assert (_value("mass"), _value("shout")) == (0.25, 0)
    assert "2 images" in ran.out
    assert "--mean.mass" not in vitan(*RUN, "--help").out


def test_an_option_named_like_one_of_the_command_takes_the_long_form(vitan: Any) -> None:
    ran = vitan("run", "mean", "--help")
    assert "--mean.limit" in ran.out
    assert ran.out.count("  --limit") == 1


def test_none_unsets_an_option(vitan: Any) -> None:
    plan = _plan(
        analyses=[{"name": "mean", "options": {"cap": 7}}], models=[{"name": "toy-A8"}], dataset={"name": "dots"}
    )
    assert vitan("run", "--plan", plan, "--cap", "none").code == 0
    assert _value("cap") == -1


def test_help_shows_the_options_under_a_heading_each(vitan: Any) -> None:
    out = vitan("run", "mean", "other", "-d", "dots", "--help").out
    assert out.index("Options of analysis mean:") < out.index("--mean.mass NUMBER")
    assert out.index("Options of analysis other:") < out.index("--other.mass NUMBER")
    assert out.index("Options of dataset dots:") < out.index("--bad INTEGER")
    assert "--kind plain|squared" in out
    assert "--shout / --no-shout" in out
    assert "0 < mass <= 1" in " ".join(out.split())


def test_a_wrong_item_of_a_list_is_one_mistake() -> None:
    class Few(Options):
        k: tuple[int, ...] = Field((1,), min_length=1, description="some")

    with pytest.raises(OptionError, match=r"--k \(few\).*'x'") as caught:
        validate(Few, {"k": ["x"]}, "few")
    assert len(str(caught.value).splitlines()) == 1
    with pytest.raises(OptionError, match="at least 1 item"):
        validate(Few, {"k": []}, "few")


def test_help_without_an_analysis_says_where_its_options_are(vitan: Any) -> None:
    out = vitan("run", "--help").out
    assert "vitan run NAME --help" in out
    assert "mean of a block" in out


@pytest.mark.parametrize(
    ("args", "parts"),
    [
        (("--mass", "1.5"), ("--mass (mean)", "'1.5'", "0 < mass <= 1")),
        (("--mass", "much"), ("--mass (mean)", "'much'", "0 < mass <= 1")),
        (("--cap", "0"), ("--cap (mean)", "'0'", "1 <= cap")),
        (("--kind", "cubic"), ("--kind (mean)", "'cubic'", "'plain' or 'squared'")),
        (("--only", "1,x"), ("--only (mean)", "'x'")),
        (("--n", "401"), ("--n (dots)", "'401'", "0 <= n <= 400")),
        (("other", "--other.mass", "2"), ("--other.mass (other)", "'2'", "0 < mass <= 1")),
        (("--limit", "0"), ("--limit", "0", "x>=1")),
        (("--batch-size", "-1"), ("--batch-size", "-1", "x>=1")),
        (("--dtype", "int8"), ("--dtype", "int8", "float16")),
        (("--device", "toaster"), ("--device toaster", "use cpu")),
        (("--device", "cuda:77"), ("--device cuda:77", "no such device here")),
        (("--on-error", "shrug"), ("--on-error", "shrug", "skip")),
        (("--bogus", "1"), ("--bogus",)),
        (("--massa", ".2"), ("--massa",)),
        (("--n", "0"), ("dots is empty",)),
        (("needy",), ("needy needs masks", "dots offers images alone")),
        (("-m", "toy-C8"), ("no model is called 'toy-C8'", "Did you mean", "toys:tiny")),
        (("meen",), ("no analysis is called 'meen'", "Did you mean mean?")),
        (("-d", "dotz"), ("no dataset is called 'dotz'", "dots")),
        (("-d", "./nowhere"), ("--dataset ./nowhere", "no such folder")),
        (("-d", __file__), ("--dataset", "this is a file")),
        (("--weights", "none.pth"), ("--weights none.pth", "no such file")),
        (("-m", "toy-B8", "--weights", "x.pth"), ("--weights x.pth", "--weights toy-A8=x.pth")),
        (("-m", "toy-B8", "--weights", "toy-C8=x.pth"), ("say for which model", "--weights toy-A8=x.pth")),
        (("--weights", "toy-A8=x.pth", "--weights", "toy-A8=y.pth"), ("already has x.pth",)),
        (("--plan", "none.yaml"), ("none.yaml",)),
        (("--model",), ("'--model' requires an argument",)),
        (("-m", "toys:huge"), ("toys have no 'huge'",)),
        (("--blocks", "last,x"), ("--blocks x",)),
        (("--blocks", "0-5"), ("blocks 0 to 1",)),
        (("--output", "/dev/null/x"), ("--output /dev/null/x", "nothing can be written")),
    ],
)
def test_wrong_input_names_flag_value_and_range(vitan: Any, args: tuple[str, ...], parts: tuple[str, ...]) -> None:
    ran = vitan(*RUN, *args)
    assert (ran.code, ran.out) == (2, ""), ran.err
    for part in parts:
        assert part in ran.err
    assert "Traceback" not in ran.err


def test_all_wrong_options_are_named_at_once(vitan: Any) -> None:
    err = vitan(*RUN, "--mass", "2", "--cap", "0").err
    assert "--mass" in err
    assert "--cap" in err


@pytest.mark.parametrize(
    ("args", "part"),
    [(("run",), "at least one analysis"), (("run", "mean", "-d", "dots"), "choose at least one model with --model")],
)
def test_what_is_missing_is_named(vitan: Any, args: tuple[str, ...], part: str) -> None:
    ran = vitan(*args)
    assert ran.code == 2
    assert part in ran.err


def test_a_misspelt_analysis_is_noticed_before_its_options(vitan: Any) -> None:
    err = vitan("run", "meen", "--mass", ".2", "-m", "toy-A8").err
    assert "no analysis is called 'meen'" in err


def test_plugin_files_may_be_named_after_run(bare: Any) -> None:
    toys = Path(__file__).with_name("toys.py")
    ran = bare(*RUN, "-p", toys, "--mass", ".5", "--figures", "none")
    assert ran.code == 0, ran.err


def test_a_folder_that_exists_is_a_dataset(vitan: Any, install: Any) -> None:
    install(
        "extra_folder",
        "from vitan import DatasetSpec, hookimpl\n"
        "def load():\n"
        "    from pathlib import Path\n"
        "    from PIL import Image\n"
        "    from pydantic import Field\n"
        "    from vitan.data.samples import Dataset, Sample\n"
        "    from vitan.options import Options\n"
        "    class FolderOptions(Options):\n"
        "        root: Path = Field(description='where')\n"
        "    class Folder(Dataset):\n"
        "        Options = FolderOptions\n"
        "        def __len__(self): return len(list(self.options.root.iterdir()))\n"
        "        def __getitem__(self, index): return Sample(id=str(index), image=Image.new('RGB', (40, 40)))\n"
        "        def fingerprint(self): return 'x'\n"
        "    return Folder\n"
        "@hookimpl\ndef vitan_datasets():\n    yield DatasetSpec(name='folder', summary='a folder', load=load)\n",
    )
    pictures = Path("pictures")
    pictures.mkdir()
    for name in "abc":
        (pictures / name).touch()
    ran = vitan("run", "mean", "-m", "toy-A8", "-d", "pictures")
    assert ran.code == 0, ran.err
    assert "folder · 3 images" in ran.out
    ran = vitan("run", "mean", "-m", "toy-A8", "-d", "folder")
    assert ran.code == 2
    assert "needs --root: where" in ran.err


def test_a_plan_runs_and_what_is_typed_overrides_it(vitan: Any) -> None:
    plan = _plan(
        analyses=[{"name": "mean", "options": {"mass": 0.25, "cap": 5}}, {"name": "other"}],
        models=[{"name": "toy-A8"}, {"name": "toy-B8"}],
        dataset={"name": "dots", "options": {"n": 4}},
        limit=3,
    )
    ran = vitan("run", "--plan", plan)
    assert ran.code == 0, ran.err
    assert {record["analysis"] for record in _records()} == {"mean", "other"}
    assert {record["model"] for record in _records()} == {"toy-A8", "toy-B8"}
    assert {record["n"] for record in _records()} == {"3"}
    ran = vitan("run", "mean", "--plan", plan, "--mass", ".75", "-m", "toy-B8", "--limit", 2, "-o", "results2")
    assert ran.code == 0, ran.err
    records = _records("results2")
    assert {record["analysis"] for record in records} == {"mean"}
    assert {record["model"] for record in records} == {"toy-B8"}
    assert {record["n"] for record in records} == {"2"}
    values = {record["metric"]: float(record["value"]) for record in records}
    assert values["mass"] == 0.75
    assert values["cap"] == 5


def test_the_plan_that_is_written_runs_again_to_the_same_numbers(vitan: Any) -> None:
    assert vitan(*RUN, "--mass", ".25", "--blocks", "last", "--n", 4).code == 0
    before = _records()
    ran = vitan("run", "--plan", "results/toy-A8/dots/mean/plan.yaml", "-o", "again")
    assert ran.code == 0, ran.err
    assert _records("again") == before
    assert {record["block"] for record in before} == {"1", ""}


def test_weights_of_ones_own(vitan: Any) -> None:
    import timm.models.vision_transformer as timm_vit

    torch.manual_seed(9)
    net = timm_vit.VisionTransformer(img_size=32, patch_size=8, embed_dim=16, depth=2, num_heads=2, num_classes=0)
    torch.save(net.state_dict(), "mine.pth")
    ran = vitan("run", "mean", "-m", "toy-W8", "-d", "dots", "--weights", "mine.pth")
    assert ran.code == 0, ran.err
    assert "toy-W8@mine-" in ran.out
    ran = vitan("run", "mean", "-m", "toy-W8", "-m", "toy-A8", "-d", "dots", "--weights", "toy-W8=mine.pth")
    assert ran.code == 0, ran.err
    assert "toy-W8@mine-" in ran.out


def test_several_models_get_a_row_each_and_a_comparison(vitan: Any) -> None:
    ran = vitan(*RUN, "-m", "toy-B8", "-m", "toy-A8")
    assert ran.code == 0, ran.err
    lines = [line.split() for line in ran.out.splitlines()]
    ends = [f"{_value('mean', model='toy-B8', block=block, head=''):#.4g}" for block in "01"]
    assert ["toy-B8", ends[0], "→", ends[1], "0.6000"] in lines
    assert sum(line[:1] == ["toy-A8"] for line in lines) == 1
    assert "results/comparison/dots/mean/models.png" in ran.out
    assert max(map(len, ran.out.splitlines())) <= 80


def test_one_model_that_fails_does_not_stop_the_others(vitan: Any) -> None:
    ran = vitan("run", "mean", "-m", "toy-broken", "-m", "toy-A8", "-d", "dots")
    assert ran.code == 1
    assert {record["model"] for record in _records()} == {"toy-A8"}
    assert "toy-A8" in ran.out
    assert ran.err.splitlines()[-1] == "error: toy-broken: these weights are broken on purpose"
    ran = vitan("run", "mean", "-m", "toy-broken", "-d", "dots")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.splitlines()[-1] == "error: these weights are broken on purpose"


def test_json(vitan: Any) -> None:
    ran = vitan(*RUN, "-m", "toy-broken", "--json")
    assert ran.code == 1
    summary = json.loads(ran.out)
    (run,) = summary["runs"]
    assert (run["analysis"], run["model"], run["dataset"], run["reused"]) == ("mean", "toy-A8", "dots", False)
    assert run["figures"] == ["results/toy-A8/dots/mean/overview.png"]
    assert Path(run["records"]).is_file()
    assert {"metric": "mass", "unit": "", "block": None, "value": 0.6} in run["headline"]
    assert summary["records"] == "results/records.csv"
    assert summary["failed"] == [{"what": "toy-broken", "error": "these weights are broken on purpose"}]


FAILING = """
from vitan import ProbeSpec, hookimpl


def load():
    from vitan.errors import OptionError
    from vitan.analysis.probe import Probe

    class Failing(Probe):
        taps = frozenset({"block"})

        def update_block(self, block, taps, batch):
            pass

        def compute(self):
            raise OptionError("too few images for so many clusters")

    return Failing


@hookimpl
def vitan_probes():
    yield ProbeSpec(name="failing", summary="fails at the end", load=load)
"""


def test_an_analysis_that_fails_leaves_the_others_their_results(vitan: Any) -> None:
    Path("failing.py").write_text(FAILING)
    ran = vitan("-p", "failing.py", "run", "mean", "failing", "-m", "toy-A8", "-d", "dots")
    assert ran.code == 1
    assert "mean · toy-A8 · dots" in ran.out
    assert Path("results/toy-A8/dots/mean/records.csv").is_file()
    assert not Path("results/toy-A8/dots/failing").exists()
    assert ran.err.count("error: failing of toy-A8: too few images for so many clusters") == 1
    alone = vitan("-p", "failing.py", "run", "failing", "-m", "toy-A8", "-d", "dots")
    assert alone.code == 2  # as an option's error always is
    assert "error: too few images for so many clusters" in alone.err


BUGGY = FAILING.replace('raise OptionError("too few images for so many clusters")', "return {}['missing']")


@pytest.mark.parametrize("debug", [["--debug"], []])
def test_an_error_of_a_plugin_is_one_line_and_its_traceback_only_for_debug(vitan: Any, debug: Any) -> None:
    Path("buggy.py").write_text(BUGGY)
    for analyses in (["failing"], ["mean", "failing"]):
        ran = vitan("-p", "buggy.py", "run", *analyses, "-m", "toy-A8", "-d", "dots", *debug)
        assert ran.code == 1
        line = BUGGY.splitlines().index("            return {}['missing']") + 1
        assert f"failing (buggy.py) failed in compute (buggy.py:{line}): KeyError: 'missing'" in ran.err
        assert ("Traceback" in ran.err) == bool(debug)
        assert ("return {}['missing']" in ran.err) == bool(debug)


@pytest.mark.parametrize("place", [["--debug", "run", "nothing"], ["run", "nothing", "--debug"]])
def test_any_command_shows_where_an_error_arose(vitan: Any, place: Any) -> None:
    ran = vitan(*place)
    assert ran.code == 2
    assert "Traceback" in ran.err
    assert ran.err.splitlines()[-1].startswith("error: no analysis is called 'nothing'")
    assert "Traceback" not in vitan("run", "nothing").err


def test_an_unwritable_cache_is_said_before_anything_is_computed(vitan: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VITAN_CACHE", "/dev/null/cache")
    ran = vitan(*RUN)
    assert ran.code == 2
    assert "the cache /dev/null/cache/states cannot be written" in ran.err
    assert "set VITAN_CACHE" in ran.err


def test_stored_state_is_reused_and_said_so(vitan: Any) -> None:
    assert "reused" not in vitan(*RUN).err
    before = _records()
    assert "reused stored state; no forward pass needed" in vitan(*RUN, "--mass", ".25").err
    assert _of_mean(_records()) == _of_mean(before)
    assert {r["options"] for r in _records()} == {"mass=0.25"}
    assert _value("mass") == 0.25
    assert "mean: reused stored state" in vitan(*RUN, "other").err


def test_an_unreadable_image_stops_or_is_skipped_counted_and_listed(vitan: Any) -> None:
    ran = vitan(*RUN, "--bad", 2)
    assert ran.code == 1
    assert "dot2.png" in ran.err
    ran = vitan(*RUN, "--bad", 2, "--on-error", "skip")
    assert ran.code == 0, ran.err
    assert "1 of 6 images could not be read" in ran.err
    assert "dot2.png: cannot be read" in ran.err
    assert "5 images" in ran.out


def test_an_interruption_keeps_what_is_finished(vitan: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from vitan.engine import runner

    real = runner.run_model

    def second_is_interrupted(job: Any, index: Any, *rest: Any) -> Any:
        if index == 1:
            raise KeyboardInterrupt
        return real(job, index, *rest)

    monkeypatch.setattr(runner, "run_model", second_is_interrupted)
    ran = vitan(*RUN, "-m", "toy-B8")
    assert (ran.code, ran.out) == (130, "")
    assert ran.err.splitlines()[-1] == ("interrupted; finished parts are kept, run the same command to go on")
    assert {record["model"] for record in _records()} == {"toy-A8"}


@pytest.mark.parametrize(
    ("asked", "advice"),
    [
        (["mean"], "--batch-size 4"),
        (["mean", "--batch-size", "1"], "--dtype float16 or --device cpu"),
        (["cka"], "a smaller --batch (cka)"),
        (["cka", "mean"], "a smaller --batch (cka)"),  # in one pass, in the batches that cka asks for
        (
            ["cka", "segments-dense"],
            "a smaller --batch (cka) or --batch-size 4",
        ),  # the dense view takes a pass of its own
        (["cka", "residual"], "a smaller --cka.batch (cka) or a smaller --residual.batch (residual)"),
    ],
)
def test_too_little_memory_says_what_to_change(
    vitan: Any, monkeypatch: pytest.MonkeyPatch, asked: Any, advice: Any
) -> None:
    from vitan.engine import runner

    def too_large(*_: Any, **__: Any) -> None:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    monkeypatch.delenv("VITAN_DISABLE_PLUGINS")
    monkeypatch.setattr(runner, "load_model", too_large)
    ran = vitan("run", *asked, "-m", "toy-A8", "-d", "shapes", "--limit", "4", "--device", "cpu")
    assert ran.code == 1
    assert ran.err.splitlines()[-1].endswith(f"the memory of cpu is not enough; try {advice}")


def test_what_a_plugin_prints_is_not_on_stdout(vitan: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from vitan.engine import runner

    run_model = runner.run_model

    def chatty(*args: Any, **more: Any) -> Any:
        print("loading the plugin's own things")
        return run_model(*args, **more)

    monkeypatch.setattr(runner, "run_model", chatty)
    ran = vitan(*RUN, "--json")
    assert ran.code == 0, ran.err
    assert json.loads(ran.out)
    assert "loading the plugin's own things" in ran.err


def test_a_bug_in_a_run_is_one_line(vitan: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from vitan.engine import runner

    monkeypatch.setattr(runner, "run_model", lambda *_: [][1])
    ran = vitan(*RUN)
    assert ran.code == 1
    assert ran.err.splitlines()[-1].startswith("error: vitan has a bug here (IndexError: ")
    assert "Traceback" not in ran.err


@pytest.mark.parametrize(
    ("cuda", "mps", "expected"), [(True, True, "cuda"), (False, True, "mps"), (False, False, "cpu")]
)
def test_the_device_is_the_best_there_is(monkeypatch: pytest.MonkeyPatch, cuda: bool, mps: bool, expected: str) -> None:
    from vitan.engine.devices import best_device

    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert best_device() == expected


def test_a_plan_that_leaves_the_device_open_gets_the_best_one(vitan: Any) -> None:
    plan = Path("plan.yaml")
    plan.write_text("analyses: [mean]\nmodels: [toy-A8]\ndataset: dots\n")
    assert "cpu" in vitan("validate", plan).out
    ran = vitan("run", "--plan", plan)
    assert ran.code == 0, ran.err
    assert "device cpu" in ran.err
    assert "device: cpu" in Path("results/toy-A8/dots/mean/plan.yaml").read_text()


def test_no_bytes_of_progress_go_to_stdout(vitan: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = vitan(*RUN, "--json")
    json.loads(ran.out)
    assert sys.stdout.isatty() is False


def test_workers_change_nothing_but_who_reads(vitan: Any) -> None:
    ran = [vitan(*RUN, "--workers", n, "--json") for n in ("1", "3")]
    assert [each.code for each in ran] == [0, 0]
    assert all(run["reused"] for run in json.loads(ran[1].out)["runs"])
    refused = vitan(*RUN, "--workers", "0")
    assert refused.code == 2
    assert "--workers" in refused.err
