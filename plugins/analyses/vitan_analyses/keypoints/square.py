"""Points and boxes of a picture in the padded square that a model sees, and the pixels that points stand for.

The square has ``side`` pixels: the picture's longer side fills it, the shorter one is centred. Everything is float32,
as in the published code, because a point that lies on a whole number there must be cut to that number here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from vitan.data.samples import Box, Point

Rounding: TypeAlias = Literal["nearest", "published"]


def to_square(points: Sequence[Point], picture: tuple[int, int], side: int) -> Tensor:
    """Points (x, y) of a picture of (width, height) in the square: (point, 2), float32."""
    margins = [(side - shown) // 2 for shown in shown_size(picture, side)]
    scale = side / max(picture)
    return torch.tensor(points, dtype=torch.float32).reshape(-1, 2) * scale + torch.tensor(margins)


def shown_size(picture: tuple[int, int], side: int) -> tuple[int, int]:
    """The picture's (width, height) in the square: the longer side is ``side``, halves are rounded to even."""
    longer = max(picture)
    width, height = (max(1, round(side * length / longer)) for length in picture)
    return width, height


def threshold(box: Box, picture: tuple[int, int], side: int) -> float:
    """The longer side of the object's box, in pixels of the square: what PCK measures errors against."""
    return max(box[2] - box[0], box[3] - box[1]) * side / max(picture)


def to_pixels(points: Tensor, side: int, rounding: Rounding) -> Tensor:
    """The pixel (column, row) of each point (point, 2), inside the square: int64 of the same shape.

    ``nearest`` rounds both, halves to even; ``published`` cuts x off, as the published code does by oversight. Points
    at the far edge of a picture can round to ``side``, and take the last pixel.
    """
    nearest = points.round()
    if rounding == "published":
        nearest[:, 0] = points[:, 0].trunc()
    return nearest.long().clamp(0, side - 1)
