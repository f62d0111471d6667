"""The ``attention`` analysis: its options, and the state that its probe fills and its numbers are made of."""

from __future__ import annotations

from abc import ABC
from typing import ClassVar, Literal

from pydantic import Field

from vitan.analysis.accumulators import PerImage, Sum
from vitan.analysis.probe import Probe
from vitan.anatomy import ModelInfo
from vitan.options import Options, summary


class AttentionOptions(Options):
    """Options of the ``attention`` analysis."""

    protocol: Literal["default", "paper"] = summary(
        "default",
        description="paper: the published patch-to-cls (which reads the first patch) and aligned maps (per batch).",
    )
    exclude_null: bool = summary(
        False,
        description="Leave queries that look at no patch at all out of the distances, instead of counting them as 0.",
    )
    per_class: bool = Field(
        False, description="Also keep attention per token for every class, and how much classes differ."
    )
    patterns: bool = Field(False, description="Also cluster the images by their attention in the last but one block.")


class AttentionState(Probe[AttentionOptions], ABC):
    """Everything that is kept, block by block."""

    Options: ClassVar[type[Options]] = AttentionOptions

    def __init__(self, options: AttentionOptions, model: ModelInfo) -> None:
        super().__init__(options, model)
        self.batches = Sum()  # one for each: the published code divides by their number
        # (block, head, ...) maps: sums over the images
        self.aligned, self.patch_mean, self.pure_mean, self.prefix_rows = Sum(), Sum(), Sum(), Sum()
        self.value_weighted, self.null_rows, self.rollout, self.per_class = Sum(), Sum(), Sum(), Sum()
        # (image, head) numbers
        self.distance, self.null_count, self.position_deviation = PerImage(), PerImage(), PerImage()
        self.entropy, self.entropy_cls, self.value_weighted_cls = PerImage(), PerImage(), PerImage()
        self.patch_to_cls, self.patch_to_first = PerImage(), PerImage()
        # (image, ...) others
        self.head_deviation, self.pattern, self.label = PerImage(), PerImage(), PerImage()


def class_key(label: int, block: int, depth: int) -> int:
    """One key for a class and a block."""
    return label * depth + block
