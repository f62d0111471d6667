"""``vitan doctor``."""

from __future__ import annotations

import importlib
import os
import platform
import shutil
import sys
import traceback
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ...version import __version__
from ..app import debugging, plugins_of
from ..text import columns, count, size

if TYPE_CHECKING:
    from ...registry.plugins import Plugins

#: Distributions that vitan needs, with the module of each.
PACKAGES = {
    "torch": "torch",
    "torchvision": "torchvision",
    "timm": "timm",
    "open_clip_torch": "open_clip",
    "numpy": "numpy",
    "pillow": "PIL.Image",
    "opencv-python": "cv2",
    "scikit-learn": "sklearn",
    "matplotlib": "matplotlib",
    "pycocotools": "pycocotools.mask",
    "safetensors": "safetensors",
    "huggingface_hub": "huggingface_hub",
    "pydantic": "pydantic",
    "rich": "rich",
}

_FEW_BYTES = 2e9
_GRAPHICS = (
    "The system's graphics libraries are missing: install them (Debian, Ubuntu: apt install libgl1 libglib2.0-0), "
    "or replace opencv-python by opencv-python-headless, which does without"
)


@click.command(short_help="Check this installation and its plugins.")
@click.pass_context
def doctor(ctx: click.Context) -> None:
    """Check this installation: packages, devices, folders and plugins; exit code 1 if something is broken."""
    click.echo(f"vitan {__version__}, Python {platform.python_version()}, {platform.platform()}")
    plugins = plugins_of(ctx, warn=False)
    problems = [*_packages(), *_devices(), *_folders(), *_plugins(plugins), *_names(plugins)]
    click.echo()
    for problem in problems:
        click.secho(f"problem: {problem}", fg="red")
    click.echo(count(len(problems), "problem") if problems else "all is well")
    ctx.exit(1 if problems else 0)


def _packages() -> Iterator[str]:
    """Print each package's version, and yield what keeps it from being imported."""
    click.secho("\npackages", bold=True)
    rows = []
    for name, module in PACKAGES.items():
        problem = _import_problem(name, module)
        rows.append((name, _version(name, module), "broken" if problem else "ok"))
        if problem:
            yield problem
    _print(rows)


def _import_problem(name: str, module: str) -> str:
    try:
        importlib.import_module(module)
    except ModuleNotFoundError as error:
        return f"{name} is not installed ({error}); run 'pip install {name}'"
    except Exception as error:  # whatever a broken installation does
        said = f"{name} cannot be imported: {type(error).__name__}: {error}"
        if "libGL" in str(error) or "libglib" in str(error) or "libgthread" in str(error):
            return f"{said}. {_GRAPHICS}"
        return said
    return ""


def _version(name: str, module: str) -> str:
    names = (name, f"{name}-headless")
    for each in names:
        try:
            return version(each)
        except PackageNotFoundError:
            continue
    loaded = sys.modules.get(module.partition(".")[0])
    return str(getattr(loaded, "__version__", "-"))


def _devices() -> Iterator[str]:
    click.secho("\ndevices", bold=True)
    try:
        import torch
    except Exception:  # said among the packages
        return
    rows = [("cpu", f"{os.cpu_count()} cores, {torch.get_num_threads()} threads")]
    for i in range(torch.cuda.device_count()):
        about = torch.cuda.get_device_properties(i)
        rows.append((f"cuda:{i}", f"{about.name}, {size(about.total_memory)}"))
    if torch.backends.mps.is_available():
        rows.append(("mps", "Apple GPU"))
    _print(rows)
    if torch.version.cuda and not torch.cuda.is_available() and Path("/dev/nvidia0").exists():
        yield "there is an NVIDIA GPU, but torch cannot use it: its driver is missing or too old for this torch"


def _folders() -> Iterator[str]:
    from ...files import cache_dir, offline_since

    click.secho("\nfolders", bold=True)
    folder = cache_dir()
    there = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(there).free
    offline = " and ".join(offline_since())
    network = f"offline, since {offline} is set" if offline else "weights are fetched when needed"
    _print([("cache", f"{folder}, {size(free)} free"), ("network", network)])
    if not there.is_dir():
        yield f"{there} is a file, so that there can be no {folder}; set VITAN_CACHE to a folder of yours"
    elif not os.access(there, os.W_OK):
        yield f"nothing can be written to {there}; set VITAN_CACHE to a folder of yours"
    elif free < _FEW_BYTES:
        yield f"only {size(free)} are free at {there}; 'vitan cache clear' makes room, VITAN_CACHE moves the cache"


def _plugins(plugins: Plugins) -> Iterator[str]:
    """Print each plugin, and with ``--debug`` the whole traceback of those that failed."""
    click.secho("\nplugins", bold=True)
    rows = [(loaded.where, count(loaded.specs, "spec"), str(loaded.provider)) for loaded in plugins.loaded]
    rows += [(failure.where, "failed", str(failure.provider)) for failure in plugins.failures]
    _print(rows or [("none", "", "")])
    for loaded in plugins.loaded:
        if loaded.heavy:
            names = ", ".join(loaded.heavy)
            slow = "when it is loaded, which slows every command down; import inside the functions instead"
            yield f"plugin {loaded.provider} ({loaded.where}) imports {names} {slow}"
    for failure in plugins.failures:
        if debugging():
            click.echo("\n" + "".join(traceback.format_exception(failure.error)).rstrip())
        yield str(failure)


def _names(plugins: Plugins) -> Iterator[str]:
    """Names that several plugins offer."""
    for registry in (plugins.models, plugins.catalogs, plugins.probes, plugins.datasets):
        names = [name for _, spec in registry for name in (spec.name, *getattr(spec, "aliases", ()))]
        for name in dict.fromkeys(names):
            providers = registry.providers(name)
            if len(providers) > 1:
                choices = " or ".join(f"{provider.name}:{name}" for provider in providers)
                yield f"{registry.kind} {name!r} is offered by {' and by '.join(map(str, providers))}; use {choices}"


def _print(rows: Sequence[tuple[str, ...]]) -> None:
    for line in columns(rows, indent="  "):
        click.echo(line)
