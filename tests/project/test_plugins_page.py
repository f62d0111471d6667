"""The page on plugins: every listing on it runs, and every message that it quotes is the one that vitan gives."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from importlib.metadata import distributions
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from vitan.errors import NameConflictError
from vitan.models.model import load_model
from vitan.registry.plugins import Plugins

PAGE = (Path(__file__).parents[2] / "docs" / "plugins.md").read_text(encoding="utf-8")
#: Listings by the file name in their first line.
LISTINGS = dict[str, str](re.findall(r"```\w+\n# (\S+)\n(.*?)```", PAGE, re.DOTALL))


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with every listing under its name, where Python looks for modules."""
    for name, code in LISTINGS.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(code)
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", None)).startswith(str(tmp_path)):
            del sys.modules[name]


def installed(site: Path, monkeypatch: pytest.MonkeyPatch) -> Plugins:
    """What is found when the page's distribution is installed in ``site``, by the entry points on the page."""
    project = pytest.importorskip("tomllib").loads(LISTINGS["pyproject.toml"])["project"]
    info = site / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    points = [f"{name} = {module}" for name, module in project["entry-points"]["vitan"].items()]
    (info / "entry_points.txt").write_text("\n".join(["[vitan]", *points, ""]))
    monkeypatch.setattr("vitan.registry.plugins.distributions", lambda: distributions(path=[str(site)]))
    plugins = Plugins()
    plugins.load_installed()
    return plugins


def test_all_listings_have_a_name() -> None:
    assert PAGE.count("```") == 2 * len(LISTINGS)
    assert {"jigsaw.py", "stripes.py", "vitan_token_length/probe.py", "test_contract.py"} <= LISTINGS.keys()


def test_the_model_is_about_fifteen_lines() -> None:
    assert len([line for line in LISTINGS["jigsaw.py"].splitlines() if line.strip()]) <= 17


def test_the_model_loads_as_one_file(site: Any) -> None:
    plugins = Plugins()
    plugins.load_file(site / "jigsaw.py")
    spec = plugins.model("jigsaw-Ti16")
    assert (spec.family, spec.patch, len(spec.weights)) == ("jigsaw", 16, 1)
    assert plugins.loaded[0].specs == 1


def test_the_model_takes_a_training_checkpoint_in_the_format_of_the_page(site: Any, tmp_path: Path) -> None:
    plugins = Plugins()
    plugins.load_file(site / "jigsaw.py")
    spec = replace(plugins.model("jigsaw-Ti16"), formats=(importlib.import_module("jigsaw_format").FORMAT,))
    trained = spec.build().state_dict()
    beside = {f"teacher.{key}": value for key, value in trained.items()}
    torch.save({"model": {**{f"student.{key}": value for key, value in trained.items()}, **beside}}, tmp_path / "a.pth")
    model = load_model(spec, weights=tmp_path / "a.pth")
    assert "training checkpoint" in model.origin
    assert torch.equal(model.module.state_dict()["blocks.3.attn.qkv.weight"], trained["blocks.3.attn.qkv.weight"])


def test_the_dataset_loads_as_one_file(site: Any) -> None:
    plugins = Plugins()
    plugins.load_file(site / "stripes.py")
    spec = plugins.datasets.get("stripes")
    kind = spec.load()
    dataset = kind(kind.Options(count=4))
    assert [dataset[i].label for i in range(4)] == [0, 0, 0, 1]
    assert dataset[0].image.size == (256, 256)


def test_the_analysis_loads_as_an_installed_distribution(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    plugins = installed(site, monkeypatch)
    assert plugins.failures == []
    provider, spec = plugins.probes.find("token-length")
    assert str(provider) == "vitan-token-length 1.0"
    assert "`vitan-token-length 1.0`" in PAGE
    assert spec.load().Options().order == 2


@pytest.mark.parametrize("test", re.findall(r"def (test_\w+)", LISTINGS["test_contract.py"]))
def test_the_tests_on_the_page_pass(site: Any, test: Any) -> None:
    module: ModuleType = importlib.import_module("test_contract")
    getattr(module, test)()


def test_a_broken_plugin_is_reported_as_the_page_says(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    init = site / "vitan_token_length" / "__init__.py"
    init.write_text(init.read_text().replace("def vitan_probes", "def vitan_probe"))
    (failure,) = installed(site, monkeypatch).failures
    assert f"    {failure}\n" in PAGE


def test_a_clash_is_reported_as_the_page_says(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    clashing = LISTINGS["pyproject.toml"].replace("vitan-token-length", "vitan-puzzles").replace("1.0", "2.0")
    monkeypatch.setitem(LISTINGS, "pyproject.toml", clashing.replace("vitan_token_length", "jigsaw"))
    plugins = installed(site, monkeypatch)
    plugins.load_file(site / "jigsaw.py")
    with pytest.raises(NameConflictError) as caught:
        plugins.model("jigsaw-Ti16")
    assert f"    {caught.value}\n" in PAGE


@pytest.mark.parametrize(
    ("value", "left"), [("vitan-token-length", 0), ("vitan-token-length:token-length", 0), ("x", 1)]
)
def test_plugins_are_left_out_as_the_page_says(
    site: Any, monkeypatch: pytest.MonkeyPatch, value: Any, left: Any
) -> None:
    assert value == "x" or f"VITAN_DISABLE_PLUGINS={value} " in PAGE
    monkeypatch.setenv("VITAN_DISABLE_PLUGINS", value)
    assert len(installed(site, monkeypatch).loaded) == left


def test_links_lead_somewhere() -> None:
    for link in re.findall(r"\]\((\.\.?/[^)#]+)\)", PAGE):
        assert (Path(__file__).parents[2] / "docs" / link).exists(), link
