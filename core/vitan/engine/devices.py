"""The devices that a model can run on here."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import torch

from ..errors import OptionError

#: Kinds of devices that torch knows and that may be there, by its own words; others are looked for when named.
_KINDS = ("cpu", "cuda", "mps", "xpu", "mtia")

#: Where Linux says how much memory a container may take.
_CONTAINER = Path("/sys/fs/cgroup/memory.max")


def best_device() -> str:
    """``cuda`` if there is one, else ``mps``, else ``cpu``."""
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def reading_threads(device: str) -> int:
    """How many threads read pictures unless told: two beside a model on the CPU, which needs it; else most of them."""
    return 2 if device == "cpu" else max(2, min(16, (os.cpu_count() or 2) - 1))


def device_name(device: str) -> str:
    """A device as a person knows it."""
    if device.startswith("cuda"):
        return f"{device} ({torch.cuda.get_device_name(device)})"
    return device if device != "cpu" or torch.cuda.is_available() else "cpu (torch sees no GPU)"


def machine_memory() -> int | None:
    """Bytes of memory that this machine has, or that its container is allowed; None where that is not told."""
    try:
        there = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None
    try:
        return min(there, int(_CONTAINER.read_text()))
    except (OSError, ValueError):  # none, or "max"
        return there


def check_device(device: str) -> None:
    """Raise ``OptionError`` for whatever is no device of this machine, naming those that are.

    torch has words for many kinds that it was not built for, and for ``meta``, where nothing is computed.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch calls some of its words outdated
            asked = torch.device(device)
    except RuntimeError:
        asked = None
    if asked is None or (asked.index or 0) >= _count(asked.type):
        there = [name for kind in _KINDS for name in _names(kind, _count(kind))]
        raise OptionError(
            f"--device {device or repr(device)}: torch has no such device here; use {' or '.join(there)}, or auto"
        )


def _count(kind: str) -> int:
    """How many devices of a kind torch sees; its module of that name counts them, and without one there are none."""
    count = getattr(getattr(torch, kind, None), "device_count", None)
    return int(count()) if callable(count) else 0


def _names(kind: str, count: int) -> list[str]:
    return [kind] if count == 1 else [f"{kind}:{index}" for index in range(count)]
