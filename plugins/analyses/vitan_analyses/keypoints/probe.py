"""The ``keypoints`` analysis: matches within a category, and the numbers from them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

import torch
from annotated_types import Gt
from pydantic import Field
from torch import Tensor

from vitan.analysis.accumulators import PerImage, Ragged
from vitan.analysis.probe import Batching, Probe
from vitan.analysis.records import Result
from vitan.anatomy import ModelInfo
from vitan.data.batch import Batch
from vitan.data.samples import Dataset, Sample
from vitan.errors import MismatchError
from vitan.options import Options, summary

from .matching import match, normalise
from .points import collect
from .square import Rounding, to_pixels
from .summary import summarise

_NO_PAIR = "none of the images looked at form a pair; raise --limit or look at all images"


class KeypointsOptions(Options):
    """Options of the ``keypoints`` analysis."""

    protocol: Literal["default", "paper"] = Field(
        "default",
        description="paper: cut the x of source points off instead of rounding it, as the published code does",
    )
    alpha: tuple[Annotated[float, Gt(0)], ...] = summary(
        (0.1, 0.05, 0.01),
        min_length=1,
        description="a point is found if the error is below this share of the longer side of the object's box",
    )


class KeypointsProbe(Probe[KeypointsOptions]):
    """PCK of the most similar patch features (cosine, enlarged to pixels), for every block.

    Pairs need both pictures: a pass sees one category after the other, keeps its features, and stores only what was
    found. Each picture is encoded once, however many pairs it is in.

    Raises ``MismatchError`` for a model whose patches do not cover its input.
    """

    Options: ClassVar[type[Options]] = KeypointsOptions
    taps: ClassVar[frozenset[str]] = frozenset({"block"})
    needs: ClassVar[frozenset[str]] = frozenset({"pairs"})
    view: ClassVar[str] = "letterbox"

    def __init__(self, options: KeypointsOptions, model: ModelInfo) -> None:
        super().__init__(options, model)
        rows, columns = model.layout.grid
        if (rows * model.patch, columns * model.patch) != (model.image_size, model.image_size):
            raise MismatchError(
                f"{model.name} takes {model.image_size} pixels, which {rows} x {columns} patches of {model.patch} do "
                "not cover; matches between pixels need an input of whole patches"
            )
        self.found, self.table, self.category = Ragged(), Ragged(), Ragged()
        self.left_out = PerImage()
        self._forget()

    @classmethod
    def batching(cls, options: KeypointsOptions) -> Batching:  # noqa: ARG003  # the same for all
        """Category by category."""
        return Batching(grouped=True)

    @classmethod
    def check(cls, options: KeypointsOptions, dataset: Dataset, n: int) -> None:
        """Raise ``MismatchError`` where no two of the first images are of one category, as the two of a pair are."""
        super().check(options, dataset, n)
        groups = dataset.groups()[:n]
        if groups and len(set(groups)) == len(groups):
            raise MismatchError(_NO_PAIR)

    def update_block(self, block: int, taps: Mapping[str, Tensor], batch: Batch) -> None:
        """Keep normalised patch tokens until the category is complete."""
        layout = self.model.layout
        patches = normalise(taps["block"][:, layout.patches])
        tokens = patches.reshape(len(patches), *layout.grid, -1)
        self._tokens.setdefault(block, []).append(tokens)  # (image, row, column, channel)
        if block == self.model.blocks[0]:
            self._samples += batch.samples
            self._index += batch.index

    def finish(self) -> None:
        """Find all points of the category's pairs, in every block."""
        if not self._index:
            return
        side = self.model.image_size
        points = collect(self._samples, self._index, side)
        rounding: Rounding = "published" if self.options.protocol == "paper" else "nearest"
        pixels = to_pixels(points.table[:, 2:4].float(), side, rounding)
        for block, parts in self._tokens.items():
            tokens = torch.cat(parts)
            parts.clear()
            source, pixel, target = (part.to(tokens.device) for part in (points.source, pixels, points.target))
            found = match(tokens, source, pixel, target, side)
            self.found.add(block, self._index, torch.split(found, points.counts))
        self.table.add(0, self._index, torch.split(points.table, points.counts))
        self.category.add(0, self._index, [_as_bytes(sample.group) for sample in self._samples])
        self.left_out.add(0, self._index, torch.tensor(points.left_out))
        self._forget()

    def compute(self) -> Result:
        """PCK per category, point and picture, and confusion of sides; raises ``MismatchError`` without any pair."""
        tables = self.table.rows(0)
        names = [bytes(row.tolist()).decode() for row in self.category.rows(0)]
        if not sum(map(len, tables)):
            raise MismatchError(_NO_PAIR)
        return summarise(
            found=torch.stack([torch.cat(self.found.rows(block)) for block in self.model.blocks]).double().numpy(),
            table=torch.cat(tables).numpy(),
            image=self.table.index(0).repeat_interleave(torch.tensor([len(table) for table in tables])).numpy(),
            category=[name for name, table in zip(names, tables, strict=True) for _ in range(len(table))],
            left_out=int(self.left_out.rows(0).sum()),
            blocks=self.model.blocks,
            options=self.options,
        )

    def _forget(self) -> None:
        self._tokens: dict[int, list[Tensor]] = {}
        self._samples: list[Sample] = []
        self._index: list[int] = []


def _as_bytes(text: str) -> Tensor:
    return torch.tensor(list(text.encode()), dtype=torch.uint8)
