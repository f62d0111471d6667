"""Uniform noise where a Vision Transformer would have attention and features.

The published study's lower bound, with two repairs: attention rows are distributions (there, columns were divided by
their mean), and the noise is a function of the seed, the picture, the block and the place, so that it does not change
with the batch that a picture is in or from run to run, and is the same on every device up to rounding.
"""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class _Source:
    """Draws noise for the pictures of the batch at hand."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._pictures: list[bytes] = []

    def see(self, pixels: Tensor) -> None:
        """Take the pictures (batch, 3, height, width) that the next draws are for."""
        self._pictures = [hashlib.sha256(picture.numpy().tobytes()).digest() for picture in pixels.float().cpu()]

    def draw(self, place: str, *shape: int) -> Tensor:
        """U(0, 1) for every picture: (batch, *shape), on the CPU in float32."""
        return torch.stack([torch.rand(shape, generator=self._generator(place, seen)) for seen in self._pictures])

    def _generator(self, place: str, picture: bytes) -> torch.Generator:
        digest = hashlib.sha256(f"{self._seed} {place} ".encode() + picture).digest()
        return torch.Generator(device="cpu").manual_seed(int.from_bytes(digest[:7], "little"))


class _Attention(nn.Module):
    """Softmax attention whose logits are made so that each row is uniform noise divided by its sum."""

    def __init__(self, source: _Source, place: str, heads: int) -> None:
        super().__init__()
        self._draw, self._place = source.draw, place
        self.num_heads = heads

    def forward(self, x: Tensor) -> Tensor:
        _, tokens, channels = x.shape
        heads, place = self.num_heads, self._place
        qkv = self._draw(f"{place} qkv", 3, heads, tokens, channels // heads).to(x)
        q, k, v = qkv.unbind(1)  # (batch, head, token, channel)
        weights = self._draw(f"{place} attention", heads, tokens, tokens).to(x)  # (batch, head, query, key)
        scale = q.shape[-1] ** -0.5
        bias = weights.log() - q * scale @ k.transpose(-2, -1)
        F.scaled_dot_product_attention(q, k, v, attn_mask=bias)  # seen by whoever reads attention; nothing comes of it
        return self._draw(f"{place} mid", tokens, channels).to(x)


class _Mlp(nn.Module):
    def __init__(self, source: _Source, place: str) -> None:
        super().__init__()
        self._draw, self._place = source.draw, place

    def forward(self, x: Tensor) -> Tensor:
        return self._draw(f"{self._place} out", *x.shape[1:]).to(x)


class _Block(nn.Module):
    """Each branch turns its input into fresh noise, so that everything on the residual stream is U(0, 1)."""

    def __init__(self, source: _Source, place: str, dim: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=1e-6)
        self.attn = _Attention(source, place, heads)
        self.drop_path1 = nn.Identity()
        self.norm2 = nn.LayerNorm(dim, eps=1e-6)
        self.mlp = _Mlp(source, place)
        self.drop_path2 = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.drop_path1(self.attn(self.norm1(x)) - x)
        out: Tensor = x + self.drop_path2(self.mlp(self.norm2(x)) - x)
        return out


class _Patches(nn.Module):
    def __init__(self, image_size: int, patch: int) -> None:
        super().__init__()
        self.patch_size = (patch, patch)
        self.grid_size = (image_size // patch, image_size // patch)


class NoiseViT(nn.Module):
    """Laid out as timm's ``VisionTransformer``; ViT-B/16 unless told otherwise. Returns the CLS token (batch, dim)."""

    def __init__(
        self, *, seed: int, image_size: int = 224, patch: int = 16, dim: int = 768, depth: int = 12, heads: int = 12
    ) -> None:
        super().__init__()
        self._source = _Source(seed)
        self.embed_dim, self.num_prefix_tokens = dim, 1
        self.patch_embed = _Patches(image_size, patch)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dim), requires_grad=False)
        self.blocks = nn.ModuleList(_Block(self._source, f"block {i}", dim, heads) for i in range(depth))

    def forward(self, pixels: Tensor) -> Tensor:
        """Pixels (batch, 3, height, width)."""
        self._source.see(pixels)
        rows, columns = self.patch_embed.grid_size
        x = self._source.draw("input", self.num_prefix_tokens + rows * columns, self.embed_dim).to(pixels)
        for block in self.blocks:
            x = block(x)
        return x[:, 0]
