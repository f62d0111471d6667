"""One vector per image: CLS, and the mean over the patches. Many analyses look at these, and share them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor

from vitan.accumulators import PerImage
from vitan.batch import Batch
from vitan.probe import ModelInfo, Recording

#: The kinds of vectors, with what figures call them.
KINDS = {"cls": "CLS", "patches": "mean patch"}


class Pooled(Recording):
    """Keeps both vectors of every block, from the raw outputs of the blocks and in float32.

    ``cls`` and ``patches`` hold rows (image, channel) by block. Registers belong to neither. A model without CLS has
    only the mean.
    """

    name: ClassVar[str] = "pooled"
    taps: ClassVar[frozenset[str]] = frozenset({"block"})

    def __init__(self, options: Any, model: ModelInfo) -> None:
        super().__init__(options, model)
        self.cls, self.patches = PerImage(), PerImage()

    def update_block(self, block: int, taps: Mapping[str, Tensor], batch: Batch) -> None:
        """Keep one vector of each kind per image."""
        layout, features = self.model.layout, taps["block"].float()  # (image, token, channel)
        if layout.cls is not None:
            self.cls.add(block, batch.index, features[:, layout.cls])
        self.patches.add(block, batch.index, features[:, layout.patches].mean(1))

    def bytes_per_image(self) -> int:
        """See ``Recording.bytes_per_image``."""
        kinds = 1 if self.model.layout.cls is None else 2
        return 4 * kinds * self.model.dim * len(self.model.blocks)

    def kept(self) -> dict[str, PerImage]:
        """What was kept, by kind."""
        kinds = {"cls": self.cls, "patches": self.patches}
        return {kind: kinds[kind] for kind in KINDS if kinds[kind].keys()}

    def images(self) -> list[int]:
        """The positions in the dataset of the images that were seen, ascending."""
        found: list[int] = self.patches.index(self.model.blocks[0]).tolist()
        return found
