"""Gram matrices of minibatches: how alike the images of a batch are to a layer, and nothing else of what it says.

A layer's features of n images, flattened over tokens and channels, are far too wide to keep. Linear CKA needs no more
than the inner products of the images of a batch, K = X Xᵀ, and of these only what centring leaves (Song et al. 2012,
"U-centring"): with r the sums of the rows and t the sum of all of K, its diagonal set to 0,

    Kᵢⱼ - (rᵢ + rⱼ) / (n-2) + t / ((n-1)(n-2))    for i ≠ j.

Two layers' unbiased HSIC is then the mean product of these numbers (``minibatch.hsic``), so they can be put together
for any two layers of any two models later on.

Nothing of this depends on a vector that is added to all images. The first image is therefore taken off the others
before the product, which is what makes float32 enough however large a common offset is, and costs less than taking off
the mean; the mean is taken off the small matrix of products, in float64. The product is made token by token and added
up over tokens in float64: that costs no more than one large product, loses less, and gives the parts (CLS, the patches,
all tokens) at once.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional

from vitan.analysis.accumulators import widest
from vitan.anatomy import TokenLayout

#: The estimator divides by n - 3.
FEWEST = 4
#: The tokens that a Gram matrix is over, with what figures call them. Registers belong to ``all`` alone.
KINDS = {"all": "all tokens", "cls": "CLS", "spatial": "patch tokens"}
#: What records call them.
TOKENS = {"all": "all-tokens", "cls": "cls", "spatial": "patch-tokens"}

_CHUNK = 1_250_000  # about so many numbers are worked on at a time, while they are in the cache
_scratch = threading.local()
_CONSTANT = 1e-12  # squared length around the mean, over that around 0, of what differs by rounding alone


@dataclass(frozen=True)
class Grams:
    """Centred Gram matrices of some layers at a batch, (layer, kind, n, n) in the widest floats of their device.

    ``constant`` (layer, kind) says where all images are the same but for rounding. ``ranges`` (layer, kind) is the
    largest less the smallest inner product of two images before centring, of an image with itself included, if it was
    asked for.
    """

    values: Tensor
    constant: Tensor
    ranges: Tensor | None

    def rows(self) -> Tensor:
        """What is kept: (layer, kind, n(n-1)/2) in float32, U-centred, the part above the diagonal.

        It is 0 where all images are the same.
        """
        centred = u_centre(self.values).masked_fill(self.constant[..., None, None], 0)
        first, second = _above(centred.shape[-1], centred.device)
        return centred[..., first, second].float()


def kinds_of(layout: TokenLayout) -> tuple[str, ...]:
    """The kinds that a model has: one without CLS lacks that."""
    return tuple(kind for kind in KINDS if kind != "cls" or layout.cls is not None)


def u_centre(grams: Tensor) -> Tensor:
    """U-centre Gram matrices (..., n, n), n at least 3: off the diagonal all rows sum to 0. The diagonal becomes 0."""
    n = grams.shape[-1]
    hollow = grams - torch.diag_embed(grams.diagonal(dim1=-2, dim2=-1))
    sums = hollow.sum(-1, keepdim=True)  # (..., n, 1)
    total = sums.sum(-2, keepdim=True)
    centred = hollow - (sums + sums.mT) / (n - 2) + total / ((n - 1) * (n - 2))
    centred.diagonal(dim1=-2, dim2=-1).zero_()
    return centred


def grams(layers: Sequence[Tensor], layout: TokenLayout, *, kinds: tuple[str, ...], ranges: bool = False) -> Grams:
    """Gram matrices of layers (image, token, channel) of the same images, in any precision and on any device.

    A value that is not finite makes its kinds nan. ``ranges`` asks for those of the uncentred matrices, which the
    published code divides by.
    """
    return gather([reduce(layer, layout, ranges=ranges) for layer in layers], layout, kinds=kinds, ranges=ranges)


def gather(reduced: Sequence[Tensor], layout: TokenLayout, *, kinds: tuple[str, ...], ranges: bool = False) -> Grams:
    """What ``reduce`` made of each layer, put together."""
    runs, sums = list(_runs(layout)), torch.stack(list(reduced))  # (layer, run, number)
    parts = torch.stack([sums.sum(1) if kind == "all" else sums[:, runs.index(kind)] for kind in kinds], 1)
    inner = _whole(parts[..., :-1])  # (layer, kind, row, row), of the first image if there are ranges, and of the steps
    length = inner[..., 0, 0] if ranges else parts[..., -1]
    steps = functional.pad(inner[..., 1:, 1:] if ranges else inner, (1, 0, 1, 0))  # the first image takes no step
    rows = steps.mean(-1, keepdim=True)
    values = steps - rows - rows.mT + rows.mean(-2, keepdim=True)
    spread = values.diagonal(dim1=-2, dim2=-1).sum(-1)
    constant = spread <= _CONSTANT * (spread + steps.shape[-1] * length)
    if not ranges:
        return Grams(values, constant, None)
    leans = functional.pad(inner[..., 0, 1:], (1, 0))
    raw = steps + leans[..., :, None] + leans[..., None, :]  # but for a number that the range does not see
    return Grams(values, constant, torch.where(constant, 0.0, raw.amax((-2, -1)) - raw.amin((-2, -1))))


def reduce(features: Tensor, layout: TokenLayout, *, ranges: bool = False) -> Tensor:
    """The numbers of each run of tokens of a layer, (run, number) in the widest floats; they add up over the runs.

    With dᵢ for how the i-th image differs from the first, they are the products dᵢ·dⱼ, each once or twice, as
    ``_whole`` puts them in place, and the squared length of the first image. If ``ranges`` asks for it, the first image
    itself stands in front of the differences, and the length is among the products.
    """
    n, count, channels = features.shape
    size = n if ranges else n - 1
    half = size // 2  # of the symmetric product only the upper rows, and what is right of them in the lower ones
    first = features[0].float()
    upper, lower = (
        _room("upper", features, count, half, size),
        _room("lower", features, count, size - half, size - half),
    )
    step = max(1, _CHUNK // (n * channels)) if features.device.type == "cpu" else count
    for start in range(0, count, step):
        tokens = slice(start, start + step)
        part = features[1:, tokens].float()
        rows = _room("rows", features, size, part.shape[1], channels)
        torch.sub(part, first[tokens], out=rows[size - len(part) :])
        if ranges:
            rows[0] = first[tokens]
        by_token = rows.transpose(0, 1)  # (token, row, channel)
        torch.bmm(by_token[:, :half], by_token.mT, out=upper[tokens])
        torch.bmm(by_token[:, half:], by_token[:, half:].mT, out=lower[tokens])
    found = []
    for run in _runs(layout).values():
        flat = first[run].reshape(-1)
        length = flat.new_zeros(1) if ranges else torch.dot(flat, flat)[None]
        wide = widest(flat.device)
        sums = (products[run].sum(0, dtype=wide).flatten() for products in (upper, lower))
        found.append(torch.cat([*sums, length.to(wide)]))
    return torch.stack(found)


def _whole(products: Tensor) -> Tensor:
    """Symmetric matrices (..., row, row) from the upper half of their rows and the lower right corner, side by side."""
    count = products.shape[-1]
    size = next(size for size in range(1, count + 1) if size * size - (size // 2) * (size - size // 2) == count)
    half = size // 2
    upper = products[..., : half * size].reshape(*products.shape[:-1], half, size)
    lower = products[..., half * size :].reshape(*products.shape[:-1], size - half, size - half)
    return torch.cat([upper, torch.cat([upper[..., half:].mT, lower], -1)], -2)


def _room(name: str, like: Tensor, *shape: int) -> Tensor:
    """Memory that is used again and again: asking for fresh pages takes as long as filling them."""
    kept: Tensor | None = getattr(_scratch, name, None)
    needed = math.prod(shape)
    if kept is None or kept.device != like.device or kept.numel() < needed:
        with torch.inference_mode(mode=False):  # may then be written to in either mode
            kept = torch.empty(needed, device=like.device)
        setattr(_scratch, name, kept)
    return kept[:needed].view(shape)


@lru_cache
def _above(n: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """The places above the diagonal."""
    first, second = torch.triu_indices(n, n, 1, device=device)
    return first, second


@lru_cache
def _runs(layout: TokenLayout) -> dict[str, slice]:
    """CLS, the patches, and what else there is, each a run of tokens; together they are all of them."""
    first = layout.patches.start
    cls = first if layout.cls is None else layout.cls
    runs = {
        "before": slice(0, cls),
        "cls": slice(cls, min(cls + 1, first)),
        "after": slice(cls + 1, first),
        "spatial": layout.patches,
    }
    return {name: run for name, run in runs.items() if run.start < run.stop}
