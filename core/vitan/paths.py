"""Where vitan keeps files of its own. ``VITAN_CACHE`` moves all of them."""

from __future__ import annotations

import os
from pathlib import Path

from platformdirs import user_cache_path


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
