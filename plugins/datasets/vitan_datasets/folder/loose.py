"""A folder of pictures that are files of their own."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from PIL import Image

from vitan.data.images import fingerprint, open_image
from vitan.errors import DataError

from .options import ROLES, FolderOptions


class Loose:
    """Pictures by their paths below a folder, which say what they are of; see ``Folder``."""

    def __init__(self, root: Path, ids: Sequence[str], options: FolderOptions) -> None:
        self._root, self.ids = root, ids
        self._has_roles = _has_roles(ids, options)
        below = [id_.partition("/")[2] for id_ in ids] if self._has_roles else ids
        self.classes = _classes(below, options)
        labels = {name: label for label, name in enumerate(self.classes)}
        self.labels = [labels.get(id_.split("/")[0]) for id_ in below]
        self.roles = [ROLES[id_.split("/")[0]] if self._has_roles else "" for id_ in ids]

    def open(self, index: int) -> Image.Image:
        """A picture; raises ``ImageError``."""
        return open_image(self._root / self.ids[index])

    def fingerprint(self) -> str:
        """See ``Dataset``."""
        known = "\n".join([*self.classes, *(["has roles"] if self._has_roles else [])])
        return fingerprint([self._root / id_ for id_ in self.ids], self._root, known)


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
