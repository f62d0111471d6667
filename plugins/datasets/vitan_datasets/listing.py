"""Names of the pictures in many folders, remembered between runs: listing ImageNet on a network disk takes minutes."""

from __future__ import annotations

import gzip
import json
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2b
from pathlib import Path
from typing import TypeAlias

from vitan.data.images import is_image
from vitan.errors import DataError
from vitan.files import cache_dir, replacing
from vitan.waiting import shown

#: Trees with fewer pictures are listed anew every time.
WORTH_KEEPING = 20_000
_THREADS = 8
_SETTLED = 2 * 10**9  # nanoseconds after which a folder's time of change is sure to tell later changes
_FORMAT = 1

_Listing: TypeAlias = "tuple[int, list[str]]"  # the folder's time of change, and its pictures


def list_pictures(root: Path, folders: Sequence[str]) -> dict[str, list[str]]:
    """The names of the pictures right in each of ``folders`` below ``root``, ordered by their bytes.

    Hidden files do not count. A folder is read only if it has changed since the last time; what is known is kept in
    ``VITAN_CACHE/listings``. Progress goes to stderr where that is a terminal. Raises ``DataError`` for a folder that
    cannot be listed, or a name that is no UTF-8.
    """
    known = _recall(root)
    times = {folder: _changed(root / folder) for folder in folders}
    fresh = [folder for folder in folders if folder not in known or known[folder][0] != times[folder]]
    now = time.time_ns()
    with ThreadPoolExecutor(_THREADS) as pool:
        for folder, names in zip(
            fresh, shown(pool.map(lambda f: _names(root / f), fresh), len(fresh), "listing pictures"), strict=True
        ):
            known[folder] = (times[folder], names)
    found = {folder: known[folder][1] for folder in folders}
    if fresh and sum(map(len, found.values())) >= WORTH_KEEPING:
        _remember(root, {folder: known[folder] for folder in folders if now - times[folder] > _SETTLED})
    return found


def _names(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:  # tells files from folders without asking for each of them
            names = [e.name for e in entries if is_image(e.name) and not e.name.startswith(".") and not e.is_dir()]
        return sorted(names, key=str.encode)  # the order of the bytes
    except OSError as error:
        raise DataError(f"{folder}: the folder cannot be listed: {error.strerror or error}") from error
    except UnicodeEncodeError as error:
        raise DataError(f"{folder}: the name {error.object!a} is not UTF-8; rename it") from error


def _changed(folder: Path) -> int:
    try:
        return folder.stat().st_mtime_ns
    except OSError as error:
        raise DataError(f"{folder}: cannot be looked at: {error.strerror or error}") from error


def _file(root: Path) -> Path:
    name = blake2b(os.fsencode(root.absolute()), digest_size=16).hexdigest()
    return cache_dir() / "listings" / f"{name}.json.gz"


def _recall(root: Path) -> dict[str, _Listing]:
    """What is known of this tree; nothing where it was never listed or what was written is not as expected."""
    try:
        with gzip.open(_file(root), "rt", encoding="utf-8") as file:
            content = json.load(file)
        if content["format"] != _FORMAT or content["root"] != str(root.absolute()):
            return {}
        return {str(folder): (int(at), [str(name) for name in names]) for folder, (at, names) in content["folders"]}
    except (OSError, EOFError, ValueError, TypeError, KeyError):
        return {}


def _remember(root: Path, folders: dict[str, _Listing]) -> None:
    """Write it down; a cache that cannot be written is none."""
    content = {"format": _FORMAT, "root": str(root.absolute()), "folders": list(folders.items())}
    try:
        with replacing(_file(root)) as temporary, gzip.open(temporary, "wt", compresslevel=1, encoding="utf-8") as file:
            json.dump(content, file)
    except OSError:
        return
