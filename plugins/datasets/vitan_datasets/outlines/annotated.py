"""What datasets of pictures with outlines have in common, whatever their folders look like."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from vitan.data.images import fingerprint, open_stored, upright
from vitan.data.samples import Dataset, Sample, Segment
from vitan.errors import DataError, ImageError

from .annotations import Category, Instances, Picture
from .outlines import Outline, draw

if TYPE_CHECKING:
    from PIL.Image import Image


#: Which picture outlines are of where EXIF turns it: the stored, the upright, or the one whose size the file states.
Exif: TypeAlias = Literal["auto", "stored", "upright"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One sample before it is read; ``source`` is the JSON file that tells of it."""

    id: str
    path: Path
    picture: Picture
    outlines: tuple[Outline, ...]
    source: Path
    label: int | None = None
    group: str = ""


class Annotated(Dataset):
    """Pictures with outlines. Sub-classes find the ``entries`` and hand them over.

    A sample's ``segments`` are its sound outlines in the order of the file; ``extra["left_out"]`` has the others, each
    as (annotation, why), and ``notes`` counts them. ``extra["image_id"]`` is the picture's id in the file. Where EXIF
    turns a picture, ``exif`` says which one the outlines are of.

    Raises ``DataError`` if there is no picture at all; single ones that are missing are an ``ImageError`` when read.
    """

    def __init__(
        self, options: Any, root: Path, entries: Sequence[Entry], files: Sequence[Instances], exif: Exif
    ) -> None:
        super().__init__(options)
        self._root, self._entries, self._exif = root, tuple(entries), exif
        self._categories = _together(files)
        self._annotations = "\n".join(file.digest for file in files)
        self._missing = frozenset(entry.path for entry in entries if not entry.path.is_file())
        self._notes = (*_strays(files), *_left_out(entries))
        if not entries:
            raise DataError(f"{files[0].file}: it lists no pictures")
        if len(self._missing) == len(entries):
            first = entries[0]
            raise DataError(
                f"{first.path}: this picture is missing, as are all {len(entries)} that {first.source} lists"
            )

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, index: int) -> Sample:
        """See ``Dataset``."""
        entry = self._entries[index]
        return Sample(
            id=entry.id,
            image=_open(entry, self._exif),
            label=entry.label,
            group=entry.group,
            segments=tuple(_segment(outline, entry.picture) for outline in entry.outlines if not outline.why),
            extra={
                "image_id": entry.picture.id,
                "left_out": tuple((outline.id, outline.why) for outline in entry.outlines if outline.why),
            },
        )

    def fingerprint(self) -> str:
        """See ``Dataset``. Pictures that are missing count by name."""
        there = [entry.path for entry in self._entries if entry.path not in self._missing]
        order = "\n".join(f"{entry.id}{' is missing' * (entry.path in self._missing)}" for entry in self._entries)
        return fingerprint(there, self._root, f"{self._annotations}\n{order}\n{self._exif}")

    def categories(self) -> Mapping[int, str]:
        """See ``Dataset``."""
        return {id_: category.name for id_, category in self._categories.items()}

    def lacks(self) -> Mapping[str, str]:
        """See ``Dataset``: masks, where no annotation has an outline that can be used."""
        outlines = [outline for entry in self._entries for outline in entry.outlines]
        if not all(outline.why for outline in outlines):
            return {}
        if not outlines:
            return {"masks": f"{self._entries[0].source} has no annotation of any of the {len(self)} pictures"}
        (why, count), *_ = Counter(outline.why for outline in outlines).most_common(1)
        return {
            "masks": f"none of the {_annotations(len(outlines))} in {self._entries[0].source} has an outline that can "
            f"be used; of {count} it is said: {why} (boxes alone are not enough)"
        }

    def notes(self) -> Sequence[str]:
        """See ``Dataset``: what is missing and what was left out."""
        gone = [entry.path for entry in self._entries if entry.path in self._missing]
        missing = (f"{len(gone)} of {len(self)} pictures are missing, {gone[0]} for one",) if gone else ()
        return (*missing, *self._notes)


def _open(entry: Entry, exif: Exif) -> Image:
    """The picture that the outlines are of; raises ``ImageError`` where that cannot be told."""
    stored, orientation = open_stored(entry.path)
    turned = upright(stored, orientation)
    expected = (entry.picture.width, entry.picture.height)
    candidates = {"auto": (stored, turned), "stored": (stored,), "upright": (turned,)}[exif]
    fitting = [image for image in candidates if image.size == expected]
    if not fitting:
        sizes = " or upright ".join(dict.fromkeys(f"{image.width} x {image.height}" for image in candidates))
        raise ImageError(
            f"{entry.path}: the picture has {sizes} pixels, but {entry.source} says {expected[0]} x {expected[1]}, so "
            "the outlines do not fit; picture and outlines must be of the same release"
        )
    if len(fitting) > 1 and orientation != 1 and entry.outlines:
        raise ImageError(
            f"{entry.path}: EXIF turns the picture (orientation {orientation}), and {entry.source} does not tell "
            "whether its outlines are of the stored picture or of the upright one; say so with --exif stored or "
            "--exif upright, or save the picture without orientation"
        )
    return fitting[0]


def _segment(outline: Outline, picture: Picture) -> Segment:
    decode = partial(draw, outline.shape, picture.height, picture.width)
    return Segment(label=outline.category, decode=decode, id=str(outline.id), crowd=outline.crowd)


def _together(files: Sequence[Instances]) -> dict[int, Category]:
    """The categories of all files; raises ``DataError`` where two call one id differently."""
    found: dict[int, tuple[Category, Path]] = {}
    for file in files:
        for id_, category in file.categories.items():
            before, where = found.setdefault(id_, (category, file.file))
            if before != category:
                names = f"{before.name!r} in {where} and {category.name!r} in {file.file}"
                raise DataError(f"category {id_} is {names}; take all files from one release")
    return {id_: category for id_, (category, _) in found.items()}


def _strays(files: Sequence[Instances]) -> tuple[str, ...]:
    return tuple(
        f"{file.file.name}: {_annotations(file.strays)} left out: the file does not list the picture"
        for file in files
        if file.strays
    )


def _left_out(entries: Sequence[Entry]) -> tuple[str, ...]:
    """One line for each reason in each file."""
    found = [(entry.source.name, outline) for entry in entries for outline in entry.outlines if outline.why]
    counts = Counter((source, outline.why) for source, outline in found)
    first = {(source, outline.why): outline.id for source, outline in reversed(found)}
    return tuple(
        f"{source}: {_annotations(count)} left out: {why} (annotation {first[source, why]} for one)"
        for (source, why), count in counts.items()
    )


def _annotations(count: int) -> str:
    return f"{count} annotation{'s' * (count > 1)}"
