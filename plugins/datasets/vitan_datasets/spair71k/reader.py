"""Reading SPair-71k."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field

from vitan.data.images import fingerprint, open_image
from vitan.data.samples import Box, Dataset, Pair, Point, Sample
from vitan.errors import DataError
from vitan.files import find_root
from vitan.options import Options

from ..roots import SPAIR71K
from .files import PairName, pair_names, read_image, read_pair

#: How the published code draws pairs: so many of each category, from one generator for all categories.
_PUBLISHED_PAIRS, _PUBLISHED_SEED = 20, 42


class Spair71kOptions(Options):
    """Where SPair-71k is, and which of its pairs are looked at."""

    root: Path | None = Field(None, description="SPair-71k's folder, which holds PairAnnotation")
    split: Literal["test", "val", "trn"] = Field("test", description="which pairs: test, val or trn")
    pairs: Literal["all", "published"] = Field(
        "all", description="all: every pair; published: 20 of each category, drawn as the published code does"
    )


class Spair71k(Dataset):
    """The pictures that occur in the chosen pairs, each once, by category and name; a category is a group.

    A sample's ``id`` is ``CATEGORY/NAME.jpg``; ``pairs`` are those whose source it is, in the order of their files.
    Points are named by their numbers in the annotation; points that mirror each other are named together, as in
    ``"4-5 right"`` and ``"4-5 left"``. With ``pairs=published`` a pair can be drawn several times, and then counts as
    often. Pictures are not turned by their EXIF orientation, since annotations were made on the stored pixels.

    Raises ``DataError`` for a missing folder, a pair whose picture or annotation is missing, or a broken annotation.
    """

    Options = Spair71kOptions

    def __init__(self, options: Spair71kOptions) -> None:
        super().__init__(options)
        self._root = find_root(options.root, "spair71k", SPAIR71K)
        names = pair_names(self._root, options.split)
        self._images = _images(self._root, names if options.pairs == "all" else drawn(names))

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> Sample:
        """See ``Dataset``."""
        image = self._images[index]
        return Sample(
            id=image.id,
            image=open_image(self._root / "JPEGImages" / image.id, orient=False),
            group=image.category,
            box=image.box,
            keypoints=image.points,
            pairs=image.pairs,
        )

    def fingerprint(self) -> str:
        """See ``Dataset``."""
        annotations = "\n".join(map(repr, self._images))
        return fingerprint([self._root / "JPEGImages" / image.id for image in self._images], self._root, annotations)

    def groups(self) -> Sequence[str]:
        """See ``Dataset``."""
        return [image.category for image in self._images]


@dataclass(frozen=True)
class _Image:
    id: str
    category: str
    box: Box
    points: Mapping[str, Point]
    pairs: tuple[Pair, ...]


def drawn(names: Sequence[PairName]) -> list[PairName]:
    """The published choice: 20 pairs of each category, with replacement, categories and pairs in sorted order.

    The published code takes categories as the file system lists them, so that its own draw differs between machines;
    this is the draw for the sorted list.
    """
    generator = np.random.RandomState(_PUBLISHED_SEED)
    chosen: list[PairName] = []
    for category in sorted({name.category for name in names}):
        there = [name for name in names if name.category == category]
        chosen += [there[i] for i in generator.choice(len(there), _PUBLISHED_PAIRS)]
    return chosen


def _images(root: Path, names: Sequence[PairName]) -> list[_Image]:
    read = {name: read_pair(name) for name in dict.fromkeys(names)}
    leaving: dict[str, list[Pair]] = {}
    categories: dict[str, str] = {}
    for name in names:
        source, pair = read[name]
        leaving.setdefault(source, []).append(pair)
        for image in (source, pair.target):
            _check(root, image, name)
            categories[image] = name.category
    found = []
    for image in sorted(categories):
        box, points = read_image(root, image)
        found.append(_Image(image, categories[image], box, points, tuple(leaving.get(image, ()))))
    return found


def _check(root: Path, image: str, name: PairName) -> None:
    for path in (root / "JPEGImages" / image, (root / "ImageAnnotation" / image).with_suffix(".json")):
        if not path.is_file():
            raise DataError(
                f"{path}: missing, but the pair {name.path} needs it; unpack the archive of SPair-71k again"
            )
