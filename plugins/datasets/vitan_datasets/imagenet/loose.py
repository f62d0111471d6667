"""ImageNet as files of their own: ``train`` and ``val``."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path

from PIL import Image

from vitan.data.images import fingerprint, open_image
from vitan.errors import DataError

from ..listing import list_pictures
from .validation import read_labels

_SPREAD = 2000  # pictures whose content the fingerprint looks at, evenly over all


class Loose:
    """The pictures of ``train`` and ``val``; ids are their paths below the root. See ``ImageNet``."""

    def __init__(self, root: Path) -> None:
        self._root = root
        train = _list(root, "train")
        #: The classes that have pictures in ``train``.
        self.wnids: Sequence[str] = [wnid for wnid, pictures in train.items() if pictures]
        if not self.wnids:
            raise DataError(
                f"{root / 'train'}: no folder with pictures; expected is {root / 'train'}/n01440764/*.JPEG and so on "
                "(the archive of each class is unpacked into a folder of its name), or shards: train-*.tar or .parquet"
            )
        val = self._validation()
        paths = {
            "train": {wnid: [f"train/{path}" for path in paths] for wnid, paths in train.items()},
            "val": {wnid: [f"val/{path}" for path in val.get(wnid, [])] for wnid in self.wnids},
        }
        self.ids: Sequence[str] = [path for part in paths.values() for pictures in part.values() for path in pictures]
        places = iter(range(len(self.ids)))
        #: For ``train`` (all folders there are) and ``val``, the places of pictures by class.
        self.parts: Mapping[str, Mapping[str, Sequence[int]]] = {
            part: {wnid: [*islice(places, len(pictures))] for wnid, pictures in by_class.items()}
            for part, by_class in paths.items()
        }

    def open(self, place: int) -> Image.Image:
        """A picture, not turned by its EXIF orientation; raises ``ImageError``."""
        return open_image(self._root / self.ids[place], orient=False)

    def fingerprint(self, places: Sequence[int], annotations: str) -> str:
        """Of what is known, and of the content of 2,000 pictures that are spread over all.

        Looking at each of 1.3 million files would take longer than many a run.
        """
        count = min(_SPREAD, len(places))
        spread = [self._root / self.ids[places[i * len(places) // count]] for i in range(count)]
        return fingerprint(spread, self._root, annotations)

    def _validation(self) -> dict[str, list[str]]:
        """The pictures of ``val`` by class, as paths below it."""
        folder = self._root / "val"
        by_folder = {wnid: paths for wnid, paths in _list(self._root, "val").items() if paths}
        if by_folder:
            if strange := next((name for name in by_folder if name not in self.wnids), None):
                raise DataError(f"{folder / strange}: there is no such class in {self._root / 'train'}")
            return by_folder
        names = list_pictures(self._root, ["val"])["val"]
        if not names:
            raise DataError(f"{folder}: no pictures, neither in it nor in folders of classes")
        labels = read_labels(self._root, folder, names, self.wnids)
        found: dict[str, list[str]] = {}
        for name in names:
            found.setdefault(labels[name], []).append(name)
        return found


def _list(root: Path, part: str) -> dict[str, list[str]]:
    """The pictures in each folder right below ``train`` or ``val``, as paths below that, in the bytes' order."""
    folder = root / part
    if not folder.is_dir():
        raise DataError(f"{folder}: there is no such folder; the root of the dataset imagenet holds train and val")
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if entry.is_dir() and not entry.name.startswith(".")]
    except OSError as error:
        raise DataError(f"{folder}: the folder cannot be listed: {error.strerror or error}") from error
    listed = list_pictures(folder, sorted(names, key=os.fsencode))
    return {name: [f"{name}/{picture}" for picture in pictures] for name, pictures in listed.items()}
