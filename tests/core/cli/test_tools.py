"""``doctor``, ``verify``, ``cache``, ``validate``, and the text and bars that all of them use."""

from __future__ import annotations

import importlib
import io
import math
import os
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import yaml

from vitan.engine import agreement
from vitan.engine.store import Store
from vitan.registry.plugins import Plugins

TOYS = Path(__file__).with_name("toys.py")
RUN = ("run", "mean", "-m", "toy-A8", "-d", "dots")

WRONG_ANCHOR = """
from vitan import ProbeSpec, hookimpl

def anchors():
    yield "half of one", 0.5, 0.6, 1e-3
    yield "not a number", 0.5, float("nan"), 1e-3

@hookimpl
def vitan_probes():
    yield ProbeSpec(name="wrong", summary="has a mistake", load=lambda: None, anchors=anchors)
"""


@pytest.fixture
def few_packages(monkeypatch: pytest.MonkeyPatch) -> Any:
    doctor = sys.modules["vitan.cli.commands.doctor"]
    monkeypatch.setattr(doctor, "PACKAGES", {"pillow": "PIL.Image", "torch": "torch"})
    return doctor


def test_doctor_finds_nothing_wrong(vitan: Any, few_packages: Any) -> None:
    ran = vitan("doctor")
    assert ran.code == 0, ran.out
    assert "all is well" in ran.out
    assert "offline, since VITAN_OFFLINE is set" in ran.out
    assert "toys.py" in ran.out
    assert torch.__version__.partition("+")[0] in ran.out


@pytest.mark.parametrize("debug", [(), ("--debug",)])
def test_doctor_shows_the_traceback_of_a_failed_plugin_for_debug(
    vitan: Any, few_packages: Any, install: Any, debug: tuple[str, ...]
) -> None:
    install("extra_broken", "def inner():\n    raise RuntimeError('on purpose')\ninner()\n")
    ran = vitan("doctor", *debug)
    assert ran.code == 1
    assert ("in inner" in ran.out) == ("Traceback" in ran.out) == bool(debug)
    assert "plugin extra 2.0 (extra_broken) skipped: RuntimeError: on purpose" in ran.out
    assert ran.err == ""


def test_doctor_names_heavy_plugins_and_clashes(
    vitan: Any, few_packages: Any, install: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)  # so that what the plugin puts there is taken away again
    monkeypatch.delitem(sys.modules, "sklearn")
    install(
        "extra_heavy",
        "import sys, types\nsys.modules.setdefault('sklearn', types.ModuleType('sklearn'))\n"
        "from vitan import ModelSpec, hookimpl\n@hookimpl\ndef vitan_models():\n"
        "    yield ModelSpec(name='toya', summary='x', family='toy', arch='A', patch=8, build=list)\n",
    )
    ran = vitan("doctor")
    assert ran.code == 1
    assert "plugin extra 2.0 (extra_heavy) imports sklearn when it is loaded" in ran.out
    assert "model 'toya' is offered by toys.py and by extra 2.0" in ran.out or "extra 2.0 and by toys.py" in ran.out


@pytest.mark.parametrize(
    ("error", "part"),
    [
        (ImportError("libGL.so.1: cannot open shared object file"), "libgl1"),
        (ModuleNotFoundError("No module named 'cv2'"), "pip install opencv-python"),
        (OSError("bad"), "cannot be imported: OSError: bad"),
    ],
)
def test_doctor_says_what_a_broken_package_needs(
    vitan: Any, few_packages: Any, monkeypatch: pytest.MonkeyPatch, error: Exception, part: str
) -> None:
    real = importlib.import_module

    def broken(name: str, *rest: object) -> object:
        if name == "cv2":
            raise error
        return real(name, *rest)

    monkeypatch.setattr(few_packages, "PACKAGES", {"opencv-python": "cv2"})
    monkeypatch.setattr(few_packages.importlib, "import_module", broken)
    ran = vitan("doctor")
    assert ran.code == 1
    assert part in ran.out
    assert "broken" in ran.out


def test_verify(vitan: Any, install: Any) -> None:
    ran = vitan("verify")
    assert ran.code == 0, ran.err
    row = next(line for line in ran.out.splitlines() if line.startswith("mean"))
    assert row.split() == ["mean", "two", "and", "two", "4", "4", "1e-09", "ok"]
    install("extra_wrong", WRONG_ANCHOR)
    ran = vitan("verify")
    assert ran.code == 1
    assert sum(line.endswith("FAILED") for line in ran.out.splitlines()) == 2
    assert "1 of 3 are as they must be" in ran.out


