"""PyTorch's own files, opened for reading: the zip archives of ``torch.save`` and ``torch.jit``, and the older form.

Storages are mapped, not read: a checkpoint may hold far more than a model needs (an optimiser, a momentum encoder, a
text tower), and what is not looked at stays on the disk.
"""

from __future__ import annotations

import mmap
import sys
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import torch

from ...errors import WeightsFormatError
from ...pickles import MOST_STEPS, Builder, Machine, Name, UnpicklingError
from .tensors import STORAGES, TENSORS, Storage

_MOST_READ = 256 << 20  # bytes of an archive's pickle or text; the largest checkpoints stay below 50 MB

_STEPS_OF_A_STORAGE = 500  # its pickles take about 100


class Archive:
    """A zip archive of PyTorch's: one folder with ``data.pkl``, raw storages in ``data/``, and code in a TorchScript.

    Raises ``WeightsFormatError`` for an archive that is none, and for storages that are compressed, which PyTorch never
    writes and which may unfold to any size.
    """

    def __init__(self, path: Path, archive: zipfile.ZipFile) -> None:
        self.path, self._archive = path, archive
        self._members = {entry.filename: entry for entry in archive.infolist()}
        roots = [name.removesuffix("data.pkl") for name in self._members if name.endswith("/data.pkl")]
        if len(roots) != 1 or roots[0].count("/") != 1:
            raise WeightsFormatError(f"{path}: not an archive of PyTorch: it needs one data.pkl, in one folder")
        self._root = roots[0]
        self._storages: dict[str, Storage] = {}
        with path.open("rb") as file:
            self._content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)  # torch wants to be able to write
        order = self.read("byteorder").decode("latin1") if "byteorder" in self else sys.byteorder
        if order != sys.byteorder:
            raise WeightsFormatError(f"{path}: the archive's byte order is not this machine's ({sys.byteorder} endian)")

    def __contains__(self, member: str) -> bool:
        return f"{self._root}{member}" in self._members

    def read(self, member: str) -> bytes:
        """The bytes of a small member. Raises ``WeightsFormatError`` if it is large."""
        entry = self._members[f"{self._root}{member}"]
        if entry.file_size > _MOST_READ:
            raise WeightsFormatError(f"{self.path}: {entry.filename} has {entry.file_size} bytes, more than is read")
        return self._archive.read(entry)

    def load(self, builders: dict[str, Builder] = TENSORS, refuse: Callable[[str], None] | None = None) -> Any:
        """What ``data.pkl`` holds; see ``Machine``."""
        content = self.read("data.pkl")
        return Machine(BytesIO(content), len(content), builders, refuse=refuse, persistent=self._referred).load()

    def _referred(self, reference: Any) -> Storage:
        kind, dtype, key, _device, numel = reference
        if kind != "storage" or not isinstance(dtype, Name) or dtype.text not in STORAGES or type(numel) is not int:
            raise UnpicklingError(f"unexpected reference {reference!r:.200}")
        if str(key) not in self._storages:
            self._storages[str(key)] = self._storage(str(key), numel * STORAGES[dtype.text].itemsize)
        return Storage(self._storages[str(key)].octets, STORAGES[dtype.text])

    def _storage(self, key: str, size: int) -> Storage:
        entry = self._members[f"{self._root}data/{key}"]
        if entry.compress_type != zipfile.ZIP_STORED:
            raise WeightsFormatError(
                f"{self.path}: {entry.filename} is compressed, which PyTorch's own files never are; unpack the archive,"
                " and save its tensors anew with torch.save(state_dict, 'weights.pth')"
            )
        if entry.file_size != size:
            raise WeightsFormatError(
                f"{self.path}: {entry.filename} has {entry.file_size} bytes, not {size}; fetch it again"
            )
        head = self._content[entry.header_offset : entry.header_offset + 30]  # the local header: names may differ
        name, extra = (int.from_bytes(head[at : at + 2], "little") for at in (26, 28))
        return mapped(self._content, entry.header_offset + 30 + name + extra, size)


def mapped(content: mmap.mmap | bytearray, start: int, size: int) -> Storage:
    """``size`` bytes of ``content`` from ``start``. Raises ``UnpicklingError`` if there are fewer."""
    if size < 0 or start + size > len(content):
        raise UnpicklingError(f"{size} bytes from {start} of {len(content)}")
    if size == 0:
        return Storage(torch.empty(0, dtype=torch.uint8))
    if start % 16:  # not as PyTorch aligns them; arithmetic wants it
        return Storage(torch.frombuffer(bytearray(content[start : start + size]), dtype=torch.uint8))
    return Storage(torch.frombuffer(content, dtype=torch.uint8, offset=start, count=size))


def read_storage(content: Any) -> Storage:
    """The storage that a tensor pickled by itself brings along, as bytes in PyTorch's older form.

    Raises what ``Machine.load`` raises, and ``UnpicklingError`` if it holds anything else.
    """
    if type(content) is not bytes:
        raise UnpicklingError("a storage that is not bytes")
    copy = mmap.mmap(-1, len(content))  # the storage keeps it, so that it is not closed here
    copy.write(content)
    copy.seek(0)
    storage = read_legacy(copy, steps=_STEPS_OF_A_STORAGE)
    if not isinstance(storage, Storage):
        raise UnpicklingError("bytes that hold no storage")
    return storage


def read_legacy(content: mmap.mmap, steps: int = MOST_STEPS) -> Any:
    """What ``torch.save`` wrote before it wrote archives: five pickles, then the storages, each after its length.

    The fourth pickle refers to storages that come later, so it is run twice: first to see which there are.
    ``steps`` is the largest number of instructions that each run follows.
    Raises what ``Machine.load`` raises.
    """
    sizes: dict[str, int] = {}

    def remember(reference: Any) -> Any:
        kind, dtype, key, *_device_and_more = reference
        if kind == "module":  # a class, and its source as text
            return dtype
        if kind != "storage" or not isinstance(dtype, Name) or dtype.text not in STORAGES:
            raise UnpicklingError(f"unexpected reference {reference!r:.200}")
        sizes[str(key)] = STORAGES[dtype.text].itemsize
        return None

    outline = Machine(content, len(content), {}, persistent=remember, steps=steps)
    for _magic_version_and_system in range(3):
        outline.load()
    body = content.tell()
    outline.load()
    after = content.tell()
    storages: dict[str, Storage] = {}
    for key in Machine(content, len(content), {}, steps=steps).load():
        numel = int.from_bytes(content.read(8), "little")
        size = numel * sizes[str(key)]
        storages[str(key)] = mapped(content, content.tell(), size)
        content.seek(content.tell() + size)
    content.seek(body)

    def refer(reference: Any) -> Any:
        kind, dtype, key, _device, _numel, view = (*reference, None)[:6]
        if kind == "module":
            return dtype
        if view is not None:
            raise UnpicklingError("a storage that is a view of another")
        return Storage(storages[str(key)].octets, STORAGES[dtype.text])

    value = Machine(content, len(content), TENSORS, persistent=refer, steps=steps).load()
    if content.tell() != after:
        raise UnpicklingError("it reads differently the second time")
    return value
