"""The maps of one picture by one model, ready to be drawn."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np
from typing_extensions import Self

from vitan.analysis.figures import Drawable

from ..plotting import pages as plots
from ..plotting.photographs import Scene, scene
from ..plotting.pixels import Array, Pixels, Scale, colour_cells, scale_from_zero
from .probe import queries

if TYPE_CHECKING:
    from vitan.anatomy import ModelInfo

    from .probe import AttentionMapsOptions

_WORDS = {
    "cls": "CLS",
    "top": "the top patch",
    "left": "the left patch",
    "center": "the centre patch",
    "right": "the right patch",
    "bottom": "the bottom patch",
    "all": "all patches",
}


@dataclass(frozen=True)
class Maps:
    """What one model made of one picture."""

    model: ModelInfo
    options: AttentionMapsOptions
    scene: Scene
    named: dict[str, int]  # position to token
    maps: Array  # (block, head, position, row, column)
    diagonal: Array  # (block, head, step, row, column)

    @classmethod
    def of(cls, drawable: Drawable) -> Iterator[Self]:
        """One for each picture of the result."""
        arrays, layout = drawable.result.arrays, drawable.model.layout
        options = cast("AttentionMapsOptions", drawable.options)
        named = queries(options.positions, layout)[0]
        index = arrays["image-index"]
        blank = np.zeros(
            (len(index), len(drawable.model.blocks), drawable.model.heads, 0, layout.n_patches), np.float32
        )
        parts = [arrays.get(name, blank) for name in ("maps", "diagonal-maps")]
        for i, place in enumerate(index):
            maps, diagonal = (part[i].reshape(*part.shape[1:4], *layout.grid) for part in parts)
            yield cls(
                drawable.model,
                options,
                scene(drawable, int(place), whole=options.protocol == "paper"),
                named,
                maps,
                diagonal,
            )

    @property
    def first(self) -> tuple[str, Array]:
        """The leading query in words, and its maps (block, head, row, column)."""
        if self.named:
            return _WORDS[next(iter(self.named))], self.maps[:, :, 0]
        return "the top left patch", self.diagonal[:, :, 0]

    def scale(self, maps: Array) -> Scale | None:
        """The scale of all maps of a figure, or None where each has its own."""
        return scale_from_zero(maps, plots.COMMON) if self.options.scale == "global" else None

    def cells(self, maps: Array, longest: int, scale: Scale | None) -> Pixels:
        """Maps (..., row, column) as coloured cells (..., height, width, 3) of about so many pixels."""
        return colour_cells(maps, self.cell_size(longest), scale)

    def cell_size(self, longest: int) -> tuple[int, int]:
        """Width and height of a cell: whole pixels for each patch, or the picture's shape if maps lie on all of it."""
        if self.scene.whole:
            height, width = self.scene.photo.shape[:2]
            return max(1, longest * width // max(width, height)), max(1, longest * height // max(width, height))
        rows, columns = self.model.layout.grid
        times = max(1, longest // max(rows, columns))
        return columns * times, rows * times

    def patch(self, name: str) -> int | None:
        """The row-major number of a position's patch, None for CLS and the mean over patches."""
        token = self.named[name] - self.model.layout.patches.start
        return token if token >= 0 else None

    def title(self, what: str) -> str:
        """Heading of a figure."""
        return f"{plots.model_label(self.model)}: {what}"

    @property
    def note(self) -> str:
        """The picture, and how maps are coloured."""
        coloured = "each map on its own scale" if self.options.scale == "map" else "all maps on one scale"
        sample = self.scene.sample if len(self.scene.sample) <= 60 else f"…{self.scene.sample[-59:]}"
        return f"{sample}; {coloured}"
