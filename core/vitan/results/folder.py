"""What a results folder looks like; nothing else knows.

    records.csv                                every number below the folder
    MODEL/DATASET/ANALYSIS/plan.yaml           what was asked for; ``vitan run --plan`` takes it
    MODEL/DATASET/ANALYSIS/records.csv
    MODEL/DATASET/ANALYSIS/arrays.npz          with the names of the axes in arrays.json
    MODEL/DATASET/ANALYSIS/images.csv          which image each position of the arrays' image axes is
    MODEL/DATASET/ANALYSIS/provenance.json
    MODEL/DATASET/ANALYSIS/*                   figures, and files in other formats that an analysis writes
    comparison/DATASET/ANALYSIS/               the same for what was found between models

Folders whose names begin with a dot are being written, or were when a run was killed; they are never read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..analysis.records import Record, Result
from ..analysis.tables import from_csv, to_csv
from ..errors import StoreError
from ..files import clear_leftovers, naming_refusals, slug, write_text

RECORDS, ARRAYS, AXES = "records.csv", "arrays.npz", "arrays.json"
PLAN, IMAGES, PROVENANCE = "plan.yaml", "images.csv", "provenance.json"
_COMPARISON = "comparison"
#: Seconds after which what a killed run has left is surely nobody's work any more.
_OLD = 24 * 3600


def place(root: Path, model: str, dataset: str, analysis: str) -> Path:
    """The folder of one analysis of one model over one dataset."""
    return root / slug(model) / slug(dataset) / analysis


def comparison_place(root: Path, dataset: str, analysis: str) -> Path:
    """The folder of what an analysis found between models."""
    return root / _COMPARISON / slug(dataset) / analysis


def find(root: Path, analysis: str = "*", dataset: str = "*", model: str = "*") -> list[Path]:
    """The folders of single models that match; names are as they were given. Raises ``StoreError`` if there is none."""
    names = [name if name == "*" else slug(name) for name in (model, dataset)]
    found = [path.parent for path in _glob(root, *names, analysis, PROVENANCE)]
    if not found:
        asked = [("of", analysis), ("on", dataset), ("for", model)]
        which = "".join(f" {word} {name}" for word, name in asked if name != "*")
        raise StoreError(f"{root} holds no results{which}; 'vitan run' makes some")
    return found


def find_comparisons(root: Path, analysis: str = "*", dataset: str = "*") -> list[Path]:
    """The folders of what was found between models, where records were."""
    dataset = dataset if dataset == "*" else slug(dataset)
    return [path.parent for path in _glob(root, _COMPARISON, dataset, analysis, RECORDS)]


def read_records(root: Path) -> tuple[Record, ...]:
    """All records below a results folder, by the paths of their files; raises ``StoreError`` if there is none."""
    paths = _glob(root, "*", "*", "*", RECORDS)
    if not paths:
        raise StoreError(f"{root} holds no results; 'vitan run' or 'vitan import' makes some")
    records: list[Record] = []
    for path in paths:
        try:
            records += from_csv(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise StoreError(f"{path}: not a table of records ({error}); run it again") from error
    return tuple(records)


def write_root(root: Path) -> Path:
    """Gather all records below ``root`` into the table at its root; what killed runs left long ago is removed.

    Raises ``StoreError`` where the disk refuses.
    """
    for folder in (root, *(path for path in root.glob("*/*") if path.is_dir())):
        clear_leftovers(folder, _OLD)
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


def _glob(root: Path, *parts: str) -> list[Path]:
    """Paths below ``root``, sorted, none in a folder whose name begins with a dot."""
    paths = sorted(root.glob("/".join(parts)))
    return [path for path in paths if not any(part.startswith(".") for part in path.relative_to(root).parts)]


def _about(array: Any, axes: Sequence[str] | None) -> dict[str, Any]:
    return {"shape": list(array.shape), "axes": list(axes or ())}
