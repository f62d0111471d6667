"""All the shards of a dataset as one sequence of pictures."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import accumulate
from pathlib import Path

from PIL import Image

from vitan.data.images import fingerprint, read_image
from vitan.errors import DataError, ImageError, naming
from vitan.files import read_text

from .shard import Label, Shard

#: What the files of shards end in.
SUFFIXES = (".tar", ".parquet")
#: The file beside shards that names their classes, one a line.
CLASSES = "classnames.txt"
_PART = re.compile(r"(?<![a-z])(train|validation|valid|val|test|bank|gallery|query)(?![a-z])")
_MOST = 100_000  # classes
_THREADS = 4


def is_shard(name: str) -> bool:
    """Whether a file name ends like a shard's."""
    return name.lower().endswith(SUFFIXES)


def part_of(name: str) -> str:
    """The part of a dataset that a shard belongs to by its path below the root: ``train``, ``val``, ... or nothing.

    The last word counts, so ``imagenet-val/test-0.tar`` is of ``test``.
    """
    found = _PART.findall(name.lower())
    return ("val" if found[-1].startswith("val") else found[-1]) if found else ""


class Shards:
    """The pictures of files below ``root``, in the order of the files given, and in each in its own order.

    A picture's id is its file's path below ``root``, and its own name (a row, in Parquet) behind a slash.

    Raises ``DataError``, naming the file, for one that is damaged or holds no picture, labels of which some are missing
    or that are partly numbers and partly words, numbers without a name where there are names, or names that differ.
    """

    def __init__(self, root: Path, files: Sequence[str]) -> None:
        self._root, self._files = root, files
        with ThreadPoolExecutor(_THREADS, thread_name_prefix="vitan-index") as pool:
            self._shards = list(pool.map(_open, [root / name for name in files]))
        self._starts = [0, *accumulate(len(shard.names) for shard in self._shards)]
        self.ids = [f"{file}/{name}" for file, shard in zip(files, self._shards, strict=True) for name in shard.names]
        #: The file of each picture, as given.
        self.files = [file for file, shard in zip(files, self._shards, strict=True) for _ in shard.names]
        told = [label for shard in self._shards for label in shard.labels]
        #: Names of the labels; empty where nothing names them. ``labels`` are numbers among them, or from 0, or None.
        self.names = self._named()
        self.labels: Sequence[int | None] = self._numbered(told)

    def open(self, index: int, *, orient: bool) -> Image.Image:
        """A picture as ``vitan.data.images.open_image`` has it; raises ``ImageError``."""
        number = bisect_right(self._starts, index) - 1
        with naming(str(self._root / self.ids[index])):
            try:
                content = self._shards[number].read(index - self._starts[number])
            except OSError as error:
                raise ImageError(f"cannot be read: {error.strerror or error}") from error
            return read_image(content, orient=orient)

    def fingerprint(self, annotations: str) -> str:
        """Of the whole files (see ``vitan.data.images.fingerprint``), and of what else is known."""
        names = self._root / CLASSES
        files = [self._root / name for name in self._files]
        return fingerprint([*files, *([names] if names.is_file() else [])], self._root, annotations)

    def _named(self) -> Sequence[str]:
        """What the labels are called, as the file of names or else the shards say."""
        file = self._root / CLASSES
        if file.is_file():
            try:
                return [line.strip() for line in read_text(file).splitlines() if line.strip()]
            except (OSError, UnicodeDecodeError) as error:
                raise DataError(f"{file}: cannot be read: {error}") from error
        said: Mapping[Sequence[str], str] = {
            shard.classes: name for name, shard in zip(self._files, self._shards, strict=True) if shard.classes
        }
        if len(said) > 1:
            one, other = [*said.values()][:2]
            raise DataError(
                f"{self._root}: {one} and {other} name their classes differently, so they are no one dataset"
            )
        return next(iter(said), ())

    def _numbered(self, told: Sequence[Label]) -> Sequence[int | None]:
        numbers, words = (
            next((i for i, label in enumerate(told) if isinstance(label, kind)), None) for kind in (int, str)
        )
        none = next((i for i, label in enumerate(told) if label is None), None)
        if len([each for each in (numbers, words, none) if each is not None]) > 1:
            one, other = [each for each in (numbers, words, none) if each is not None][:2]
            raise DataError(
                f"{self._root}: {self.ids[one]} has the label {told[one]!r}, but {self.ids[other]} {told[other]!r}; "
                "all are numbers, or words, or none has one: keep in this folder only what belongs together"
            )
        if words is not None:
            self.names = self.names or sorted({str(label) for label in told}, key=str.encode)
            known: Mapping[Label, int] = {name: number for number, name in enumerate(self.names)}
        else:
            known = {number: number for number in range(len(self.names) or _MOST)}
        for position, label in enumerate(told):
            if label is not None and label not in known:
                among = f"the {len(known)} classes that are named" if self.names else f"0 to {_MOST - 1}"
                raise DataError(f"{self._root}: {self.ids[position]} has the label {label!r}, which is none of {among}")
        return [None if label is None else known[label] for label in told]


def _open(path: Path) -> Shard:
    try:
        if path.suffix.lower() == ".parquet":
            from .parquet import ParquetShard  # needs a library that not everybody has

            shard: Shard = ParquetShard(path)
        else:
            from .tar import TarShard

            shard = TarShard(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
    if not shard.names:
        raise DataError(f"{path}: there is no picture in it; remove it, or see that it has the layout of a shard")
    return shard
