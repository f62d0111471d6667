"""What a results folder looks like; nothing else knows.

    records.csv                                every number below the folder
    MODEL/DATASET/ANALYSIS/plan.yaml           what was asked for; ``vitan run --plan`` takes it
    MODEL/DATASET/ANALYSIS/records.csv
    MODEL/DATASET/ANALYSIS/arrays.npz          with the names of the axes in arrays.json
    MODEL/DATASET/ANALYSIS/images.csv          which image each position of the arrays' image axes is
    MODEL/DATASET/ANALYSIS/provenance.json
    MODEL/DATASET/ANALYSIS/figures.json        what the figures were made from, as a digest, and which files they are
    MODEL/DATASET/ANALYSIS/*                   figures, and files in other formats that an analysis writes
    comparison/DATASET/ANALYSIS/               the same for what was found between models, and models.json: which

Folders go by the names of what they hold; a name that is no name of a folder gets a short digest, so that no two share
one. Results that were written before that stay where they are.
Folders whose names begin with a dot are being written, or were when a run was killed; they are never read.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from ..analysis.records import Record, Result
from ..analysis.tables import from_csv, to_csv
from ..digests import file_sha256
from ..errors import StoreError
from ..files import clear_leftovers, naming_refusals, read_json, slug, tag, write_text

RECORDS, ARRAYS, AXES = "records.csv", "arrays.npz", "arrays.json"
PLAN, IMAGES, PROVENANCE, MODELS = "plan.yaml", "images.csv", "provenance.json", "models.json"
FIGURES = "figures.json"
_COMPARISON = "comparison"
#: Bytes of a name that a folder's has at most, without its tag; and what systems allow.
_LONGEST, _ALLOWED = 200, 255


def place(root: Path, model: str, dataset: str, analysis: str) -> Path:
    """The folder of one analysis of one model over one dataset."""
    former = root / slug(model) / slug(dataset) / analysis
    return former if _holds(former, model, dataset) else root / _folder_of(model) / _folder_of(dataset) / analysis


def comparison_place(root: Path, dataset: str, analysis: str) -> Path:
    """The folder of what an analysis found between models."""
    return root / _COMPARISON / _folder_of(dataset) / analysis


def find(root: Path, analysis: str = "*", dataset: str = "*", model: str = "*") -> list[Path]:
    """The folders of single models that match; names are as they were given. Raises ``StoreError`` if there is none."""
    patterns = [[name] if name == "*" else {_folder_of(name), _cut(slug(name), _ALLOWED)} for name in (model, dataset)]
    folders = [path.parent for parts in product(*patterns) for path in _glob(root, *parts, analysis, PROVENANCE)]
    found = [folder for folder in sorted(folders) if _holds(folder, model, dataset)]
    if not found:
        asked = [("of", analysis), ("on", dataset), ("for", model)]
        which = "".join(f" {word} {name}" for word, name in asked if name != "*")
        raise StoreError(f"{root} holds no results{which}; 'vitan run' makes some")
    return found


def find_comparisons(root: Path, analysis: str = "*", dataset: str = "*") -> list[Path]:
    """The folders of what was found between models, where records were."""
    dataset = dataset if dataset == "*" else _folder_of(dataset)
    return [path.parent for path in _glob(root, _COMPARISON, dataset, analysis, RECORDS)]


def find_all(root: Path) -> tuple[list[Path], list[Path]]:
    """The folders that hold what was found between models, and those of single models; imported ones are among them."""
    marks = (RECORDS, PROVENANCE, MODELS)
    folders = sorted({path.parent for mark in marks for path in _glob(root, "*", "*", "*", mark)})
    between = [folder for folder in folders if folder.parts[-3] == _COMPARISON]
    return between, [folder for folder in folders if folder not in between]


def pictures_of(folder: Path) -> tuple[Path, ...]:
    """The figures in a folder that a browser shows as they are."""
    return tuple(sorted(path for path in folder.iterdir() if path.suffix in (".png", ".gif") and path.name[0] != "."))


def _folder_of(name: str) -> str:
    """The folder that goes by a name; no two names share one."""
    safe = _cut(slug(name), _LONGEST)
    if safe == name and name != _COMPARISON:
        return name
    return f"{safe}-{tag(name)}"


def _cut(text: str, size: int) -> str:
    return text.encode()[:size].decode(errors="ignore")


def _holds(folder: Path, model: str, dataset: str) -> bool:
    """Whether a folder is that of this model and dataset (``*`` is any), by what is written in it or by its name."""
    try:
        facts = read_provenance(folder)
        names = [facts["model"]["name"], facts["dataset"]["name"]]
    except (StoreError, LookupError, TypeError):
        names = [part if _folder_of(part) == part else "" for part in folder.parts[-3:-1]]
    return all(asked in ("*", name) for asked, name in zip((model, dataset), names, strict=True))


def read_records(root: Path) -> tuple[Record, ...]:
    """All records below a results folder, by the paths of their files; raises ``StoreError`` if there is none."""
    paths = _glob(root, "*", "*", "*", RECORDS)
    if not paths:
        raise StoreError(f"{root} holds no results; 'vitan run' or 'vitan import' makes some")
    return tuple(record for path in paths for record in read_table(path))


def read_table(path: Path) -> tuple[Record, ...]:
    """The records of one file; raises ``StoreError`` for one that is none."""
    try:
        return from_csv(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StoreError(f"{path}: not a table of records ({error}); run it again") from error


def write_root(root: Path) -> Path:
    """Gather all records below ``root`` into the table at its root; what killed runs left long ago is removed.

    Raises ``StoreError`` where the disk refuses.
    """
    for folder in (root, *(path for path in root.glob("*/*") if path.is_dir())):
        clear_leftovers(folder)
    with naming_refusals(root / RECORDS):
        write_text(root / RECORDS, to_csv(read_records(root)))
    return root / RECORDS


def write_result(result: Result, folder: Path) -> None:
    """Write records and arrays into a folder that is not yet in its place."""
    (folder / RECORDS).write_text(to_csv(result.records), encoding="utf-8")
    arrays: dict[str, Any] = dict(result.arrays)
    about: dict[str, dict[str, Any]] = {name: _about(array, result.axes.get(name)) for name, array in arrays.items()}
    for number, (models, pair) in enumerate(result.between.items()):
        for name, array in pair.items():
            key = f"{name}.{number}"
            arrays[key] = array
            about[key] = {**_about(array, result.axes.get(name)), "name": name, "between": list(models)}
    np.savez_compressed(folder / ARRAYS, **arrays)
    (folder / AXES).write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")


def read_result(folder: Path, headline: Sequence[str] = ()) -> Result:
    """What ``write_result`` wrote; raises ``OSError``, ``ValueError`` or ``KeyError`` for what is broken."""
    about = json.loads((folder / AXES).read_text(encoding="utf-8"))
    with np.load(folder / ARRAYS) as stored:
        arrays = {name: stored[name] for name in stored.files}
    between: dict[tuple[str, str], dict[str, Any]] = {}
    axes: dict[str, tuple[str, ...]] = {}
    for key, facts in about.items():
        if "between" in facts:
            between.setdefault((facts["between"][0], facts["between"][1]), {})[facts["name"]] = arrays.pop(key)
        if facts["axes"]:
            axes[facts.get("name", key)] = tuple(facts["axes"])
    records = from_csv((folder / RECORDS).read_text(encoding="utf-8"))
    return Result(records=records, arrays=arrays, axes=axes, between=between, headline=tuple(headline))


def read_provenance(folder: Path) -> Mapping[str, Any]:
    """How the numbers of a folder were made; raises ``StoreError`` where that cannot be read."""
    try:
        facts: Mapping[str, Any] = json.loads((folder / PROVENANCE).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StoreError(f"{folder} is incomplete or of an older version ({error}); run it again") from error
    return facts


def read_models(folder: Path) -> tuple[str, ...]:
    """The models that the folder of a comparison holds, in their order; none for a folder without."""
    try:
        return tuple(json.loads((folder / MODELS).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        pass
    try:  # an older version wrote them into the records alone
        records = from_csv((folder / RECORDS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ()
    return tuple(dict.fromkeys(name for record in records for name in (record.model, record.other) if name))


def write_figures(folder: Path, key: str, files: Sequence[Path]) -> None:
    """Write down, when all are drawn, what the figures of a folder were made from and which files they are."""
    listed = {"key": key, "files": {path.name: file_sha256(path) for path in files}}
    write_text(folder / FIGURES, json.dumps(listed, indent=1) + "\n")


def read_figures(folder: Path, key: str) -> tuple[Path, ...] | None:
    """The files of the figures of a folder; None unless all are there, unaltered, and were made from ``key``."""
    try:
        listed = read_json(folder / FIGURES)
        files = {folder / name: digest for name, digest in listed["files"].items() if Path(name).name == name}
        same = len(files) == len(listed["files"]) and bool(key) and listed["key"] == key
        return tuple(files) if same and all(file_sha256(path) == files[path] for path in files) else None
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None


def carry_figures(folder: Path, new: Path, key: str) -> None:
    """Take the figures of a folder that were made from ``key`` over into the one that will replace it."""
    files = read_figures(folder, key)
    for path in (*files, folder / FIGURES) if files is not None else ():
        try:
            (new / path.name).hardlink_to(path)
        except (OSError, NotImplementedError):  # not every disk has links
            shutil.copy2(path, new / path.name)


def _glob(root: Path, *parts: str) -> list[Path]:
    """Paths below ``root``, sorted, none in a folder whose name begins with a dot."""
    paths = sorted(root.glob("/".join(parts)))
    return [path for path in paths if not any(part.startswith(".") for part in path.relative_to(root).parts)]


def _about(array: Any, axes: Sequence[str] | None) -> dict[str, Any]:
    return {"shape": list(array.shape), "axes": list(axes or ())}
