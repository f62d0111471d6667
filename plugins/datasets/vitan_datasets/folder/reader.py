"""Reading any tree of pictures."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Literal

from pydantic import Field

from vitan.data.images import IMAGE_SUFFIXES, fingerprint, is_image, is_unread_image, open_image
from vitan.data.samples import Dataset, Sample
from vitan.errors import DataError
from vitan.options import Options

from ..trees import check_root, walk


class FolderOptions(Options):
    """Where the pictures are and whether their folders are classes."""

    root: Path = Field(description="folder with pictures, at any depth, or a single picture")
    classes: Literal["auto", "yes", "no"] = Field(
        "auto", description="whether the folders right below ROOT are the classes (auto: if all pictures are in such)"
    )
    roles: Literal["auto", "yes", "no"] = Field(
        "auto",
        description="whether the folders right below ROOT are a bank (bank, gallery, train) and queries (query, val, "
        "test), and the classes one level deeper (auto: if there are no others, and both kinds)",
    )


#: What folders right below the root can be called to give their pictures a role.
ROLES = {"bank": "bank", "gallery": "bank", "train": "bank", "query": "query", "val": "query", "test": "query"}


class Folder(Dataset):
    """All pictures below ``root``, ordered by the bytes of their paths; hidden files and folders are left out.

    A sample's ``id`` is its path below ``root``; its label, if folders are classes, the index of its folder among the
    sorted folders that hold pictures. With ``classes="auto"`` folders are classes if there are at least two and every
    picture lies directly in one. Symbolic links are followed, except back into a folder above.

    Folders of ``ROLES`` say which pictures are in the bank and which are queries. Everything above then holds one level
    deeper, and folders of one name, such as ``query/cat`` and ``gallery/cat``, are one class.

    A ``root`` that is a single picture is a dataset of one.

    Raises ``DataError`` if ``root`` is neither, holds no picture, or, with ``classes="yes"`` or ``roles="yes"``, has
    some beside the folders of classes or roles.
    """

    Options = FolderOptions

    def __init__(self, options: FolderOptions) -> None:
        super().__init__(options)
        self._root, self._ids, self._notes = _pictures(options.root)
        self._has_roles = _has_roles(self._ids, options)
        self._classes = _classes([self._below(id_) for id_ in self._ids], options)
        self._labels = {name: label for label, name in enumerate(self._classes)}

    def __len__(self) -> int:
        return len(self._ids)

    def __getitem__(self, index: int) -> Sample:
        """See ``Dataset``."""
        id_ = self._ids[index]
        return Sample(id=id_, image=open_image(self._root / id_), label=self._label(id_), role=self._role(id_))

    def fingerprint(self) -> str:
        """See ``Dataset``."""
        known = "\n".join([*self._classes, *(["has roles"] if self._has_roles else [])])
        return fingerprint([self._root / id_ for id_ in self._ids], self._root, known)

    def which(self) -> str:
        """The name of the folder, or of the single picture."""
        return Path(self.options.root).resolve().name

    def notes(self) -> Sequence[str]:
        """See ``Dataset``: files that are not read, by their kind, and folders without pictures."""
        return self._notes

    def classes(self) -> Sequence[str]:
        """See ``Dataset``."""
        return self._classes

    def labels(self) -> Sequence[int | None]:
        """See ``Dataset``."""
        return [self._label(id_) for id_ in self._ids]

    def roles(self) -> Sequence[str]:
        """See ``Dataset``."""
        return [self._role(id_) for id_ in self._ids]

    def _label(self, id_: str) -> int | None:
        return self._labels.get(self._below(id_).split("/")[0])

    def _role(self, id_: str) -> str:
        return ROLES[id_.split("/")[0]] if self._has_roles else ""

    def _below(self, id_: str) -> str:
        """The path below the folder of the role, if there is one."""
        return id_.partition("/")[2] if self._has_roles else id_


def _pictures(root: Path) -> tuple[Path, list[str], tuple[str, ...]]:
    """The folder that ids are relative to, the ids of its pictures, and notes about what is in it besides."""
    if root.is_file() and is_image(root.name):
        return root.parent, [root.name], ()
    check_root(root, "folder")
    there = {folder.relative_to(root).as_posix(): files for folder, files in walk(root)}
    found = (path.relative_to(root).as_posix() for files in there.values() for path in files)
    files = sorted(found, key=os.fsencode)
    pictures = [name for name in files if is_image(name)]
    if not pictures:
        seen = f"{len(files)} files of other kinds" if files else "no files at all"
        raise DataError(f"{root}: no pictures; looked at any depth for {' '.join(IMAGE_SUFFIXES)} and found {seen}")
    return root, pictures, (*_unread_files(files), *_without_pictures(list(there), pictures))


def _unread_files(files: Sequence[str]) -> Iterator[str]:
    """A note on pictures of formats that are not read, and one on all else."""
    unread = [name for name in files if is_unread_image(name)]
    others = [name for name in files if not is_image(name) and not is_unread_image(name)]
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


def _has_roles(ids: Sequence[str], options: FolderOptions) -> bool:
    strange = [id_ for id_ in ids if "/" not in id_ or id_.split("/")[0] not in ROLES]
    if options.roles == "yes" and strange:
        problem = f"{len(strange)} pictures lie beside the folders {', '.join(ROLES)}, {strange[0]} for one"
        raise DataError(f"{options.root}: {problem}; move them into one of these or use roles=auto")
    both = len({ROLES[id_.split("/")[0]] for id_ in ids}) == 2 if not strange else False
    return options.roles == "yes" or (options.roles == "auto" and both)


def _classes(ids: Sequence[str], options: FolderOptions) -> tuple[str, ...]:
    loose = [id_ for id_ in ids if "/" not in id_]
    if options.classes == "yes" and loose:
        problem = f"{len(loose)} pictures lie beside the class folders, {loose[0]} for one"
        raise DataError(f"{options.root}: {problem}; move them into a class folder or use classes=auto")
    names = tuple(sorted({id_.split("/")[0] for id_ in ids}, key=os.fsencode))
    flat = len(names) > 1 and all(len(PurePosixPath(id_).parts) == 2 for id_ in ids)
    return names if options.classes == "yes" or (options.classes == "auto" and flat) else ()
