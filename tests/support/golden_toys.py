"""The models that the golden numbers of features and segmentation were made with."""

from __future__ import annotations

import torch


def toy_tokens(pixels: torch.Tensor, patch: int) -> torch.Tensor:
    """The golden set's toy features of normalised windows (window, 3, height, width): (window, patch, 9)."""
    blocks = pixels.unfold(2, patch, patch).unfold(3, patch, patch)  # (window, 3, row, column, patch, patch)
    mean, square = blocks.mean((-2, -1)), blocks.square().mean((-2, -1))
    rows, columns = mean.shape[-2:]
    row = (torch.arange(rows) / rows)[:, None].expand(rows, columns)
    column = (torch.arange(columns) / columns).expand(rows, columns)
    whole = pixels.mean((1, 2, 3))
    parts = [
        torch.cat([m, s, row[None], column[None], w.expand(1, rows, columns)])
        for m, s, w in zip(mean, square, whole, strict=True)
    ]
    return torch.stack(parts).flatten(2).transpose(1, 2)


def toy_features(pixels: torch.Tensor, patch: int, block: int) -> torch.Tensor:
    """The toy model's output of a block: (window, token, 9), CLS, the mean of the patches, first."""
    patches = toy_tokens(pixels, patch)
    return torch.tanh(torch.cat([patches.mean(1, keepdim=True), patches], 1) * (0.5 + 0.5 * block))


def toy_attention(pixels: torch.Tensor, patch: int, block: int, heads: int) -> torch.Tensor:
    """The toy model's attention: (window, head, query, key), CLS first."""
    means = toy_tokens(pixels, patch)[..., :6]
    tokens = torch.cat([means.mean(1, keepdim=True), means], 1)
    alike = 0.3 * (block + 1) * tokens @ tokens.transpose(1, 2)
    along = torch.arange(tokens.shape[1]) / tokens.shape[1]
    return torch.stack([(alike * (-1) ** head + (head + 1) * along).softmax(-1) for head in range(heads)], 1)
