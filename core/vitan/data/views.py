"""How a picture becomes the pixels that a model sees, and where those pixels lie in the picture.

Most views lay the whole input of the model into the picture at once. ``dense`` scales the picture to several times that
size and cuts it into windows, each of which the model sees by itself.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..errors import ImageError, MismatchError, UnknownNameError

#: Long side over short side, beyond which scaling would take more memory than any picture is worth.
_LONGEST = 200
#: The same for views that keep the whole picture at full height.
_LONGEST_WHOLE = 20


@dataclass(frozen=True)
class Placement:
    """Where the view's pixels lie in the picture.

    ``picture`` is the picture's (width, height); ``box`` is (left, top, right, bottom) in its pixels, not rounded, and
    reaches beyond the picture where the view has margins; ``pixels`` is the (width, height) of the view.
    """

    picture: tuple[int, int]
    box: tuple[float, float, float, float]
    pixels: tuple[int, int]

    def to_picture(self, x: float, y: float) -> tuple[float, float]:
        """A point of the view's pixels in the picture's pixels."""
        left, top, right, bottom = self.box
        return left + x * (right - left) / self.pixels[0], top + y * (bottom - top) / self.pixels[1]

    def to_view(self, x: float, y: float) -> tuple[float, float]:
        """A point of the picture's pixels in the view's pixels; it may lie outside of them."""
        left, top, right, bottom = self.box
        return (x - left) * self.pixels[0] / (right - left), (y - top) * self.pixels[1] / (bottom - top)


@dataclass(frozen=True)
class View(ABC):
    """A way of laying a picture into the pixels of a model that takes ``size`` by ``size`` of them."""

    name: ClassVar[str]
    size: int

    @abstractmethod
    def place(self, image: Image.Image) -> tuple[Image.Image, Placement]:
        """The picture that the model sees, and where it lies in the one given.

        Raises ``ImageError`` for a shape that cannot be laid out.
        """

    def windows(self, placement: Placement) -> Sequence[tuple[int, int]]:  # noqa: ARG002  # most views are not cut
        """(left, top) of each square of ``size`` pixels that the model sees by itself, row by row."""
        return ((0, 0),)


class Crop(View):
    """Short side to ``size`` (bicubic), then the centre square; the long side is rounded down.

    This is torchvision's ``Resize(size, BICUBIC)`` and ``CenterCrop(size)``, the preprocessing of the published code
    for every model family, with no enlargement before the crop.
    """

    name = "crop"

    def place(self, image: Image.Image) -> tuple[Image.Image, Placement]:
        """See ``View.place``."""
        width, height = image.size
        short = min(width, height)
        _check_shape(image, _LONGEST)
        scaled = (int(self.size * width / short), int(self.size * height / short))
        left, top = (round((side - self.size) / 2.0) for side in scaled)
        resized = image if scaled == image.size else image.resize(scaled, Image.Resampling.BICUBIC)
        seen = resized.crop((left, top, left + self.size, top + self.size))
        across, down = width / scaled[0], height / scaled[1]
        box = (left * across, top * down, (left + self.size) * across, (top + self.size) * down)
        return seen, Placement(image.size, box, (self.size, self.size))


class Thumbnail(View):
    """Made to fit into ``size`` pixels first (Lanczos, never enlarged), then laid out as ``crop`` does.

    The preprocessing of the published image retrieval: softer than ``crop``, with the same sides cut off.
    """

    name = "thumbnail"

    def place(self, image: Image.Image) -> tuple[Image.Image, Placement]:
        """See ``View.place``."""
        _check_shape(image, _LONGEST)
        small = image.copy()
        small.thumbnail((self.size, self.size), Image.Resampling.LANCZOS)
        seen, placement = Crop(self.size).place(small)
        across, down = image.width / small.width, image.height / small.height
        left, top, right, bottom = placement.box
        return seen, Placement(image.size, (left * across, top * down, right * across, bottom * down), placement.pixels)


class Squash(View):
    """Both sides to ``size`` (bicubic), whatever that does to the proportions."""

    name = "squash"

    def place(self, image: Image.Image) -> tuple[Image.Image, Placement]:
        """See ``View.place``."""
        _check_shape(image, _LONGEST)
        square = (self.size, self.size)
        return image.resize(square, Image.Resampling.BICUBIC), Placement(image.size, (0.0, 0.0, *image.size), square)


class Letterbox(View):
    """Long side to ``size`` (Lanczos), centred on black; the other side is rounded half to even.

    The preprocessing of the published key points.
    """

    name = "letterbox"

    def place(self, image: Image.Image) -> tuple[Image.Image, Placement]:
        """See ``View.place``."""
        _check_shape(image, _LONGEST)
        longer = max(image.size)
        width, height = (max(1, int(np.around(self.size * side / longer))) for side in image.size)
        left, top = (self.size - width) // 2, (self.size - height) // 2
        seen = Image.new("RGB", (self.size, self.size))
        seen.paste(image.resize((width, height), Image.Resampling.LANCZOS), (left, top))
        scale = longer / self.size  # of both sides, as published; rounding the shorter one is left out of account
        box = (-left * scale, -top * scale, (self.size - left) * scale, (self.size - top) * scale)
        return seen, Placement(image.size, box, (self.size, self.size))


@dataclass(frozen=True)
class Dense(View):
    """Short side to ``tiles`` times ``size`` (bicubic), cut into windows of ``size`` that start at its top left corner.

    The long side is rounded down to whole patches; the last row and column of windows are pulled back to end flush with
    the picture, so they overlap their neighbours. There is no padding. Windows start between patches, as ``size`` is a
    multiple of ``patch``; ``MismatchError`` if it is not.
    """

    name = "dense"
    patch: int
    tiles: int = 2

    def __post_init__(self) -> None:
        if self.size % self.patch:
            raise MismatchError(f"windows of {self.size} pixels are not whole patches of {self.patch}")

    def place(self, image: Image.Image) -> tuple[Image.Image, Placement]:
        """See ``View.place``; the picture is that of all windows together."""
        _check_shape(image, _LONGEST_WHOLE)
        scaled = self.scaled(*image.size)
        seen = image if scaled == image.size else image.resize(scaled, Image.Resampling.BICUBIC)
        return seen, Placement(image.size, (0.0, 0.0, *image.size), scaled)

    def scaled(self, width: int, height: int) -> tuple[int, int]:
        """The (width, height) that a picture of this size is scaled to."""
        short = self.tiles * self.size
        if width < height:
            return short, self._long(short, height, width)
        return self._long(short, width, height), short

    def windows(self, placement: Placement) -> Sequence[tuple[int, int]]:
        """See ``View.windows``."""
        across, down = (
            [min(start, side - self.size) for start in range(0, side, self.size)] for side in placement.pixels
        )
        return tuple((left, top) for top in down for left in across)

    def _long(self, short: int, long_side: int, short_side: int) -> int:
        return short * long_side // short_side // self.patch * self.patch


class DensePaper(Dense):
    """``dense`` with the published size rule, in floating point.

    ``short / s * l`` falls below the whole number that it stands for in about one of twelve squares (612 x 612 among
    them), and then loses a row or column of patches. The published dense numbers rest on it.
    """

    name = "dense-paper"

    def _long(self, short: int, long_side: int, short_side: int) -> int:
        return int(short / short_side * long_side) // self.patch * self.patch


def _undivided(kind: Callable[[int], View]) -> Callable[[int, int], View]:
    return lambda size, patch: kind(size)  # noqa: ARG005  # where patches lie does not matter to these


#: Each view, made for a model's input size and patch size in pixels.
VIEWS: dict[str, Callable[[int, int], View]] = {
    "crop": _undivided(Crop),
    "dense": Dense,
    "dense-paper": DensePaper,
    "squash": _undivided(Squash),
    "letterbox": _undivided(Letterbox),
    "thumbnail": _undivided(Thumbnail),
}

#: Those of which the model sees several windows.
DIVIDED = frozenset({Dense.name, DensePaper.name})


def make_view(name: str, size: int, patch: int) -> View:
    """The view of that name for models that take ``size`` pixels, ``patch`` of them to a patch.

    Raises ``UnknownNameError``.
    """
    if name not in VIEWS:
        raise UnknownNameError("view", name, list(VIEWS))
    return VIEWS[name](size, patch)


def to_tensor(image: Image.Image, mean: tuple[float, float, float], std: tuple[float, float, float]) -> Tensor:
    """RGB picture to float32 (3, height, width), scaled to [0, 1] and normalised."""
    pixels = torch.from_numpy(np.array(image, dtype=np.uint8)).permute(2, 0, 1).float().div(255)
    return (pixels - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)


def _check_shape(image: Image.Image, longest: int) -> None:
    if max(image.size) > longest * min(image.size):
        raise ImageError(f"a picture of {image.width} x {image.height} pixels is too long and thin for this view")
