"""Self-distillation: a student agrees with its own moving average (DINO, Caron et al. 2021, arXiv:2104.14294)."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence

import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from torch.nn import functional as F

from ..world import Pictures
from .base import SIDE, WIDTH, Objective, Recipe, cls_of, crops, follow, head

_PROTOTYPES, _BOTTLENECK = 128, 64
_STUDENT, _TEACHER = 0.1, 0.04
_CENTRE, _MOMENTUM, _SEEN = 0.9, 0.99, 0.5
_LARGE, _SMALL = 2, 2


class Dino(Objective):
    """Large crops and small ones; what the teacher makes of a large one, the student says of all others."""

    recipe = Recipe(steps=3600, batch=64, rate=1e-3)
    about = "self-distillation between crops, with centring and sharpening (DINO, arXiv:2104.14294)"
    differs = (
        f"{_SMALL} small crops of {SIDE // 2} px, {_PROTOTYPES} prototypes, batch norms in the head, constant "
        f"temperature and decay; the student sees {_SEEN:.0%} of the patches of large crops, the teacher, whose "
        "trunk is the model, all"
    )
    weak = (
        "a handful of passes over the pictures, where the paper has hundreds; its loss moves with its centre, and "
        "tells little"
    )

    centre: Tensor

    def __init__(self, pictures: Pictures) -> None:
        super().__init__(pictures)
        self.head = _Head()
        self.teacher, self.teacher_head = copy.deepcopy(self.online), copy.deepcopy(self.head)
        for average in (self.teacher, self.teacher_head):
            average.requires_grad_(False)
        self.register_buffer("centre", torch.zeros(_PROTOTYPES))
        self._large = crops(SIDE, (0.5, 1), blur=True)
        self._small = crops(SIDE // 2, (0.2, 0.5), blur=True)

    @property
    def trunk(self) -> VisionTransformer:
        """The teacher's."""
        return self.teacher

    def views(self, index: int) -> tuple[Tensor, ...]:
        """Two large crops, then the small ones."""
        square = self.pictures.square(index)
        return (*(self._large(square) for _ in range(_LARGE)), *(self._small(square) for _ in range(_SMALL)))

    def loss(self, views: Sequence[Tensor], index: Sequence[int]) -> Tensor:  # noqa: ARG002  # pictures alone
        """Cross entropy between the teacher's words on a large crop and the student's on each of the others."""
        large, small = torch.cat(list(views[:_LARGE])), torch.cat(list(views[_LARGE:]))
        with torch.no_grad():
            said = self.teacher_head(cls_of(self.teacher, large))
            targets = ((said - self.centre) / _TEACHER).softmax(-1).chunk(_LARGE)
            self.centre.lerp_(said.mean(0), 1 - _CENTRE)
        tokens = torch.cat([cls_of(self.online, large, _SEEN), cls_of(self.online, small)])
        answers = (self.head(tokens) / _STUDENT).log_softmax(-1).chunk(_LARGE + _SMALL)
        losses = [
            -(target * answer).sum(-1).mean()
            for i, target in enumerate(targets)
            for j, answer in enumerate(answers)
            if i != j
        ]
        return torch.stack(losses).mean()

    def after_step(self, progress: float) -> None:
        """The teacher follows, ever more slowly."""
        momentum = 1 - (1 - _MOMENTUM) * (math.cos(math.pi * progress) + 1) / 2
        follow(self.teacher, self.online, momentum)
        follow(self.teacher_head, self.head, momentum)


class _Head(nn.Module):
    """A perceptron to a narrow unit vector, and its cosines with the prototypes."""

    def __init__(self) -> None:
        super().__init__()
        self.narrow = head(WIDTH, 256, 256, _BOTTLENECK, norm=True)
        self.prototypes = nn.Parameter(torch.randn(_PROTOTYPES, _BOTTLENECK))

    def forward(self, tokens: Tensor) -> Tensor:
        """(picture, prototype)."""
        return F.normalize(self.narrow(tokens), dim=-1) @ F.normalize(self.prototypes, dim=-1).T
