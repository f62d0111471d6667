"""What is in a folder: its pictures, or its shards, and what is not read."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from vitan.data.images import IMAGE_SUFFIXES, is_image, is_unread_image
from vitan.errors import DataError

from ..shards.shards import CLASSES, SUFFIXES, is_shard
from ..trees import check_root, walk


class Files(NamedTuple):
    """The folder that names are relative to, its files of one kind in the order of their bytes, and notes on others."""

    root: Path
    names: Sequence[str]
    sharded: bool
    notes: tuple[str, ...]


def find_files(root: Path) -> Files:
    """The pictures below a folder, or its shards where it has none; of a single picture, that.

    Raises ``DataError`` if ``root`` is neither, or there are none.
    """
    if root.is_file() and is_image(root.name):
        return Files(root.parent, [root.name], False, ())
    check_root(root, "folder")
    there = {folder.relative_to(root).as_posix(): files for folder, files in walk(root)}
    found = (path.relative_to(root).as_posix() for files in there.values() for path in files)
    files = sorted(found, key=os.fsencode)
    pictures = [name for name in files if is_image(name)]
    taken = pictures or [name for name in files if is_shard(name)]
    if not taken:
        seen = f"{len(files)} files of other kinds" if files else "no files at all"
        looked = " ".join((*IMAGE_SUFFIXES, *SUFFIXES))
        raise DataError(f"{root}: no pictures; looked at any depth for {looked} and found {seen}")
    passed_over = [name for name in files if not is_image(name) and (pictures or not is_shard(name))]
    if not pictures and CLASSES in passed_over:
        passed_over.remove(CLASSES)
    return Files(root, taken, not pictures, (*_unread_files(passed_over), *_without_pictures(list(there), taken)))


def _unread_files(files: Sequence[str]) -> Iterator[str]:
    """A note on pictures of formats that are not read, and one on all else."""
    unread = [name for name in files if is_unread_image(name)]
    others = [name for name in files if not is_unread_image(name)]
    if unread:
        look = "file looks like a picture and is" if len(unread) == 1 else "files look like pictures and are"
        yield f"{len(unread)} {look} not read: {_by_kind(unread)}; save them as JPEG or PNG"
    if others:
        are = "file of another kind is" if len(others) == 1 else "files of other kinds are"
        yield f"{len(others)} {are} not read: {_by_kind(others)}"


def _by_kind(names: Sequence[str]) -> str:
    kinds = Counter(PurePosixPath(name).suffix.lower() or "without an ending" for name in names)
    counts = ", ".join(f"{number} {suffix}" for suffix, number in sorted(kinds.items()))
    return f"{counts} ({names[0]} for one)"


def _without_pictures(folders: Sequence[str], pictures: Sequence[str]) -> Iterator[str]:
    """A note on folders that hold no picture at any depth; of those within one another, the outermost counts."""
    full = {str(above) for name in pictures for above in PurePosixPath(name).parents}
    bare = [name for name in folders if name not in full and str(PurePosixPath(name).parent) in full]
    if bare:
        hold = "folder holds" if len(bare) == 1 else "folders hold"
        yield f"{len(bare)} {hold} no picture, {min(bare, key=os.fsencode)}{' for one' * (len(bare) > 1)}"
