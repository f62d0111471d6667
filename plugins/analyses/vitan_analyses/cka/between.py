"""CKA between models, from what was kept of each: no model runs again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from vitan.analysis.records import Record, Result

from ..hsic.exact import Floats
from .sides import NORMS, READINGS, WHOLE, Compared, relate, sampled

#: CKA of the last blocks of two models.
LAST = "cka-last"
#: So many models are compared layer by layer unless the option says otherwise; more only by their last blocks.
MANY = 6


class _Between:
    """Fills the arrays of a comparison; a pair that cannot be compared stays nan, and ``missing`` says why."""

    def __init__(self, probes: Sequence[Compared]) -> None:
        self.probes, self.names = probes, [probe.model.name for probe in probes]
        self.has = [set(probe.readings()) for probe in probes]
        self.arrays: dict[str, Floats] = {}
        self.axes: dict[str, tuple[str, ...]] = {}
        self.between: dict[tuple[str, str], dict[str, Floats]] = {}
        self.missing: dict[tuple[str, int, int], str] = {}

    def layers(self, name: str) -> None:
        """Every layer of one model against every layer of another, for every two models."""
        for i, first in enumerate(self.probes):
            if name not in self.has[i]:
                continue
            side = first.side(name)
            for j in range(i + 1, len(self.probes)):
                if name not in self.has[j]:
                    continue
                values, error = relate(side, self.probes[j].side(name))
                axis = "norm" if READINGS[name].layers == NORMS else "block"
                pair = self.between.setdefault((self.names[i], self.names[j]), {})
                for key, found in ((name, values), (f"se-{name}", error)):
                    if found is not None:
                        pair[key], self.axes[key] = found, (axis, f"{axis} of the other")

    def last(self, name: str) -> None:
        """The last block of every model against that of every other, and of itself."""
        count = len(self.probes)
        values, errors = np.full((count, count), np.nan), np.full((count, count), np.nan)
        sides = [probe.side(name, last=True) if name in own else None for probe, own in self._with_readings()]
        for i in range(count):
            for j in range(i, count):
                mine, theirs = sides[i], sides[j]
                gaps = [self._gap(name, k, sides[k]) for k in dict.fromkeys((i, j))]
                self.missing[name, i, j] = "; ".join(gap for gap in gaps if gap)
                if mine is not None and theirs is not None:
                    value, error = relate(mine, theirs)
                    values[i, j] = values[j, i] = value[0, 0]
                    errors[i, j] = errors[j, i] = np.nan if error is None else error[0, 0]
        word = READINGS[name].word
        self.arrays[f"last-{word}"], self.axes[f"last-{word}"] = values, ("model", "model")
        if READINGS[name].layers != WHOLE:
            self.arrays[f"se-last-{word}"], self.axes[f"se-last-{word}"] = errors, ("model", "model")

    def records(self, name: str) -> Iterator[Record]:
        """The last blocks of every two models."""
        options, reading = self.probes[0].options, READINGS[name]
        values, errors = self.arrays[f"last-{reading.word}"], self.arrays.get(f"se-last-{reading.word}")
        for i, j in combinations(range(len(self.probes)), 2):
            yield Record(
                metric=LAST,
                value=float(values[i, j]),
                error=None if errors is None or np.isnan(errors[i, j]) else float(errors[i, j]),
                model=self.names[i],
                other=self.names[j],
                token=reading.token,
                gap=self.missing[name, i, j],
                **sampled(reading, options),
            )

    def _with_readings(self) -> Iterator[tuple[Compared, set[str]]]:
        return zip(self.probes, self.has, strict=True)

    def _gap(self, name: str, model: int, side: Any) -> str:
        if side is None:
            return f"{self.names[model]} has no {READINGS[name].title}"
        return f"the last block of {self.names[model]}: {side.gaps[0]}" if side.gaps[0] else ""


def compare(probes: Sequence[Compared]) -> Result:
    """The last blocks of all models, and for a few (or with ``pairs``) every layer of every two.

    Arrays ``last-KIND`` and ``se-last-KIND`` are (model, model). Between two models those with the names of the probe's
    ``compute`` are (layer of the first, layer of the second). What cannot be compared is nan, and the record says why.
    """
    between = _Between(probes)
    names = [name for name in READINGS if any(name in own for own in between.has)]
    pairs = probes[0].options.pairs
    records: list[Record] = []
    for name in names:
        if len(probes) <= MANY if pairs is None else pairs:
            between.layers(name)
        if READINGS[name].layers != NORMS:
            between.last(name)
            records += between.records(name)
    return Result(
        records=tuple(records),
        arrays={**between.arrays, "model": np.array(between.names)},
        axes=between.axes | {"model": ("model",)},
        between=between.between,
    )
