"""What each query should find, kept with the state so that scores need no dataset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from vitan.analysis.accumulators import PerImage, Ragged
from vitan.analysis.probe import Recording
from vitan.anatomy import ModelInfo
from vitan.data.batch import Batch
from vitan.errors import MismatchError
from vitan.options import Options

from ..arrays import Integers

#: What a picture can be to a query; all others are wrong.
KINDS = ("easy", "hard", "junk")
#: The kind that stands for "of the same class", where a dataset knows classes alone.
CLASS = "class"


class Relevance(Recording):
    """Keeps of every image the positions that are relevant to it, by kind, and its label (-1 for none)."""

    name: ClassVar[str] = "relevance"

    def __init__(self, options: Options, model: ModelInfo) -> None:
        super().__init__(options, model)
        self.positions, self.label = Ragged(), PerImage()

    def update_block(self, block: int, taps: Mapping[str, Tensor], batch: Batch) -> None:  # noqa: ARG002
        """Keep them once, whatever the block."""
        if block != self.model.blocks[0]:
            return
        for key, kind in enumerate(KINDS):
            rows = [torch.tensor(list(sample.relevant.get(kind, ())), dtype=torch.long) for sample in batch.samples]
            self.positions.add(key, batch.index, rows)
        labels = [-1 if sample.label is None else sample.label for sample in batch.samples]
        self.label.add(0, batch.index, torch.tensor(labels))

    def truth(self, gallery: Tensor, queries: Tensor) -> Truth:
        """What should be found, given the positions in the dataset of the gallery and of the queries, ascending.

        Datasets that say what is relevant are taken at their word; for others the right pictures are those of the same
        class. Raises ``MismatchError`` where a query has neither.
        """
        index = self.label.index(0)
        rows = torch.searchsorted(index, queries)
        every = {kind: self.positions.rows(key) for key, kind in enumerate(KINDS)}
        if any(len(every[kind][row]) for kind in KINDS for row in rows.tolist()):
            found = [{kind: _places(gallery, every[kind][row]) for kind in KINDS} for row in rows.tolist()]
            asked = sum(len(every[kind][row]) for kind in KINDS for row in rows.tolist())
            seen = sum(len(places) for each in found for places in each.values())
            return Truth(found, unseen=asked - seen)
        labels = self.label.rows(0)
        own, theirs = labels[rows], labels[torch.searchsorted(index, gallery)].numpy()
        if bool((own < 0).any()):
            first = int(queries[own < 0][0])
            raise MismatchError(
                f"image {first} of the dataset is a query without a label or anything relevant to it; retrieval needs "
                "one of the two (in the dataset folder, ROOT/query/CLASS/... and ROOT/gallery/CLASS/...)"
            )
        return Truth([{CLASS: np.flatnonzero(theirs == label)} for label in own.tolist()], unseen=0)


@dataclass(frozen=True)
class Truth:
    """For each query its places in the gallery by kind; ``unseen`` relevant pictures were not in the run."""

    by_query: list[dict[str, Integers]]
    unseen: int

    def kinds(self) -> tuple[str, ...]:
        """The kinds that there are."""
        return tuple(self.by_query[0])

    def numbers(self, query: int, places: Integers) -> Integers:
        """For each of these places of the gallery 0 for wrong, or 1 more than the position in ``kinds``."""
        found = np.zeros(len(places), np.int64)
        for number, kind in reversed(list(enumerate(self.kinds(), 1))):
            found[np.isin(places, self.by_query[query][kind])] = number
        return found


def _places(gallery: Tensor, positions: Tensor) -> Integers:
    """Where in the gallery these positions of the dataset are; those that are not in it are left out."""
    places = torch.searchsorted(gallery, positions).clamp(max=len(gallery) - 1)
    found: Integers = places[gallery[places] == positions].numpy()
    return found
