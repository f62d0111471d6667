"""Which class each picture of ImageNet's flat validation folder is of, from the label files that are in use."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from vitan.errors import DataError
from vitan.files import read_text

_WNID = re.compile(r"n\d{8}")

#: Takes the file, its text, the names of the pictures and the sorted wnids; returns the wnid of each name's stem.
_Reader: TypeAlias = "Callable[[Path, str, Sequence[str], Sequence[str]], Mapping[str, str]]"


def read_labels(root: Path, folder: Path, names: Sequence[str], wnids: Sequence[str]) -> dict[str, str]:
    """The wnid of each of ``names`` (sorted).

    The first of these is taken, from ``root``, ``folder``, the devkit below ``root``, or where Kaggle puts it:
    ``LOC_val_solution.csv`` (Kaggle); ``val_labels.csv`` or ``val.txt`` (on each line a name and its class: the wnid,
    or its place among the sorted ``wnids``, from 0); ``imagenet_2012_validation_synset_labels.txt`` (on each line a
    wnid, in order of the names); ``ILSVRC2012_validation_ground_truth.txt`` (on each line a number of the devkit, in
    that order; the devkit's ``meta.mat`` must lie beside it).

    Raises ``DataError``, naming the file and the value, where there is none, or one that does not fit.
    """
    places = [root, folder, root / "ILSVRC2012_devkit_t12" / "data", root / "devkit" / "data", *root.parents[2:3]]
    there = ((place / name, reader) for name, reader in _READERS.items() for place in places)
    file, reader = next(((file, reader) for file, reader in there if file.is_file()), (None, None))
    if file is None or reader is None:
        raise DataError(
            f"{folder}: the pictures lie in one folder, so a file in {root} must say which class each is of: "
            f"{' or '.join(_READERS)}. Put one of them there, or sort the pictures into a folder for each class"
        )
    try:
        known = reader(file, read_text(file), names, wnids)
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file}: cannot be read: {error}") from error
    expected = frozenset(wnids)
    for name in names:
        wnid = known.get(Path(name).stem)
        if wnid not in expected:
            problem = f"is said to be of {wnid}, which is no folder of train" if wnid else "is not in it"
            raise DataError(f"{file}: {name} {problem}; labels and pictures must be of the same ImageNet")
    return {name: known[Path(name).stem] for name in names}


def _kaggle(file: Path, text: str, _names: Sequence[str], _wnids: Sequence[str]) -> dict[str, str]:
    """``ImageId,PredictionString``: a name, and a wnid followed by a box, as often as there are objects."""
    pairs = (line.partition(",") for line in text.splitlines()[1:] if line.strip())
    return {name: _wnid(file, words.split(" ")[0]) for name, _, words in pairs}


def _table(file: Path, text: str, _names: Sequence[str], wnids: Sequence[str]) -> dict[str, str]:
    """A name and a class on each line, with or without a heading."""
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines()):
        words = [word.strip("\"' ") for word in re.split(r"[,;\s]+", line.strip()) if word]
        if len(words) < 2 or (number == 0 and not (_WNID.fullmatch(words[1]) or words[1].isdigit())):
            continue
        stem = Path(words[0]).stem
        if words[1].isdigit():
            if int(words[1]) >= len(wnids):
                raise DataError(f"{file}: {words[0]} is of class {words[1]}, but train has {len(wnids)}, from 0")
            found[stem] = wnids[int(words[1])]
        else:
            found[stem] = _wnid(file, words[1])
    return found


def _in_order(file: Path, text: str, names: Sequence[str], _wnids: Sequence[str]) -> dict[str, str]:
    """A wnid on each line."""
    return _zip(file, names, [_wnid(file, word) for word in text.split()])


def _devkit(file: Path, text: str, names: Sequence[str], _wnids: Sequence[str]) -> dict[str, str]:
    """A number of the devkit on each line; ``meta.mat`` says which wnid it stands for."""
    numbers = text.split()
    by_number = _meta(file.with_name("meta.mat"))
    for number in numbers:
        if number not in by_number:
            raise DataError(f"{file}: {number!r} is no class of {file.with_name('meta.mat')}")
    return _zip(file, names, [by_number[number] for number in numbers])


def _meta(file: Path) -> dict[str, str]:
    from scipy.io import loadmat

    if not file.is_file():
        raise DataError(
            f"{file}: not there; without the meta.mat of the same devkit, the numbers in "
            "ILSVRC2012_validation_ground_truth.txt mean nothing"
        )
    try:
        synsets = loadmat(file, squeeze_me=True)["synsets"]
        numbers, wnids = synsets["ILSVRC2012_ID"], synsets["WNID"]
        return {str(int(number)): str(wnid) for number, wnid in zip(numbers, wnids, strict=True)}
    except Exception as error:  # scipy raises whatever damaged bytes make it stumble over
        raise DataError(f"{file}: this is not the devkit's meta.mat ({error}); get it again") from error


def _zip(file: Path, names: Sequence[str], wnids: Sequence[str]) -> dict[str, str]:
    if len(names) != len(wnids):
        raise DataError(
            f"{file}: {len(wnids)} lines for {len(names)} pictures; the lines go by the order of all the pictures, "
            "so none may be missing"
        )
    return {Path(name).stem: wnid for name, wnid in zip(names, wnids, strict=True)}


def _wnid(file: Path, word: str) -> str:
    if not _WNID.fullmatch(word):
        raise DataError(f"{file}: {word!r} is not a wnid such as n01440764")
    return word


_READERS: Mapping[str, _Reader] = {
    "LOC_val_solution.csv": _kaggle,
    "val_labels.csv": _table,
    "val.txt": _table,
    "imagenet_2012_validation_synset_labels.txt": _in_order,
    "ILSVRC2012_validation_ground_truth.txt": _devkit,
}