def test_verify_compares_a_device_with_the_cpu(vitan: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = vitan("verify", "--device", "cpu", "-m", "toy-A8")
    assert ran.code == 0, ran.err
    rows = [line.split() for line in ran.out.splitlines() if "numbers" in line]
    assert {row[0] for row in rows} == {"mean", "other"}  # what needs masks finds no dataset here
    assert all(row[3:5] == ["100.0%", "near,"] for row in rows)
    assert "cpu agrees with the CPU" in ran.out
    refused = vitan("verify", "--device", "cuda", "-m", "toy-A8")
    assert refused.code == 2
    assert "torch has no such device here" in refused.err
    assert "no model that comes with its weights" in vitan("verify", "--device", "cpu").err


@pytest.mark.parametrize(
    ("off", "ok"), [(0.0, True), (1e-4, True), (0.1, False), (float("nan"), False), (float("inf"), False)]
)
def test_a_device_that_computes_otherwise_is_found(monkeypatch: pytest.MonkeyPatch, off: float, ok: bool) -> None:
    real, runs = agreement.run_model, []

    def elsewhere(job: Any, *rest: Any) -> Any:
        run = real(job, *rest)
        runs.append(job)
        if len(runs) % 2:
            return run
        (outcome,) = run.outcomes
        gap = "lost" if math.isnan(off) else ""
        records = tuple(replace(record, value=record.value * (1 + off), gap=gap) for record in outcome.result.records)
        drawable = replace(outcome.drawable, result=replace(outcome.result, records=records))
        return replace(run, outcomes=(replace(outcome, drawable=drawable),))

    monkeypatch.setattr(agreement, "run_model", elsewhere)
    plugins = Plugins()
    plugins.load_file(TOYS)
    found = list(agreement.agreements("cpu", plugins, "toy-A8"))
    assert {each.analysis for each in found} == {"mean", "other"}
    assert {each.ok for each in found} == {ok}


def test_an_anchor_whose_code_fails_is_not_as_it_must_be(vitan: Any, install: Any) -> None:
    install("extra_broken", WRONG_ANCHOR.replace("def anchors():\n", "def anchors():\n    raise KeyError('lost')\n"))
    ran = vitan("verify")
    assert ran.code == 1
    assert "1 of 2 are as they must be" in ran.out
    assert "KeyError: 'lost'" in ran.out


def test_verify_without_analyses(bare: Any) -> None:
    ran = bare("verify")
    assert ran.code == 0
    assert "no analysis" in ran.out


def test_cache_shows_and_clears(vitan: Any, tmp_path: Path) -> None:
    assert "0 files" in vitan("cache").out
    assert "nothing to delete" in vitan("cache", "clear").out
    assert vitan(*RUN).code == 0
    weights = tmp_path / "cache" / "weights" / "toy.pth"
    weights.parent.mkdir(parents=True)
    weights.write_bytes(b"x" * 2500)
    out = vitan("cache").out
    assert str(tmp_path / "cache") in out
    row = next(line for line in out.splitlines() if "toy-A8" in line)
    assert row.split()[:5] == ["toy-A8", "dots", "mean", "1", "file"]
    assert "toy.pth  2.5 kB" in out
    shared = {"dataset": ["dots", "1"], "preparation": ["TokenMasks", "1", "toys"]}
    Store(tmp_path / "cache" / "states").put(shared, {"0.mask": torch.zeros(2)}, {})
    row = next(line for line in vitan("cache").out.splitlines() if "TokenMasks" in line)
    assert row.split()[:6] == ["(any", "model)", "dots", "TokenMasks", "1", "file"]
    assert vitan("cache", "clear", "--states", "--yes").code == 0
    assert weights.exists()
    assert not list((tmp_path / "cache" / "states").rglob("*.safetensors"))
    assert "toy-A8" not in vitan("cache").out
    assert vitan("cache", "clear", "--yes").code == 0
    assert not weights.exists()


def test_cache_clear_asks_first(vitan: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = tmp_path / "cache" / "weights" / "toy.pth"
    weights.parent.mkdir(parents=True)
    weights.write_bytes(b"x")
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    ran = vitan("cache", "clear")
    assert (ran.code, ran.out.strip()) == (0, "nothing was deleted")
    assert weights.exists()
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    ran = vitan("cache", "clear")
    assert ran.code == 1
    assert "--yes" in ran.err
    assert weights.exists()
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    assert vitan("cache", "clear").code == 0
    assert not weights.exists()


def test_cache_clear_of_what_is_old(vitan: Any, tmp_path: Path) -> None:
    folder = tmp_path / "cache" / "weights"
    folder.mkdir(parents=True)
    for name, days in (("old.pth", 10), ("new.pth", 1)):
        (folder / name).write_bytes(b"x")
        then = time.time() - days * 86400
        os.utime(folder / name, (then, then))
    assert vitan("cache", "clear", "--older-than", 5, "--yes").code == 0
    assert [file.name for file in folder.iterdir()] == ["new.pth"]
    assert vitan("cache", "clear", "--older-than", "-1").code == 2


def test_cache_survives_damaged_state(vitan: Any, tmp_path: Path) -> None:
    file = tmp_path / "cache" / "states" / "ab" / "abc.safetensors"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"nonsense")
    assert "(unreadable)" in vitan("cache").out


def _plan(**parts: object) -> Path:
    about = {"analyses": [{"name": "mean"}], "models": [{"name": "toy-A8"}], "dataset": {"name": "dots"}, **parts}
    path = Path("plan.yaml")
    path.write_text(yaml.safe_dump(about))
    return path


def test_validate(vitan: Any) -> None:
    ran = vitan("validate", _plan(limit=4))
    assert ran.code == 0, ran.err
    for part in ("sha256 ", "mean (toys.py)  mass=0.6", "toy-A8", "dots, 6 images, of which 4 are looked at"):
        assert part in ran.out


def test_validate_gives_the_digest_of_the_resolved_plan(vitan: Any) -> None:
    def digest(path: Path) -> str:
        return vitan("validate", path).out.splitlines()[0]

    plain = digest(_plan())
    assert digest(_plan(analyses=[{"name": "mean", "options": {"mass": 0.6}}])) == plain
    assert digest(_plan(analyses=[{"name": "mean", "options": {"mass": 0.5}}])) != plain


def test_validate_lists_all_that_is_wrong(vitan: Any) -> None:
    plan = _plan(
        analyses=[{"name": "mean", "options": {"mass": 2, "cap": 0}}, {"name": "meen"}],
        models=[{"name": "toy-C8"}, {"name": "toy-A8"}],
        dataset={"name": "dots", "options": {"n": 999}},
    )
    ran = vitan("validate", plan)
    assert (ran.code, ran.out) == (2, "")
    for part in ("--mass (mean)", "--cap (mean)", "'meen'", "'toy-C8'", "--n (dots)"):
        assert part in ran.err
    ran = vitan(
        "validate", _plan(analyses=[{"name": "needy"}, {"name": "mean"}], models=[{"name": "toy-A8", "weights": "x"}])
    )
    assert ran.code == 2
    assert "needy needs masks" in ran.err
    assert "--weights x" in ran.err


@pytest.mark.parametrize(
    ("text", "part"),
    [("analyses: [", "neither YAML nor JSON"), ("- 1", "list"), ("limit: 0\n", "models: Field required")],
)
def test_validate_a_file_that_is_no_plan(vitan: Any, text: str, part: str) -> None:
    path = Path("bad.yaml")
    path.write_text(text)
    ran = vitan("validate", path)
    assert ran.code == 2
    assert "bad.yaml" in ran.err
    assert part in ran.err


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_bars_on_a_terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from vitan.cli.progress import Bars, reporter

    terminal = _Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    bars = reporter()
    assert isinstance(bars, Bars)
    bars.download("toy.pth", 0, 2000)
    bars.download("toy.pth", 2000, 2000)
    bars.begin("toy-A8 · dots · mean", 4)
    bars.advance(3)
    bars.note("[a note]")
    bars.advance(1)
    bars.end()
    bars.begin_drawing("mean")
    bars.drawn("overview.png")
    bars.drawn("heads.png")
    bars.end()
    bars.note("after")
    shown = terminal.getvalue()
    for part in (
        "toy.pth",
        "2.0/2.0 kB",
        "toy-A8 · dots · mean",
        "4/4",
        "images/s",
        "[a note]",
        "after",
        "drawing mean",
        "2 figures",
        "heads.png",
    ):
        assert part in shown
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.2, "1 s"), (29, "29 s"), (89, "89 s"), (90, "2 min"), (3590, "1 h 0 min"), (7500, "2 h 5 min")],
)
def test_times_are_never_none(seconds: float, said: str) -> None:
    from vitan.cli.text import duration

    assert duration(seconds) == said


