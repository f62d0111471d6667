"""The ``attention`` analysis: what it keeps while it watches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor

from vitan.analysis.recordings import Labels
from vitan.analysis.records import Result
from vitan.anatomy import ModelInfo
from vitan.data.batch import Batch
from vitan.data.samples import Dataset
from vitan.errors import MismatchError, RecordingError

from .arrays import AXES, collect
from .records import headline, tell
from .reduce import BlockReducer, BlockSummary
from .rollout import Rollout
from .state import AttentionOptions, AttentionState, class_key

#: How far from 1 a mean row may be: as much as half precision may round away.
_ADDED_TOLERANCE = 4e-2


class AttentionProbe(AttentionState):
    """Attention distance, deviations, maps, offsets, entropy, rollout and head types, for every block and head.

    Definitions are in ``reduce`` and ``arrays``. What needs a CLS token is absent for a model without one.
    Raises ``MismatchError`` for a model of a single patch.
    """

    version: ClassVar[str] = "2"
    taps: ClassVar[frozenset[str]] = frozenset({"attention", "v"})

    def __init__(self, options: AttentionOptions, model: ModelInfo) -> None:
        super().__init__(options, model)
        if model.layout.n_patches < 2:
            raise MismatchError(f"{model.name} sees one patch; attention distance needs a grid of at least two")
        self._reduce = BlockReducer(model.layout)
        self._rollout = Rollout(model.layout, model.blocks)

    @classmethod
    def requires(cls, options: AttentionOptions) -> frozenset[str]:
        """Labels, for what is summed up by class."""
        return frozenset({"label"}) if options.per_class or options.patterns else frozenset()

    @classmethod
    def check(cls, options: AttentionOptions, dataset: Dataset, n: int) -> None:
        """Raise ``MismatchError`` where labels are needed and one of the first images has none."""
        super().check(options, dataset, n)
        if cls.requires(options):
            Labels.check(Labels.Options(), dataset, n)

    def update_block(self, block: int, taps: Mapping[str, Tensor], batch: Batch) -> None:
        """Take in one block; ``attention`` and ``v`` are (batch, head, ...)."""
        seen = self._reduce(taps["attention"].detach())
        weighted = seen.value_weighted(taps["v"].detach())
        if block == self.model.blocks[0]:
            self.batches.add(0, torch.ones(1))
        self._add_maps(block, seen, weighted)
        self._add_numbers(block, seen, weighted, batch)
        if self._rollout.possible:
            self.rollout.add(block, self._rollout.step(block, seen.head_mean))
        if self.options.per_class or self.options.patterns:
            self._add_labelled(block, seen.everything_mean(), batch)

    def compute(self) -> Result:
        """Arrays and records, as ``arrays`` and ``records`` define them."""
        arrays = collect(self)
        axes = {name: AXES[name] for name in arrays}
        records = tuple(tell(self, arrays))
        return Result(records=records, arrays=arrays, axes=axes, headline=headline(records))

    def _add_maps(self, block: int, seen: BlockSummary, weighted: Tensor) -> None:
        self.aligned.add(block, seen.aligned)
        self.patch_mean.add(block, seen.patch_mean)
        self.pure_mean.add(block, seen.pure_mean)
        self.prefix_rows.add(block, seen.prefix_rows)
        self.value_weighted.add(block, weighted)
        if not seen.null.is_cpu or bool(seen.null.any()):  # rare: what is not there counts as 0; nothing waits for it
            self.null_rows.add(block, seen.null)

    def finish(self) -> None:
        """Rows of attention sum to 1, and so does the mean of all that were added, or a device lost them on the way.

        Raises ``RecordingError``.
        """
        for block in self.patch_mean.keys():  # noqa: SIM118  # not a mapping
            self._check_added(block)

    def _check_added(self, block: int) -> None:
        off = float((self.patch_mean.mean(block).sum(-1) - 1).abs().max())
        if not off <= _ADDED_TOLERANCE:
            raise RecordingError(
                f"block {block}: the mean row of the attention that was added up sums to 1 but for {off:.1e}; values "
                "were lost on their way from the device; use --device cpu, or another version of torch"
            )

    def _add_numbers(self, block: int, seen: BlockSummary, weighted: Tensor, batch: Batch) -> None:
        layout, index = self.model.layout, batch.index
        self.distance.add(block, index, seen.distance(layout.grid))
        self.null_count.add(block, index, seen.null.sum(-1))
        self.position_deviation.add(block, index, seen.position_deviation)
        self.head_deviation.add(block, index, seen.head_deviation)
        self.entropy.add(block, index, seen.entropy)
        if layout.cls is not None:
            self.entropy_cls.add(block, index, seen.prefix_entropy[..., layout.cls])
            self.patch_to_cls.add(block, index, seen.patch_mean[..., layout.cls])
            self.patch_to_first.add(block, index, seen.patch_mean[..., layout.patches.start])
            self.value_weighted_cls.add(block, index, weighted[..., layout.cls])

    def _add_labelled(self, block: int, everything: Tensor, batch: Batch) -> None:
        labels = [sample.label for sample in batch.samples]
        if None in labels:
            raise MismatchError(
                f"sample {batch.samples[labels.index(None)].id!r} has no label, which per_class and patterns need; "
                "use a labelled dataset or leave these options out"
            )
        if self.options.per_class:
            for i, label in enumerate(labels):
                self.per_class.add(class_key(int(label or 0), block, self.model.depth), everything[i : i + 1])
        if self.options.patterns and block == self.model.depth - 2:
            self.pattern.add(block, batch.index, everything.mean(1))
            self.label.add(block, batch.index, torch.tensor(labels))
