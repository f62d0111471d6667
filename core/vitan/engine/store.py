"""Where the state of probes is kept, so that nothing is computed twice and an interrupted run goes on.

One immutable safetensors file per unit (one probe over one shard), named by a digest of everything that its content
depends on. Files appear whole or not at all.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ..errors import StoreError
from ..files import clear_leftovers, replacing
from ..models.weights import tensors_sha256
from .plan import canonical_json

#: Changes when the meaning of stored state changes; older files are then no longer found.
FORMAT = 5


@dataclass(frozen=True)
class Unit:
    """One stored state: the tensors, and what the key was made of together with notes of the run that made it."""

    tensors: Mapping[str, Tensor]
    content: Mapping[str, Any]
    notes: Mapping[str, Any]


class Store:
    """A folder of units."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @staticmethod
    def key(content: Mapping[str, Any]) -> str:
        """The name of a unit: sha256 of everything that its state depends on."""
        return hashlib.sha256(canonical_json({"format": FORMAT, **content}).encode()).hexdigest()

    def path(self, key: str) -> Path:
        """Where that unit is or would be."""
        return self.folder / key[:2] / f"{key}.safetensors"

    def has(self, key: str) -> bool:
        """Whether there is such a unit; ``get`` says whether it is whole."""
        return self.path(key).exists()

    def get(self, key: str) -> Unit | None:
        """The unit of that key, or None; a file that is not what was written is put aside as ``.damaged``."""
        path = self.path(key)
        if not path.exists():
            return None
        try:
            return _read(path, key)
        except (SafetensorError, ValueError, LookupError, TypeError, OSError):
            path.replace(path.with_suffix(".damaged"))
            return None

    def put(self, content: Mapping[str, Any], tensors: Mapping[str, Tensor], notes: Mapping[str, Any]) -> str:
        """Write a unit and return its key; raises ``StoreError`` if the disk refuses."""
        key = self.key(content)
        path = self.path(key)
        texts = {"content": canonical_json(content), "notes": canonical_json(notes)}
        metadata = {**texts, "sha256": _checksum(tensors, texts)}
        try:
            with replacing(path) as temporary:
                save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, temporary, metadata)
        except OSError as error:
            raise StoreError(
                f"state cannot be written to {path}: {error}. Set VITAN_CACHE to a folder with room."
            ) from error
        return key

    def clear_leftovers(self) -> None:
        """Remove the units that killed runs have left half-written long ago."""
        for folder in self.folder.glob("??"):
            clear_leftovers(folder)

    def check_room(self, size: int) -> None:
        """Raise ``StoreError`` if so many bytes do not fit the disk that the store is on."""
        there = next(folder for folder in (self.folder, *self.folder.absolute().parents) if folder.exists())
        free = shutil.disk_usage(there).free
        if size > free:
            raise StoreError(
                f"about {size / 1e9:.1f} GB of state have to be stored, and {self.folder} has room for "
                f"{free / 1e9:.1f} GB; set VITAN_CACHE to a folder with more, or lower --limit, or name fewer --blocks"
            )

    def __iter__(self) -> Iterator[tuple[Path, Mapping[str, Any]]]:
        """All files with what their keys were made of."""
        for path in sorted(self.folder.glob("??/*.safetensors")):
            try:
                with safe_open(path, "pt") as file:
                    yield path, json.loads(file.metadata()["content"])
            except (SafetensorError, ValueError, KeyError, TypeError):
                yield path, {}


def _read(path: Path, key: str) -> Unit:
    """The unit in a file; raises any of several errors for one that is not just what was written under this key."""
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # not a mapping
    if metadata["sha256"] != _checksum(tensors, metadata):
        raise ValueError(f"{path} has changed since it was written")
    content = json.loads(metadata["content"])
    if Store.key(content) != key:
        raise ValueError(f"{path} is another unit")
    return Unit(tensors, content, json.loads(metadata["notes"]))


def _checksum(tensors: Mapping[str, Tensor], texts: Mapping[str, str]) -> str:
    """The sha256 of everything in a unit: its tensors with their names, and both of its texts."""
    parts = [tensors_sha256(tensors), texts["content"], texts["notes"]]
    return hashlib.sha256(canonical_json(parts).encode()).hexdigest()
