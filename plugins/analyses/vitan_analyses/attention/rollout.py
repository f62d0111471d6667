"""Attention rollout: where a token's content comes from if attention were all that mixes tokens."""

from __future__ import annotations

import torch
from torch import Tensor
from vitan.tokens import TokenLayout


class Rollout:
    """Abnar & Zuidema 2020 ("Quantifying Attention Flow in Transformers"), along the blocks of one batch.

    Each block mixes tokens by half of the mean over its heads and half of the identity (the residual stream), rows
    scaled to sum 1; the matrices of all blocks so far are multiplied.
    """

    def __init__(self, layout: TokenLayout, blocks: tuple[int, ...]) -> None:
        self._layout = layout
        self._rolled: Tensor | None = None
        #: Whether every block from 0 on is there.
        self.possible = blocks == tuple(range(len(blocks)))

    def step(self, block: int, head_mean: Tensor) -> Tensor:
        """One more block, from the mean over its heads (batch, query, token).

        Returns what CLS takes from each token up to this block (without CLS, the patches on average): (batch, token).
        """
        mixing = head_mean + torch.eye(len(self._layout)).to(head_mean)
        mixing /= mixing.sum(-1, keepdim=True)
        if block == 0 or self._rolled is None:
            self._rolled = mixing
        elif mixing.device.type != "cpu":
            self._rolled = mixing @ self._rolled
        else:  # one by one, so that the bits do not depend on the batch
            for i, matrix in enumerate(mixing):
                self._rolled[i] = matrix @ self._rolled[i]
        if self._layout.cls is None:
            return self._rolled[:, self._layout.patches].mean(1)
        return self._rolled[:, self._layout.cls]
