"""Digests of files, remembered so that gigabytes are not read again at every run, and of modules without a file."""

from __future__ import annotations

import hashlib
import json
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from .files import cache_dir

Algorithm = Literal["sha256", "md5"]

#: Nanoseconds within which a file system may give two changes the same time; what is younger is not remembered yet.
_SETTLED = 2_000_000_000


def file_sha256(path: Path) -> str:
    """The file's sha256 in lower-case hex, remembered for as long as nothing about the file changes."""
    return file_digest(path, "sha256")


def file_digest(path: Path, algorithm: Algorithm) -> str:
    """The file's digest in lower-case hex, remembered like its sha256. Raises ``OSError`` if it cannot be read."""
    path = path.resolve()
    stamp = _stamp(path)
    known = _remembered().get(str(path), {})
    if known.get("stamp") == stamp and isinstance(known.get(algorithm), str):
        return str(known[algorithm])
    digest = _hash(path, algorithm)
    if _stamp(path) == stamp and max(stamp[1:3]) < time.time_ns() - _SETTLED:
        kept = known if known.get("stamp") == stamp else {"stamp": stamp}
        _remember(str(path), {**kept, algorithm: digest})
    return digest


def _stamp(path: Path) -> list[int]:
    """What tells that a file has changed: size, times of change of content and of entry, and number.

    Programs that copy can set the size and the time of the content, but not the other two.
    """
    status = path.stat()
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]


def state_sha256(module: nn.Module) -> str:
    """The sha256 of a module's state dict; see ``tensors_sha256``."""
    return tensors_sha256(module.state_dict())


def tensors_sha256(tensors: Mapping[str, Tensor]) -> str:
    """The sha256 of tensors by name: of each, in order of the names, its name, dtype, shape and bytes."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name}|{str(tensor.dtype).removeprefix('torch.')}|{list(tensor.shape)}\n".encode())
        packed = tensor.detach().cpu().contiguous()
        # what holds one value or none passes for contiguous with a stride of 0, and then does not turn into bytes
        flat = packed.as_strided((packed.numel(),), (1,))
        digest.update(flat.view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _hash(path: Path, algorithm: Algorithm) -> str:
    digest = hashlib.new(algorithm, usedforsecurity=False)
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _store() -> Path:
    return cache_dir() / "digests.json"


def _remembered() -> dict[str, dict[str, object]]:
    """What was remembered, by absolute path; nothing if the store is missing or damaged."""
    try:
        entries = json.loads(_store().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(entries, dict):
        return {}
    return {path: known for path, known in entries.items() if isinstance(known, dict)}


def _remember(path: str, known: dict[str, object]) -> None:
    """Write the store anew, atomically and without files that are gone. Two runs at once may forget, never mix up."""
    entries = {other: it for other, it in _remembered().items() if Path(other).exists()} | {path: known}
    try:
        _store().parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=_store().parent, delete=False) as stream:
            json.dump(entries, stream, indent=1)
        Path(stream.name).replace(_store())
    except OSError:
        return  # a cache that cannot be written costs time and nothing else
