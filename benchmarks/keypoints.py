"""What matching key points costs: against its published form, and beside the forward pass.

    python benchmarks/keypoints.py [--rounds 5]

CPU seconds of one thread. The published form enlarges the features of both pictures to pixels and compares every pixel;
ours enlarges similarities. Both see the same features, and must find the same pixels.
"""

# the environment must be set before torch is imported
from __future__ import annotations

import os

os.environ |= {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"}

import argparse
import statistics
import time
from collections.abc import Callable, Mapping, Sequence

import timm
import torch
from torch import Tensor
from torch.nn import functional as F

from vitan_analyses.keypoints.matching import TIE, match, normalise
from vitan_analyses.keypoints.square import to_pixels

DEPTH, DIM, SIDE = 12, 768, 224  # ViT-B
IMAGES, PAIRS, POINTS = 24, 120, 10  # of a category; the full test set has about 25 pictures and 680 pairs in each
PUBLISHED_PAIRS = 2  # how many of them the published form is timed on


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    print(f"torch {torch.__version__}, timm {timm.__version__}, one thread; {DIM} channels, {SIDE} pixels, one block")
    for patch in (16, 8):
        against_published(rounds, patch)
    against_forward(rounds)


def against_published(rounds: int, patch: int) -> None:
    """CPU ms per pair, the normalisation of tokens included in both."""
    features, source, target, points = made_up(SIDE // patch)
    pixel = to_pixels(points, SIDE, "published")
    some = slice(0, PUBLISHED_PAIRS * POINTS)
    ours = match(normalise(features), source, pixel, target, SIDE)
    theirs = published(features, source[some], pixel[some], target[some])
    different = int((ours[some] != theirs).any(1).sum())
    assert different == 0, f"{different} of {len(theirs)} points differ"
    runs: dict[str, Callable[[], object]] = {
        "published: enlarged features": lambda: published(features, source[some], pixel[some], target[some]),
        "ours: enlarged similarities": lambda: match(normalise(features), source, pixel, target, SIDE),
    }
    slow, fast = alternate(runs, rounds).values()
    per_pair = [1000 * t / PUBLISHED_PAIRS for t in slow], [1000 * t / PAIRS for t in fast]
    print(f"\nPatch {patch}, {POINTS} points a pair, {PAIRS} pairs of {IMAGES} pictures; {rounds} rounds")
    for name, times in zip(runs, per_pair, strict=True):
        row(name, times, "CPU ms per pair")
    row("published / ours", [a / b for a, b in zip(*per_pair, strict=True)], "x")


def against_forward(rounds: int) -> None:
    """Twelve blocks in one pass: the pictures of a category are encoded once, and every pair is matched in each."""
    model = timm.create_model("vit_base_patch16_224", pretrained=False).eval()
    pixels = torch.randn(4, 3, SIDE, SIDE)
    features, source, target, points = made_up(SIDE // 16)
    pixel = to_pixels(points, SIDE, "nearest")
    runs: dict[str, Callable[[], object]] = {
        "forward": lambda: model(pixels),
        "matching": lambda: match(normalise(features), source, pixel, target, SIDE),
    }
    forward, matching = alternate(runs, rounds).values()
    print(f"\nViT-B/16, {DEPTH} blocks, {PAIRS} pairs of {IMAGES} pictures; {rounds} rounds")
    once, every = [IMAGES * t / len(pixels) for t in forward], [DEPTH * t for t in matching]
    row("forward, each picture once", once, "CPU s")
    row("matching in all blocks", every, "CPU s")
    again = [DEPTH * 2 * PAIRS / IMAGES * t for t in once]
    row("forward, published: per pair and block", again, "CPU s")


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
        found.append(torch.stack([place % SIDE, place // SIDE], 1))
    return torch.cat(found)


def enlarged(tokens: Tensor) -> Tensor:
    """Normalised tokens (row, column, channel) at the size of the picture: (channel, side, side)."""
    maps = F.normalize(tokens, dim=-1).permute(2, 0, 1)[None]
    return F.interpolate(maps, size=(SIDE, SIDE), mode="bilinear", align_corners=False)[0]


def made_up(cells: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Features (image, row, column, channel), and the source, target and place of every point."""
    generator = torch.Generator().manual_seed(cells)
    features = torch.randn(IMAGES, cells, cells, DIM, generator=generator)
    source = torch.randint(IMAGES, (PAIRS,), generator=generator)
    target = (source + torch.randint(1, IMAGES, (PAIRS,), generator=generator)) % IMAGES
    points = SIDE * torch.rand(PAIRS * POINTS, 2, generator=generator)
    return features, source.repeat_interleave(POINTS), target.repeat_interleave(POINTS), points


def alternate(runs: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """CPU seconds of each run, in turn; the first round only warms up."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for i in range(rounds + 1):
        for name, run in runs.items():
            start = time.process_time()
            run()
            if i:
                seconds[name].append(time.process_time() - start)
    return seconds


def row(name: str, values: Sequence[float], unit: str) -> None:
    print(f"  {name:40}{statistics.median(values):8.1f} {unit}  ({min(values):.1f} to {max(values):.1f})")


if __name__ == "__main__":
    main()
