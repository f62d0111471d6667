"""Figures are kept while nothing that they are made from has changed, and are never stale."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from matplotlib import rcParams
from matplotlib.font_manager import FontEntry, fontManager

import vitan
import vitan_analyses.attention
import vitan_analyses.cka
from toys import toy_plugins
from vitan.analysis.records import Record, Result
from vitan.data.views import Crop
from vitan.engine.job import Job
from vitan.engine.runner import Outcome
from vitan.errors import OptionError
from vitan.registry.names import Provider
from vitan.registry.plugins import Plugins
from vitan.results import drawing, save, unchanged
from vitan.results.findings import Finding

MODELS = ["toy-T8", "toy-shallow-T8"]
#: What will never be letters.
NONE = "\ufdd0\ufdd1"


class Notes(list[str]):
    """Keeps what it is told."""

    def begin(self, title: str, total: int) -> None: ...
    def advance(self, images: int, *, reused: bool = False) -> None: ...
    def begin_drawing(self, what: str) -> None: ...
    def drawn(self, name: str) -> None:
        self.append(f"drew {name}")

    def end(self) -> None: ...
    def download(self, description: str, done: int, total: int | None) -> None: ...
    def note(self, text: str) -> None:
        self.append(text)


@pytest.fixture
def plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plugins:
    monkeypatch.setenv("VITAN_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    plugins = toy_plugins()
    for module in (vitan_analyses.attention, vitan_analyses.cka):
        plugins.register(Provider("ours", "1.0"), module.__name__, module)
    return plugins


def _run(plugins: Plugins, models: Any = "toy-T8", **asked: Any) -> Notes:
    notes = Notes()
    vitan.run("cka", models, "pictures", limit=4, output="out", plugins=plugins, progress=notes, **asked)
    return notes


def _drawn(notes: Notes) -> list[str]:
    return [note for note in notes if note.startswith("drew ")]


def _figures(folder: str = "out") -> dict[Path, tuple[int, bytes]]:
    kinds = (".png", ".svg", ".gif")
    return {path: (path.stat().st_ino, path.read_bytes()) for path in Path(folder).rglob("*") if path.suffix in kinds}


def test_nothing_is_redrawn_that_has_not_changed(plugins: Plugins) -> None:
    first = _run(plugins, MODELS)
    before = _figures()
    assert len(_drawn(first)) == len([path for path in before if path.suffix == ".png"]) > 2
    again = _run(plugins, MODELS)
    assert _drawn(again) == []
    said = [note for note in again if "figures unchanged" in note]
    assert said == ["  cka: figures unchanged"] * 2 + ["  cka between models: figures unchanged"]
    assert _figures() == before
    found = vitan.run("cka", MODELS, "pictures", limit=4, output="out", plugins=plugins)
    shown = {path for each in (*found, *found.comparisons) for path in each.pictures}
    assert shown == {path for path in before if path.suffix == ".png"}


def test_a_comparison_of_what_is_there_redraws_nothing_either(plugins: Plugins) -> None:
    _run(plugins, MODELS)
    results = vitan.load_results("out", plugins=plugins)
    vitan.compare(results)
    before = _figures("out/comparison")
    (again,) = vitan.compare(results, progress=(notes := Notes()))
    assert notes == ["  cka between models: figures unchanged"]
    assert _figures("out/comparison") == before
    assert {*again.pictures} == {path for path in before if path.suffix == ".png"}
    vitan.compare(results, models=MODELS[::-1], progress=(other := Notes()))
    assert _drawn(other)


def _delete(folder: Path) -> None:
    (folder / "cka.svg").unlink()


def _alter(folder: Path) -> None:
    content = bytearray((folder / "cka.png").read_bytes())
    content[-20] ^= 1
    (folder / "cka.png").write_bytes(content)


def _forget(folder: Path) -> None:
    (folder / "figures.json").unlink()


def _damage(folder: Path) -> None:
    (folder / "figures.json").write_text("[]")


def _lead_out(folder: Path) -> None:
    listed = json.loads((folder / "figures.json").read_text())
    listed["files"]["../../../secret"] = listed["files"].pop("cka.png")
    Path("out/secret").write_bytes((folder / "cka.png").read_bytes())
    (folder / "figures.json").write_text(json.dumps(listed))


def _list_others(folder: Path) -> None:
    listed = json.loads((folder / "figures.json").read_text())
    (folder / "figures.json").write_text(json.dumps({"key": listed["key"], "files": ["cka.png"]}))


@pytest.mark.parametrize("spoil", [_delete, _alter, _forget, _damage, _lead_out, _list_others])
def test_what_is_missing_or_altered_is_drawn_anew(plugins: Plugins, spoil: Callable[[Path], None]) -> None:
    _run(plugins)
    before = {path: content for path, (_, content) in _figures().items()}
    spoil(Path("out/toy-T8/pictures/cka"))
    assert len(_drawn(_run(plugins))) == len([path for path in before if path.suffix == ".png"])
    assert _figures().keys() == before.keys()
    assert _drawn(_run(plugins)) == []


def test_a_run_that_draws_less_keeps_what_is_still_right_and_no_more(plugins: Plugins) -> None:
    _run(plugins, MODELS)
    before = _figures()
    for less in ("comparisons", "none"):
        assert _drawn(_run(plugins, MODELS, figures=less)) == []
        assert _figures() == before
    _run(plugins, MODELS, figures="none", dtype="bfloat16")
    assert _figures() == {}, "those of other numbers would lie"


def test_comparisons_alone_are_drawn_and_the_rest_later(plugins: Plugins) -> None:
    assert _drawn(_run(plugins, MODELS, figures="comparisons"))
    assert {path.parts[1] for path in _figures()} == {"comparison"}
    again = _run(plugins, MODELS)
    assert "  cka between models: figures unchanged" in again
    assert {*MODELS} < {path.parts[1] for path in _figures()}


def test_what_is_no_choice_of_figures_is_refused(plugins: Plugins) -> None:
    with pytest.raises(OptionError, match="figures: False is none of all, comparisons, none"):
        _run(plugins, figures=False)


def test_figures_that_failed_are_tried_again(tmp_path: Path) -> None:
    def drawings(*, fail: bool) -> Any:
        yield vitan.Picture(name="first", pixels=np.zeros((2, 2, 3), np.uint8))
        if fail:
            raise ValueError("no second")
        yield vitan.Picture(name="second", pixels=np.zeros((2, 2, 3), np.uint8))

    with pytest.raises(ValueError, match="no second"):
        drawing.draw_into(tmp_path, drawings(fail=True), "toy", "key", Notes())
    assert [path.name for path in tmp_path.iterdir()] == ["first.png"], "what came before is there"
    drawing.draw_into(tmp_path / "again", drawings(fail=False), "toy", "key", notes := Notes())
    assert _drawn(notes) == ["drew first.png", "drew second.png"]


def test_what_libraries_warn_of_is_said_once_and_on_one_line(tmp_path: Path) -> None:
    def drawings() -> Any:
        for _ in range(3):
            np.mean([])  # numpy warns of it, twice and on several lines
        yield vitan.Picture(name="p", pixels=np.zeros((2, 2, 3), np.uint8))

    with warnings.catch_warnings():
        warnings.simplefilter("default")
        drawing.draw_into(tmp_path, drawings(), "toy", "key", notes := Notes())
    said = [note for note in notes if "Mean of empty slice" in note]
    assert [note.rstrip(".") for note in said] == ["warning: figures of toy: Mean of empty slice"]
    assert notes[0] == "drew p.png"


def test_letters_that_no_font_has_are_said_once(tmp_path: Path) -> None:
    from matplotlib.figure import Figure

    def drawings() -> Any:
        for name in ("one", "two"):
            (figure := Figure(figsize=(1, 1))).suptitle(NONE)
            yield vitan.Plot(name=name, figure=figure)

    with warnings.catch_warnings():
        warnings.simplefilter("default")
        drawing.draw_into(tmp_path, drawings(), "toy", "key", notes := Notes())
    (said,) = [note for note in notes if note.startswith("warning")]
    assert said == f"warning: figures of toy: no installed font has {NONE}, which are written as {ascii(NONE)[1:-1]}"


# Every part of the key


@pytest.fixture
def facts(plugins: Plugins) -> tuple[Finding, Outcome]:
    found = vitan.run("attention", "toy-T8", "pictures", limit=4, plugins=plugins)
    return found[0], found[0].load_outcome()


def _with_result(outcome: Outcome, **changes: Any) -> Outcome:
    return replace(outcome, drawable=replace(outcome.drawable, result=replace(outcome.result, **changes)))


def _with_array(outcome: Outcome, change: Callable[[Any], Any]) -> Outcome:
    return _with_result(outcome, arrays={**outcome.result.arrays, "entropy": change(outcome.result.arrays["entropy"])})


def _nudged(array: Any) -> Any:
    changed = array.copy()
    changed.flat[-1] = np.nextafter(changed.flat[-1], 9)
    return changed


def _with_drawable(outcome: Outcome, **changes: Any) -> Outcome:
    return replace(outcome, drawable=replace(outcome.drawable, **changes))


def _with_model(outcome: Outcome, **changes: Any) -> Outcome:
    return _with_drawable(outcome, model=replace(outcome.model, **changes))


def _with_analysis(outcome: Outcome, **changes: Any) -> Outcome:
    return replace(outcome, analysis=replace(outcome.analysis, **changes))


def _with_dataset(outcome: Outcome, **methods: Any) -> Outcome:
    dataset = outcome.drawable.dataset
    other = type("Other", (type(dataset),), {"__module__": type(dataset).__module__, **methods})
    return _with_drawable(outcome, dataset=other(dataset.options))


CHANGES: dict[str, Callable[[Outcome], Outcome]] = {
    "a record": lambda o: _with_result(o, records=(*o.result.records[:-1], replace(o.result.records[-1], value=9.0))),
    "the last bit of an array": lambda o: _with_array(o, _nudged),
    "the type of an array": lambda o: _with_array(o, lambda array: array.astype(np.float16)),
    "the shape of an array": lambda o: _with_array(o, lambda array: array[..., None]),
    "the name of an array": lambda o: _with_result(o, arrays={f"{k}2": v for k, v in o.result.arrays.items()}),
    "axes": lambda o: _with_result(o, axes={**o.result.axes, "entropy": ("image", "head", "block")}),
    "headline": lambda o: _with_result(o, headline=("entropy",)),
    "between": lambda o: _with_result(o, between={("a", "b"): {"x": np.zeros(1)}}),
    "the name of the model": lambda o: _with_model(o, name="other-T8"),
    "how its family is drawn": lambda o: _with_model(o, colour="#123456"),
    "its blocks": lambda o: _with_model(o, blocks=o.model.blocks[:-1]),
    "options": lambda o: _with_analysis(o, options=o.analysis.options.model_copy(update={"per_class": True})),
    "the version of the plugin": lambda o: _with_analysis(o, provider="ours 1.1"),
    "the file of the plugin": lambda o: _with_analysis(o, spec=replace(o.analysis.spec, source="0" * 64)),
    "the version of the recording": lambda o: _with_analysis(
        o, kind=type("P", (o.analysis.kind,), {"version": "9", "__module__": o.analysis.kind.__module__})
    ),
    "the name of the dataset": lambda o: _with_drawable(o, dataset_name="others"),
    "names of classes": lambda o: _with_dataset(o, classes=lambda _: ["写真"]),
    "names of categories": lambda o: _with_dataset(o, categories=lambda _: {1: "写真"}),
    "the view": lambda o: _with_drawable(o, view=Crop(32) if o.drawable.view.name != "crop" else _Other(32)),
}


class _Other(Crop):
    name = "other"


@pytest.mark.parametrize("what", CHANGES)
def test_every_part_of_a_result_is_in_the_key(facts: tuple[Finding, Outcome], what: str) -> None:
    finding, outcome = facts
    key = unchanged.figures_key([finding], [outcome])
    assert key == unchanged.figures_key([finding], [outcome]) != ""
    assert unchanged.figures_key([finding], [CHANGES[what](outcome)]) not in (key, "")


def test_pictures_are_in_the_key_those_of_now_where_the_dataset_was_not_run(facts: tuple[Finding, Outcome]) -> None:
    finding, outcome = facts
    assert finding.job is not None
    other = _with_dataset(outcome, fingerprint=lambda _: "other pictures")
    stored = replace(finding, job=None)
    keys = [unchanged.figures_key([stored], [each]) for each in (outcome, other)]
    assert keys[0] != keys[1]
    assert unchanged.figures_key([finding], [outcome]) == keys[0]
    elsewhere = replace(finding, job=cast("Job", SimpleNamespace(fingerprint="other pictures")))
    assert unchanged.figures_key([elsewhere], [outcome]) != keys[0]
    broken = _with_dataset(outcome, fingerprint=lambda _: 1 / 0)
    assert unchanged.figures_key([stored], [broken]) == ""


def test_what_is_between_models_and_their_order_is_in_the_key(facts: tuple[Finding, Outcome]) -> None:
    finding, outcome = facts
    other = _with_model(outcome, name="other-T8")
    between = [None, Result(records=()), Result(records=(Record(metric="m", value=1.0),))]
    keys = [unchanged.figures_key([finding] * 2, [outcome, other], result) for result in between]
    keys += [unchanged.figures_key([finding] * 2, [other, outcome], None), unchanged.figures_key([finding], [outcome])]
    assert len(set(keys)) == 5


@pytest.mark.parametrize("what", ["code", "library", "settings", "fonts"])
def test_all_that_draws_is_in_the_key(
    facts: tuple[Finding, Outcome], monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    finding, outcome = facts
    key = unchanged.figures_key([finding], [outcome])
    if what == "code":
        monkeypatch.setattr(unchanged, "_code", lambda package: f"other {package}")
    elif what == "library":
        monkeypatch.setattr(unchanged, "version", lambda name: f"{name} 99")
    elif what == "settings":
        monkeypatch.setitem(rcParams, "font.size", 11.5)
    else:
        monkeypatch.setattr(fontManager, "ttflist", [*fontManager.ttflist, FontEntry(fname="/new.ttf", name="New")])
    assert unchanged.figures_key([finding], [outcome]) not in (key, "")


def test_code_is_told_apart_by_every_file_of_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "drawn_by_me" / "rooms"
    package.mkdir(parents=True)
    for name in ("../__init__.py", "__init__.py", "colours.py"):
        (package / name).write_text("RED = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    __import__("drawn_by_me.rooms")
    fresh = unchanged._code.__wrapped__
    before = fresh("drawn_by_me")
    assert fresh("drawn_by_me") == before
    (package / "colours.py").write_text("RED = 2\n")
    assert fresh("drawn_by_me") != before


def test_numbers_are_written_whatever_the_key_costs(plugins: Plugins, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unchanged, "_of_result", lambda _: 1 / 0)
    assert _drawn(_run(plugins))
    assert _drawn(_run(plugins)), "what cannot be told is drawn"
    assert save.figures_key is unchanged.figures_key
