"""Looking into folders."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath
from stat import S_ISDIR

from vitan.errors import DataError


def check_root(root: Path, dataset: str) -> None:
    """Raise ``DataError`` unless ``root`` is a folder."""
    try:
        is_folder = S_ISDIR(root.stat().st_mode)
    except OSError as error:
        raise DataError(f"{root}: {error.strerror}; give the root of the dataset {dataset!r}") from error
    if not is_folder:
        raise DataError(f"{root}: this is a file; the root of the dataset {dataset!r} is a folder")


def is_inside(name: str) -> bool:
    """Whether a relative path stays below the folder that it is joined to, whatever system reads it."""
    path, elsewhere = PurePosixPath(name), PureWindowsPath(name)
    return not (path.is_absolute() or elsewhere.anchor or ".." in (*path.parts, *elsewhere.parts) or "\0" in name)


def children(folder: Path) -> tuple[list[Path], list[Path]]:
    """The sub-folders and the files right in a folder, in no order, without the hidden ones.

    Raises ``DataError`` if the folder cannot be listed, or for a name that is no UTF-8: names go into the results.
    """
    folders: list[Path] = []
    files: list[Path] = []
    try:
        for child in folder.iterdir():
            if not _is_hidden(child.name):
                child.name.encode()
                (folders if child.is_dir() else files).append(child)
    except OSError as error:
        raise DataError(f"{folder}: the folder cannot be listed: {error.strerror or error}") from error
    except UnicodeEncodeError as error:
        raise DataError(f"{folder}: the name {error.object!a} is not UTF-8; rename it") from error
    return folders, files


def walk(folder: Path, above: frozenset[tuple[int, int]] = frozenset()) -> Iterator[tuple[Path, list[Path]]]:
    """Each folder from this one down, with the files right in it, in no order but that no folder comes after its own.

    Links are followed, but not back into a folder that is being walked.

    ``above`` are the (device, inode) of the folders on the way here. Raises ``DataError`` as ``children`` does.
    """
    status = folder.stat()
    here = (status.st_dev, status.st_ino)
    if here in above:
        return
    folders, files = children(folder)
    yield folder, files
    for child in folders:
        yield from walk(child, above | {here})


def _is_hidden(name: str) -> bool:
    # __MACOSX is what archives made on a Mac hold besides the files
    return name.startswith(".") or name == "__MACOSX"
