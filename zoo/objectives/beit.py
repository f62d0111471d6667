"""Masked words: which visual word each hidden patch is (BEiT, Bao et al. 2021, arXiv:2106.08254)."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

import torch
from sklearn.cluster import MiniBatchKMeans
from sklearn.decomposition import PCA
from torch import Tensor, nn
from torch.nn import functional as F

from vitan_models.tiny import MEAN, PATCH, STD

from ..world import Pictures
from .base import SIDE, WIDTH, Objective, Recipe, crops

_WORDS, _DIRECTIONS, _HIDDEN = 512, 32, 0.4
_GRID = SIDE // PATCH


class Beit(Objective):
    """Blocks of patches are replaced by a learned token; CLS and the rest see them only from outside."""

    recipe = Recipe(steps=2100, batch=128, rate=1e-3)
    about = "the visual word of each of the 40 % of patches that are hidden in blocks (BEiT, arXiv:2106.08254)"
    differs = (
        "the tokenizer is no trained dVAE but k-means: 512 clusters of 8 x 8 patches in their first 32 whitened "
        "principal directions; absolute positions, as the trunk is a plain ViT"
    )
    weak = "its words are colours and edges, and nothing asks CLS to tell pictures apart: look at the patches"

    shift: Tensor
    turn: Tensor
    vocabulary: Tensor

    def __init__(self, pictures: Pictures) -> None:
        super().__init__(pictures)
        self.hidden = nn.Parameter(torch.randn(WIDTH) * 0.02)
        self.to_words = nn.Linear(WIDTH, _WORDS)
        self._crop = crops(SIDE, (0.4, 1), colours=0)
        shift, turn, words = _vocabulary(pictures, self._crop)
        self.register_buffer("shift", shift)
        self.register_buffer("turn", turn)
        self.register_buffer("vocabulary", words)

    def views(self, index: int) -> tuple[Tensor, ...]:
        """One crop."""
        return (self._crop(self.pictures.square(index)),)

    def loss(self, views: Sequence[Tensor], index: Sequence[int]) -> Tensor:  # noqa: ARG002  # pictures alone
        """Cross entropy over the hidden patches."""
        pixels, trunk = views[0], self.online
        hidden = torch.stack([block_mask(_GRID, _HIDDEN) for _ in range(len(pixels))])
        patches = trunk.patch_embed(pixels)
        patches = torch.where(hidden.view(-1, _GRID, _GRID, 1), self.hidden, patches)
        tokens = trunk.norm(trunk.blocks(trunk._pos_embed(patches)))
        return F.cross_entropy(self.to_words(tokens[:, 1:][hidden]), self.words(pixels)[hidden])

    def words(self, pixels: Tensor) -> Tensor:
        """The number of each patch's word, (picture, patch)."""
        turned = (_cut(pixels) - self.shift) @ self.turn
        return torch.cdist(turned, self.vocabulary.expand(len(pixels), -1, -1)).argmin(-1)


def block_mask(grid: int, share: float) -> Tensor:
    """Which patches are hidden, (patch,): rectangles by lot until it is this share of them (BEiT, section 2.3)."""
    mask, wanted = torch.zeros(grid, grid, dtype=torch.bool), round(share * grid**2)
    while (left := wanted - int(mask.sum())) > 0:
        area = random.uniform(min(4, left), max(4, left))
        ratio = math.exp(random.uniform(-1, 1) * math.log(3))
        height, width = (min(grid, max(1, round(math.sqrt(area * each)))) for each in (ratio, 1 / ratio))
        top, first = random.randint(0, grid - height), random.randint(0, grid - width)
        block = mask[top : top + height, first : first + width]
        free = (~block).nonzero()[:left]
        block[free[:, 0], free[:, 1]] = True
    return mask.flatten()


def _vocabulary(pictures: Pictures, crop: nn.Module) -> tuple[Tensor, Tensor, Tensor]:
    """The mean patch, the whitened principal directions (pixel, direction), and the words (word, direction)."""
    chosen = range(0, len(pictures), max(1, len(pictures) // 3000))
    patches = _cut(torch.stack([crop(pictures.square(index)) for index in chosen])).flatten(0, 1).numpy()
    directions = PCA(_DIRECTIONS, whiten=True, random_state=0).fit(patches)
    words = MiniBatchKMeans(_WORDS, random_state=0, n_init=1, batch_size=4096).fit(directions.transform(patches))
    turn = directions.components_.T / directions.explained_variance_**0.5
    found = (directions.mean_, turn, words.cluster_centers_)
    shift, turned, centres = (torch.from_numpy(each).float() for each in found)
    return shift, turned, centres


def _cut(pixels: Tensor) -> Tensor:
    """(picture, patch, pixels of it), from 0 to 1."""
    mean, std = (torch.tensor(each).view(1, 3, 1, 1) for each in (MEAN, STD))
    cut = F.unfold(pixels * std + mean, PATCH, stride=PATCH)
    return cut.transpose(1, 2)
