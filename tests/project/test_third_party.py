"""vitan and a plugin that is not part of it, both installed from wheels, in an environment of their own."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
import venv
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from vitan.files import weights_dir

pytestmark = pytest.mark.install

ROOT = Path(__file__).parents[2]
PLUGIN = ROOT / "examples" / "vitan-saliency"
NOT_SOURCE = shutil.ignore_patterns(".*", "*.egg-info", "__pycache__")
BESIDE = {"build", "dist", "tests", "results"}  # beside the sources; a package may be called so

Run = Callable[..., str]


def call(*command: str | Path, **options: object) -> str:
    """Run a command; returns its standard output, and fails with everything it said."""
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload]
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return str(done.stdout)


def without(source: Path, folder: str, names: list[str]) -> set[str]:
    """What of a folder is no source."""
    return NOT_SOURCE(folder, names) | (BESIDE if Path(folder) == source else set())


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Both wheels, built from copies, so that the build leaves nothing in the checkout."""
    folder = tmp_path_factory.mktemp("wheels")
    for source in (ROOT, PLUGIN):
        copy = tmp_path_factory.mktemp("source") / source.name
        shutil.copytree(source, copy, ignore=partial(without, source))
        pip = (sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation")
        call(*pip, "--wheel-dir", folder, copy)
    return sorted(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def python(wheels: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment that has both wheels, and sees the libraries (only) of the one that runs this test."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, symlinks=True)
    python = folder / "bin" / "python"
    (site,) = json.loads(call(python, "-c", "import json, site; print(json.dumps(site.getsitepackages()))"))
    libraries = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    (Path(site) / "libraries.pth").write_text("\n".join(libraries) + "\n")
    pip = (sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index")
    call(*pip, "--force-reinstall", "--ignore-installed", *wheels)
    return python


@pytest.fixture
def run(python: Path, tmp_path: Path) -> Run:
    """Calls the installed ``vitan`` command in an empty folder, with a cache of its own but for fetched weights."""
    cache = tmp_path / "cache"
    cache.mkdir()
    weights_dir().mkdir(parents=True, exist_ok=True)
    (cache / "weights").symlink_to(weights_dir())
    (tmp_path / "work").mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VITAN"))}
    environment = {**kept, "VITAN_CACHE": str(cache)}

    def run(*arguments: str, command: str = "vitan") -> str:
        return call(python.with_name(command), *arguments, cwd=tmp_path / "work", env=environment)

    return run


def test_nothing_of_the_checkout_is_seen(run: Any, python: Any) -> None:
    code = "import json, sys, vitan, vitan_saliency as s; print(json.dumps([vitan.__file__, s.__file__, sys.path]))"
    core, plugin, path = json.loads(run("-c", code, command="python"))
    site = python.parent.parent
    assert Path(core).is_relative_to(site)
    assert Path(plugin).is_relative_to(site)
    entries = [Path(entry) for entry in path if "site-packages" not in entry]  # the heavy libraries are borrowed
    assert not [entry for entry in entries if entry.is_relative_to(ROOT) and not entry.is_relative_to(site)]


def test_the_wheels_hold_the_packages_and_nothing_else(wheels: Any) -> None:
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            tops = {name.split("/")[0] for name in archive.namelist()}
        info = {top for top in tops if top.endswith(".dist-info")}
        ours = {
            "vitan",
            "vitan_models",
            "vitan_analyses",
            "vitan_datasets",
            "vitan_importers",
            "vitan_recipes",
            "vitan_executors",
        }
        assert tops - info == ({"vitan_saliency"} if "saliency" in wheel.name else ours)


def test_the_plugin_is_listed_beside_our_own(run: Any) -> None:
    listed = json.loads(run("list", "--json"))
    models = {model["name"]: model for model in listed["models"]}
    assert models["saliency-S14"]["provider"]["name"] == "vitan-saliency"
    assert models["saliency-S14"]["family"] == "saliency"
    assert {model["provider"]["name"] for model in listed["models"]} == {"vitan", "vitan-saliency"}
    assert {"attention", "attention-maps"} <= {analysis["name"] for analysis in listed["analyses"]}


def test_every_plugin_loads(run: Any) -> None:
    plugins = json.loads(run("list", "plugins", "--json"))["plugins"]
    ours = [plugin for plugin in plugins if plugin["provider"]["name"] in ("vitan", "vitan-saliency")]
    assert {plugin["error"] for plugin in ours} == {None}


@pytest.mark.real
def test_an_analysis_of_the_plugins_model_ends_with_numbers_and_pictures(run: Any, tmp_path: Path) -> None:
    run("run", "attention", "-m", "saliency-S14", "--limit", "2")
    results = tmp_path / "work" / "results"
    with (results / "records.csv").open(encoding="utf-8") as stream:
        records = list(csv.DictReader(stream))
    assert {record["model"] for record in records} == {"saliency-S14"}
    assert {record["weights"][:8] for record in records} == {"198644e3"}
    assert {record["n"] for record in records} == {"2"}
    assert {int(record["block"]) for record in records if record["block"]} == set(range(12))
    pictures = list(results.glob("saliency-S14/*/attention/*.png"))
    assert pictures
    assert all(picture.stat().st_size > 1000 for picture in pictures)
    (provenance,) = results.glob("saliency-S14/*/attention/provenance.json")
    assert "without antialias" in json.loads(provenance.read_text(encoding="utf-8"))["weights"]["origin"]
