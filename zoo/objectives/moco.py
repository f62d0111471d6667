"""Contrast of instances: two crops of one picture against all others (MoCo v3, Chen et al. 2021, arXiv:2104.02057)."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from ..world import Pictures
from .base import SIDE, WIDTH, Objective, Recipe, cls_of, crops, follow, head

_HIDDEN, _JOINT, _HEAT, _MOMENTUM, _SEEN = 512, 64, 0.2, 0.99, 0.5


class Moco(Objective):
    """Queries of the trained encoder against keys of its moving average, both ways, negatives from the batch."""

    recipe = Recipe(steps=1900, batch=128, rate=1e-3, decay=0.1)
    about = "two crops of a picture against those of all others of the batch (MoCo v3, arXiv:2104.02057)"
    differs = (
        "batches of 128 instead of 4096, narrower heads, no batch norm after the predictor; queries see "
        f"{_SEEN:.0%} of the patches, keys all; the patch projection is frozen, as published"
    )
    weak = "a handful of passes over the pictures, and few wrong answers to tell the right one from"

    def __init__(self, pictures: Pictures) -> None:
        super().__init__(pictures)
        self.online.patch_embed.requires_grad_(False)
        self.projector = head(WIDTH, _HIDDEN, _HIDDEN, _JOINT, norm=True, last_norm=True)
        self.predictor = head(_JOINT, _HIDDEN, _JOINT, norm=True)
        self.slow, self.slow_projector = copy.deepcopy(self.online), copy.deepcopy(self.projector)
        for average in (self.slow, self.slow_projector):
            average.requires_grad_(False)
        self._crop = crops(SIDE, (0.25, 1), blur=True)

    def views(self, index: int) -> tuple[Tensor, ...]:
        """Two crops."""
        square = self.pictures.square(index)
        return self._crop(square), self._crop(square)

    def loss(self, views: Sequence[Tensor], index: Sequence[int]) -> Tensor:  # noqa: ARG002  # pictures alone
        """InfoNCE of each crop's query with the other's key."""
        both = torch.cat(list(views))
        queries = F.normalize(self.predictor(self.projector(cls_of(self.online, both, _SEEN))), dim=-1)
        with torch.no_grad():
            keys = F.normalize(self.slow_projector(cls_of(self.slow, both)), dim=-1)
        first, second = queries.chunk(2)
        key_first, key_second = keys.chunk(2)
        own = torch.arange(len(first))
        losses = [F.cross_entropy(q @ k.T / _HEAT, own) for q, k in ((first, key_second), (second, key_first))]
        return 2 * _HEAT * torch.stack(losses).mean()

    def after_step(self, progress: float) -> None:
        """The average follows, ever more slowly."""
        momentum = 1 - (1 - _MOMENTUM) * (math.cos(math.pi * progress) + 1) / 2
        follow(self.slow, self.online, momentum)
        follow(self.slow_projector, self.projector, momentum)
