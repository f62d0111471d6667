"""A measure for every pair of layers, with its permutation null, a few layers in memory at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from .layers import Floats, Order, Prepared, Undefined
from .measures import Measure

#: Reads one layer (sample, channel) when it is asked for.
Load: TypeAlias = "Callable[[], Floats]"
#: A layer that was prepared, or why it cannot be.
_Ready: TypeAlias = "tuple[int, Prepared | str]"

_HELD = 6  # layers of each side that are prepared at a time


@dataclass(frozen=True)
class Table:
    """Values (layer, layer), nan where ``gaps`` says why, and the values of ``null`` (permutation, layer, layer)."""

    values: Floats
    gaps: Mapping[tuple[int, int], str]
    null: Floats


def table(
    measure: Measure, first: Sequence[Load], second: Sequence[Load] | None, k: int, orders: Sequence[Order] = ()
) -> Table:
    """Compare every layer of ``first`` with every one of ``second``, or, without it, with every one of ``first``.

    For each of ``orders`` the samples of the second layer are put in that order and compared again; of ``first`` with
    itself this is done for pairs of different layers alone. All pairs see the same orders.
    """
    rows, columns = len(first), len(first if second is None else second)
    values, null = np.full((rows, columns), np.nan), np.full((len(orders), rows, columns), np.nan)
    gaps: dict[tuple[int, int], str] = {}
    for ours, theirs in _tiles(measure, first, second, k):
        pairs = [(a, b) for a in ours for b in theirs if second is not None or a[0] <= b[0]]
        for (i, a), (j, b) in pairs:
            values[i, j], gap = _value(measure, a, b)
            if gap:
                gaps[i, j] = gap
        _fill(measure, null, [(a, b) for a, b in pairs if second is not None or a[0] < b[0]], orders, values)
    if second is None:
        values = _mirrored(values)
        null = _mirrored(null)
        gaps |= {(j, i): gap for (i, j), gap in gaps.items()}
    return Table(values, gaps, null)


def memory(measures: Sequence[Measure], blocks: int, samples: int, channels: int) -> int:
    """About how many bytes ``table`` needs at most for any of ``measures``.

    Both sides hold up to six layers in double precision, which of RSA are the ranks of all distances; preparing one
    takes a few times as much again.
    """
    held = 2 * min(blocks, _HELD)
    sizes = [8 * samples * (samples if measure.name == "rsa" else channels) for measure in measures]
    return max((held + 4) * size for size in sizes)


def _tiles(
    measure: Measure, first: Sequence[Load], second: Sequence[Load] | None, k: int
) -> Iterator[tuple[list[_Ready], list[_Ready]]]:
    others = first if second is None else second
    for i in range(0, len(first), _HELD):
        ours = _ready(measure, first, i, k)
        if second is None:
            yield ours, ours
        for j in range(0 if second is not None else i + _HELD, len(others), _HELD):
            yield ours, _ready(measure, others, j, k)


def _ready(measure: Measure, loads: Sequence[Load], start: int, k: int) -> list[_Ready]:
    ready: list[_Ready] = []
    for i, load in enumerate(loads[start : start + _HELD], start):
        try:
            ready.append((i, measure.prepare(load(), k)))
        except Undefined as gap:
            ready.append((i, str(gap)))
    return ready


def _value(measure: Measure, first: Prepared | str, second: Prepared | str) -> tuple[float, str]:
    for layer in (first, second):
        if isinstance(layer, str):
            return float("nan"), layer
    try:
        return measure.compare(first, second), ""
    except Undefined as gap:
        return float("nan"), str(gap)


def _fill(
    measure: Measure,
    null: Floats,
    pairs: Sequence[tuple[_Ready, _Ready]],
    orders: Sequence[Order],
    values: Floats,
) -> None:
    """Write the null of every pair that has a value; a layer is permuted once for all pairs that it is in."""
    known = [(a, b) for a, b in pairs if np.isfinite(values[a[0], b[0]])]
    for number, order in enumerate(orders):
        permuted: dict[int, Any] = {}
        for (i, a), (j, b) in known:
            assert not isinstance(b, str)
            if j not in permuted:
                permuted[j] = b.permuted(order)
            null[number, i, j] = measure.compare(a, permuted[j])


def _mirrored(values: Floats) -> Floats:
    """(..., layer, layer) with what is above the diagonal also below it."""
    above = np.triu(np.ones(values.shape[-2:], dtype=bool))
    both: Floats = np.where(above, values, np.swapaxes(values, -2, -1))
    return both
