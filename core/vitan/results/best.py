"""The best block of each model for each task, from records: of vitan's own, or of the published code."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from ..analysis.records import BEST, LEVEL, Record

#: How many blocks of the untrained model the published tables average.
_UNTRAINED = 10
#: What must be the same for the values of two models to be compared, besides the task.
_ALIKE = ("n", "fingerprint", "options")


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


class _Curve(NamedTuple):
    """Whose values by block belong together: never those of two weights, sets of images or options of one name."""

    task: Task
    model: str
    weights: str
    fingerprint: str
    options: str


@dataclass(frozen=True)
class Best:
    """The best block, from 0, of one model for one task, and what else its value was made from.

    ``n`` is the number of images or queries, ``weights`` and ``fingerprint`` are digests of the weights and of the
    images, ``options`` those that are not the defaults. ``blocks`` counts those that have a value. ``low`` and ``high``
    are the interval of the value; ``equals`` are the blocks that cannot be told from the best one, itself included,
    where an analysis has found them.
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
    n: int | None
    weights: str
    fingerprint: str
    options: str


def best_blocks(records: Iterable[Record]) -> list[Best]:
    """One for each task and model that has values by block and says which direction is better, in the records' order.

    A model has several where its weights, the images or the options differ; see ``differing``. Of equal blocks the
    first counts. Heads, parts of the whole, comparisons and missing values are left out.
    """
    curves: dict[_Curve, list[Record]] = {}
    for record in records:
        if _is_swept(record) and record.better and math.isfinite(record.value):
            curves.setdefault(_curve(record), []).append(record)
    return [_best(curve, members) for curve, members in curves.items()]


def differing(found: Iterable[Best]) -> tuple[str, ...]:
    """What keeps values of one task from being compared: ``n``, ``fingerprint`` and ``options`` that are not the same.

    ``weights`` is among them where one model stands there with two.
    """
    by_task: dict[Task, list[Best]] = {}
    for best in found:
        by_task.setdefault(best.task, []).append(best)
    tasks = by_task.values()
    unlike = [name for name in _ALIKE if any(len({getattr(best, name) for best in task}) > 1 for task in tasks)]
    weights = ({(best.model, best.weights) for best in task} for task in tasks)
    twice = any(len(pairs) > len({model for model, _ in pairs}) for pairs in weights)
    return (*unlike, *(["weights"] if twice else []))


def as_published(records: Iterable[Record], untrained: Collection[str]) -> list[Record]:
    """The records as the published tables take them: an untrained model has one value, the mean of its first 10 blocks.

    It is given to its first block, as there. ``untrained`` are the names of such models.
    """
    kept: list[Record] = []
    curves: dict[_Curve, list[Record]] = {}
    for record in records:
        if record.model in untrained and _is_swept(record):
            curves.setdefault(_curve(record), []).append(record)
        else:
            kept.append(record)
    for curve in curves.values():
        first = sorted(curve, key=lambda record: record.block or 0)
        value = math.fsum(record.value for record in first[:_UNTRAINED]) / len(first[:_UNTRAINED])
        kept += [replace(record, value=value, low=None, high=None, label="", gap="") for record in first]
    return kept


def _is_swept(record: Record) -> bool:
    return record.block is not None and record.head is None and not record.other and not record.of


def _curve(record: Record) -> _Curve:
    task = Task(*(getattr(record, name) for name in Task._fields))
    return _Curve(task, record.model, record.weights, record.fingerprint, record.options)


def _best(curve: _Curve, members: Sequence[Record]) -> Best:
    by_block = sorted(members, key=lambda record: record.block or 0)  # of equals the first is taken
    best = (max if by_block[0].better == "higher" else min)(by_block, key=lambda record: record.value)
    return Best(
        task=curve.task,
        model=curve.model,
        block=best.block or 0,
        blocks=len(members),
        value=best.value,
        unit=best.unit,
        low=best.low,
        high=best.high,
        equals=tuple(record.block or 0 for record in by_block if record.label in (BEST, LEVEL)),
        n=best.n,
        weights=curve.weights,
        fingerprint=curve.fingerprint,
        options=curve.options,
    )


def select(found: Sequence[Best], metrics: Sequence[str] = (), analyses: Sequence[str] = ()) -> list[Best]:
    """Those of the named metrics and analyses; all where none is named."""
    return [
        best
        for best in found
        if (not metrics or best.task.metric in metrics) and (not analyses or best.task.analysis in analyses)
    ]
