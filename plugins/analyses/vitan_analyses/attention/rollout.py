"""Attention rollout: where a token's content comes from if attention were all that mixes tokens."""

from __future__ import annotations

import torch
from torch import Tensor

from vitan.anatomy import TokenLayout


class Rollout:
    """Abnar & Zuidema 2020 ("Quantifying Attention Flow in Transformers"), along the blocks of one batch.

    Each block mixes tokens by half of the mean over its heads and half of the identity (the residual stream), rows
    scaled to sum 1; the matrices of all blocks so far are multiplied. Only one row of the product is wanted, so it is
    taken through the blocks as a vector, from the last to the first: that needs their matrices, but no product of two.
    """

    def __init__(self, layout: TokenLayout, blocks: tuple[int, ...]) -> None:
        self._layout = layout
        self._mixing: list[Tensor] = []  # of each block so far: (batch, query, token)
        #: Whether every block from 0 on is there.
        self.possible = blocks == tuple(range(len(blocks)))

    def step(self, block: int, head_mean: Tensor) -> Tensor:
        """One more block, from the mean over its heads (batch, query, token).

        Returns what CLS takes from each token up to this block (without CLS, the patches on average): (batch, token).
        """
        if block == 0:
            self._mixing = []
        mixing = head_mean + torch.eye(len(self._layout)).to(head_mean)
        mixing /= mixing.sum(-1, keepdim=True)
        self._mixing.append(mixing)
        if mixing.device.type != "cpu":
            return self._row(slice(None))
        # One image by itself, so that the bits do not depend on the batch.
        return torch.cat([self._row(slice(i, i + 1)) for i in range(len(mixing))])

    def _row(self, images: slice) -> Tensor:
        last, cls, patches = self._mixing[-1][images], self._layout.cls, self._layout.patches
        row = last[:, patches].mean(1, keepdim=True) if cls is None else last[:, cls : cls + 1]
        for mixing in reversed(self._mixing[:-1]):
            row = row @ mixing[images]  # (batch, 1, token)
        return row[:, 0]
