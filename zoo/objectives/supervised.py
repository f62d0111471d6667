"""Labels: cross entropy (timm's and AugReg's recipe, Steiner et al. 2021, arXiv:2106.10270)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from ..world import Pictures
from .base import SIDE, WIDTH, Objective, Recipe, cls_of, crops

_SEEN = 0.5


class Supervised(Objective):
    """Which of the fourteen kinds the main thing is, from CLS by one linear layer."""

    recipe = Recipe(steps=1100, batch=128, rate=1e-3)
    about = "the kind of the main thing, one of fourteen, by cross entropy (arXiv:2106.10270)"
    differs = f"no mixup, no dropout, labels smoothed by 0.1; {_SEEN:.0%} of the patches are seen"
    weak = "it knows fourteen kinds of drawn things, and was never asked about anything else, such as where they are"

    def __init__(self, pictures: Pictures) -> None:
        super().__init__(pictures)
        self.head = nn.Linear(WIDTH, int(pictures.labels.max()) + 1)
        self._crop = crops(SIDE, (0.5, 1))

    def views(self, index: int) -> tuple[Tensor, ...]:
        """One crop."""
        return (self._crop(self.pictures.square(index)),)

    def loss(self, views: Sequence[Tensor], index: Sequence[int]) -> Tensor:
        """Cross entropy."""
        logits = self.head(cls_of(self.online, views[0], _SEEN))
        return F.cross_entropy(logits, self.pictures.labels[list(index)], label_smoothing=0.1)
