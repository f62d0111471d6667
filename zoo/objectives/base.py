"""What the objectives have in common: the trunk, views of pictures, and a loss."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from torchvision.transforms import v2

from vitan_models.tiny import MEAN, PATCH, STD, build

from ..world import Pictures

SIDE, WIDTH, DEPTH = 64, 96, 6


@dataclass(frozen=True)
class Recipe:
    """How long and how fast: optimiser steps, pictures in each, the peak learning rate, and AdamW's weight decay."""

    steps: int
    batch: int
    rate: float
    decay: float = 0.05


class Objective(nn.Module, ABC):
    """One way to train the trunk. ``trunk`` is the encoder that is shipped in the end."""

    recipe: ClassVar[Recipe]
    #: What is trained on, with the paper; what is smaller or otherwise than there; and what to beware of.
    about: ClassVar[str]
    differs: ClassVar[str]
    weak: ClassVar[str]

    def __init__(self, pictures: Pictures) -> None:
        super().__init__()
        self.pictures = pictures
        self.online = build(dynamic_img_size=True)

    @property
    def trunk(self) -> VisionTransformer:
        """The encoder that is shipped: the one that the optimiser moves, unless the paper takes another."""
        return self.online

    @abstractmethod
    def views(self, index: int) -> tuple[Tensor, ...]:
        """What is seen of one picture, normalised (3, side, side)."""

    @abstractmethod
    def loss(self, views: Sequence[Tensor], index: Sequence[int]) -> Tensor:
        """The loss of a batch: each view of all its pictures, (picture, 3, side, side), and which pictures they are."""

    def after_step(self, progress: float) -> None:
        """What follows an optimiser step; ``progress`` goes from 0 to 1."""


def crops(side: int, scale: tuple[float, float], *, colours: float = 0.4, blur: bool = False) -> v2.Transform:
    """A random part of a picture, of so much of its area, maybe mirrored and in other colours, normalised."""
    steps: list[nn.Module] = [
        v2.RandomResizedCrop(side, scale=scale, antialias=True),
        v2.RandomHorizontalFlip(),
    ]
    if colours:
        jitter = v2.ColorJitter(brightness=colours, contrast=colours, saturation=colours, hue=colours / 2)
        steps += [v2.RandomApply([jitter], p=0.8), v2.RandomGrayscale(0.2)]
    if blur:
        steps.append(v2.RandomApply([v2.GaussianBlur(5, (0.1, 1.5))], p=0.3))
    return v2.Compose([*steps, v2.ToDtype(torch.float32, scale=True), v2.Normalize(MEAN, STD)])


def head(*widths: int, norm: bool = False, last_norm: bool = False) -> nn.Sequential:
    """A perceptron of these widths; with ``norm`` batch norms and ReLU between its layers, GELU without."""
    layers: list[nn.Module] = []
    for i, (before, after) in enumerate(pairwise(widths)):
        last = i == len(widths) - 2
        layers.append(nn.Linear(before, after, bias=not norm))
        if not last:
            layers += [nn.BatchNorm1d(after), nn.ReLU()] if norm else [nn.GELU()]
        elif last_norm:
            layers.append(nn.BatchNorm1d(after, affine=False))
    return nn.Sequential(*layers)


def tokens_of(trunk: VisionTransformer, pixels: Tensor, kept: Tensor | None = None) -> Tensor:
    """CLS and patches after the last norm, (picture, token, channel); ``kept`` are the patches that are seen."""
    tokens = trunk._pos_embed(trunk.patch_embed(pixels))
    if kept is not None:
        tokens = torch.cat([tokens[:, :1], tokens[:, 1:].gather(1, of_each(kept, tokens.shape[-1]))], 1)
    seen: Tensor = trunk.norm(trunk.blocks(tokens))
    return seen


def cls_of(trunk: VisionTransformer, pixels: Tensor, share: float = 1.0) -> Tensor:
    """CLS after the last norm, (picture, channel), of such a share of the patches (FLIP, arXiv:2212.00794)."""
    patches = pixels.shape[-1] // PATCH * (pixels.shape[-2] // PATCH)
    kept = None if share == 1 else some_of(patches, len(pixels), share)
    return tokens_of(trunk, pixels, kept)[:, 0]


def some_of(patches: int, pictures: int, share: float) -> Tensor:
    """A share of the patches of each picture by lot, (picture, patch)."""
    return torch.rand(pictures, patches).argsort(1)[:, : round(patches * share)]


def of_each(index: Tensor, width: int) -> Tensor:
    """An index of tokens, for every channel."""
    return index.unsqueeze(-1).expand(-1, -1, width)


@torch.no_grad()
def follow(average: nn.Module, online: nn.Module, momentum: float) -> None:
    """Move an exponential average of weights towards those that are trained."""
    for mine, theirs in zip(average.parameters(), online.parameters(), strict=True):
        mine.lerp_(theirs, 1 - momentum)
    for kept, new in zip(average.buffers(), online.buffers(), strict=True):
        kept.copy_(new)
