"""The loader: plugins that keep the contract, plugins that break it, and names that clash."""

from __future__ import annotations

import hashlib
import importlib
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from vitan.errors import NameConflictError, PluginError, UnknownNameError
from vitan.registry.files import import_file, source_of
from vitan.registry.plugins import Plugins

Install = Callable[..., str]

MODEL = """
from vitan import ModelSpec, hookimpl

@hookimpl
def vitan_models():
    yield ModelSpec(name="{name}", family="f", arch="B", patch=16, summary="one", build=object, aliases=({aliases}))
"""
PROBE = """
from vitan import ProbeSpec, hookimpl

@hookimpl
def vitan_probes():
    yield ProbeSpec(name="{name}", summary="one", load=object)
"""
DATASET = PROBE.replace("vitan_probes", "vitan_datasets").replace("ProbeSpec", "DatasetSpec")
CATALOG = """
from vitan import ModelCatalog, ModelSpec, hookimpl
from vitan.errors import MismatchError

def make(name):
    if name.startswith("resnet"):
        raise MismatchError(f"{name} is no Vision Transformer")
    return ModelSpec(name=name, family="library", arch="B", patch=16, summary="one of many", build=object)

@hookimpl
def vitan_models():
    yield ModelCatalog(name="library", summary="all of a library", example="library:vit_b", spec=make)
"""


