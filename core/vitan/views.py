"""How a picture becomes the pixels that a model sees, and where those pixels lie in the picture.

New views (dense, squash, letterbox, thumbnail) are classes with the two methods of ``View``, named in ``VIEWS``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from .errors import ImageError, UnknownNameError

#: Long side over short side, beyond which scaling would take more memory than any picture is worth.
_LONGEST = 200


@dataclass(frozen=True)
class Placement:
    """Where the model's pixels lie in the picture.

    ``picture`` is the picture's (width, height); ``box`` is (left, top, right, bottom) in its pixels, not rounded;
    ``pixels`` is the (width, height) that the model sees.
    """

    picture: tuple[int, int]
    box: tuple[float, float, float, float]
    pixels: tuple[int, int]

    def to_picture(self, x: float, y: float) -> tuple[float, float]:
        """A point of the model's pixels in the picture's pixels."""
        left, top, right, bottom = self.box
        return left + x * (right - left) / self.pixels[0], top + y * (bottom - top) / self.pixels[1]


class View(Protocol):
    """A way of laying a picture into a model's pixels."""

    @property
    def name(self) -> str:
        """The name that plans know it by."""

    def place(self, image: Image.Image) -> tuple[Image.Image, Placement]:
        """The picture that the model sees, and where it lies in the one given.

        Raises ``ImageError`` for a shape that cannot be laid out.
        """


@dataclass(frozen=True)
class Crop:
    """Short side to ``size`` (bicubic), then the centre square; the long side is rounded down.

    This is torchvision's ``Resize(size, BICUBIC)`` and ``CenterCrop(size)``, the preprocessing of the published code
    for every model family, with no enlargement before the crop.
    """

    size: int
    name: str = "crop"

    def place(self, image: Image.Image) -> tuple[Image.Image, Placement]:
        """See ``View.place``."""
        width, height = image.size
        short = min(width, height)
        if max(width, height) > _LONGEST * short:
            raise ImageError(
                f"a picture of {width} x {height} pixels is too long and thin for a view of {self.size} pixels"
            )
        scaled = (int(self.size * width / short), int(self.size * height / short))
        left, top = (round((side - self.size) / 2.0) for side in scaled)
        resized = image if scaled == image.size else image.resize(scaled, Image.Resampling.BICUBIC)
        seen = resized.crop((left, top, left + self.size, top + self.size))
        across, down = width / scaled[0], height / scaled[1]
        box = (left * across, top * down, (left + self.size) * across, (top + self.size) * down)
        return seen, Placement(image.size, box, (self.size, self.size))


VIEWS = {"crop": Crop}


def make_view(name: str, size: int) -> View:
    """The view of that name for models that take ``size`` pixels; raises ``UnknownNameError``."""
    if name not in VIEWS:
        raise UnknownNameError("view", name, list(VIEWS))
    return VIEWS[name](size)


def to_tensor(image: Image.Image, mean: tuple[float, float, float], std: tuple[float, float, float]) -> Tensor:
    """RGB picture to float32 (3, height, width), scaled to [0, 1] and normalised."""
    pixels = torch.from_numpy(np.array(image, dtype=np.uint8)).permute(2, 0, 1).float().div(255)
    return (pixels - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)
