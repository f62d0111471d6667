"""What a model is given at once, and which pictures, and parts of them, that is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from .preparation import Preparation
    from .samples import Sample
    from .views import Placement


@dataclass(frozen=True)
class Window:
    """One input of the model: a whole view, or a window of a divided one.

    ``image`` is its picture's row in the batch; ``top`` and ``left`` say, in tokens, where its patches begin in the
    picture's whole grid; ``own`` (row, column) marks those that no earlier window of the picture has seen.
    """

    image: int
    top: int
    left: int
    own: Tensor


@dataclass(frozen=True)
class Batch:
    """What a probe learns of one forward pass.

    ``index`` holds each sample's position in the whole dataset, whatever the shard and the order; ``samples`` and
    ``placements`` (how each picture was laid into the pixels) run in the same order. ``windows`` say what each row of
    the pixels, and so of every tap, is: in views that are not divided one row is one sample. ``number`` counts the
    batches of the pass. ``prepared`` holds for each preparation that was asked for what it made of each sample.
    """

    index: Sequence[int]
    samples: Sequence[Sample]
    placements: Sequence[Placement]
    pixels: Tensor  # (window, 3, height, width), as the model sees them
    windows: Sequence[Window] = ()
    number: int = 0
    prepared: Mapping[Preparation, Sequence[Mapping[str, Tensor]]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.index)

    @property
    def grids(self) -> list[tuple[int, int]]:
        """The (rows, columns) of each picture's whole patch grid."""
        ends = [[(w.top + w.own.shape[0], w.left + w.own.shape[1]) for w in own] for own in self._by_image()]
        return [(max(row for row, _ in of), max(column for _, column in of)) for of in ends]

    @property
    def names(self) -> list[str]:
        """What each row of the pixels is called in messages: its picture's id."""
        return [self.samples[window.image].id for window in self.windows]

    def stitch(self, patches: Tensor) -> list[Tensor]:
        """Patches (window, patch, channel) as each picture's whole grid (row, column, channel).

        Where windows overlap the first one's patches count, as in the published code; nothing is averaged.
        """
        whole = [patches.new_empty(*grid, patches.shape[-1]) for grid in self.grids]
        for window, tokens in zip(self.windows, patches, strict=True):
            rows, columns = window.own.shape
            place = whole[window.image][window.top : window.top + rows, window.left : window.left + columns]
            own = window.own.nonzero(as_tuple=True)  # found on the CPU, where nothing has to be waited for
            place[own] = tokens.view(rows, columns, -1)[own]
        return whole

    def _by_image(self) -> list[list[Window]]:
        found: list[list[Window]] = [[] for _ in self.index]
        for window in self.windows:
            found[window.image].append(window)
        return found