def model(name: str, *aliases: str) -> str:
    return MODEL.format(name=name, aliases="".join(f"{alias!r}, " for alias in aliases))


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Lays out a distribution as pip would, with one module per entry point, where Python looks for modules.

    Distributions that are really installed are hidden, so that each test sees only its own.
    """
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))
    found = importlib.metadata.distributions
    monkeypatch.setattr("vitan.registry.plugins.distributions", lambda: found(path=[str(site)]))

    def lay_out(distribution: str, version: str = "1.0", **modules: str) -> str:
        info = site / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
        lines = []
        for point, source in modules.items():
            module = f"{distribution.replace('-', '_')}_{point}"
            (site / f"{module}.py").write_text(source)
            lines.append(f"{point} = {module}")
        (info / "entry_points.txt").write_text("\n".join(["[vitan]", *lines, ""]))
        importlib.invalidate_caches()
        return distribution

    yield lay_out
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None)).startswith(str(site)):
            del sys.modules[name]


def load() -> Plugins:
    plugins = Plugins()
    plugins.load_installed()
    return plugins


def names(plugins: Plugins) -> dict[str, list[str]]:
    registries = {"models": plugins.models, "probes": plugins.probes, "datasets": plugins.datasets}
    return {kind: [spec.name for _, spec in registry] for kind, registry in registries.items() if list(registry)}


# What a good plugin gets


def test_one_distribution_may_bring_several_plugins_of_every_kind(install: Any) -> None:
    install("many", "2.1", one=model("a-B16"), two=PROBE.format(name="count"), three=DATASET.format(name="stripes"))
    plugins = load()
    assert names(plugins) == {"models": ["a-B16"], "probes": ["count"], "datasets": ["stripes"]}
    assert {(str(loaded.provider), loaded.specs) for loaded in plugins.loaded} == {("many 2.1", 1)}
    provider, spec = plugins.models.find("a-B16")
    assert str(provider) == "many 2.1"
    assert spec is plugins.model("A-b16"), "names are found without regard to case"
    assert plugins.failures == []


def test_one_module_may_have_all_three_hooks(install: Any) -> None:
    install("all", one=model("a-B16") + PROBE.format(name="count") + DATASET.format(name="stripes"))
    plugins = load()
    assert names(plugins) == {"models": ["a-B16"], "probes": ["count"], "datasets": ["stripes"]}
    assert plugins.loaded[0].specs == 3


def test_names_are_listed_in_natural_order(install: Any) -> None:
    install("sizes", one=model("a-B16"), two=model("a-B8"), three=model("a-L16"), four=model("a-B32"))
    assert names(load())["models"] == ["a-B8", "a-B16", "a-B32", "a-L16"]


def test_an_alias_is_as_good_as_the_name(install: Any) -> None:
    install("aliased", one=model("a-B16", "alpha", "vit_alpha"))
    plugins = load()
    assert plugins.model("Alpha") is plugins.model("vit_alpha") is plugins.model("a-B16")
    assert names(plugins)["models"] == ["a-B16"], "it is listed once"


def test_an_alias_that_repeats_the_name_does_not_clash_with_it(install: Any) -> None:
    install("aliased", one=model("a-B16", "a-b16", "alpha", "ALPHA"))
    plugins = load()
    assert plugins.model("a-b16").name == plugins.model("alpha").name == "a-B16"


def test_a_distribution_that_is_found_twice_is_loaded_once(install: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    install("twice", one=model("a-B16"))
    found = list(importlib.import_module("vitan.registry.plugins").distributions())
    monkeypatch.setattr("vitan.registry.plugins.distributions", lambda: [*found, *found])
    plugins = load()
    assert plugins.model("a-B16")
    assert (len(plugins.loaded), plugins.failures) == (1, [])


# What a broken plugin gets. Each is installed between two good ones.

BROKEN = {
    "import error": (
        "import no_such_library\n" + model("bad-B16"),
        "ModuleNotFoundError: No module named 'no_such_library'",
    ),
    "syntax error": ("def vitan_models(:\n", "SyntaxError: "),
    "error at import": ("raise RuntimeError('first line\\n  second line')\n", "RuntimeError: first line second line"),
    "exit at import": ("import sys\nsys.exit('no licence found')\n", "SystemExit: no licence found"),
    "misspelt hook": (
        model("bad-B16").replace("vitan_models", "vitan_model"),
        "PluginError: unknown hook 'vitan_model'; did you mean 'vitan_models'?",
    ),
    "no hook": (
        model("bad-B16").replace("@hookimpl", ""),
        "PluginError: it has no hook: define one of vitan_models, vitan_probes, vitan_datasets, vitan_importers,"
        " vitan_executors, vitan_recipes and mark it with @vitan.hookimpl",
    ),
    "an argument that the hook does not have": (
        model("bad-B16").replace("vitan_models()", "vitan_models(config)"),
        "config",
    ),
    "malformed name": (model("Bad B16"), "ValueError: bad name 'Bad B16': use words of letters and digits joined by"),
    "wrong type": (
        PROBE.format(name="bad").replace("vitan_probes", "vitan_models"),
        "it must yield ModelSpec or ModelCatalog",
    ),
    "not a spec": (
        "from vitan import hookimpl\n\n@hookimpl\ndef vitan_datasets():\n    return ['stripes']\n",
        "PluginError: vitan_datasets yielded 'stripes'; it must yield DatasetSpec",
    ),
    "nothing to iterate": (
        "from vitan import hookimpl\n\n@hookimpl\ndef vitan_models():\n    pass\n",
        "TypeError: 'NoneType' object is not iterable",
    ),
    "error in the hook, after a good spec": (
        model("bad-B16") + "    raise OSError('a file of mine is gone')\n",
        "OSError: a file of mine is gone",
    ),
    "good in one hook, broken in the other": (
        model("bad-B16") + PROBE.format(name="Bad"),
        "ValueError: bad name 'Bad'",
    ),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_plugin_is_reported_on_one_line_and_the_rest_goes_on(install: Any, kind: Any) -> None:
    source, cause = BROKEN[kind]
    install("aaa-good", one=model("good-B16"))
    install("bad-one", "0.3", point=source)
    install("zzz-good", one=PROBE.format(name="good"))
    plugins = load()
    assert names(plugins) == {"models": ["good-B16"], "probes": ["good"]}, "nothing of the broken one is left"
    assert len(plugins.loaded) == 2
    (failure,) = plugins.failures
    line = str(failure)
    assert "\n" not in line
    assert line.startswith("plugin bad-one 0.3 (bad_one_point) skipped: ")
    assert cause in line


def test_a_broken_plugin_does_not_harm_the_others_of_its_distribution(install: Any) -> None:
    install("half", good=model("good-B16"), bad="import no_such_library\n")
    plugins = load()
    assert names(plugins) == {"models": ["good-B16"]}
    assert [str(failure.provider) for failure in plugins.failures] == ["half 1.0"]


def test_a_plugin_that_imports_something_heavy_is_loaded_and_reported(install: Any, tmp_path: Path) -> None:
    """In a process of its own, where nothing has imported it yet; a stand-in keeps the test fast."""
    (tmp_path / "site" / "cv2.py").write_text("")
    install("slow", heavy="import cv2\n" + model("heavy-B16"), light=model("light-B16"))
    code = f"""
