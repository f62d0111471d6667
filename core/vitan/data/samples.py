"""Samples, and the datasets they come from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from ..fields import check_fields
from ..options import Options

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt
    from PIL.Image import Image

#: x and y in the pixels of a picture, from its top left corner.
Point: TypeAlias = "tuple[float, float]"
#: x1, y1, x2, y2 in the pixels of a picture.
Box: TypeAlias = "tuple[float, float, float, float]"


@dataclass(frozen=True, kw_only=True)
class Segment:
    """One region of a picture that somebody has outlined: an object, or a part of one.

    ``label`` is the dataset's own number of the category, a key of ``Dataset.categories``; ``id`` that of the
    annotation. ``crowd`` marks a region that stands for many objects. ``decode`` makes the mask, and only when asked:
    analyses that need no masks do not pay for them.
    """

    label: int
    decode: Callable[[], npt.NDArray[np.bool_]]
    id: str = ""
    crowd: bool = False

    def mask(self) -> npt.NDArray[np.bool_]:
        """Where the region is: (height, width) of the picture; raises ``DataError`` for a broken annotation."""
        return self.decode()


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Points of the picture that holds this pair, and where they are in another one, the ``target`` (a sample's id).

    ``names``, ``source`` and ``points`` run in the same order: the name of a point, where it is here, and where there.
    ``facts`` is what the dataset knows of the pair (how far the viewpoint differs, ...).
    """

    id: str
    target: str
    names: tuple[str, ...]
    source: tuple[Point, ...]
    points: tuple[Point, ...]
    source_box: Box
    target_box: Box
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One picture with what is known of it.

    ``id`` is unique in the dataset and stable across machines (a relative path); ``image`` is RGB. ``role`` splits a
    dataset into ``bank`` and ``query``; ``group`` is a video or a category. ``box`` is where the object in question is.

    ``relevant`` is for a query what should be found: positions in the dataset under ``easy``, ``hard`` and ``junk``.
    ``id_mask`` makes the mask of a frame of a video, (height, width): 0 for the background, and the objects from 1.

    Raises ``TypeError`` and ``ValueError`` for what is none of these.
    """

    id: str
    image: Image
    label: int | None = None
    role: str = ""
    group: str = ""
    box: Box | None = None
    segments: Sequence[Segment] = ()
    keypoints: Mapping[str, Point] = field(default_factory=dict)
    pairs: Sequence[Pair] = ()
    relevant: Mapping[str, Sequence[int]] = field(default_factory=dict)
    id_mask: Callable[[], npt.NDArray[np.uint8]] | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_fields(self)
        if self.label is not None and self.label < 0:
            raise ValueError(f"{self.id}: its label is {self.label}; labels count from 0, and None is no label")


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

    def which(self) -> str:
        """A word for this one, where the options make it one of several that people keep apart; it joins the name."""
        return ""

    def classes(self) -> Sequence[str]:
        """Names of the labels, in order of the label; empty where the samples have none."""
        return ()

    def categories(self) -> Mapping[int, str]:
        """Names of the labels of segments; empty where samples have none."""
        return {}

    def notes(self) -> Sequence[str]:
        """What should be known of it before a run, a line each: what is missing, or was left out and why."""
        return ()

    def lacks(self) -> Mapping[str, str]:
        """What its spec offers and it has not with these options, by that name, and why, in a sentence without an end.

        Nothing is read for it but what is read anyway; analyses that need such a thing are refused before a run.
        """
        return {}

    def groups(self) -> Sequence[str]:
        """The group of every sample, without reading a picture; empty where there are none.

        The samples of a group follow one another.
        """
        return ()

    def labels(self) -> Sequence[int | None]:
        """The label of every sample, without reading a picture; empty where that cannot be told."""
        return ()

    def roles(self) -> Sequence[str]:
        """The role of every sample, without reading a picture; empty where that cannot be told."""
        return ()

    def layouts(self) -> Mapping[str, Callable[[Path], None]]:
        """The layouts of files in which the dataset can write itself into an empty folder, for ``vitan export``.

        The first paragraph of each function's docstring says what is written.
        """
        return {}
