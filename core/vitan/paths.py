"""Where vitan keeps its own files (``VITAN_CACHE`` moves them), and where datasets lie (``VITAN_DATA_DIR``)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from platformdirs import user_cache_path

from .errors import DataError


def cache_dir() -> Path:
    """The folder that holds everything below; it may not exist yet."""
    chosen = os.environ.get("VITAN_CACHE")
    return Path(chosen).expanduser().absolute() if chosen else user_cache_path("vitan")


def weights_dir() -> Path:
    """Weights that belong to no cache of another library."""
    return cache_dir() / "weights"


def states_dir() -> Path:
    """What finished and interrupted passes have recorded."""
    return cache_dir() / "states"


def data_dir() -> Path | None:
    """The folder that holds datasets, each in a folder of its own; None where the user has named none."""
    chosen = os.environ.get("VITAN_DATA_DIR")
    return Path(chosen).expanduser().absolute() if chosen else None


def find_root(given: Path | None, dataset: str, names: Sequence[str]) -> Path:
    """The root folder of a dataset: the one given, or the first of ``names`` that is a folder below ``data_dir``.

    Raises ``DataError``, saying how to give it, where there is none.
    """
    if given is not None:
        root = given.expanduser()
        if not root.is_dir():
            what = "this is a file" if root.exists() else "there is no such folder"
            raise DataError(f"{root}: {what}; --root names the root of the dataset {dataset}")
        return root
    base = data_dir()
    if base is None:
        raise DataError(
            f"where is the dataset {dataset}? Name its root with --root, or set VITAN_DATA_DIR (or --data-root) to the "
            f"folder that holds {names[0]}; 'vitan show {dataset}' says which files are expected"
        )
    found = next((base / name for name in names if (base / name).is_dir()), None)
    if found is None:
        looked = " or ".join(str(base / name) for name in names)
        raise DataError(
            f"there is no {looked}; 'vitan show {dataset}' says which files are expected, --root names another folder"
        )
    return found
