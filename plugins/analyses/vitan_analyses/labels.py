"""The class of every image, for the analyses that compare features with classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vitan.accumulators import PerImage
from vitan.batch import Batch
from vitan.errors import MismatchError
from vitan.probe import ModelInfo, Recording


class Labels(Recording):
    """Keeps the label of every image; raises ``MismatchError`` for a sample without one."""

    name: ClassVar[str] = "labels"

    def __init__(self, options: Any, model: ModelInfo) -> None:
        super().__init__(options, model)
        self.label = PerImage()

    def update_block(self, block: int, taps: Mapping[str, Tensor], batch: Batch) -> None:  # noqa: ARG002
        """Keep the labels once, whatever the block."""
        if block != self.model.blocks[0]:
            return
        labels = [sample.label for sample in batch.samples]
        if None in labels:
            raise MismatchError(f"sample {batch.samples[labels.index(None)].id!r} has no label, which is needed here")
        self.label.add(0, batch.index, torch.tensor(labels))

    def rows(self) -> npt.NDArray[np.integer[Any]]:
        """The labels (image,), by position in the dataset."""
        found: npt.NDArray[np.integer[Any]] = self.label.rows(0).numpy()
        return found