import sys
sys.path[:0] = {[str(tmp_path / "site"), *filter(None, sys.path)]!r}
from vitan.registry.plugins import Plugins
plugins = Plugins()
plugins.load_installed()
mine = [loaded for loaded in plugins.loaded if loaded.provider.name == "slow"]
print({{loaded.where: loaded.heavy for loaded in mine}}, plugins.model("heavy-B16").name)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "{'slow_heavy': ('cv2',), 'slow_light': ()} heavy-B16"


# Names


def test_a_clash_matters_only_when_the_name_is_used(install: Any) -> None:
    install("first", "1.0", one=model("a-B16"), two=model("b-B16"))
    install("second", "2.0", one=model("a-B16"))
    plugins = load()
    assert plugins.failures == []
    assert plugins.model("b-B16").name == "b-B16"
    with pytest.raises(NameConflictError) as caught:
        plugins.model("a-B16")
    assert str(caught.value) == (
        "model 'a-B16' is offered by first 1.0 and by second 2.0. Choose one: first:a-B16 or second:a-B16."
    )
    assert caught.value.exit_code == 2
    found = {name: plugins.models.find(f"{name}:a-B16")[0].name for name in ("first", "second", "FIRST")}
    assert found == {"first": "first", "second": "second", "FIRST": "first"}
    assert plugins.model("second:a-B16") is plugins.models.find("second:a-B16")[1]


def test_a_name_and_an_alias_can_clash_too(install: Any) -> None:
    install("first", one=model("a-B16"))
    install("second", one=model("b-B16", "A-B16"))
    plugins = load()
    with pytest.raises(NameConflictError, match=r"first 1\.0 and by second 1\.0"):
        plugins.model("a-B16")
    assert plugins.model("second:a-B16").name == "b-B16"
    assert plugins.model("b-B16").name == "b-B16"


def test_the_same_name_for_different_kinds_is_no_clash(install: Any) -> None:
    install("first", one=PROBE.format(name="stripes"), two=DATASET.format(name="stripes"))
    plugins = load()
    assert plugins.probes.get("stripes").name == plugins.datasets.get("stripes").name


def test_an_unknown_name_brings_suggestions(install: Any) -> None:
    install("first", one=model("dino-B16", "dino"), two=model("dino-B8"), three=model("mae-L16"))
    plugins = load()
    with pytest.raises(UnknownNameError, match="Did you mean dino-B16") as caught:
        plugins.model("dinoB16")
    assert caught.value.close[0] == "dino-B16"
    assert "mae-L16" not in caught.value.close
    assert "'vitan list models' shows them all" in str(caught.value)
    with pytest.raises(UnknownNameError, match="Did you mean dino-B16"):
        plugins.model("DINO-B-16")
    with pytest.raises(UnknownNameError) as caught:
        plugins.model("xyzzy")
    assert caught.value.close == ()
    assert "Did you mean" not in str(caught.value)
    with pytest.raises(UnknownNameError, match="no model is called 'nobody:dino-B16'"):
        plugins.model("nobody:dino-B16")
    with pytest.raises(UnknownNameError, match=r"no analysis is called 'cka'\. 'vitan list analyses'"):
        plugins.probes.get("cka")


def test_a_catalog_makes_models_on_demand(install: Any) -> None:
    install("first", one=CATALOG, two=model("a-B16"))
    plugins = load()
    assert plugins.model("library:vit_b").name == "vit_b"
    assert plugins.model("a-B16").name == "a-B16"
    with pytest.raises(Exception, match="resnet50 is no Vision Transformer"):
        plugins.model("library:resnet50")
    with pytest.raises(UnknownNameError, match="own model goes by its name there, as in library:vit_b"):
        plugins.model("vit_b")
    assert names(plugins)["models"] == ["a-B16"]


# Leaving plugins out, and bringing one along


@pytest.mark.parametrize(
    ("value", "left"),
    [
        ("", ["a-B16", "b-B16", "c-B16"]),
        ("first", ["c-B16"]),
        (" FIRST , nobody", ["c-B16"]),
        ("first:one", ["b-B16", "c-B16"]),
        ("first:two,second", ["a-B16"]),
    ],
)
def test_plugins_can_be_left_out(install: Any, monkeypatch: pytest.MonkeyPatch, value: Any, left: Any) -> None:
    install("first", one=model("a-B16"), two=model("b-B16"))
    install("second", one=model("c-B16"))
    monkeypatch.setenv("VITAN_DISABLE_PLUGINS", value)
    assert names(load()).get("models", []) == left


