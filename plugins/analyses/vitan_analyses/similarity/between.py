"""What the measures say between models: their last blocks with p-values, and blocks against blocks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np

from vitan.analysis.recordings import KINDS, TOKENS
from vitan.analysis.records import Record, Result

from . import null
from .layers import Floats, Undefined
from .measures import Measure, swept
from .tables import Load, table


@dataclass
class Between:
    """Compares models; each gives its layers by kind.

    Arrays are ``MEASURE-last-KIND`` (model, model), with permutations also ``...-p`` and ``...-calibrated``, and with
    ``block_maps`` also, between every two models, ``MEASURE-KIND`` (block of the first, block of the second).
    """

    names: Sequence[str]
    layers: Sequence[Mapping[str, list[Load]]]
    measures: Sequence[Measure]
    k: int
    samples: int
    permutations: int
    seed: int
    block_maps: bool
    n: int | None = None  # of all records, where the images are a choice of those that were seen
    arrays: dict[str, Floats] = field(default_factory=dict)
    between: dict[tuple[str, str], dict[str, Floats]] = field(default_factory=dict)
    records: list[Record] = field(default_factory=list)

    def result(self) -> Result:
        """Compute everything."""
        for measure in self.measures:
            for kind in KINDS:
                self._last(measure, kind)
                if self.block_maps:
                    self._blocks(measure, kind)
        axes = dict.fromkeys(self.arrays, ("model", "model"))
        axes |= {name: ("block", "block of the other") for pair in self.between.values() for name in pair}
        return Result(
            records=tuple(self.records),
            arrays={**self.arrays, "model": np.array(self.names)},
            axes=axes | {"model": ("model",)},
            between=self.between,
        )

    def _last(self, measure: Measure, kind: str) -> None:
        loads = [own[kind][-1] if kind in own else _nothing(kind) for own in self.layers]
        orders = null.orders(self.permutations, self.samples, self.seed)
        found = table(measure, loads, None, self.k, orders)
        name, metric = f"{measure.name}-last-{kind}", f"{measure.name}-last"
        columns: list[tuple[str, Floats, dict[str, str]]] = [(name, found.values, {"metric": metric})]
        if self.permutations:
            p_values = null.p_values(found.values, found.null)
            calibrated = null.calibrated(found.values, found.null, measure.highest)
            calibrated[np.diag(np.isfinite(np.diag(found.values)))] = 1.0  # a model with itself, which is not tested
            columns.append((f"{name}-p", p_values, {"metric": "p-value", "of": "metric", "name": metric}))
            columns.append((f"{name}-calibrated", calibrated, {"metric": f"{metric}-calibrated"}))
        for array, values, what in columns:
            self.arrays[array] = values
            self.records += self._records(values, found.gaps, token=TOKENS[kind], **what, **swept(measure, self.k))

    def _records(self, values: Floats, gaps: Mapping[tuple[int, int], str], **what: Any) -> Iterator[Record]:
        """Of every two models; ``what`` are the fields that say which number it is."""
        for i, j in combinations(range(len(self.names)), 2):
            yield Record(
                value=float(values[i, j]),
                gap=gaps.get((i, j), "") if np.isnan(values[i, j]) else "",
                model=self.names[i],
                other=self.names[j],
                n=self.n,
                **what,
            )

    def _blocks(self, measure: Measure, kind: str) -> None:
        for i, j in combinations(range(len(self.names)), 2):
            if kind in self.layers[i] and kind in self.layers[j]:
                found = table(measure, self.layers[i][kind], self.layers[j][kind], self.k)
                self.between.setdefault((self.names[i], self.names[j]), {})[f"{measure.name}-{kind}"] = found.values


def _nothing(kind: str) -> Load:
    """Stands for the layers of a model that has none of this kind."""

    def refuse() -> Floats:
        raise Undefined(f"a model has no {kind}")

    return refuse
