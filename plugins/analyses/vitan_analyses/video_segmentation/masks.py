"""Masks of object ids: from an annotation to labels of tokens, from labels to a mask, and both ways to PNG."""

from __future__ import annotations

import io
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from .metrics import Ids, objects_of

_COLOURS = 256


def first_labels(ids: Ids, grid: tuple[int, int]) -> Tensor:
    """The labels (token, class) that a video begins with: 1 for the class of each token, background first.

    The mask is reduced to the (rows, columns) of tokens by nearest neighbour, as published. Classes are those of the
    whole mask, so that an object that is lost on the way has a class without a token.
    """
    ids = objects_of(ids)
    reduced = np.asarray(Image.fromarray(ids).resize((grid[1], grid[0]), Image.Resampling.NEAREST))
    return F.one_hot(torch.from_numpy(reduced.flatten()).long(), int(ids.max()) + 1).float()


def final_mask(labels: Tensor, grid: tuple[int, int], patch: int, size: tuple[int, int]) -> Ids:
    """The mask (height, width) of a frame of ``size`` (width, height) from soft ``labels`` (token, class).

    As published: each class is enlarged to pixels (bilinear), and stretched from 0 to 1 by itself if there is any of
    it; the largest wins, the first of equals; the ids are then brought to the frame's size by nearest neighbour. A
    class that is the same everywhere has no range to be stretched over; it is everywhere at its best, and wins.
    """
    maps = labels.T.reshape(1, -1, *grid)
    pixels = F.interpolate(maps, scale_factor=patch, mode="bilinear", align_corners=False)[0]  # (class, height, width)
    best = _stretched(pixels[0])
    ids = torch.zeros(best.shape, dtype=torch.uint8, device=best.device)
    for number in range(1, len(pixels)):
        rival = _stretched(pixels[number])
        better = rival > best
        ids.masked_fill_(better, number)
        best = torch.where(better, rival, best)
    seen = Image.fromarray(ids.cpu().numpy())
    return np.array(seen.resize(size, Image.Resampling.NEAREST))


def _stretched(pixels: Tensor) -> Tensor:
    low, high = torch.aminmax(pixels)
    if high <= 0:
        return pixels
    return torch.full_like(pixels, torch.inf) if low == high else (pixels - low) / (high - low)


@lru_cache
def palette() -> npt.NDArray[np.uint8]:
    """The colours of 256 ids, (256, 3), as in the masks of PASCAL VOC and DAVIS: bits of the id, dealt to the channels.

    Bits 0, 3 and 6 of the id go to the highest bits of red, bits 1, 4 and 7 to those of green, 2 and 5 to blue.
    """
    ids = np.arange(_COLOURS)
    bits = (ids[:, None] >> np.arange(8)) & 1  # (id, bit)
    channels = [sum(bits[:, bit] << (7 - place) for place, bit in enumerate(range(c, 8, 3))) for c in range(3)]
    return np.stack(channels, 1).astype(np.uint8)


def to_png(ids: Ids) -> bytes:
    """A mask as a PNG with a palette, whose pixels are the ids."""
    image = Image.fromarray(ids)
    image.putpalette(palette().tobytes())
    out = io.BytesIO()
    image.save(out, "PNG", compress_level=3)
    return out.getvalue()


def from_png(content: bytes) -> Ids:
    """The ids in a PNG that ``to_png`` made."""
    with Image.open(io.BytesIO(content), formats=["PNG"]) as image:
        return np.array(image)
