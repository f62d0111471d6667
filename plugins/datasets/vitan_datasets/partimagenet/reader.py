"""Reading PartImageNet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import chain, zip_longest
from pathlib import Path, PurePosixPath

from pydantic import Field

from vitan.errors import DataError
from vitan.files import find_root
from vitan.options import Options

from ..outlines.annotated import Annotated, Entry
from ..outlines.annotations import Instances, Picture, read_instances
from ..roots import PARTIMAGENET

_SPLITS = ("train", "val", "test")
_NONE = "none"  # classes of which nothing is outlined; the published code keeps them as a group of their own


class PartImageNetOptions(Options):
    """Where PartImageNet is and how much of it to take."""

    root: Path | None = Field(None, description="PartImageNet's folder, of the older or the newer release")
    per_supercategory: int = Field(
        100, ge=1, description="pictures of each supercategory (published: 100 for features, 500 for saliency)"
    )


class PartImageNet(Annotated):
    """``per_supercategory`` pictures of each supercategory, from train, val and test together, with their parts.

    The supercategory of a class is that of the first part outlined in it. Pictures are taken in turn from the classes
    of a supercategory, in the order of their names, until there are enough; one that has fewer gives all. Classes come
    in the order of train, val and test, and by name within a split (in the published code the order was the file
    system's, so its choice differed between machines). A class that is in several splits is one class.

    A sample's ``label`` and ``group`` are its supercategory, a segment's ``label`` the part. ``id`` is its path below
    the root. Outlines are of the stored pictures, as in all of ImageNet, whatever their EXIF orientation.

    Raises ``DataError``, naming the first thing that is missing, and for annotations as ``read_instances`` does.
    """

    Options = PartImageNetOptions

    def __init__(self, options: PartImageNetOptions) -> None:
        root = find_root(options.root, "partimagenet", PARTIMAGENET)
        found = [(*_split(root, split),) for split in _SPLITS]
        files = [read_instances(file) for file, _ in found]
        classes = _classes(root, files, [folder for _, folder in found])
        above = _supercategories(classes, files)
        self._names = tuple(dict.fromkeys(above.values()))
        entries = [
            replace(entry, label=label, group=name)
            for label, name in enumerate(self._names)
            for entry in choose(
                [classes[wnid] for wnid, supercategory in above.items() if supercategory == name],
                options.per_supercategory,
            )
        ]
        super().__init__(options, root, entries, files, "stored")

    def classes(self) -> Sequence[str]:
        """The supercategories, in the order in which they are met."""
        return self._names

    def groups(self) -> Sequence[str]:
        """See ``Dataset``."""
        return [entry.group for entry in self._entries]

    def labels(self) -> Sequence[int | None]:
        """See ``Dataset``."""
        return [entry.label for entry in self._entries]

    def notes(self) -> Sequence[str]:
        """See ``Dataset``."""
        groups = self.groups()
        wanted = self.options.per_supercategory
        few = [f"{name} {groups.count(name)}" for name in self._names if groups.count(name) < wanted]
        fewer = (f"supercategories with fewer than {wanted} pictures: {', '.join(few)}",) if few else ()
        return (*super().notes(), *fewer)


def choose(classes: Sequence[Sequence[Entry]], count: int) -> list[Entry]:
    """The first of each class, then the second of each, until there are ``count``; listed class by class."""
    turns = chain.from_iterable(zip_longest(*classes))
    in_turn = [entry for entry in turns if entry is not None]
    chosen = {entry.id for entry in in_turn[:count]}
    return [entry for each in classes for entry in each if entry.id in chosen]


def _split(root: Path, split: str) -> tuple[Path, Path]:
    """The JSON file and the folder of pictures of a split, as the older or the newer release has them."""
    older, newer = root / f"{split}.json", root / "annotations" / split / f"{split}.json"
    file = next((each for each in (older, newer, root / "annotations" / older.name) if each.is_file()), None)
    if file is None:
        raise DataError(
            f"{older}: this file is missing, as is {newer}, where the newer release has it. "
            "'vitan show partimagenet' says what is expected where"
        )
    choices = (root / split, root / "images" / split)
    folder = next((each for each in (choices if file == older else reversed(choices)) if each.is_dir()), None)
    if folder is None:
        raise DataError(
            f"{choices[file != older]}: this folder is missing. It holds the pictures of {file}; "
            "'vitan show partimagenet' says what is expected where"
        )
    return file, folder


def _classes(root: Path, files: Sequence[Instances], folders: Sequence[Path]) -> dict[str, list[Entry]]:
    """The entries of every class by wnid: classes by split and name, their pictures by name."""
    found: dict[str, list[Entry]] = {}
    for file, folder in zip(files, folders, strict=True):
        by_class: dict[str, list[Picture]] = {}
        for picture in file.pictures.values():
            by_class.setdefault(_wnid(picture, file), []).append(picture)
        for wnid in sorted(by_class):
            inside = folder / wnid if (folder / wnid).is_dir() else folder
            for picture in by_class[wnid]:
                where = folder if "/" in picture.name else inside
                found.setdefault(wnid, []).append(_entry(root, where, picture, file))
    return {wnid: sorted(entries, key=lambda entry: entry.path.name) for wnid, entries in found.items()}


def _entry(root: Path, folder: Path, picture: Picture, file: Instances) -> Entry:
    path = folder / picture.name
    return Entry(path.relative_to(root).as_posix(), path, picture, file.outlines.get(picture.id, ()), file.file)


def _wnid(picture: Picture, file: Instances) -> str:
    """``n02412080`` of ``n02412080_17.JPEG``."""
    wnid, underscore, _ = PurePosixPath(picture.name).name.partition("_")
    if not underscore:
        raise DataError(f"{file.file}: {picture.name!r} does not begin with its class, as in n02412080_17.JPEG")
    return wnid


def _supercategories(classes: Mapping[str, Sequence[Entry]], files: Sequence[Instances]) -> dict[str, str]:
    """The supercategory of every class, in the order of the classes."""
    names = {file.file: file.categories for file in files}
    found = {}
    for wnid, entries in classes.items():
        known = (
            names[entry.source][outline.category].supercategory
            for entry in entries
            for outline in entry.outlines
            if outline.category in names[entry.source]
        )
        found[wnid] = next(known, "") or _NONE
    return found
