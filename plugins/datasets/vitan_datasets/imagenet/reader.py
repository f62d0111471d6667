"""Reading ImageNet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

from pydantic import Field

from vitan.data.samples import Dataset, Sample
from vitan.files import find_root
from vitan.options import Options

from ..roots import IMAGENET
from .loose import Loose
from .sharded import Sharded, find_shards


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

    Without folders in ``train`` it may be shards, tar or Parquet, in the root, its ``data``, ``train`` or ``val``, that
    have ``train`` or ``val`` (``validation``) in their names (see ``Shards``). Each part is then in their order, which
    is the one that they can be read in, and the first pictures of a class are the first in that order.

    Raises ``DataError`` for a part that is missing, empty, or does not fit the other.
    """

    Options = ImageNetOptions

    def __init__(self, options: ImageNetOptions) -> None:
        super().__init__(options)
        root = find_root(options.root, "imagenet", IMAGENET)
        shards = find_shards(root)
        self._pictures = Sharded(root, shards, _published().label_names()) if shards else Loose(root)
        self._number = {wnid: number for number, wnid in enumerate(self._pictures.wnids)}
        train, val = (self._pictures.parts[part] for part in ("train", "val"))
        bank = _choose({wnid: train[wnid] for wnid in self._number}, options.bank_per_class)
        queries = _choose(val, options.query_per_class)
        self._first_query = len(bank)
        self._samples = [*bank, *queries]  # (place among the pictures, wnid)
        if shards:
            self._samples = [*sorted(bank), *sorted(queries)]
        self._notes = tuple(_gaps(train, val, options))

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, index: int) -> Sample:
        """See ``Dataset``."""
        index = range(len(self))[index]
        place, wnid = self._samples[index]
        image = self._pictures.open(place)
        return Sample(id=self._pictures.ids[place], image=image, label=self._number[wnid], role=self._role(index))

    def fingerprint(self) -> str:
        """Every name and class counts, and of the content as much as the files that it is in allow."""
        digest = blake2b(digest_size=16)
        for place, wnid in self._samples:
            digest.update(f"{self._pictures.ids[place]}\0{wnid}\n".encode())
        return self._pictures.fingerprint([place for place, _ in self._samples], digest.hexdigest())

    def classes(self) -> Sequence[str]:
        """See ``Dataset``. In words where all classes are ImageNet's; the wnid follows where two share a word."""
        known, wnids = _published(), self._pictures.wnids
        if not set(wnids) <= set(known.label_names()):
            return wnids
        words = [known.label_name_to_description(wnid).split(",")[0] for wnid in wnids]
        often = Counter(words)
        return [f"{word} ({w})" if often[word] > 1 else word for word, w in zip(words, wnids, strict=True)]

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


def _published() -> Any:
    """What timm knows of the thousand classes."""
    from timm.data.imagenet_info import ImageNetInfo

    return ImageNetInfo("imagenet-1k")


def _gaps(
    train: Mapping[str, Sequence[int]], val: Mapping[str, Sequence[int]], options: ImageNetOptions
) -> Iterator[str]:
    asked = (("train", train, options.bank_per_class), ("val", val, options.query_per_class))
    for part, by_class, wanted in asked:
        none = [wnid for wnid, pictures in by_class.items() if not pictures]
        few = [wnid for wnid, pictures in by_class.items() if pictures and len(pictures) < (wanted or 0)]
        if none:
            yield f"{part}: no pictures of {len(none)} of {len(by_class)} classes, {none[0]} for one"
        if few:
            yield f"{part}: fewer than {wanted} pictures of {len(few)} of {len(by_class)} classes, {few[0]} for one"


def _choose(by_class: Mapping[str, Sequence[int]], limit: int | None) -> list[tuple[int, str]]:
    """The first pictures of each class, as (place, class)."""
    return [(place, wnid) for wnid, places in by_class.items() for place in places[:limit]]
