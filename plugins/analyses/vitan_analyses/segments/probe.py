"""The ``segments`` analyses: a feature for each object, and what k-means makes of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import ClassVar, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor
from typing_extensions import override

from vitan.analysis.accumulators import PerImage, Ragged
from vitan.analysis.probe import Probe
from vitan.analysis.records import Record, Result
from vitan.anatomy import ModelInfo
from vitan.data.batch import Batch
from vitan.errors import OptionError
from vitan.options import Options, summary

from ..clusters import FLOOR, METRICS, Floats, Integers, Key, Load, cluster_all, memory, noise, records, values
from ..regions.token_masks import TokenMasks
from .pooling import Share, pool, window_shares

#: Clusters of the published code, for COCO's 80 categories and for the 40 of PartImageNet alike.
PUBLISHED_K = 80
#: The name of what is clustered.
OBJECTS = "objects"
#: For the size of what is stored: objects of a COCO picture, about.
_OBJECTS = 7


class SegmentsOptions(Options):
    """Options of the ``segments`` analyses."""

    k: int | None = summary(
        None, ge=2, description="how many clusters; as many as categories occur unless given (paper: 80)"
    )
    starts: int = summary(10, ge=1, le=1000, description="how many times k-means starts; the best one counts")
    seed: int = summary(0, ge=0, description="seed of k-means and of the noise that is clustered for comparison")
    protocol: Literal["default", "paper"] = Field(
        "default", description="weights of patches: the share that the object covers, or (paper) the published 8 bits"
    )


class SegmentsProbe(Probe[SegmentsOptions]):
    """NMI, ARI and purity of k-means against the categories of objects or parts, for each block.

    An object's feature is the mean over the patches that it covers, weighted by how much of each it covers. Objects
    that no patch shows are left out and counted. With the paper's protocol crowds are objects, and the sizes of dense
    views are the published ones.
    """

    Options: ClassVar[type[Options]] = SegmentsOptions
    taps: ClassVar[frozenset[str]] = frozenset({"block"})
    needs: ClassVar[frozenset[str]] = frozenset({"masks"})

    def __init__(self, options: SegmentsOptions, model: ModelInfo) -> None:
        super().__init__(options, model)
        self.features, self.labels, self.skipped = Ragged(), Ragged(), PerImage()
        self._masks = self.preparation(options)
        self._batch: Batch | None = None
        self._shares: list[Share] = []  # of the batch at hand, and how many objects its pictures have
        self._objects: list[int] = []

    @classmethod
    @override
    def preparation(cls, options: SegmentsOptions) -> TokenMasks:
        return TokenMasks(options.protocol)

    @override
    def bytes_per_image(self) -> int:
        return 4 * _OBJECTS * self.model.dim * len(self.model.blocks)

    @override
    def memory(self, images: int) -> int:
        return memory(len(self.model.blocks) + 1, _OBJECTS * images, self.model.dim)

    @override
    def update_block(self, block: int, taps: Mapping[str, Tensor], batch: Batch) -> None:
        features = taps["block"][:, self.model.layout.patches]  # (window, patch, channel)
        if self._batch is not batch:
            self._begin(batch, features)
        self.features.add(block, batch.index, pool(features, self._shares, batch.windows, self._objects))

    def _begin(self, batch: Batch, features: Tensor) -> None:
        """Lay the masks of the batch onto its windows, once for all blocks; keep labels and what is left out."""
        found = batch.prepared[self._masks]
        weights = [one["weights"] for one in found]
        self._batch, self._shares = batch, window_shares(weights, batch.windows, features.device)
        self._objects = [len(one) for one in weights]
        self.labels.add(0, batch.index, [one["labels"] for one in found])
        self.skipped.add(0, batch.index, torch.stack([one["skipped"] for one in found]))

    @override
    def compute(self) -> Result:
        """Cluster every block; blocks run side by side and do not depend on how many do.

        ``objects`` is (block, metric), ``noise`` (metric,) what uniform noise in the shape of the features reaches,
        ``label`` and ``image`` (object,) what each object is and where. Raises ``OptionError`` for fewer objects than
        clusters.
        """
        per_image = self.labels.rows(0)
        labels = torch.cat(per_image).numpy()
        k = self._clusters(labels)
        jobs: dict[Key, Load] = {(OBJECTS, block): partial(self._read, block) for block in self.model.blocks}
        jobs[FLOOR, 0] = partial(noise, len(labels), self.model.dim, seed=self.options.seed)
        found = cluster_all(jobs, labels, self.model.dim, k, starts=self.options.starts, seed=self.options.seed)
        return Result(
            records=(*records(found, k, {OBJECTS: "patch-tokens"}), *self._counts(labels)),
            arrays={
                OBJECTS: np.array([values(found[OBJECTS, block]) for block in self.model.blocks]),
                FLOOR: np.array(values(found[FLOOR, 0])),
                "label": labels,
                "image": np.repeat(self.labels.index(0).numpy(), [len(one) for one in per_image]),
            },
            axes={OBJECTS: ("block", "metric"), FLOOR: ("metric",), "label": ("object",), "image": ("object",)},
            headline=tuple(METRICS),
        )

    def _read(self, block: int) -> Floats:
        features: Floats = torch.cat(self.features.rows(block)).numpy()  # (object, channel)
        return features

    def _clusters(self, labels: Integers) -> int:
        k: int = self.options.k or (PUBLISHED_K if self.options.protocol == "paper" else len(np.unique(labels)))
        if not len(labels):
            raise OptionError(
                "no object in these pictures, outlined and in sight (crowds do not count); raise --limit or choose "
                "another dataset"
            )
        if len(labels) < k or k < 2:
            raise OptionError(
                f"{len(labels)} objects of {len(np.unique(labels))} categories cannot be put into {k} clusters; "
                "change --limit or --k"
            )
        return k

    def _counts(self, labels: Integers) -> Iterator[Record]:
        """How many objects there are, of how many categories, and how many the view does not show."""
        for metric, value in (
            ("objects", len(labels)),
            ("categories", len(np.unique(labels))),
            ("objects-not-shown", int(self.skipped.rows(0).sum())),
        ):
            yield Record(metric=metric, value=value)


class DenseSegmentsProbe(SegmentsProbe):
    """The same of the whole picture at twice the size of the model's input, window by window.

    Each patch counts once, in the first window that shows it.
    """

    view: ClassVar[str] = "dense"

    @classmethod
    @override
    def view_for(cls, options: SegmentsOptions) -> str:
        return "dense-paper" if options.protocol == "paper" else cls.view
