"""The best block of each model for each task, from records: of vitan's own, or of the published code."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

from ..analysis.records import Record, from_csv
from ..errors import StoreError

#: What makes numbers comparable: analysis, dataset, view, protocol, metric and k.
Task: TypeAlias = "tuple[str, str, str, str, str, float | None]"

_BOUNDS = ("-low", "-high")
_BEST = "-best-block"
#: How many blocks of the untrained model the published tables average.
_UNTRAINED = 10


@dataclass(frozen=True)
class Best:
    """The best block, from 0, of one model for one task.

    ``blocks`` counts those that have a value. ``low`` and ``high`` are the interval of the value, and ``equals`` the
    blocks that cannot be told from the best one, in words; None and empty where they are not known.
    """

    task: Task
    model: str
    block: int
    blocks: int
    value: float
    unit: str
    low: float | None
    high: float | None
    equals: str


def read_records(folder: Path) -> tuple[Record, ...]:
    """All records below an output folder, by the paths of their files; raises ``StoreError`` if there is none."""
    paths = sorted(folder.glob("*/*/*/records.csv"))
    if not paths:
        raise StoreError(f"{folder} holds no results; 'vitan run' or 'vitan import' makes some")
    found: list[Record] = []
    for path in paths:
        try:
            found += from_csv(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise StoreError(f"{path}: not a table of records ({error}); run it again") from error
    return tuple(found)


def best_blocks(records: Iterable[Record]) -> list[Best]:
    """One for each task and model that has values by block and says which direction is better, in the records' order.

    Of equal blocks the first counts. Heads, groups, comparisons and values that are not finite are left out.
    """
    curves: dict[tuple[Task, str], dict[int, Record]] = {}
    words: dict[tuple[Task, str], str] = {}
    for record in records:
        if record.other or record.head is not None:
            continue
        key = (_task(record), record.model)
        if record.metric.endswith(_BEST):
            words[key] = record.group
        elif record.block is not None and not record.group and record.higher_is_better is not None:
            curves.setdefault(key, {})[record.block] = record
    return [
        best
        for key, curve in curves.items()
        if not _is_bound(key, curves) and (best := _best(key, curve, curves, words)) is not None
    ]


def as_published(records: Iterable[Record]) -> list[Record]:
    """The records as the published tables take them: an untrained model has one value, the mean of its first 10 blocks.

    It is given to its first block, as there.
    """
    kept: list[Record] = []
    untrained: dict[tuple[Task, str], list[Record]] = {}
    for record in records:
        if record.model.startswith("random-") and record.block is not None and not record.group:
            untrained.setdefault((_task(record), record.model), []).append(record)
        else:
            kept.append(record)
    for curve in untrained.values():
        first = sorted(curve, key=lambda record: record.block or 0)
        value = math.fsum(record.value for record in first[:_UNTRAINED]) / len(first[:_UNTRAINED])
        kept += [replace(record, value=value) for record in first]
    return kept


def _task(record: Record) -> Task:
    return (record.analysis, record.dataset, record.view, record.protocol, record.metric, record.k)


def _named(key: tuple[Task, str], change: str) -> tuple[Task, str]:
    """The same with something at the end of the metric's name."""
    (analysis, dataset, view, protocol, metric, k), model = key
    return (analysis, dataset, view, protocol, f"{metric}{change}", k), model


def _is_bound(key: tuple[Task, str], curves: Mapping[tuple[Task, str], object]) -> bool:
    (analysis, dataset, view, protocol, metric, k), model = key
    end = next((end for end in _BOUNDS if metric.endswith(end)), None)
    return end is not None and ((analysis, dataset, view, protocol, metric.removesuffix(end), k), model) in curves


def _best(
    key: tuple[Task, str],
    curve: Mapping[int, Record],
    curves: Mapping[tuple[Task, str], Mapping[int, Record]],
    words: Mapping[tuple[Task, str], str],
) -> Best | None:
    known = {block: record.value for block, record in sorted(curve.items()) if math.isfinite(record.value)}
    if not known:
        return None
    higher = next(iter(curve.values())).higher_is_better
    block = max(known, key=known.__getitem__) if higher else min(known, key=known.__getitem__)  # the first of equals
    low, high = (_bound(curves.get(_named(key, end), {}), block) for end in _BOUNDS)
    unit, equals = curve[block].unit, words.get(_named(key, _BEST), "")
    return Best(*key, block, len(known), known[block], unit, low, high, equals)


def _bound(curve: Mapping[int, Record], block: int) -> float | None:
    return curve[block].value if block in curve and math.isfinite(curve[block].value) else None


def select(found: Sequence[Best], metrics: Sequence[str] = (), analyses: Sequence[str] = ()) -> list[Best]:
    """Those of the named metrics and analyses; all where none is named."""
    return [
        best
        for best in found
        if (not metrics or best.task[4] in metrics) and (not analyses or best.task[0] in analyses)
    ]
