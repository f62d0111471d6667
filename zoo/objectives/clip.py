"""Language: which caption belongs to which picture (CLIP, Radford et al. 2021, arXiv:2103.00020)."""

from __future__ import annotations

import re
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..world import Pictures
from .base import SIDE, WIDTH, Objective, Recipe, cls_of, crops

_JOINT, _LAYERS, _HOTTEST, _SEEN = 96, 2, 100.0, 0.5


class Clip(Objective):
    """Pictures and their captions, brought together and kept from all others of the batch."""

    recipe = Recipe(steps=1100, batch=128, rate=1e-3)
    about = "which caption of the batch is the picture's, and which picture the caption's (CLIP, arXiv:2103.00020)"
    differs = (
        f"words instead of byte pairs, a text tower of {_LAYERS} layers, batches of 128, one of the longer captions "
        f"by lot, {_SEEN:.0%} of the patches are seen (FLIP, arXiv:2212.00794)"
    )
    weak = "captions follow a pattern, so that some of a batch are alike and yet count as wrong answers"

    def __init__(self, pictures: Pictures) -> None:
        super().__init__(pictures)
        words = sorted({word for captions in pictures.captions for text in captions for word in _words(text)})
        self._numbers = {word: number for number, word in enumerate(words, 1)}
        longest = max(len(_words(text)) for captions in pictures.captions for text in captions)
        self.words = nn.Embedding(len(words) + 1, WIDTH, padding_idx=0)
        self.places = nn.Parameter(torch.randn(longest, WIDTH) * 0.02)
        layer = nn.TransformerEncoderLayer(WIDTH, 4, 4 * WIDTH, 0.0, "gelu", batch_first=True, norm_first=True)
        self.text = nn.TransformerEncoder(layer, _LAYERS, nn.LayerNorm(WIDTH), enable_nested_tensor=False)
        self.to_joint, self.text_to_joint = (nn.Linear(WIDTH, _JOINT, bias=False) for _ in range(2))
        self.heat = nn.Parameter(torch.tensor(1 / 0.07).log())
        self._crop = crops(SIDE, (0.6, 1), colours=0)  # the words name colours

    def views(self, index: int) -> tuple[Tensor, ...]:
        """One crop."""
        return (self._crop(self.pictures.square(index)),)

    def loss(self, views: Sequence[Tensor], index: Sequence[int]) -> Tensor:
        """The cross entropy of both directions."""
        lots = torch.randint(1, 3, (len(index),)).tolist()
        texts = [self.pictures.captions[i][lot] for i, lot in zip(index, lots, strict=True)]
        seen = F.normalize(self.to_joint(cls_of(self.online, views[0], _SEEN)), dim=-1)
        read = F.normalize(self.text_to_joint(self._read(texts)), dim=-1)
        logits = self.heat.exp().clamp(max=_HOTTEST) * seen @ read.T
        own = torch.arange(len(index))
        return (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2

    def _read(self, texts: Sequence[str]) -> Tensor:
        """The mean over the words of each text, (text, channel)."""
        numbers = torch.zeros(len(texts), len(self.places), dtype=torch.long)
        for row, text in zip(numbers, texts, strict=True):
            found = [self._numbers[word] for word in _words(text)]
            row[: len(found)] = torch.tensor(found)
        absent = numbers == 0
        tokens = self.text(self.words(numbers) + self.places, src_key_padding_mask=absent)
        there = (~absent).float().unsqueeze(-1)
        pooled: Tensor = (tokens * there).sum(1) / there.sum(1)
        return pooled


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())
