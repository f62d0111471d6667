"""Samples, datasets and batches."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from .options import Options

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

    from .views import Placement


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One picture with what is known of it.

    ``id`` is unique in the dataset and stable across machines (a relative path); ``image`` is RGB.
    ``role`` splits a dataset (``train``/``val``, ``bank``/``query``), ``group`` is a video or a category.
    """

    id: str
    image: Image
    label: int | None = None
    role: str = ""
    group: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Batch:
    """What a probe learns of one forward pass.

    ``index`` holds each sample's position in the whole dataset, whatever the shard; ``samples`` and ``placements``
    (how each picture was laid into the pixels) run in the same order.
    """

    index: Sequence[int]
    samples: Sequence[Sample]
    placements: Sequence[Placement]
    pixels: Tensor  # (batch, 3, height, width), as the model sees them

    def __len__(self) -> int:
        return len(self.index)


class Dataset(ABC):
    """A fixed sequence of samples. Subclass it, and yield a ``DatasetSpec`` whose ``load`` returns the class.

    Reading a sample must be possible from many threads and must not depend on the samples read before.
    """

    Options: ClassVar[type[Options]] = Options

    def __init__(self, options: Any) -> None:
        self.options = options

    @abstractmethod
    def __len__(self) -> int:
        """How many samples there are."""

    @abstractmethod
    def __getitem__(self, index: int) -> Sample:
        """Read one sample; raises ``ImageError``, naming the file, when it cannot be read."""

    @abstractmethod
    def fingerprint(self) -> str:
        """A digest that changes when any sample, its order or its annotation changes. Must be cheap."""

    def classes(self) -> Sequence[str]:
        """Names of the labels, in order of the label; empty where the samples have none."""
        return ()
