"""Reconstruction: pixels of the patches that are hidden (MAE, He et al. 2021, arXiv:2111.06377)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from vitan_models.tiny import PATCH

from ..world import Pictures
from .base import SIDE, WIDTH, Objective, Recipe, crops, of_each, some_of, tokens_of

_HIDDEN, _NARROW, _LAYERS = 0.75, 64, 2
_PATCHES = (SIDE // PATCH) ** 2


class Mae(Objective):
    """The trunk sees a quarter of the patches; a small decoder makes the rest from them."""

    recipe = Recipe(steps=1500, batch=128, rate=1.5e-3)
    about = "the pixels of three quarters of the patches, each normalised, from the rest (MAE, arXiv:2111.06377)"
    differs = "learned instead of fixed positions; a decoder of 2 layers, 64 wide"
    weak = "nothing asks CLS to tell pictures apart: look at the patches"

    def __init__(self, pictures: Pictures) -> None:
        super().__init__(pictures)
        layer = nn.TransformerEncoderLayer(_NARROW, 4, 4 * _NARROW, 0.0, "gelu", batch_first=True, norm_first=True)
        self.narrow = nn.Linear(WIDTH, _NARROW)
        self.hidden = nn.Parameter(torch.randn(_NARROW) * 0.02)
        self.places = nn.Parameter(torch.randn(_PATCHES, _NARROW) * 0.02)
        self.decoder = nn.TransformerEncoder(layer, _LAYERS, nn.LayerNorm(_NARROW), enable_nested_tensor=False)
        self.to_pixels = nn.Linear(_NARROW, 3 * PATCH**2)
        self._crop = crops(SIDE, (0.4, 1), colours=0)

    def views(self, index: int) -> tuple[Tensor, ...]:
        """One crop."""
        return (self._crop(self.pictures.square(index)),)

    def loss(self, views: Sequence[Tensor], index: Sequence[int]) -> Tensor:  # noqa: ARG002  # pictures alone
        """Mean squared error over the hidden patches."""
        pixels = views[0]
        kept = some_of(_PATCHES, len(pixels), 1 - _HIDDEN)
        seen = self.narrow(tokens_of(self.online, pixels, kept))
        cls, patches = seen[:, :1], seen[:, 1:]
        whole = self.hidden.expand(len(pixels), _PATCHES, -1).scatter(1, of_each(kept, _NARROW), patches)
        made = self.to_pixels(self.decoder(torch.cat([cls, whole + self.places], 1))[:, 1:])
        wanted = _patches(pixels)
        wanted = (wanted - wanted.mean(-1, keepdim=True)) / (wanted.var(-1, keepdim=True) + 1e-6).sqrt()
        off = (made - wanted).square().mean(-1)
        hidden = torch.ones_like(off).scatter(1, kept, 0.0)
        loss: Tensor = (off * hidden).sum() / hidden.sum()
        return loss


def _patches(pixels: Tensor) -> Tensor:
    """(picture, patch, pixels of it)."""
    cut = nn.functional.unfold(pixels, PATCH, stride=PATCH)
    return cut.transpose(1, 2)
