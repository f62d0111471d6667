"""Reading ImageNet."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

from pydantic import Field

from vitan.data.images import fingerprint, open_image
from vitan.data.samples import Dataset, Sample
from vitan.errors import DataError
from vitan.files import find_root
from vitan.options import Options

from ..listing import list_pictures
from ..roots import IMAGENET
from .validation import read_labels

_SPREAD = 2000  # pictures whose content the fingerprint looks at, evenly over all


class ImageNetOptions(Options):
    """Where ImageNet is and how much of it to take."""

    root: Path | None = Field(None, description="folder that holds ImageNet's train and val")
    bank_per_class: int | None = Field(
        None, ge=1, description="how many pictures of each class from train, the first by name; all unless given"
    )
    query_per_class: int | None = Field(
        None, ge=1, description="how many pictures of each class from val; all unless given"
    )


class ImageNet(Dataset):
    """The training set (role ``bank``), class by class, and then the validation set (role ``query``), class by class.

    The classes are the folders of ``train`` that hold pictures, in the order of their names' bytes, and so are the
    pictures in them. ``val`` holds the same folders, or all its pictures at once beside a file of their classes
    (see ``read_labels``). A sample's ``id`` is its path below the root; pictures are not turned by their EXIF
    orientation. Names are listed once and remembered (see ``list_pictures``).

    Raises ``DataError`` for a part that is missing, empty, or does not fit the other.
    """

    Options = ImageNetOptions

    def __init__(self, options: ImageNetOptions) -> None:
        super().__init__(options)
        self._root = find_root(options.root, "imagenet", IMAGENET)
        train = _list(self._root, "train")
        self._wnids = [wnid for wnid, pictures in train.items() if pictures]
        if not self._wnids:
            raise DataError(
                f"{self._root / 'train'}: no folder with pictures; expected is {self._root / 'train'}/n01440764/*.JPEG "
                "and so on (the archive of each class is unpacked into a folder of its name)"
            )
        val = self._validation()
        bank = _choose("train", {wnid: train[wnid] for wnid in self._wnids}, options.bank_per_class)
        queries = _choose("val", {wnid: val.get(wnid, []) for wnid in self._wnids}, options.query_per_class)
        self._first_query = len(bank)
        self._samples = [*bank, *queries]  # (path, wnid)
        self._notes = tuple(_gaps(train, {wnid: val.get(wnid, []) for wnid in self._wnids}, options))
        self._number = {wnid: number for number, wnid in enumerate(self._wnids)}

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, index: int) -> Sample:
        """See ``Dataset``."""
        index = range(len(self))[index]
        path, wnid = self._samples[index]
        image = open_image(self._root / path, orient=False)
        return Sample(id=path, image=image, label=self._number[wnid], role=self._role(index))

    def fingerprint(self) -> str:
        """Every name and class counts, and the content of 2,000 pictures that are spread over all.

        Looking at each of 1.3 million files would take longer than many a run.
        """
        digest = blake2b(digest_size=16)
        for path, wnid in self._samples:
            digest.update(f"{path}\0{wnid}\n".encode())
        count = min(_SPREAD, len(self))
        spread = [self._root / self._samples[i * len(self) // count][0] for i in range(count)]
        return fingerprint(spread, self._root, digest.hexdigest())

    def classes(self) -> Sequence[str]:
        """See ``Dataset``. In words where all classes are ImageNet's; the wnid follows where two share a word."""
        from timm.data.imagenet_info import ImageNetInfo

        known: Any = ImageNetInfo("imagenet-1k")
        if not set(self._wnids) <= set(known.label_names()):
            return self._wnids
        words = [known.label_name_to_description(wnid).split(",")[0] for wnid in self._wnids]
        often = Counter(words)
        return [f"{word} ({w})" if often[word] > 1 else word for word, w in zip(words, self._wnids, strict=True)]

    def notes(self) -> Sequence[str]:
        """See ``Dataset``: classes without pictures, or with fewer than was asked for."""
        return self._notes

    def labels(self) -> Sequence[int]:
        """See ``Dataset``."""
        return [self._number[wnid] for _, wnid in self._samples]

    def roles(self) -> Sequence[str]:
        """See ``Dataset``."""
        return [self._role(index) for index in range(len(self))]

    def _role(self, index: int) -> str:
        return "bank" if index < self._first_query else "query"

    def _validation(self) -> dict[str, list[str]]:
        """The pictures of ``val`` by class, as paths below it."""
        folder = self._root / "val"
        by_folder = {wnid: paths for wnid, paths in _list(self._root, "val").items() if paths}
        if by_folder:
            if strange := next((name for name in by_folder if name not in self._wnids), None):
                raise DataError(f"{folder / strange}: there is no such class in {self._root / 'train'}")
            return by_folder
        names = list_pictures(self._root, ["val"])["val"]
        if not names:
            raise DataError(f"{folder}: no pictures, neither in it nor in folders of classes")
        labels = read_labels(self._root, folder, names, self._wnids)
        found: dict[str, list[str]] = {}
        for name in names:
            found.setdefault(labels[name], []).append(name)
        return found


def _gaps(
    train: Mapping[str, Sequence[str]], val: Mapping[str, Sequence[str]], options: ImageNetOptions
) -> Iterator[str]:
    asked = (("train", train, options.bank_per_class), ("val", val, options.query_per_class))
    for part, by_class, wanted in asked:
        none = [wnid for wnid, pictures in by_class.items() if not pictures]
        few = [wnid for wnid, pictures in by_class.items() if pictures and len(pictures) < (wanted or 0)]
        if none:
            yield f"{part}: no pictures of {len(none)} of {len(by_class)} classes, {none[0]} for one"
        if few:
            yield f"{part}: fewer than {wanted} pictures of {len(few)} of {len(by_class)} classes, {few[0]} for one"


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


def _choose(part: str, by_class: Mapping[str, Sequence[str]], limit: int | None) -> list[tuple[str, str]]:
    """The first pictures of each class, as (path below the root, class)."""
    return [(f"{part}/{path}", wnid) for wnid, paths in by_class.items() for path in paths[:limit]]
