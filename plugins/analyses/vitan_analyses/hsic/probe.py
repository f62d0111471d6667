"""What probes share that keep Gram matrices of minibatches: their options, their state, and how it is read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor
from typing_extensions import Self, TypeVar

from vitan.analysis.accumulators import PerImage
from vitan.analysis.probe import Batching, Probe
from vitan.analysis.records import Record
from vitan.anatomy import TAPS, ModelInfo
from vitan.data.batch import Batch
from vitan.errors import MismatchError
from vitan.options import Options

from .grams import FEWEST, gather, reduce
from .minibatch import Layers

_SIZES = {"default": 64, "paper": 8}
_PLACES = list(TAPS)


class GramOptions(Options):
    """Options of the analyses that compare features within minibatches. All of them decide what is seen."""

    protocol: Literal["default", "paper"] = Field(
        "default",
        description="paper: minibatches of 8 in the dataset's order, each scaled by the range of its Gram matrices",
    )
    batch: int | None = Field(
        None, ge=FEWEST, le=256, description="images in a minibatch; none stands for 64, and for 8 in protocol paper"
    )
    seed: int = Field(
        0, ge=0, description="seed of the images' order, which all models share; protocol paper keeps the dataset's"
    )

    @property
    def size(self) -> int:
        """Images in a minibatch."""
        return _SIZES[self.protocol] if self.batch is None else self.batch


GramOptionsT = TypeVar("GramOptionsT", bound=GramOptions, default=GramOptions)


class GramProbe(Probe[GramOptionsT]):
    """Keeps, for every minibatch, what is left of the Gram matrices of some taps after centring.

    Minibatches are the batches of the pass. Of one with fewer than four images only that is kept. Subclasses name the
    ``kinds`` of tokens, and pass their features to ``keep``.
    """

    Options: ClassVar[type[Options]] = GramOptions

    def __init__(self, options: GramOptionsT, model: ModelInfo) -> None:
        super().__init__(options, model)
        self.rows, self.ranges = PerImage(), PerImage()  # by tap and block: (batch, kind, pair) and (batch, kind)
        self.images = PerImage()  # (batch, place): which images it held, -1 where it was not full
        self._reduced: dict[int, Tensor] = {}  # of the batch at hand

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of tokens, as in ``grams.KINDS``, that Gram matrices are kept of."""
        raise NotImplementedError

    @classmethod
    def batching(cls, options: GramOptionsT) -> Batching:
        """Batches of the size asked for, shuffled alike for all models; as they come in the published protocol."""
        return Batching(size=options.size, seed=None if options.protocol == "paper" else options.seed)

    def bytes_per_image(self) -> int:
        """See ``Recording.bytes_per_image``."""
        pairs: int = self.options.size - 1  # for each image, half of them
        return 2 * pairs * len(self.kinds) * len(self.taps) * len(self.model.blocks)

    @staticmethod
    def how(options: GramOptions) -> str:
        """How CKA was estimated, in words for figures."""
        if options.protocol == "paper":
            return f"protocol paper: batches of {options.size} in order, scaled by their range"
        return f"unbiased minibatch CKA, shuffled batches of {options.size}"

    def keep(self, block: int, features: Mapping[str, Tensor], batch: Batch) -> None:
        """Keep the Gram matrices of features (image, token, channel) by tap."""
        size, n = self.options.size, len(batch)
        if block == self.model.blocks[0]:
            images = torch.full((1, size), -1)
            images[0, :n] = torch.tensor(list(batch.index))
            self.images.add(0, [batch.number], images)
        if n < FEWEST:
            return
        layout, published = self.model.layout, self.options.protocol == "paper"
        self._reduced |= {_key(block, tap): reduce(x, layout, ranges=published) for tap, x in features.items()}
        if block == self.model.blocks[-1]:
            self._put_away(batch.number)

    def _put_away(self, number: int) -> None:
        """Keep what the batch has come to, all of its layers at once: one by one, that costs as much again."""
        size, published = self.options.size, self.options.protocol == "paper"
        found = gather(list(self._reduced.values()), self.model.layout, kinds=self.kinds, ranges=published)
        kept = found.rows()  # (layer, kind, pair)
        kept = torch.nn.functional.pad(kept, (0, size * (size - 1) // 2 - kept.shape[-1]))
        for i, key in enumerate(self._reduced):
            self.rows.add(key, [number], kept[i : i + 1])
            if found.ranges is not None:
                self.ranges.add(key, [number], found.ranges[i : i + 1])
        self._reduced.clear()

    def layers(self, taps: Sequence[str], kind: str, blocks: Sequence[int] | None = None) -> Layers:
        """What was kept of these taps of these blocks, by default of all: block by block, taps in the order given."""
        keys = [_key(block, tap) for block in blocks or self.model.blocks for tap in taps]
        which, counts = self.kinds.index(kind), self.counts()
        used = counts[counts >= FEWEST]
        if not len(used):
            return Layers(np.zeros((len(keys), 0, 0)), used)
        rows = np.stack([self.rows.rows(key)[:, which].numpy() for key in keys])
        if self.options.protocol != "paper":
            return Layers(rows, used)
        return Layers(rows, used, np.stack([self.ranges.rows(key)[:, which].numpy() for key in keys]))

    def counts(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Images in each batch, also in those that are too small."""
        return (self.images.rows(0) >= 0).sum(1).numpy()

    def batch_records(self) -> Iterator[Record]:
        """How many minibatches were used, and how many images were in those that are too small."""
        counts = self.counts()
        values = {"minibatches": (counts >= FEWEST).sum(), "images-left-out": counts[counts < FEWEST].sum()}
        for metric, value in values.items():
            yield Record(metric=metric, value=int(value), parameter="batch", at=self.options.size)

    @classmethod
    def check_same_batches(cls, probes: Sequence[Self]) -> None:
        """Raise ``MismatchError``, saying what differs, unless all have seen the same images in the same batches."""
        first = probes[0]
        for probe in probes[1:]:
            for name, words in (("protocol", "protocol"), ("size", "minibatches of"), ("seed", "seed of the order")):
                mine, theirs = getattr(probe.options, name), getattr(first.options, name)
                if mine != theirs and not (name == "seed" and first.options.protocol == "paper"):
                    raise MismatchError(
                        f"{probe.model.name} was run with {words} {mine} and {first.model.name} with {theirs}; "
                        "CKA compares models that have seen the same minibatches"
                    )
            mine, theirs = probe.images.rows(0), first.images.rows(0)
            if torch.equal(mine, theirs):
                continue
            seen, expected = (sorted(images[images >= 0].tolist()) for images in (mine, theirs))
            what = "in the same order" if seen == expected else f"({len(seen)} and {len(expected)})"
            raise MismatchError(
                f"{probe.model.name} has not seen the same images as {first.model.name} {what}; "
                "CKA compares features of the same images in the same minibatches"
            )


def _key(block: int, tap: str) -> int:
    """One number for a tap of a block."""
    return len(_PLACES) * block + _PLACES.index(tap)
