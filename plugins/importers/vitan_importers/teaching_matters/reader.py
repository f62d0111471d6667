"""Results that the published code has left, read as records: its pickles, and the tables of the DAVIS evaluation.

    FOLDER/MODEL/imagenet_knn_blkB.pkl                          {k: {"top1", "top5"}}, percent
    FOLDER/MODEL/DATASET_retrieval_blkB.pkl                     mapM, mapH, mprM, mprH, ks; fractions
    FOLDER/MODEL/spair_kp_blkB.pkl                              {"pck@0.1", ...}: a fraction per category
    FOLDER/MODEL-dense/davis_vidseg_224_blkB/*_results-*.csv    fractions

at any depth, so that ``davis_dense`` may lie in the folder or beside it. The number of a block is read from the name
of its file: the published tables go by the order of the files, so that a missing one shifts all that follow.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from vitan import Imported
from vitan.analysis.records import Record
from vitan.anatomy import NAMED_BLOCKS
from vitan.errors import DataError
from vitan.results import safe_pickle

_MODEL = re.compile(r"(?P<family>[A-Za-z]+)-ViT-(?P<arch>[A-Za-z]+)-(?P<patch>\d+)-(?P<size>\d+)(?P<dense>-dense)?")
_FILE = re.compile(r"(?P<what>.+)_(?P<task>knn|retrieval|kp)_blk(?P<block>-?\w+)\.pkl")
_VIDEO = re.compile(r"davis_vidseg_\d+_blk(?P<block>-?\w+)")
_DEPTHS = {"T": 12, "S": 12, "B": 12, "L": 24, "H": 32}
#: Which block a published name means, by depth; ``all`` is the first one in results, by mistake.
_NAMED = {**NAMED_BLOCKS, "all": NAMED_BLOCKS["first"]}
_LEVELS = {"pck@0.1": 0.1, "pck@0.05": 0.05, "pck@0.0.5": 0.05, "pck@0.01": 0.01, "pck@0.0.01": 0.01}
_PROTOCOLS = {"E": "easy", "M": "medium", "H": "hard"}


def read_results(folder: Path) -> Imported:
    """All results at any depth below ``folder``.

    Raises ``DataError`` for a file of a known name whose content is not as expected, or if there is none at all.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; name the one that the published code wrote its results to")
    records: dict[Path, tuple[Record, ...]] = {}
    unknown = []
    for path in sorted(folder.absolute().rglob("*")):
        if path.suffix not in (".pkl", ".csv") or not path.is_file():
            continue
        try:
            found = tuple(_read(path))
        except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
            raise DataError(f"{path}: not what the published code writes under this name ({error!r})") from error
        if found:
            records[path] = found
        else:
            unknown.append(path)
    if not records:
        raise DataError(
            f"{folder}: no results of the published code, such as MODEL/imagenet_knn_blk11.pkl, at any depth"
        )
    return Imported(records, tuple(unknown))


def model_name(folder: str) -> str:
    """vitan's name of a published model: ``DINO-ViT-B-16-224-dense`` is ``dino-B16``. Others keep their own."""
    match = _MODEL.fullmatch(folder)
    if match is None:
        return re.sub(r"[^\w.@+-]+", "_", folder.removesuffix("-dense"))
    size = "" if match["size"] == "224" else f"-{match['size']}"
    return f"{match['family'].lower()}-{match['arch']}{match['patch']}{size}"


def block_number(text: str, folder: str) -> int:
    """The block, from 0, that the end of a file name means: a number, from the end if negative, or a name.

    Raises ``ValueError`` for another word, or where a name needs the depth of an unknown model.
    """
    digits = re.fullmatch(r"-?\d+", text)
    if digits and int(text) >= 0:
        return int(text)
    match = _MODEL.fullmatch(folder)
    if match is None or match["arch"] not in _DEPTHS or not (digits or text in _NAMED):
        raise ValueError(f"block {text!r} of {folder}")
    depth = _DEPTHS[match["arch"]]
    return depth + int(text) if digits else _NAMED[text](depth)


def _read(path: Path) -> Iterator[Record]:
    """The records of one file; none if its name is unknown."""
    if match := _FILE.fullmatch(path.name):
        read = {"knn": _knn, "retrieval": _retrieval, "kp": _keypoints}[match["task"]]
        found, folder = read(match["what"], safe_pickle.load(path)), path.parent.name
    elif (match := _VIDEO.fullmatch(path.parent.name)) and "_results-" in path.name:
        folder = path.parent.parent.name
        found = _video(path, "dense-paper" if folder.endswith("-dense") else "squash")
    else:
        return
    common: dict[str, Any] = {"model": model_name(folder), "block": block_number(match["block"], folder)}
    for record in found:
        yield replace(record, **common, protocol="paper")


def _knn(dataset: str, content: Any) -> Iterator[Record]:
    common: dict[str, Any] = {
        "analysis": "knn",
        "dataset": dataset,
        "view": "crop",
        "token": "cls",
        "unit": "%",
        "better": "higher",
    }
    for k, scores in content.items():
        for name in ("top1", "top5"):
            yield Record(**common, metric=f"knn-{name}", parameter="k", at=float(k), value=float(scores[name]))


def _retrieval(dataset: str, content: Any) -> Iterator[Record]:
    common: dict[str, Any] = {"analysis": "retrieval", "dataset": dataset, "view": "thumbnail"}
    common |= {"token": "cls", "unit": "fraction", "better": "higher"}
    for letter, name in _PROTOCOLS.items():
        if f"map{letter}" in content:
            yield Record(**common, metric=f"map-{name}", value=float(content[f"map{letter}"]))
            for k, value in zip(content.get("ks", ()), content.get(f"mpr{letter}", ()), strict=False):
                yield Record(**common, metric=f"mp-{name}", value=float(value), parameter="k", at=float(k))


def _keypoints(_what: str, content: Any) -> Iterator[Record]:
    """The mean over the categories; which category is which is not stored."""
    common: dict[str, Any] = {"analysis": "keypoints", "dataset": "spair71k", "view": "letterbox", "unit": "%"}
    for key, alpha in _LEVELS.items():
        if key in content:
            values = [float(value) for value in content[key]]
            mean = 100 * sum(values) / len(values)
            yield Record(**common, metric="pck", parameter="alpha", at=alpha, value=mean, better="higher")


def _video(path: Path, view: str) -> Iterator[Record]:
    """The row of all objects, or a row for each object with its name."""
    common: dict[str, Any] = {
        "analysis": "video-segmentation",
        "dataset": "davis2017",
        "view": view,
        "unit": "fraction",
    }
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            name = row.pop("Sequence", "")
            of = "object" if name else ""
            for heading, value in row.items():
                metric = heading.lower().replace("&", "-and-")
                better = "lower" if metric.endswith("decay") else "higher"
                yield Record(**common, metric=metric, value=float(value), of=of, name=name, better=better)
