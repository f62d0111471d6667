"""Files: where vitan keeps its own (``VITAN_CACHE``), where datasets lie (``VITAN_DATA_DIR``), safe reading, and whole
writing. And whether the network may be used."""

from __future__ import annotations

import ctypes
import errno
import json
import os
import re
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import Any, BinaryIO

from platformdirs import user_cache_path

from .errors import DataError, StoreError, UsageError

#: What ``replacing`` and ``replacing_folder`` call their work until it is finished.
_TEMPORARY = re.compile(r"\.(?P<name>.+?)(?P<old>-old)?-[a-z0-9_]{8}(\.\w+)?")

#: Seconds after which what a killed run has left is surely nobody's work any more.
ABANDONED = 24 * 3600


def given_path(path: str | Path) -> Path:
    """A path as a user gives it, with ``~`` written out.

    Raises ``UsageError`` for one that no file can have: with an unknown home, or too long for the system.
    """
    try:
        whole = Path(path).expanduser()
        whole.lstat()
    except RuntimeError as error:  # how pathlib says that there is no such home
        raise UsageError(f"{str(path)!r}: there is no home of that user; write the whole path") from error
    except (ValueError, OSError) as error:
        if isinstance(error, OSError) and error.errno not in (errno.ENAMETOOLONG, errno.EINVAL):
            return whole  # there is none, or it cannot be looked at: whoever needs it says so
        why = error.strerror if isinstance(error, OSError) else error
        raise UsageError(f"{str(path)!r}: this cannot be the path of a file ({why})") from error
    return whole


def cache_dir() -> Path:
    """The folder that holds everything below; it may not exist yet."""
    chosen = os.environ.get("VITAN_CACHE")
    return given_path(chosen).absolute() if chosen else user_cache_path("vitan")


def weights_dir() -> Path:
    """Weights that belong to no cache of another library."""
    return cache_dir() / "weights"


def states_dir() -> Path:
    """What finished and interrupted passes have recorded."""
    return cache_dir() / "states"


def offline_since() -> list[str]:
    """The variables that are set and forbid the network, ``VITAN_OFFLINE`` and Hugging Face's ``HF_HUB_OFFLINE``."""
    said = {"1", "true", "yes", "on"}
    return [name for name in ("VITAN_OFFLINE", "HF_HUB_OFFLINE") if os.environ.get(name, "").strip().lower() in said]


def data_dir() -> Path | None:
    """The folder that holds datasets, each in a folder of its own; None where the user has named none."""
    chosen = os.environ.get("VITAN_DATA_DIR")
    return given_path(chosen).absolute() if chosen else None


def find_root(given: Path | None, dataset: str, names: Sequence[str]) -> Path:
    """The root folder of a dataset: the one given, or the first of ``names`` that is a folder below ``data_dir``.

    Raises ``DataError``, saying how to give it, where there is none.
    """
    if given is not None:
        root = given_path(given)
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


def part_of_file(named: Path) -> tuple[Path, str]:
    """A file and the part of it that is meant, from ``FILE`` or ``FILE::KEY``; a file of that very name comes first."""
    file, separator, key = str(named).rpartition("::")
    return (Path(file), key) if separator and not named.exists() else (named, "")


def open_file(path: Path) -> BinaryIO:
    """A regular file, open for reading bytes.

    Raises ``OSError``, also for a pipe or a device, which could wait for ever.
    """
    # without waiting for the other end of a pipe; for a regular file the flag means nothing
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        mode = os.fstat(handle).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "it is a pipe or a device, not a file", str(path))
        return os.fdopen(handle, "rb")
    except BaseException:
        os.close(handle)
        raise


def read_text(path: Path) -> str:
    """The text of a file in UTF-8, without the byte-order mark that some editors put in front of it.

    Raises ``OSError`` as ``open_file`` does, and ``UnicodeDecodeError``.
    """
    with open_file(path) as file:
        return file.read().decode("utf-8-sig")


def read_json(path: Path) -> Any:
    """The content of a JSON file. Raises ``OSError`` as ``open_file`` does, and ``ValueError`` for what is no JSON."""
    try:
        return json.loads(read_text(path))
    except RecursionError:
        raise ValueError("its brackets are nested too deeply") from None


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary name beside ``path`` to write to, which becomes ``path`` at the end, or vanishes on an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem[:32]}-", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.chmod(0o666 & ~_umask())  # mkstemp makes files that only their owner can read
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """A temporary folder beside ``path`` to fill, which takes its place at the end, or vanishes on an error.

    Where the system can, the two change places, so that at no moment there is none; what was there is then removed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}-"))
    try:
        yield temporary
        temporary.chmod(0o777 & ~_umask())
        if not path.exists():
            temporary.replace(path)
        elif _exchange(temporary, path):
            shutil.rmtree(temporary)
        else:
            old = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}-old-"))
            path.replace(old / path.name)
            temporary.replace(path)
            shutil.rmtree(old)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def _exchange(one: Path, other: Path) -> bool:
    """Let two folders change places at once; False where the system or its disk cannot."""
    here, swap = -100, 2  # AT_FDCWD; RENAME_EXCHANGE is RENAME_SWAP
    names = os.fsencode(one), os.fsencode(other)
    try:
        if sys.platform == "linux":
            return bool(ctypes.CDLL(None).renameat2(here, names[0], here, names[1], swap) == 0)
        if sys.platform == "darwin":
            return bool(ctypes.CDLL(None).renamex_np(*names, swap) == 0)
    except (AttributeError, OSError):  # a C library without it
        pass
    return False


def clear_leftovers(folder: Path, older_than: float = ABANDONED) -> None:
    """Remove what killed runs have left half-written in a folder, if it is older than so many seconds.

    What was moved aside, and had not been replaced yet, is put back.
    """
    for path in folder.glob(".*"):
        match = _TEMPORARY.fullmatch(path.name)
        if match is None or time.time() - path.stat().st_mtime < older_than:
            continue
        if match["old"] and not (folder / match["name"]).exists() and (path / match["name"]).exists():
            (path / match["name"]).replace(folder / match["name"])
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


@contextmanager
def naming_refusals(path: Path) -> Iterator[None]:
    """Raise ``StoreError``, with the place and the way out, where the disk refuses to take what is written inside."""
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"{path}: cannot be written ({error.strerror or error}); what was computed is kept: make room and run the "
            "same again, or write elsewhere (-o FOLDER)"
        ) from error


def make_writable(folder: Path, complaint: str) -> None:
    """Make a folder that can be written to, before anything is computed for it.

    Raises ``UsageError`` with ``complaint``, which has places for the ``folder`` and for ``why``.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".vitan-write-test"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UsageError(complaint.format(folder=folder, why=error.strerror)) from None


def write_text(path: Path, text: str) -> None:
    """Write a whole file or nothing."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def tag(name: str) -> str:
    """A few characters that tell a name from others of the same slug."""
    return blake2b(name.encode("utf-8", "surrogatepass"), digest_size=4).hexdigest()


def slug(name: str) -> str:
    """A name that is safe in a path on every system; names that differ may share it (see ``tag``)."""
    return re.sub(r"[^\w.@+-]+", "_", name).strip("._") or "_"
