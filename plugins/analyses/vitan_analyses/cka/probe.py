"""The ``cka`` analysis: what it keeps of a model, and what it computes within and between models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any, ClassVar

import numpy as np
from typing_extensions import Self

from vitan.errors import MismatchError
from vitan.probe import Probe, Recording
from vitan.results import Record, Result

from ..pooled import KINDS, Pooled
from .hsic import FEWEST, Centred, Floats, cka


class CkaProbe(Probe):
    """Debiased linear CKA over the whole set, for CLS and for the mean over the patches of each block.

    The number depends on neither the batch size nor the order of images. It is not the published one, which averages
    over minibatches of eight, flattens all tokens, and weights each minibatch by the range of its Gram matrices.
    """

    uses: ClassVar[Mapping[str, type[Recording]]] = {"pooled": Pooled}
    pooled: Pooled

    def compute(self, n_batches: int) -> Result:  # noqa: ARG002  # batches do not matter here
        """Every block against every block of the same model.

        Raises ``MismatchError`` for fewer than four images.
        """
        arrays = {kind: cka(features, features) for kind, features in self.features().items()}
        records = [
            Record(metric=f"cka-with-last-{kind}", value=float(row[-1]), block=block, group=_gap(row[-1]))
            for kind, values in arrays.items()
            for block, row in zip(self.model.blocks, values, strict=True)
        ]
        return Result(
            records=tuple(records),
            arrays={**arrays, "image": np.array(self.pooled.images())},
            axes=dict.fromkeys(arrays, ("block", "block")) | {"image": ("image",)},
            headline=tuple(f"cka-with-last-{kind}" for kind in arrays),
        )

    @classmethod
    def compare(cls, probes: Sequence[Self]) -> Result:
        """Blocks against blocks for every two models, and the last blocks of all.

        Arrays ``KIND FIRST SECOND`` are (block of the first, block of the second); ``last-KIND`` is (model, model), nan
        for a pair in which one has no such token. Raises ``MismatchError`` for models that have seen other images.
        """
        names = [probe.model.name for probe in probes]
        _check_same_images(probes)
        features = [probe.features() for probe in probes]
        arrays: dict[str, Any] = {}
        for kind in KINDS:
            last = np.full((len(probes), len(probes)), np.nan)
            for i, own in enumerate(features):
                last[i, i] = 1.0 if kind in own and own[kind].layers[-1] is not None else np.nan
            for i, j in combinations(range(len(probes)), 2):
                if kind in features[i] and kind in features[j]:
                    between = cka(features[i][kind], features[j][kind])
                    arrays[f"{kind} {names[i]} {names[j]}"] = between
                    last[i, j] = last[j, i] = between[-1, -1]
            arrays[f"last-{kind}"] = last
        axes = {n: ("model", "model") if n.startswith("last-") else ("block", "block of the other") for n in arrays}
        return Result(
            records=tuple(_between(names, arrays)),
            arrays={**arrays, "model": np.array(names)},
            axes=axes | {"model": ("model",)},
        )

    def features(self) -> dict[str, Centred]:
        """What was kept, by kind; raises ``MismatchError`` for fewer than four images."""
        count = len(self.pooled.images())
        if count < FEWEST:
            raise MismatchError(f"debiased CKA needs at least {FEWEST} images, and there are {count}; raise --limit")
        return {
            kind: Centred.of([rows.rows(block).numpy() for block in self.model.blocks])
            for kind, rows in self.pooled.kept().items()
        }


def _between(names: Sequence[str], arrays: Mapping[str, Floats]) -> Iterator[Record]:
    for kind in KINDS:
        for i, j in combinations(range(len(names)), 2):
            value = float(arrays[f"last-{kind}"][i, j])
            missing = "" if f"{kind} {names[i]} {names[j]}" in arrays else f"a model has no {kind}"
            yield Record(
                metric=f"cka-last-{kind}", value=value, model=names[i], other=names[j], group=missing or _gap(value)
            )


def _gap(value: float) -> str:
    return "a block is not finite, or the same for every image" if np.isnan(value) else ""


def _check_same_images(probes: Sequence[CkaProbe]) -> None:
    seen = [probe.pooled.images() for probe in probes]
    for probe, images in zip(probes, seen, strict=True):
        if images != seen[0]:
            raise MismatchError(
                f"{probe.model.name} has not seen the same images as {probes[0].model.name} "
                f"({len(images)} and {len(seen[0])}); CKA compares features of the same images"
            )