def test_lines_in_a_log(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from vitan.cli import progress

    now = iter([0.0, 0.0, 30.0, 70.0, 80.0, 100.0, 0.0, 2.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(now))
    lines = progress.reporter()
    lines.begin("toy · dots", 100)
    lines.advance(20)
    lines.advance(15)
    lines.advance(15)
    lines.end()
    lines.download("toy.pth", 0, 3_000_000)
    lines.download("toy.pth", 3_000_000, 3_000_000)
    assert capsys.readouterr().err.splitlines() == [
        "toy · dots: 100 images",
        "  35 of 100 images, 0.5 images/s, 2 min left",
        "  stopped at 50 of 100: 50 images in 100.0 s, 0.5 images/s",
        "fetching toy.pth (3.0 MB)",
        "  fetched 3.0 MB in 2.0 s, 1.5 MB/s",
    ]


class _Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        monkeypatch.setattr("vitan.cli.progress.time.monotonic", lambda: self.now)


#: What is told of (seconds, images, reused) of 1000 images, and what is said a minute later and at the end.
PACES = [
    ([(0.1, 900, True), (100, 50, False)], "950 of 1000 images, 0.5 images/s, 2 min left", "900 of them from stored"),
    ([(100, 50, False), (0.1, 900, True)], "50 of 1000 images, 0.5 images/s, 32 min left", "900 of them from stored"),
    (
        [(70, 500, True), (70, 500, True)],
        "500 of 1000 images",
        "done: 1000 images in 140.0 s, 1000 of them from stored",
    ),
    ([(80, 400, False), (20, 100, False)], "400 of 1000 images, 5.0 images/s, 2 min left", "100.0 s, 5.0 images/s"),
]


@pytest.mark.parametrize(("told", "between", "after"), PACES)
def test_what_was_stored_counts_for_no_pace(
    told: Any, between: str, after: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from vitan.cli.progress import Lines

    clock, lines = _Clock(monkeypatch), Lines()
    lines.begin("toy · dots", 1000)
    for seconds, images, reused in told:
        clock.now += seconds
        lines.advance(images, reused=reused)
    lines.end()
    said = capsys.readouterr().err.splitlines()
    assert said[1] == f"  {between}"
    assert after in said[-1]
    assert ("images/s" in said[-1]) == any(not reused for *_, reused in told)


@pytest.mark.parametrize(("told", "between", "after"), PACES[:1])
def test_nor_for_that_of_a_bar(told: Any, between: str, after: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from vitan.cli.progress import Bars

    terminal = _Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    clock, bars = _Clock(monkeypatch), Bars()
    bars.begin("toy · dots", 1000)
    for seconds, images, reused in told:
        clock.now += seconds
        bars.advance(images, reused=reused)
    bars.end()
    assert "0.5 images/s" in terminal.getvalue()
    assert "0:01:40" in terminal.getvalue()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.5, "0.5000"),
        (1.0, "1"),
        (5e7, "5.000e+07"),
        (12345.678, "12346"),
        (1e-5, "1.000e-05"),
        (float("nan"), "nan"),
        (-0.25, "-0.2500"),
    ],
)
def test_numbers(value: float, text: str) -> None:
    from vitan.cli.text import number

    assert number(value) == text


def test_text() -> None:
    from vitan.cli.text import columns, shorten, size

    assert columns([("a", "1"), ("bcd", "22")], right=(1,), indent=" ") == [" a     1", " bcd  22"]
    assert shorten("abcdef", 4) == "abc…"
    assert shorten("abcd", 4) == "abcd"
    assert [size(n) for n in (0, 999, 2500, 45_000_000, 7.2e9, 3e12)] == [
        "0 B",
        "999 B",
        "2.5 kB",
        "45 MB",
        "7.2 GB",
        "3.0 TB",
    ]


@pytest.mark.parametrize(("gap", "said"), [("too few images", "(nothing: too few images)"), ("", "see the pictures")])
def test_a_table_without_values_says_why(gap: str, said: str) -> None:
    from vitan.analysis.records import Record, Result
    from vitan.cli.tables import _nothing

    gaps = tuple(Record(metric="mean", value=math.nan, block=block, gap=gap) for block in range(2))
    other = Record(metric="other", value=math.nan, block=0, gap="of no interest here")
    finding: Any = SimpleNamespace(records=(*gaps, other), result=Result(records=(*gaps, other), headline=("mean",)))
    (line,) = _nothing([finding, finding])
    assert said in line
    assert "interest" not in line


def test_wide_tables_are_cut_into_several(monkeypatch: pytest.MonkeyPatch) -> None:
    from vitan.cli.tables import _table

    cells = {f"a-metric-with-a-long-name-{i}": ["0.1234", "0.5678"] for i in range(9)}
    lines = _table("block", ["0", "1"], cells, dict.fromkeys(cells, "px"), right=True)
    assert max(map(len, lines)) <= 80
    assert sum(line.split()[:1] == ["block"] for line in lines) == 3
    assert sum(line.count("0.1234") for line in lines) == 9
