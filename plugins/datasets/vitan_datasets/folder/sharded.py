"""A folder of shards."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from vitan.errors import DataError

from ..shards.shards import Shards, part_of
from .options import ROLES, FolderOptions


class Sharded:
    """Pictures in shards below a folder, which say what they are of; see ``Folder``."""

    def __init__(self, root: Path, files: Sequence[str], options: FolderOptions) -> None:
        self._shards = Shards(root, files)
        self.ids = self._shards.ids
        self.roles = _roles(files, self._shards.files, options)
        has_classes = self._shards.labels[0] is not None and options.classes != "no"
        if options.classes == "yes" and not has_classes:
            raise DataError(
                f"{root}: {files[0]} tells no labels; expected are KEY.cls or KEY.json in a tar, or a column called "
                "label in Parquet; or use classes=auto"
            )
        labels = self._shards.labels if has_classes else [None] * len(self.ids)
        most = max((label for label in labels if label is not None), default=-1)
        self.labels = labels
        self.classes = tuple(self._shards.names or map(str, range(most + 1))) if has_classes else ()

    def open(self, index: int) -> Image.Image:
        """A picture; raises ``ImageError``."""
        return self._shards.open(index, orient=True)

    def fingerprint(self) -> str:
        """See ``Dataset``."""
        return self._shards.fingerprint("\n".join([*self.classes, *(["has roles"] if self.roles[0] else [])]))


def _roles(files: Sequence[str], of_pictures: Sequence[str], options: FolderOptions) -> list[str]:
    """The role of each picture, by the shard that it is in."""
    known = {file: ROLES.get(part_of(file), "") for file in files}
    strange = [file for file, role in known.items() if not role]
    if options.roles == "yes" and strange:
        raise DataError(
            f"{options.root}: {strange[0]} has none of {', '.join(ROLES)} in its name; rename it or use roles=auto"
        )
    has_roles = options.roles == "yes" or (options.roles == "auto" and not strange and len({*known.values()}) == 2)
    return [known[file] if has_roles else "" for file in of_pictures]
