"""Results that hold more are kept: by a run, by a comparison, from Python, with the way out in the message."""

from __future__ import annotations

from pathlib import Path

import pytest

import vitan
from toys import Sharpness, toy_plugins
from vitan.errors import KeptError
from vitan.registry.plugins import Plugins

MODELS = ["toy-T8", "toy-shallow-T8"]


@pytest.fixture
def plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plugins:
    monkeypatch.setenv("VITAN_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return toy_plugins()


def _contents(folder: str) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"limit": 4}, r"out/toy-T8/pictures/sharpness has 11 images, and this is 4 of them; it is kept"),
        ({"blocks": "last"}, r"has blocks 0, 1, and this has not; it is kept: write elsewhere \(-o FOLDER\)"),
        ({"blocks": "0-1"}, "has block 2, and this has not"),
        ({"blocks": "last", "limit": 4}, "11 images, and this is 4 of them; it has blocks 0, 1, and this has not"),
    ],
)
def test_less_is_refused_before_anything_is_computed(plugins: Plugins, asked: dict[str, object], said: str) -> None:
    vitan.run("sharpness", "toy-T8", "pictures", output="out", plugins=plugins)
    before, forwards = _contents("out"), len(Sharpness.forwards)
    with pytest.raises(KeptError, match=said):
        vitan.run("sharpness", "toy-T8", "pictures", output="out", plugins=plugins, **asked)  # type: ignore[arg-type]
    assert _contents("out") == before
    assert len(Sharpness.forwards) == forwards
    elsewhere = vitan.run("sharpness", "toy-T8", "pictures", output="small", plugins=plugins, **asked)  # type: ignore[arg-type]
    assert elsewhere[0].folder == Path("small/toy-T8/pictures/sharpness")


def test_as_much_or_more_or_something_else_takes_the_place(plugins: Plugins) -> None:
    """More images, more blocks, other options, and other data under the same name."""

    def run(**asked: object) -> int:
        found = vitan.run("sharpness", "toy-T8", "pictures", output="out", plugins=plugins, **asked)  # type: ignore[arg-type]
        (again,) = vitan.load_results("out", plugins=plugins)
        assert again.records == found[0].records
        return again.n

    assert run(limit=4, blocks="last") == 4
    assert run(limit=4) == 4
    assert run() == 11
    assert run(batch_size=2) == 11
    assert run(dataset_options={"broken": (2,)}, on_error="skip", limit=5) == 4


def test_weights_of_ones_own_are_kept_too_when_they_are_written(plugins: Plugins) -> None:
    """Their folder is named after the file's content, which is only known when it has been read."""
    import torch

    from toys import build_toy

    torch.save(build_toy().state_dict(), "my.pth")
    full = vitan.run("sharpness", {"toy-T8": "my.pth"}, "pictures", output="out", plugins=plugins)
    before = _contents("out")
    less = vitan.run("sharpness", {"toy-T8": "my.pth"}, "pictures", limit=4, output="out", plugins=plugins)
    assert _contents("out") == before
    (error,) = less.failed.values()
    assert isinstance(error, KeptError)
    assert str(full[0].folder) in str(error)
    assert (less[0].n, less[0].folder) == (4, None)


def test_a_comparison_of_more_models_is_kept(plugins: Plugins) -> None:
    from dataclasses import replace

    import vitan_analyses.cka
    from toys import SHALLOW
    from vitan.registry.names import Provider

    plugins.register(Provider("cka", "1.0"), "cka", vitan_analyses.cka)
    plugins.add(replace(SHALLOW, name="toy-third-T8"))
    vitan.run("cka", [*MODELS, "toy-third-T8"], "pictures", output="out", figures="none", plugins=plugins)
    before = _contents("out/comparison")
    results = vitan.load_results("out", plugins=plugins)
    with pytest.raises(KeptError, match="out/comparison/pictures/cka compares 3 models, and this is 2; it is kept"):
        vitan.compare(results, models=MODELS, figures="none")
    assert _contents("out/comparison") == before
    (elsewhere,) = vitan.compare(results, models=MODELS, output="two", figures="none")
    assert elsewhere.folder == Path("two/comparison/pictures/cka")
    notes = _Notes()
    found = vitan.run("cka", MODELS, "pictures", output="out", figures="none", plugins=plugins, progress=notes)
    assert _contents("out/comparison") == before
    assert found.failed == {}
    assert (len(found.comparisons), found.comparisons[0].folder) == (1, None)
    assert any("cka between models is not written: out/comparison/pictures/cka compares 3" in note for note in notes)
    assert vitan.compare(results, figures="none")[0].models == ("toy-T8", "toy-shallow-T8", "toy-third-T8")


class _Notes(list[str]):
    """Keeps what it is told."""

    def begin(self, title: str, total: int) -> None: ...
    def advance(self, images: int, *, reused: bool = False) -> None: ...
    def begin_drawing(self, what: str) -> None: ...
    def drawn(self, name: str) -> None: ...
    def end(self) -> None: ...
    def download(self, description: str, done: int, total: int | None) -> None: ...
    def note(self, text: str) -> None:
        self.append(text)
