"""What the drawing function of an analysis is given, and what it yields."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeAlias

from ..options import OptionsT

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

    from ..anatomy import ModelInfo
    from ..data.samples import Dataset, Sample
    from ..data.views import Placement, View
    from .records import Result


@dataclass(frozen=True, kw_only=True)
class Plot:
    """A matplotlib figure; saved as ``name.png`` and ``name.svg``."""

    name: str
    figure: Figure


@dataclass(frozen=True, kw_only=True)
class Picture:
    """Pixels as they are: uint8 (height, width, 3); saved as ``name.png``."""

    name: str
    pixels: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Animation:
    """Frames of one size, each uint8 (height, width, 3); saved as ``name.gif``, repeating for ever."""

    name: str
    frames: Sequence[np.ndarray]
    seconds_per_frame: float = 0.2


@dataclass(frozen=True, kw_only=True)
class File:
    """A file as it is, for what is no picture to look at: tables and masks in the formats of other programs.

    ``name`` is its whole name, and may hold folders, separated by ``/``.
    """

    name: str
    content: bytes


Drawing: TypeAlias = "Plot | Picture | Animation | File"


@dataclass(frozen=True, kw_only=True)
class Drawable(Generic[OptionsT]):
    """The result of one analysis of one model, with what is needed to draw it.

    ``dataset`` and ``view`` give back the pictures by index, for overlays.
    """

    model: ModelInfo
    options: OptionsT
    result: Result
    dataset: Dataset
    dataset_name: str
    view: View

    def picture(self, index: int) -> tuple[Sample, Placement]:
        """The sample at a position of the dataset, and where the model's pixels lie in it."""
        sample = self.dataset[index]
        return sample, self.view.place(sample.image)[1]


#: ``figures`` of a ``ProbeSpec`` returns one of these. It is called with one result for the pictures of that model, and
#: with all of them, where there are several, for those that compare models; it tells the two apart by the length.
Draw: TypeAlias = Callable[[Sequence[Drawable]], Iterable[Drawing]]

#: ``comparison`` of a ``ProbeSpec`` returns one of these, which draws what ``Probe.compare`` found between the models;
#: ``figures`` is then asked for single models only.
DrawComparison: TypeAlias = "Callable[[Sequence[Drawable], Result], Iterable[Drawing]]"
