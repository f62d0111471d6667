"""What matching key points costs: against its published form, and beside the forward pass.

    python -m benchmarks.keypoints [--rounds 5]

The published form enlarges the features of both pictures to pixels and compares every pixel; ours enlarges
similarities. Both see the same features, and must find the same pixels.
"""

from __future__ import annotations

from . import timing  # before torch: it sets the environment

# isort: split

from collections.abc import Callable

import timm
import torch
from torch import Tensor
from torch.nn import functional as F

from vitan_analyses.keypoints.matching import TIE, match, normalise
from vitan_analyses.keypoints.square import to_pixels

from .made_up import DEPTH, DIM, SIZE

IMAGES, PAIRS, POINTS = 24, 120, 10  # of a category; the full test set has about 25 pictures and 680 pairs in each
PUBLISHED_PAIRS = 2  # how many of them the published form is timed on


def main() -> None:
    rounds = timing.parser(__doc__, 5).parse_args().rounds
    timing.one_thread()
    print(f"torch {torch.__version__}, timm {timm.__version__}, one thread; {DIM} channels, {SIZE} pixels, one block")
    for patch in (16, 8):
        against_published(rounds, patch)
    against_forward(rounds)


def against_published(rounds: int, patch: int) -> None:
    """CPU ms per pair, the normalisation of tokens included in both."""
    features, source, target, points = made_up(SIZE // patch)
    pixel = to_pixels(points, SIZE, "published")
    some = slice(0, PUBLISHED_PAIRS * POINTS)
    ours = match(normalise(features), source, pixel, target, SIZE)
    theirs = published(features, source[some], pixel[some], target[some])
    different = int((ours[some] != theirs).any(1).sum())
    assert different == 0, f"{different} of {len(theirs)} points differ"
    runs: dict[str, Callable[[], object]] = {
        "published: enlarged features": lambda: published(features, source[some], pixel[some], target[some]),
        "ours: enlarged similarities": lambda: match(normalise(features), source, pixel, target, SIZE),
    }
    slow, fast = timing.alternate(runs, rounds).values()
    per_pair = [t / PUBLISHED_PAIRS for t in slow], [t / PAIRS for t in fast]
    print(f"\nPatch {patch}, {POINTS} points a pair, {PAIRS} pairs of {IMAGES} pictures; {rounds} rounds")
    timing.compare(dict(zip(runs, per_pair, strict=True)), "CPU ms per pair", 1000)


def against_forward(rounds: int) -> None:
    """Twelve blocks in one pass: the pictures of a category are encoded once, and every pair is matched in each."""
    model = timm.create_model("vit_base_patch16_224", pretrained=False).eval()
    pixels = torch.randn(4, 3, SIZE, SIZE)
    features, source, target, points = made_up(SIZE // 16)
    pixel = to_pixels(points, SIZE, "nearest")
    runs: dict[str, Callable[[], object]] = {
        "forward": lambda: model(pixels),
        "matching": lambda: match(normalise(features), source, pixel, target, SIZE),
    }
    forward, matching = timing.alternate(runs, rounds).values()
    print(f"\nViT-B/16, {DEPTH} blocks, {PAIRS} pairs of {IMAGES} pictures; {rounds} rounds")
    once, every = [IMAGES * t / len(pixels) for t in forward], [DEPTH * t for t in matching]
    timing.row("forward, each picture once", once, "CPU s")
    timing.row("matching in all blocks", every, "CPU s")
    again = [DEPTH * 2 * PAIRS / IMAGES * t for t in once]
    timing.row("forward, published: per pair and block", again, "CPU s")


def published(features: Tensor, source: Tensor, pixel: Tensor, target: Tensor) -> Tensor:
    """The published form, with the same rule for ties: every pair by itself; (point, 2)."""
    found = []
    for first in range(0, len(source), POINTS):
        part = slice(first, first + POINTS)
        one, other = (enlarged(features[images[first]]) for images in (source, target))
        vectors = one[:, pixel[part, 1], pixel[part, 0]]  # (channel, point)
        similarities = vectors.T @ other.flatten(1)  # (point, pixel)
        best = similarities.amax(1, keepdim=True)
        place = (similarities >= best - TIE * best.abs()).to(torch.uint8).argmax(1)
        found.append(torch.stack([place % SIZE, place // SIZE], 1))
    return torch.cat(found)


def enlarged(tokens: Tensor) -> Tensor:
    """Normalised tokens (row, column, channel) at the size of the picture: (channel, side, side)."""
    maps = F.normalize(tokens, dim=-1).permute(2, 0, 1)[None]
    return F.interpolate(maps, size=(SIZE, SIZE), mode="bilinear", align_corners=False)[0]


def made_up(cells: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Features (image, row, column, channel), and the source, target and place of every point."""
    generator = torch.Generator().manual_seed(cells)
    features = torch.randn(IMAGES, cells, cells, DIM, generator=generator)
    source = torch.randint(IMAGES, (PAIRS,), generator=generator)
    target = (source + torch.randint(1, IMAGES, (PAIRS,), generator=generator)) % IMAGES
    points = SIZE * torch.rand(PAIRS * POINTS, 2, generator=generator)
    return features, source.repeat_interleave(POINTS), target.repeat_interleave(POINTS), points


if __name__ == "__main__":
    main()
