"""ImageNet in shards."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image

from vitan.errors import DataError

from ..shards.shards import Shards, is_shard, part_of

_PLACES = ("", "data", "train", "val")


class Sharded:
    """The pictures of shards, in their order; see ``ImageNet``.

    Labels are the places of the sorted wnids, as everywhere, or words, such as the wnids themselves.

    Raises ``DataError`` as ``Shards`` does, if no shard is of ``train`` or of ``val``, and for other labels.
    """

    def __init__(self, root: Path, files: Sequence[str], wnids: Sequence[str]) -> None:
        of = {part: [name for name in files if part_of(name) == part] for part in ("train", "val")}
        if lacking := next((part for part, names in of.items() if not names), None):
            raise DataError(f"{root}: none of its {len(files)} shards, {files[0]} for one, has {lacking} in its name")
        self._shards = Shards(root, [*of["train"], *of["val"]])
        self.ids: Sequence[str] = self._shards.ids
        #: The classes: wnids, or what the shards call them.
        self.wnids: Sequence[str] = self._shards.names or wnids
        parts: dict[str, dict[str, list[int]]] = {part: {wnid: [] for wnid in self.wnids} for part in of}
        for place, (label, file) in enumerate(zip(self._shards.labels, self._shards.files, strict=True)):
            if label is None or label >= len(self.wnids):
                last = len(self.wnids) - 1
                raise DataError(f"{root}: {self.ids[place]} has the label {label}; those of ImageNet are 0 to {last}")
            parts[part_of(file)][self.wnids[label]].append(place)
        #: For ``train`` and ``val``, the places of pictures by class.
        self.parts: Mapping[str, Mapping[str, Sequence[int]]] = parts

    def open(self, place: int) -> Image.Image:
        """A picture, not turned by its EXIF orientation; raises ``ImageError``."""
        return self._shards.open(place, orient=False)

    def fingerprint(self, _places: Sequence[int], annotations: str) -> str:
        """Of what is known, and of the whole shards, whose digests are remembered."""
        return self._shards.fingerprint(annotations)


def find_shards(root: Path) -> list[str]:
    """The shards that ImageNet is in, by their paths below the root; none where ``train`` holds folders of classes."""
    folders = [root / place for place in _PLACES if (root / place).is_dir()]
    try:
        inside = [child for folder in folders for child in folder.iterdir() if not child.name.startswith(".")]
        if any(child.parent.name == "train" and child.is_dir() for child in inside if child.parent != root):
            return []
    except OSError as error:
        raise DataError(f"{error.filename}: the folder cannot be listed: {error.strerror or error}") from error
    found = [child.relative_to(root).as_posix() for child in inside if is_shard(child.name) and child.is_file()]
    return sorted(found, key=os.fsencode)
