"""The maps of some queries of the first pictures, kept as they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
import torch
from pydantic import Field

from vitan.analysis.accumulators import PerImage
from vitan.analysis.probe import Probe
from vitan.analysis.records import Record, Result
from vitan.anatomy import ModelInfo, TokenLayout
from vitan.errors import MismatchError
from vitan.options import Options, summary

from ..regions.attention_rows import diagonal, mass_mask, positions, query_map

if TYPE_CHECKING:
    import numpy.typing as npt
    from torch import Tensor

    from vitan.data.batch import Batch

Position: TypeAlias = Literal["cls", "top", "left", "center", "right", "bottom", "all", "diagonal"]


class AttentionMapsOptions(Options):
    """Options of the ``attention-maps`` analysis."""

    images: int = Field(
        3, ge=1, le=200, description="how many pictures to keep maps of, and to draw: the first of the dataset"
    )
    positions: tuple[Position, ...] = Field(
        ("cls", "top", "left", "center", "right", "bottom", "all", "diagonal"),
        min_length=1,
        description="whose attention to keep: cls, patches by where they are, the mean of all, or the diagonal",
    )
    mass: float = summary(0.6, gt=0, le=1, description="share of a map's attention that the outlined patches hold")
    scale: Literal["map", "global"] = summary(
        "map", description="colour each map on its own scale, or all maps of a figure on one"
    )
    protocol: Literal["default", "paper"] = summary(
        "default", description="where maps lie: in the crop that the model saw, or (paper) over the whole picture"
    )


def queries(names: Sequence[str], layout: TokenLayout) -> tuple[dict[str, int], dict[str, int]]:
    """Named queries and those of the diagonal, name to token index as in ``vitan_analyses.maps``.

    ``cls`` is left out where the model has no such token. Raises ``MismatchError`` if nothing is left.
    """
    known = positions(layout)
    named = {name: known[name] for name in names if name in known}
    along = diagonal(layout) if "diagonal" in names else {}
    if not named and not along:
        raise MismatchError(
            f"the model has no {' or '.join(names)} token; choose among {', '.join(known)} and diagonal"
        )
    return named, along


class AttentionMapsProbe(Probe):
    """Keeps, for each of the first pictures, what the chosen queries look at: over the patches, not renormalised."""

    version = "2"
    Options = AttentionMapsOptions
    taps = frozenset({"attention"})

    def __init__(self, options: AttentionMapsOptions, model: ModelInfo) -> None:
        super().__init__(options, model)
        self._named, self._diagonal = queries(options.positions, model.layout)
        self.maps = PerImage()

    def update_block(self, block: int, taps: Mapping[str, Tensor], batch: Batch) -> None:
        """See ``Probe.update_block``."""
        kept = [row for row, index in enumerate(batch.index) if index < self.options.images]
        if not kept:
            return
        attention = taps["attention"][kept]  # (image, head, query, key)
        tokens = [*self._named.values(), *self._diagonal.values()]
        maps = torch.stack([query_map(attention, self.model.layout, token) for token in tokens], 2)
        self.maps.add(block, [batch.index[row] for row in kept], maps.flatten(3))  # (image, head, position, patch)

    def compute(self) -> Result:
        """Arrays and, for the first position, records for each picture, block and head, and their mean for each block.

        ``maps`` is (image, block, head, position, patch) in the order of the options, ``diagonal-maps`` likewise, and
        ``image-index`` (image,) where in the dataset the pictures are. ``mask-area`` is the share of the patches that
        it takes to hold ``mass`` of the attention, ``peak`` what the strongest patch has of the attention on patches,
        and the position is their ``token``. The protocol changes where maps lie, and no number.
        """
        blocks = self.maps.keys()
        index = self.maps.index(blocks[0]).numpy()
        stored = np.stack([self.maps.rows(block).numpy() for block in blocks], axis=1)
        split = len(self._named)
        arrays = {"image-index": index}
        axes: dict[str, tuple[str, ...]] = {"image-index": ("image",)}
        for name, part in (("maps", stored[..., :split, :]), ("diagonal-maps", stored[..., split:, :])):
            if part.shape[3]:
                arrays[name], axes[name] = part, ("image", "block", "head", "position", "patch")
        first = next(iter({**self._named, **self._diagonal}))
        records = tuple(self._records(first, stored[..., 0, :], index))
        headline = ("mask-area", "peak")
        return Result(records=records, arrays=arrays, axes=axes, headline=headline)

    def _records(self, position: str, maps: npt.NDArray[Any], index: npt.NDArray[Any]) -> Iterator[Record]:
        """Records of maps (image, block, head, patch): of each picture and head, then the mean for each block."""
        blocks = self.maps.keys()
        grids = maps.reshape(*maps.shape[:-1], *self.model.layout.grid)
        area = mass_mask(grids, self.options.mass).mean(axis=(-2, -1))  # (image, block, head)
        total = maps.sum(axis=-1)
        peak = np.divide(maps.max(axis=-1), total, out=np.zeros_like(total), where=total > 0)
        mass = {"parameter": "mass", "at": self.options.mass}
        how: dict[str, tuple[npt.NDArray[Any], dict[str, Any]]] = {"mask-area": (area, mass), "peak": (peak, {})}
        for metric, (values, swept) in how.items():
            for (image, row, head), value in np.ndenumerate(values):
                place = {"block": blocks[row], "head": head, "of": "image", "name": str(index[image]), "n": 1}
                yield Record(metric=metric, value=float(value), token=position, **place, **swept)
            for block, value in zip(blocks, values.mean(axis=(0, 2), dtype=np.float64), strict=True):
                yield Record(metric=metric, value=float(value), token=position, block=block, n=len(index), **swept)
