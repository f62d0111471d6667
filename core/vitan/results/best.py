"""The best block of each model for each task, from records: of vitan's own, or of the published code."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from ..analysis.records import BEST, LEVEL, Record

#: How many blocks of the untrained model the published tables average.
_UNTRAINED = 10


class Task(NamedTuple):
    """What makes numbers comparable."""

    analysis: str
    dataset: str
    view: str
    protocol: str
    metric: str
    token: str
    parameter: str
    at: float | None


@dataclass(frozen=True)
class Best:
    """The best block, from 0, of one model for one task.

    ``blocks`` counts those that have a value. ``low`` and ``high`` are the interval of the value; ``equals`` are the
    blocks that cannot be told from the best one, itself included, where an analysis has found them.
    """

    task: Task
    model: str
    block: int
    blocks: int
    value: float
    unit: str
    low: float | None
    high: float | None
    equals: tuple[int, ...]


def best_blocks(records: Iterable[Record]) -> list[Best]:
    """One for each task and model that has values by block and says which direction is better, in the records' order.

    Of equal blocks the first counts. Heads, parts of the whole, comparisons and missing values are left out.
    """
    curves: dict[tuple[Task, str], list[Record]] = {}
    for record in records:
        if _is_swept(record) and record.better and math.isfinite(record.value):
            curves.setdefault((_task(record), record.model), []).append(record)
    return [_best(task, model, curve) for (task, model), curve in curves.items()]


def as_published(records: Iterable[Record], untrained: Collection[str]) -> list[Record]:
    """The records as the published tables take them: an untrained model has one value, the mean of its first 10 blocks.

    It is given to its first block, as there. ``untrained`` are the names of such models.
    """
    kept: list[Record] = []
    curves: dict[tuple[Task, str], list[Record]] = {}
    for record in records:
        if record.model in untrained and _is_swept(record):
            curves.setdefault((_task(record), record.model), []).append(record)
        else:
            kept.append(record)
    for curve in curves.values():
        first = sorted(curve, key=lambda record: record.block or 0)
        value = math.fsum(record.value for record in first[:_UNTRAINED]) / len(first[:_UNTRAINED])
        kept += [replace(record, value=value, low=None, high=None, label="", gap="") for record in first]
    return kept


def _is_swept(record: Record) -> bool:
    return record.block is not None and record.head is None and not record.other and not record.of


def _task(record: Record) -> Task:
    return Task(*(getattr(record, name) for name in Task._fields))


def _best(task: Task, model: str, curve: Sequence[Record]) -> Best:
    by_block = sorted(curve, key=lambda record: record.block or 0)  # of equals the first is taken
    best = (max if by_block[0].better == "higher" else min)(by_block, key=lambda record: record.value)
    level = tuple(record.block or 0 for record in by_block if record.label in (BEST, LEVEL))
    return Best(task, model, best.block or 0, len(curve), best.value, best.unit, best.low, best.high, level)


def select(found: Sequence[Best], metrics: Sequence[str] = (), analyses: Sequence[str] = ()) -> list[Best]:
    """Those of the named metrics and analyses; all where none is named."""
    return [
        best
        for best in found
        if (not metrics or best.task.metric in metrics) and (not analyses or best.task.analysis in analyses)
    ]
