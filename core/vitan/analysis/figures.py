"""What the drawing function of an analysis is given, and what it yields."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape
from io import BytesIO
from typing import TYPE_CHECKING, Generic, TypeAlias

from ..fields import check_fields
from ..options import OptionsT
from .encoding import write_frames, write_pixels, write_plot

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

    def __post_init__(self) -> None:
        check_fields(self)

    def _repr_png_(self) -> bytes:
        """How a notebook shows it."""
        write_plot(self.figure, content := BytesIO())
        return content.getvalue()


@dataclass(frozen=True, kw_only=True)
class Picture:
    """Pixels as they are: uint8 (height, width, 3); saved as ``name.png``."""

    name: str
    pixels: np.ndarray

    def __post_init__(self) -> None:
        check_fields(self)

    def _repr_png_(self) -> bytes:
        """How a notebook shows it."""
        write_pixels(self.pixels, content := BytesIO())
        return content.getvalue()


@dataclass(frozen=True, kw_only=True)
class Animation:
    """Frames of one size, each uint8 (height, width, 3); saved as ``name.gif``, repeating for ever."""

    name: str
    frames: Sequence[np.ndarray]
    seconds_per_frame: float = 0.2

    def __post_init__(self) -> None:
        check_fields(self)

    def _repr_html_(self) -> str:
        """How a notebook shows it: moving."""
        write_frames(self.frames, self.seconds_per_frame, content := BytesIO())
        return _image("gif", content.getvalue())


@dataclass(frozen=True, kw_only=True)
class File:
    """A file of numbers as it is: tables and masks in the formats of other programs, written whether or not one draws.

    ``name`` is its whole name, and may hold folders, separated by ``/``.
    """

    name: str
    content: bytes

    def __post_init__(self) -> None:
        check_fields(self)


Drawing: TypeAlias = "Plot | Picture | Animation"


class Drawings(list[Drawing]):
    """Several drawings, which a notebook shows below one another, each with its name."""

    def _repr_html_(self) -> str:
        return "".join(f"<figure><figcaption>{escape(each.name)}</figcaption>{_html(each)}</figure>" for each in self)


def _html(drawing: Drawing) -> str:
    """A drawing as an image."""
    return drawing._repr_html_() if isinstance(drawing, Animation) else _image("png", drawing._repr_png_())


def _image(kind: str, content: bytes) -> str:
    return f'<img style="max-width: 100%" src="data:image/{kind};base64,{b64encode(content).decode()}">'


def unheard(text: str) -> None:
    """Tell nobody."""


@dataclass(frozen=True, kw_only=True)
class Drawable(Generic[OptionsT]):
    """The result of one analysis of one model, with what is needed to draw it.

    ``dataset`` and ``view`` give back the pictures by index, for overlays. ``say`` tells the user what figures leave
    out.
    """

    model: ModelInfo
    options: OptionsT
    result: Result
    dataset: Dataset
    dataset_name: str
    view: View
    say: Callable[[str], None] = unheard

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

#: ``files`` of a ``ProbeSpec`` returns one of these, which is called with the result of one model.
MakeFiles: TypeAlias = Callable[[Drawable], Iterable[File]]
