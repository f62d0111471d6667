"""Digests of files, remembered so that gigabytes are not read again at every run, and of modules without a file."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from .files import cache_dir, open_file
from .waiting import shown

if TYPE_CHECKING:
    from torch import Tensor, nn

Algorithm = Literal["sha256", "md5"]

#: What tells a file's content from what it was before, as far as that can be known without reading it: size, times of
#: change of content and of inode in ns (the former can be set back, as ``cp -p`` and ``rsync -t`` do), inode.
_Stamp: TypeAlias = "tuple[int, int, int, int]"

_THREADS = 4  # hashing releases the interpreter; more of them gain nothing on one disk
_SETTLED = 2 * 10**9  # ns after which a file's times are sure to tell later changes
_WAIT = 5.0  # seconds that another run may write to the store
_TABLE = """create table if not exists digests (
    path blob, algorithm text, size integer, changed integer, touched integer, inode text, digest text,
    primary key (path, algorithm)) without rowid"""


def file_sha256(path: Path) -> str:
    """The file's sha256 in lower-case hex, remembered; see ``file_digest``."""
    return file_digest(path, "sha256")


def file_digest(path: Path, algorithm: Algorithm) -> str:
    """The digest of a file's whole content in lower-case hex.

    It is remembered for as long as size, times of change and inode stay the same. Raises ``OSError`` if the
    file cannot be read.
    """
    digest = file_digests([path], algorithm)[0]
    if isinstance(digest, OSError):
        raise digest
    return digest


def file_digests(paths: Sequence[Path], algorithm: Algorithm = "sha256") -> list[str | OSError]:
    """The digest of each file, as ``file_digest`` has it, or what kept it from being read.

    Files are read by several threads; where that takes longer, progress is shown.
    """
    real = [os.path.realpath(path) for path in paths]
    known = _recall(real, algorithm)
    fresh: list[tuple[str, _Stamp, str]] = []

    def digest(path: str) -> str | OSError:
        try:
            before = _stamp(path)
            stamp, remembered = known.get(path, (None, ""))
            if stamp == before:
                return remembered
            found = _hash(Path(path), algorithm)
            if _stamp(path) == before and time.time_ns() - max(before[1], before[2]) > _SETTLED:
                fresh.append((path, before, found))
            return found
        except OSError as error:
            return error

    with ThreadPoolExecutor(_THREADS, thread_name_prefix="vitan-digest") as pool:
        digests = list(shown(pool.map(digest, real), len(real), "looking at files"))
    if fresh:
        _remember(fresh, algorithm)
    return digests


def state_sha256(module: nn.Module) -> str:
    """The sha256 of a module's state dict; see ``tensors_sha256``."""
    return tensors_sha256(module.state_dict())


def tensors_sha256(tensors: Mapping[str, Tensor]) -> str:
    """The sha256 of tensors by name: of each, in order of the names, its name, dtype, shape and bytes."""
    import torch

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
    with open_file(path) as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _stamp(path: str) -> _Stamp:
    status = Path(path).stat()
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino


def _store() -> Path:
    return cache_dir() / "digests.sqlite"


def _recall(paths: Iterable[str], algorithm: Algorithm) -> dict[str, tuple[_Stamp, str]]:
    """What is remembered of these files; nothing where the store is missing or damaged."""
    query = "select size, changed, touched, inode, digest from digests where path = ? and algorithm = ?"
    known: dict[str, tuple[_Stamp, str]] = {}
    if not _store().is_file():
        return known
    try:
        with closing(sqlite3.connect(_store(), timeout=_WAIT)) as store:
            for path in paths:
                row = store.execute(query, (os.fsencode(path), algorithm)).fetchone()
                if row:
                    size, changed, touched, inode, digest = row
                    known[path] = (size, changed, touched, int(inode)), str(digest)
    except (sqlite3.Error, ValueError, TypeError):
        return {}
    return known


def _remember(fresh: Iterable[tuple[str, _Stamp, str]], algorithm: Algorithm) -> None:
    """Write down what is new; a cache that cannot be written costs time and nothing else."""
    rows = [
        (os.fsencode(path), algorithm, size, changed, touched, str(inode), digest)
        for path, (size, changed, touched, inode), digest in fresh
    ]
    try:
        _write(rows)
    except sqlite3.DatabaseError:  # damaged, or no store at all: it is begun anew
        try:
            _store().unlink(missing_ok=True)
            _write(rows)
        except (OSError, sqlite3.Error):
            return
    except OSError:
        return


def _write(rows: Iterable[tuple[object, ...]]) -> None:
    _store().parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(_store(), timeout=_WAIT)) as store, store:
        store.execute(_TABLE)
        store.executemany("insert or replace into digests values (?, ?, ?, ?, ?, ?, ?)", rows)
