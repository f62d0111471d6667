"""The ``cka`` analysis: what it keeps of a model, and what it computes within one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from torch import Tensor
from typing_extensions import Self, override

from vitan.analysis.probe import Recording
from vitan.analysis.recordings import Pooled
from vitan.analysis.records import Record, Result
from vitan.data.batch import Batch
from vitan.data.samples import Dataset
from vitan.errors import MismatchError
from vitan.options import Options, summary

from ..hsic.grams import FEWEST, kinds_of
from ..hsic.probe import GramOptions, GramProbe
from .between import compare
from .sides import BLOCKS, NORMS, READINGS, TAPS, WHOLE, Reading, Side, relate, sampled

#: CKA of each block with the last one of the same model.
WITH_LAST = "cka-with-last"


class CkaOptions(GramOptions):
    """Options of the ``cka`` analysis."""

    pairs: bool | None = summary(
        None, description="compare all layers of every two models, not the last blocks alone; none: up to six models"
    )


class CkaProbe(GramProbe[CkaOptions]):
    """Linear CKA between layers, without its bias.

    The default protocol compares CLS and the mean patch exactly, over all images at once, which depends on neither the
    batch size nor the order. All tokens, and all patch tokens, flattened, are too wide for that: these are estimated
    from minibatches of 64 that are shuffled alike for all models, with a standard error.

    The ``paper`` protocol is the published one: minibatches of 8 in the dataset's order, each weighed by the range of
    its Gram matrices, for all tokens, CLS and patch tokens. On a dataset that is sorted by class such a batch holds one
    class, and what comes out is how alike models tell images of one class apart.
    """

    Options: ClassVar[type[Options]] = CkaOptions
    taps: ClassVar[frozenset[str]] = frozenset({*TAPS[BLOCKS], *TAPS[NORMS]})
    uses: ClassVar[Mapping[str, type[Recording]]] = {"pooled": Pooled}
    pooled: Pooled

    @property
    def kinds(self) -> tuple[str, ...]:
        """All tokens, CLS where the model has one, and patch tokens."""
        return kinds_of(self.model.layout)

    def update_block(self, block: int, taps: Mapping[str, Tensor], batch: Batch) -> None:
        """Keep the Gram matrices of both LayerNorms' outputs and of the block's."""
        self.keep(block, {tap: taps[tap] for tap in sorted(self.taps)}, batch)

    def compute(self) -> Result:
        """Every layer against every other of the same model.

        Arrays: ``cls`` and ``patches`` (block, block) over the whole set; ``KIND-blocks`` (block, block) and
        ``KIND-norms`` (norm, norm) from minibatches, with their standard errors under ``se-...``. There are two norms
        for a block, in order. Raises ``MismatchError`` for fewer than four images.
        """
        arrays: dict[str, Any] = {}
        axes: dict[str, tuple[str, ...]] = {}
        records: list[Record] = []
        for name in self.readings():
            side = self.side(name)
            values, error = relate(side, side)
            axis = "norm" if READINGS[name].layers == NORMS else "block"
            arrays[name], axes[name] = values, (axis, axis)
            if error is not None:
                arrays[f"se-{name}"], axes[f"se-{name}"] = error, (axis, axis)
            if axis == "block":
                records += self._with_last(READINGS[name], side, values, error)
        return Result(
            records=(*records, *self.batch_records()),
            arrays={**arrays, "image": np.array(self.pooled.images())},
            axes=axes | {"image": ("image",)},
            headline=(WITH_LAST,),
        )

    @classmethod
    def compare(cls, probes: Sequence[Self]) -> Result:
        """See ``between.compare``; raises ``MismatchError`` for models that have not seen the same minibatches."""
        cls.check_same_batches(probes)
        return compare(probes)

    @classmethod
    @override
    def check(cls, options: CkaOptions, dataset: Dataset, n: int) -> None:
        """Raise ``MismatchError`` for fewer images than CKA can do without its bias."""
        super().check(options, dataset, n)
        _check_enough(n)

    def readings(self) -> list[str]:
        """Which of ``READINGS`` there are of this model in this protocol; CLS over the whole set replaces batches."""
        _check_enough(len(self.pooled.images()))
        paper = self.options.protocol == "paper"
        kinds = {*self.kinds, *self.pooled.kept()}
        return [
            name
            for name, reading in READINGS.items()
            if reading.kind in kinds and not (reading.layers == WHOLE if paper else name == "cls-blocks")
        ]

    def side(self, name: str, *, last: bool = False) -> Side:
        """What there is under a name of ``READINGS``, of all blocks or of the last alone."""
        reading, blocks = READINGS[name], self.model.blocks[-1:] if last else self.model.blocks
        if reading.layers == WHOLE:
            rows = self.pooled.kept()[reading.kind]
            return Side.whole(rows.rows(block).numpy() for block in blocks)
        return Side.batches(self.layers(TAPS[reading.layers], reading.kind, blocks))

    def _with_last(self, reading: Reading, side: Side, values: Any, error: Any) -> Iterator[Record]:
        blocks = self.model.blocks
        how: dict[str, Any] = {"metric": WITH_LAST, "token": reading.token, **sampled(reading, self.options)}
        for i, block in enumerate(blocks):
            gaps = {f"block {blocks[j]}: {side.gaps[j]}" for j in (i, -1) if side.gaps[j]}
            spread = None if error is None or np.isnan(error[i, -1]) else float(error[i, -1])
            yield Record(value=float(values[i, -1]), error=spread, block=block, gap="; ".join(sorted(gaps)), **how)


def _check_enough(count: int) -> None:
    if count < FEWEST:
        raise MismatchError(f"CKA needs at least {FEWEST} images, and there are {count}; raise --limit")
