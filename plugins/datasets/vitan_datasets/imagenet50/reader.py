"""Reading the fifty ImageNet classes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from pydantic import Field

from vitan.data.images import fingerprint, is_image, open_image
from vitan.data.samples import Dataset, Sample
from vitan.errors import DataError
from vitan.files import find_root
from vitan.options import Options

from ..roots import IMAGENET50
from ..trees import children


class ImageNet50Options(Options):
    """Where ImageNet is and how much of it to take."""

    root: Path | None = Field(None, description="ImageNet's train folder, e.g. data/imagenet/train")
    per_class: int = Field(100, ge=1, description="pictures of each class, the first in the order of their names")


class ImageNet50(Dataset):
    """The first ``per_class`` pictures of fifty ImageNet classes, class by class.

    The order is that of the names' bytes, as in the published code, so ``_10.JPEG`` comes before ``_2.JPEG``. Only
    pictures right in the class folder count. (The published code takes the first names of every sub-folder too, and
    drops the non-pictures among them afterwards; ImageNet as distributed gives the same pictures either way.)
    A sample's ``id`` is ``wnid/name.JPEG``, its ``group`` the wnid; pictures are not turned by their EXIF orientation.

    Raises ``DataError`` for a missing class folder or one with fewer pictures than ``per_class``.
    """

    Options = ImageNet50Options

    def __init__(self, options: ImageNet50Options) -> None:
        super().__init__(options)
        self._root = find_root(options.root, "imagenet50", IMAGENET50)
        names = class_names()
        self._wnids, self._classes = list(names), list(names.values())
        self._ids = _choose(self._root, self._wnids, options.per_class)

    def __len__(self) -> int:
        return len(self._ids)

    def __getitem__(self, index: int) -> Sample:
        """See ``Dataset``."""
        id_ = self._ids[index]
        image = open_image(self._root / id_, orient=False)
        return Sample(id=id_, image=image, label=self._label(id_), group=id_.split("/")[0])

    def fingerprint(self) -> str:
        """See ``Dataset``."""
        return fingerprint([self._root / id_ for id_ in self._ids], self._root, "\n".join(self._wnids))

    def classes(self) -> Sequence[str]:
        """See ``Dataset``."""
        return self._classes

    def labels(self) -> Sequence[int]:
        """See ``Dataset``."""
        return [self._label(id_) for id_ in self._ids]

    def _label(self, id_: str) -> int:
        return self._wnids.index(id_.split("/")[0])


def class_names() -> dict[str, str]:
    """A name in words for each of the fifty wnids, in the order of the wnids."""
    text = (resources.files(__package__) / "imagenet50.txt").read_text(encoding="utf-8")
    pairs = (line.split(maxsplit=1) for line in text.splitlines())
    return dict(sorted((wnid, name) for wnid, name in pairs))


def pictures(folder: Path) -> list[str]:
    """Names of the pictures right in a class folder, ordered by their bytes."""
    _, files = children(folder)
    return sorted((file.name for file in files if is_image(file.name)), key=os.fsencode)


def _choose(root: Path, wnids: Sequence[str], per_class: int) -> list[str]:
    if missing := [wnid for wnid in wnids if not (root / wnid).is_dir()]:
        problem = f"{len(missing)} of the {len(wnids)} class folders are missing: {', '.join(missing)}"
        raise DataError(f"{root}: {problem}. Expected is ImageNet's train folder, {root / missing[0]}/*.JPEG and so on")
    found = {wnid: pictures(root / wnid) for wnid in wnids}
    if short := {wnid: len(names) for wnid, names in found.items() if len(names) < per_class}:
        counts = ", ".join(f"{wnid} has {count}" for wnid, count in short.items())
        fewer = f", or ask for {min(short.values())}" if min(short.values()) else ""
        raise DataError(f"{root}: too few pictures for per_class={per_class}: {counts}; complete the folders{fewer}")
    return [f"{wnid}/{name}" for wnid, names in found.items() for name in names[:per_class]]
