"""How numbers were made: versions and machine, kept with every stored unit and written beside every result."""

from __future__ import annotations

import datetime
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch

_PACKAGES = ("vitan", "torch", "timm", "open_clip_torch", "numpy", "pillow")


def provenance(device: str) -> dict[str, Any]:
    """Facts about this run that do not belong in the plan: they should not matter, and are kept in case they do."""
    now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    return {"when": now, **circumstances(device)}


def circumstances(device: str) -> dict[str, Any]:
    """The same without the time: equal for whatever one machine computes with the same software."""
    return {
        "python": platform.python_version(),
        "system": platform.platform(),
        "processor": platform.processor() or platform.machine(),
        "threads": torch.get_num_threads(),
        "cpus": os.cpu_count(),
        "device": torch.cuda.get_device_name(device) if device.startswith("cuda") else device,
        "packages": {name: _version(name) for name in _PACKAGES},
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
