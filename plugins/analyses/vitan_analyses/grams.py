"""Gram matrices of minibatches: how alike the images of a batch are to a layer, and nothing else of what it says.

A layer's features of n images, flattened over tokens and channels, are far too wide to keep. Linear CKA needs no more
than the inner products of the images of a batch, K = X Xᵀ, and of these only what centring leaves (Song et al. 2012,
"U-centring"): with r the sums of the rows and t the sum of all of K, its diagonal set to 0,

    Kᵢⱼ - (rᵢ + rⱼ) / (n-2) + t / ((n-1)(n-2))    for i ≠ j.

Two layers' unbiased HSIC is then the mean product of these numbers (``minibatch.hsic``), so they can be put together
for any two layers of any two models later on.

Nothing of this depends on a vector that is added to all images. The mean over the batch is therefore taken off before
the product, which is what makes float32 enough however large that vector is. The product is made token by token and
added up over tokens in float64: that costs no more than one large product, loses less, and gives the parts (CLS, the
patches, all tokens) at once.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from vitan.tokens import TokenLayout

#: The estimator divides by n - 3.
FEWEST = 4
#: The tokens that a Gram matrix is over, with what figures call them. Registers belong to ``all`` alone.
KINDS = {"all": "all tokens", "cls": "CLS", "spatial": "patch tokens"}

_CHUNK = 1_250_000  # about so many numbers are centred and multiplied at a time, while they are in the cache
_scratch = threading.local()
_CONSTANT = 1e-12  # squared length around the mean, over that around 0, of what differs by rounding alone


@dataclass(frozen=True)
class Grams:
    """Centred Gram matrices of some layers at a batch, (layer, kind, n, n) in float64 on the CPU.

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
        centred = u_centre(self.values)
        centred[self.constant] = 0
        first, second = _above(centred.shape[-1])
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
    runs, sums = list(_runs(layout)), torch.stack(list(reduced))  # (layer, run, n + 2, n)
    n = sums.shape[-1]
    parts = torch.stack([sums.sum(1) if kind == "all" else sums[:, runs.index(kind)] for kind in kinds], 1)
    values, leans, means = parts[..., :n, :], parts[..., n, :], parts[..., n + 1, 0]  # (layer, kind, ...)
    spread = values.diagonal(dim1=-2, dim2=-1).sum(-1)
    constant = spread <= _CONSTANT * (spread + n * means)
    if not ranges:
        return Grams(values, constant, None)
    raw = values + leans[..., :, None] + leans[..., None, :]  # but for a number that the range does not see
    return Grams(values, constant, torch.where(constant, 0.0, raw.amax((-2, -1)) - raw.amin((-2, -1))))


def reduce(features: Tensor, layout: TokenLayout, *, ranges: bool = False) -> Tensor:
    """Sums over each run of tokens of a layer, (run, n + 2, n) in float64 on the CPU; they add up over the runs.

    The first n rows are the centred Gram matrix. The next is the product of every image's centred features with their
    mean, if ``ranges`` asks for it; and the last begins with the squared length of the mean.
    """
    runs = _runs(layout).values()
    n, count, channels = features.shape
    half = n // 2  # of the symmetric product only the upper rows, and what is right of them in the lower ones
    mean = _room("mean", features, count, channels)
    upper, lower = _room("upper", features, count, half, n), _room("lower", features, count, n - half, n - half)
    step = max(1, _CHUNK // (n * channels)) if features.device.type == "cpu" else count
    leans = torch.zeros(len(runs), n, dtype=torch.float64)
    for start in range(0, count, step):
        tokens = slice(start, start + step)
        part = features[:, tokens].float()
        torch.mean(part, 0, out=mean[tokens])
        centred = torch.sub(part, mean[tokens], out=_room("centred", features, *part.shape))
        by_token = centred.transpose(0, 1)  # (token, image, channel)
        torch.bmm(by_token[:, :half], by_token.mT, out=upper[tokens])
        torch.bmm(by_token[:, half:], by_token[:, half:].mT, out=lower[tokens])
        for i, run in enumerate(runs if ranges else ()):
            mine = slice(max(run.start - start, 0), max(min(run.stop - start, part.shape[1]), 0))
            leans[i] += (centred[:, mine].flatten(1) @ mean[tokens][mine].view(-1)).cpu()
    found = torch.zeros(len(runs), n + 2, n, dtype=torch.float64)
    for sums, run in zip(found, runs, strict=True):
        flat = mean[run].view(-1)
        sums[:half] = _total(upper[run])
        sums[half:n, :half] = sums[:half, half:].mT
        sums[half:n, half:] = _total(lower[run])
        sums[n + 1, 0] = torch.dot(flat, flat)
    found[:, n] = leans
    return found


def _room(name: str, like: Tensor, *shape: int) -> Tensor:
    """Memory that is used again and again: asking for fresh pages takes as long as filling them."""
    kept: Tensor | None = getattr(_scratch, name, None)
    needed = math.prod(shape)
    if kept is None or kept.device != like.device or kept.numel() < needed:
        with torch.inference_mode(mode=False):  # may then be written to in either mode
            kept = torch.empty(needed, device=like.device)
        setattr(_scratch, name, kept)
    return kept[:needed].view(shape)


def _total(products: Tensor) -> Tensor:
    """The sum over tokens in float64, on the CPU before where the device has none."""
    products = products.cpu() if products.device.type == "mps" else products
    return products.sum(0, dtype=torch.float64).cpu()


@lru_cache
def _above(n: int) -> tuple[Tensor, Tensor]:
    """The places above the diagonal."""
    first, second = torch.triu_indices(n, n, 1)
    return first, second


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
