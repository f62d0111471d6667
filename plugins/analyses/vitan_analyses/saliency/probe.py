"""The ``saliency`` analysis: masks of attention against masks of objects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor
from typing_extensions import override

from vitan.analysis.accumulators import PerImage
from vitan.analysis.probe import Probe
from vitan.analysis.records import Record, Result
from vitan.anatomy import ModelInfo
from vitan.data.batch import Batch
from vitan.errors import MismatchError
from vitan.options import Options, summary

from ..plotting.pixels import Array
from ..regions.attention_rows import mass_mask, overlap
from ..regions.token_masks import TokenMasks
from .floor import random_iou
from .rows import TOKENS, map_shape, maps_of_rows, saliency_maps, source_rows, sources

#: For the size of what is stored: a float for the IoU and an integer for the size of each mask.
_BYTES = 8


class SaliencyOptions(Options):
    """Options of the ``saliency`` analysis."""

    mass: float = Field(0.6, gt=0, le=1, description="share of a map's attention that its mask holds")
    examples: int = Field(
        6, ge=0, le=200, description="how many pictures to keep maps of for figures: the first of the dataset"
    )
    seed: int = summary(0, ge=0, description="seed of the random masks")
    protocol: Literal["default", "paper"] = Field(
        "default",
        description="where an object is: patches at least half covered, or (paper) any that its resized mask touches",
    )


class SaliencyProbe(Probe[SaliencyOptions]):
    """IoU of the patches that hold most of a head's attention with those of the objects.

    Three sources: CLS, the mean over the patches, and the centre patch; each head, and all heads summed. CLS and
    registers are no keys. Pictures in which no patch belongs to an object are left out and counted. Of a block's
    attention three rows a head are read; what is kept is one IoU for each mask, and the mask's size.
    """

    Options: ClassVar[type[Options]] = SaliencyOptions
    taps: ClassVar[frozenset[str]] = frozenset({"attention"})
    needs: ClassVar[frozenset[str]] = frozenset({"masks"})

    def __init__(self, options: SaliencyOptions, model: ModelInfo) -> None:
        super().__init__(options, model)
        self.iou, self.size = PerImage(), PerImage()  # by block: (image, source, head + 1), all heads together last
        self.truth = PerImage()  # patches of the union, (image,), also of those left out
        self.rows, self.union = PerImage(), PerImage()  # of the examples: (image, source, head, patch), (image, patch)
        self._masks = self.preparation(options)
        self._batch: Batch | None = None
        self._maps: Array = np.empty(0)  # of the batch at hand: (block, image, source, head + 1, row, column)
        self._unions: dict[int, Array] = {}  # by image: (row, column)
        self._away = PerImage()  # by block, on their way from an accelerator: (image, source, head, patch)

    @classmethod
    @override
    def preparation(cls, options: SaliencyOptions) -> TokenMasks:
        return TokenMasks(options.protocol)

    @override
    def bytes_per_image(self) -> int:
        layout = self.model.layout
        return _BYTES * len(self.model.blocks) * len(sources(layout)) * (self.model.heads + 1)

    @override
    def update_block(self, block: int, taps: Mapping[str, Tensor], batch: Batch) -> None:
        if self._batch is not batch:
            self._begin(batch)
        layout, blocks, attention = self.model.layout, self.model.blocks, taps["attention"]
        if not attention.is_cpu:
            self._away.add(block, batch.index, source_rows(attention, layout))
            return
        saliency_maps(attention, layout, paper=self._paper, out=self._maps[blocks.index(block)])
        if block == blocks[-1]:
            self._compare(batch.index, self._maps)

    @override
    def finish(self) -> None:
        """Compare what has come from an accelerator."""
        if not self._away.keys():
            return
        blocks = self.model.blocks
        rows = (self._away.rows(block).numpy() for block in blocks)
        maps = np.stack([maps_of_rows(each, self.model.layout, paper=self._paper) for each in rows])
        self._compare(self._away.index(blocks[0]).tolist(), maps)
        self._away = PerImage()

    @property
    def _paper(self) -> bool:
        return self.options.protocol == "paper"

    def _begin(self, batch: Batch) -> None:
        """Keep what belongs to pictures and not to blocks, and make room."""
        unions = torch.stack([one["union"] for one in batch.prepared[self._masks]])  # (image, row, column)
        self._batch = batch
        self._unions |= dict(zip(batch.index, unions.numpy(), strict=True))
        shape = map_shape(self.model.layout, self.model.heads)
        self._maps = np.empty((len(self.model.blocks), len(batch), *shape), np.float32)
        self.truth.add(0, batch.index, unions.sum((-2, -1)).int())

    def _compare(self, images: Sequence[int], maps: Array) -> None:
        """Turn maps (block, image, ...) into masks, of all blocks at once, as each is little.

        Pictures without objects have no numbers.
        """
        unions = np.stack([self._unions.pop(image) for image in images])
        used = [row for row, union in enumerate(unions) if union.any()]
        shown = [row for row in used if images[row] < self.options.examples]
        iou, size = overlap(mass_mask(maps, self.options.mass), unions[:, None, None])
        index = [images[row] for row in used]
        for i, block in enumerate(self.model.blocks if used else ()):
            self.iou.add(block, index, torch.from_numpy(iou[i, used]))
            self.size.add(block, index, torch.from_numpy(size[i, used]))
        if not shown:
            return
        index = [images[row] for row in shown]
        self.union.add(0, index, torch.from_numpy(unions[shown]).flatten(1))
        for i, block in enumerate(self.model.blocks):
            self.rows.add(block, index, torch.from_numpy(maps[i, shown, :, :-1]).flatten(-2))

    @override
    def compute(self) -> Result:
        """IoU of every head, and for each source and block what heads reach together.

        ``iou-SOURCE`` is (image, block, head) and ``iou-SOURCE-merged`` (image, block) for all heads summed, ``image``
        (image,) where in the dataset they are. ``example-maps`` (image, block, source, head, patch) and
        ``example-union`` (image, patch) are of the pictures at ``example``. Raises ``MismatchError`` where no picture
        has an object.
        """
        blocks, names = self.model.blocks, sources(self.model.layout)
        truth = self.truth.rows(0).numpy()
        if not truth.any():
            raise MismatchError(
                f"in none of {len(truth)} pictures does a patch belong to an object, so that there is nothing to "
                "compare with; raise --limit or choose another dataset"
            )
        iou = np.stack([self.iou.rows(block).numpy() for block in blocks], 1)  # (image, block, source, head + 1)
        sizes = np.stack([self.size.rows(block).numpy() for block in blocks], 1)
        arrays: dict[str, Any] = {"image": self.iou.index(blocks[0]).numpy()}
        axes: dict[str, tuple[str, ...]] = {"image": ("image",)}
        found: list[Record] = list(self._counts(truth))
        for i, name in enumerate(names):
            arrays[f"iou-{name}"], axes[f"iou-{name}"] = iou[:, :, i, :-1], ("image", "block", "head")
            arrays[f"iou-{name}-merged"], axes[f"iou-{name}-merged"] = iou[:, :, i, -1], ("image", "block")
            floor = random_iou(
                sizes[:, :, i, :-1], truth[truth > 0], self.model.layout.n_patches, seed=self.options.seed
            )
            for what, row in zip(("random", "random-best-head"), floor, strict=True):
                arrays[f"iou-{name}-{what}"], axes[f"iou-{name}-{what}"] = row, ("block",)
            found += self._records(name, iou[:, :, i].astype(np.float64), floor)
        if self.rows.keys():
            arrays |= self._examples()
            axes |= {
                "example": ("image",),
                "example-maps": ("image", "block", "source", "head", "patch"),
                "example-union": ("image", "patch"),
            }
        headline = ("iou-best-fixed-head", "iou-best-head-per-image", "iou-random-best-head")
        return Result(records=tuple(found), arrays=arrays, axes=axes, headline=headline)

    def _examples(self) -> dict[str, Array]:
        maps = [self.rows.rows(block).numpy() for block in self.model.blocks]
        return {
            "example": self.union.index(0).numpy(),
            "example-maps": np.stack(maps, 1),
            "example-union": self.union.rows(0).numpy(),
        }

    def _counts(self, truth: Array) -> Iterator[Record]:
        for metric, value in (
            ("pictures", int((truth > 0).sum())),
            ("pictures-without-objects", int((truth == 0).sum())),
            ("heads", self.model.heads),
        ):
            yield Record(metric=metric, value=value)

    def _records(self, name: str, iou: Array, floor: tuple[Array, Array]) -> Iterator[Record]:
        """Records of one source from its IoU (image, block, head + 1) and the two floors (block,)."""
        heads = iou[..., :-1].mean(0)  # (block, head)
        columns: dict[str, Array] = {
            "": heads.mean(1),
            "-best-head-per-image": iou[..., :-1].max(2).mean(0),
            "-best-fixed-head": heads.max(1),
            "-merged": iou[..., -1].mean(0),
            "-random": floor[0],
            "-random-best-head": floor[1],
        }

        def record(what: str, value: float, row: int, head: int | None = None) -> Record:
            return Record(
                metric=f"iou{what}",
                value=float(value),
                block=self.model.blocks[row],
                head=head,
                token=TOKENS[name],
                parameter="mass",
                at=self.options.mass,
                n=len(iou),
            )

        for (row, head), value in np.ndenumerate(heads):
            yield record("", value, row, head)
        best = heads.argmax(1)
        for what, values in columns.items():
            for row, value in enumerate(values):
                fixed = what == "-best-fixed-head"
                yield replace(record(what, value, row), label=f"head {best[row]}" if fixed else "")
