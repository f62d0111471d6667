"""What the pictures read from a result: names of frames, scores, and masks."""

from __future__ import annotations

from functools import cached_property
from itertools import groupby

import numpy as np

from vitan.analysis.figures import Drawable

from ..plotting.pixels import Pixels
from .evaluation import Evaluation
from .masks import from_png
from .metrics import Floats, Ids
from .probe import best_block, evaluation


class Predictions:
    """The result of one model, by block and by row of its arrays, which is the frame."""

    def __init__(self, drawable: Drawable) -> None:
        self.drawable = drawable
        self._arrays = drawable.result.arrays
        self.names: list[str] = self._arrays["frame"].tolist()
        self.with_masks: list[int] = self._arrays["mask-block"].tolist()
        self._ends = np.cumsum(self._arrays["mask-size"]).reshape(self._arrays["mask-size"].shape)

    def scores(self, block: int) -> Floats:
        """J and F of every frame: (frame, object, 2)."""
        row = self.drawable.model.blocks.index(block)
        return np.stack([self._arrays["j"][row], self._arrays["f"][row]], -1)

    @cached_property
    def evaluations(self) -> dict[int, Evaluation]:
        """Of every block."""
        return {
            block: evaluation(self.names, self.scores(block), self.drawable.options.protocol)
            for block in self.drawable.model.blocks
        }

    @property
    def best(self) -> int:
        """The best block."""
        return best_block(self.evaluations)

    @cached_property
    def videos(self) -> dict[str, list[int]]:
        """The rows of each video."""
        by_video = groupby(range(len(self.names)), lambda row: self.names[row].rpartition("/")[0])
        return {video: list(rows) for video, rows in by_video}

    def png(self, block: int, row: int) -> bytes:
        """The mask of a frame, as it is kept."""
        which = self.with_masks.index(block)
        end = int(self._ends[which, row])
        return bytes(self._arrays["mask-png"][end - int(self._arrays["mask-size"][which, row]) : end])

    def ids(self, block: int, row: int) -> Ids:
        """The mask of a frame."""
        return from_png(self.png(block, row))

    def photo(self, row: int) -> tuple[Pixels, Ids]:
        """A frame, and how it is annotated."""
        sample = self.drawable.dataset[int(self._arrays["index"][row])]
        assert sample.id_mask is not None, "the probe has read it"
        return np.asarray(sample.image), sample.id_mask()
