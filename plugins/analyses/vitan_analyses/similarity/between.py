"""What the measures say between models: their last blocks with p-values, and blocks against blocks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np

from vitan.analysis.recordings import KINDS
from vitan.analysis.records import Record, Result

from . import null
from .layers import Floats, Undefined
from .measures import Measure
from .tables import Load, table


@dataclass
class Between:
    """Compares models; each gives its layers by kind.

    Arrays are ``MEASURE-last-KIND`` (model, model), with permutations also ``...-p`` and ``...-calibrated``, and with
    ``block_maps`` also ``MEASURE-KIND FIRST SECOND`` (block of the first, block of the second).
    """

    names: Sequence[str]
    layers: Sequence[Mapping[str, list[Load]]]
    measures: Sequence[Measure]
    k: int
    samples: int
    permutations: int
    seed: int
    block_maps: bool
    arrays: dict[str, Floats] = field(default_factory=dict)
    records: list[Record] = field(default_factory=list)

    def result(self) -> Result:
        """Compute everything."""
        for measure in self.measures:
            for kind in KINDS:
                self._last(measure, kind)
                if self.block_maps:
                    self._blocks(measure, kind)
        axes = {name: ("block", "block of the other") if " " in name else ("model", "model") for name in self.arrays}
        return Result(
            records=tuple(self.records),
            arrays={**self.arrays, "model": np.array(self.names)},
            axes=axes | {"model": ("model",)},
        )

    def _last(self, measure: Measure, kind: str) -> None:
        loads = [own[kind][-1] if kind in own else _nothing(kind) for own in self.layers]
        orders = null.orders(self.permutations, self.samples, self.seed)
        found = table(measure, loads, None, self.k, orders)
        name = f"{measure.name}-last-{kind}"
        columns = {name: found.values}
        if self.permutations:
            columns[f"{name}-p"] = null.p_values(found.values, found.null)
            columns[f"{name}-calibrated"] = null.calibrated(found.values, found.null, measure.highest)
            equal = np.diag(np.isfinite(np.diag(found.values)))  # a model with itself, which is not tested
            columns[f"{name}-calibrated"][equal] = 1.0
        self.arrays |= columns
        for metric, values in columns.items():
            self.records += self._records(measure, metric, values, found.gaps)

    def _records(
        self, measure: Measure, metric: str, values: Floats, gaps: Mapping[tuple[int, int], str]
    ) -> Iterator[Record]:
        for i, j in combinations(range(len(self.names)), 2):
            yield Record(
                metric=metric,
                value=float(values[i, j]),
                k=self.k if measure.uses_k else None,
                group=gaps.get((i, j), ""),
                model=self.names[i],
                other=self.names[j],
            )

    def _blocks(self, measure: Measure, kind: str) -> None:
        for i, j in combinations(range(len(self.names)), 2):
            if kind in self.layers[i] and kind in self.layers[j]:
                found = table(measure, self.layers[i][kind], self.layers[j][kind], self.k)
                self.arrays[f"{measure.name}-{kind} {self.names[i]} {self.names[j]}"] = found.values


def _nothing(kind: str) -> Load:
    """Stands for the layers of a model that has none of this kind."""

    def refuse() -> Floats:
        raise Undefined(f"a model has no {kind}")

    return refuse