def test_a_plugin_that_is_left_out_is_not_even_imported(install: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    install("bad", one="raise RuntimeError\n")
    monkeypatch.setenv("VITAN_DISABLE_PLUGINS", "bad")
    assert load().failures == []


def test_a_file_can_be_a_plugin(install: Any, tmp_path: Path) -> None:
    install("first", one=model("a-B16"))
    path = tmp_path / "mine.py"
    path.write_text(model("mine-B16"))
    plugins = load()
    plugins.load_file(path)
    assert names(plugins)["models"] == ["a-B16", "mine-B16"]
    assert str(plugins.models.find("mine-B16")[0]) == "mine.py"


def test_a_file_may_clash_with_what_is_installed_and_be_chosen(install: Any, tmp_path: Path) -> None:
    install("first", one=model("a-B16"))
    path = tmp_path / "mine.py"
    path.write_text(model("a-B16"))
    plugins = load()
    plugins.load_file(path)
    with pytest.raises(NameConflictError, match=r"Choose one: first:a-B16 or mine\.py:a-B16"):
        plugins.model("a-B16")
    assert plugins.models.find("mine.py:a-B16")[0].name == "mine.py"


def test_two_files_of_one_name_are_two_plugins(tmp_path: Path) -> None:
    plugins = Plugins()
    for folder in ("one", "two"):
        path = tmp_path / folder / "plugin.py"
        path.parent.mkdir()
        path.write_text(model(f"{folder}-B16"))
        plugins.load_file(path)
    assert names(plugins)["models"] == ["one-B16", "two-B16"]


def test_a_file_that_is_given_twice_is_one_plugin(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(model("mine-B16"))
    plugins = Plugins()
    for _ in range(2):
        plugins.load_file(tmp_path / "mine.py")
    assert names(plugins) == {"models": ["mine-B16"]}


def test_a_file_is_known_by_what_is_in_it(install: Any, tmp_path: Path) -> None:
    """Even where size and time stay the same, by which Python would find the code that it has kept of an older file."""
    install("first", one=model("a-B16"))
    path = tmp_path / "mine.py"
    sources = []
    for name in ("x-B16", "y-B16"):
        path.write_text(model(name))
        os.utime(path, (1_000_000_000, 1_000_000_000))
        plugins = load()
        plugins.load_file(path)
        sources.append(plugins.model(name).source)
        assert sources[-1] == hashlib.sha256(path.read_bytes()).hexdigest()
        assert plugins.model("a-B16").source == ""
    assert sources[0] != sources[1]


def test_classes_of_two_files_of_one_name_know_their_files(tmp_path: Path) -> None:
    kinds = []
    for number in range(2):
        path = tmp_path / str(number) / "mine.py"
        path.parent.mkdir()
        path.write_text(f"class Kept:\n    number = {number}\n")
        module, source = import_file(path)
        assert source_of(module.Kept) == source
        kinds.append(module.Kept)
    assert [pickle.loads(pickle.dumps(kind)).number for kind in kinds] == [0, 1]
    assert source_of(Plugins) == ""


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_file_is_an_error_since_it_was_asked_for(tmp_path: Path, kind: Any) -> None:
    path = tmp_path / "mine.py"
    path.write_text(BROKEN[kind][0])
    plugins = Plugins()
    with pytest.raises(PluginError, match=r"plugin file .*mine\.py cannot be used: "):
        plugins.load_file(path)
    assert names(plugins) == {}
    path.write_text(model("mine-B16"))
    plugins.load_file(path)  # mended, and nothing of the first attempt is in the way
    assert names(plugins) == {"models": ["mine-B16"]}


@pytest.mark.parametrize(("name", "cause"), [("gone.py", "there is no such file"), ("mine.txt", "must end in .py")])
def test_a_file_that_cannot_be_a_plugin(tmp_path: Path, name: Any, cause: Any) -> None:
    (tmp_path / "mine.txt").write_text(model("mine-B16"))
    with pytest.raises(PluginError, match=cause):
        Plugins().load_file(tmp_path / name)
