"""What label propagation and J & F cost, against their straightforward forms.

    python -m benchmarks.video [--rounds 3]

What both forms make is compared before anything is timed.
"""

from __future__ import annotations

from . import timing  # before torch: it sets the environment

# isort: split

import argparse
import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from vitan_analyses.video_segmentation.metrics import score
from vitan_analyses.video_segmentation.propagation import Frame, Propagation, normalise

from . import memory
from .made_up import DIM

CLASSES, CONTEXT = 4, 8  # three objects; the first frame and seven before
WINDOW, TOP_K, TEMPERATURE = 12, 5, 0.1
GRIDS = {16: (28, 49), 8: (56, 99)}  # of a 480p frame in the dense view, by patch size
FORMS = ("straightforward", "windowed")
SIZE, FRAMES, OBJECTS = (480, 854), 67, 3  # as many frames as a video of DAVIS 2017 has on average


def main() -> None:
    parser = timing.parser(__doc__, 3)
    parser.add_argument("--memory", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    timing.one_thread()
    cv2.setNumThreads(1)
    if args.memory:
        measure_memory(args.memory[0], int(args.memory[1]))
        return
    print(f"torch {torch.__version__}, one thread; {DIM} channels, {CLASSES} classes, {CONTEXT} context frames")
    for patch, grid in GRIDS.items():
        propagation(patch, grid, args.rounds)
    peak_memory()
    j_and_f(args.rounds)


# Label propagation


def propagation(patch: int, grid: tuple[int, int], rounds: int) -> None:
    runs = forms(grid, CONTEXT)
    torch.testing.assert_close(runs[FORMS[0]](), runs[FORMS[1]](), atol=1e-5, rtol=1e-5)
    print(f"\nLabel propagation, patch {patch}: {grid[0]} x {grid[1]} tokens, one frame and block, {rounds} rounds")
    timing.compare(timing.alternate(runs, rounds), "CPU ms", 1000)


def peak_memory() -> None:
    """What a step needs besides its inputs, in a process of its own for each number of context frames."""
    print(f"\nPeak memory of a step beyond its inputs, {GRIDS[8][0]} x {GRIDS[8][1]} tokens, a process each, MB")
    counts = (1, 4, 8, 16)
    print(f"  {'context frames':40}" + "".join(f"{count:8}" for count in counts))
    for form in FORMS:
        print(f"  {form:40}" + "".join(f"{measured_memory(form, count):8.0f}" for count in counts), flush=True)


def measured_memory(form: str, count: int) -> float:
    return memory.of_own_process("video", form, str(count))[0]


def measure_memory(form: str, count: int) -> None:
    run = forms(GRIDS[8], count)[form]
    forms((12, 12), 1)[form]()  # what is loaded at the first use
    before = memory.now()
    run()
    print(memory.peak() - before)


def forms(grid: tuple[int, int], count: int) -> dict[str, Callable[[], Tensor]]:
    """Both forms over the same made-up frames, which resemble one another as those of a video do."""
    random = torch.Generator().manual_seed(0)
    scene = torch.randn(*grid, DIM, generator=random)
    raw = [scene + torch.randn(*grid, DIM, generator=random) for _ in range(count + 1)]
    labels = [torch.rand(grid[0] * grid[1], CLASSES, generator=random) for _ in range(count)]
    context = [Frame(normalise(tokens), each) for tokens, each in zip(raw, labels, strict=False)]
    ours = Propagation(grid, window=WINDOW, top_k=TOP_K, temperature=TEMPERATURE)
    mask = window_mask(grid)
    return {
        FORMS[0]: lambda: straightforward(raw[-1], raw[:-1], labels, mask),
        FORMS[1]: lambda: ours(normalise(raw[-1]), context),
    }


def window_mask(grid: tuple[int, int]) -> Tensor:
    near = [(torch.arange(side)[:, None] - torch.arange(side)).abs() <= WINDOW for side in grid]
    tokens = grid[0] * grid[1]
    return (near[0][:, None, :, None] & near[1][None, :, None, :]).reshape(tokens, tokens).float()


def straightforward(query: Tensor, context: Sequence[Tensor], labels: Sequence[Tensor], mask: Tensor) -> Tensor:
    """The published definition as it reads: every affinity, the window as a factor, and top-k over all sources."""
    own = F.normalize(query.flatten(0, 1), dim=1)  # (target, channel)
    sources = F.normalize(torch.stack(list(context)).flatten(1, 2), dim=2)  # (frame, source, channel)
    affinity = torch.exp(own @ sources.transpose(1, 2) / TEMPERATURE)  # (frame, target, source)
    affinity *= mask
    affinity = affinity.transpose(1, 2).reshape(-1, len(own))  # (source of all frames, target)
    least = affinity.topk(TOP_K, dim=0).values.min(dim=0).values
    affinity[affinity < least] = 0
    affinity = affinity / affinity.sum(dim=0, keepdim=True)
    return (torch.cat(list(labels)).T @ affinity).T  # (target, class)


# J & F


def j_and_f(rounds: int) -> None:
    annotated, predicted = scenes(0), scenes(3)
    runs: dict[str, Callable[[], Any]] = {
        "through arrays of objects and frames": partial(official, annotated, predicted),
        "frame by frame": lambda: np.stack([score(*pair, OBJECTS) for pair in zip(annotated, predicted, strict=True)]),
    }
    np.testing.assert_array_equal(*(run() for run in runs.values()))
    print(f"\nJ & F, {SIZE[1]} x {SIZE[0]} pixels, {OBJECTS} objects, {FRAMES} frames, {rounds} rounds")
    timing.compare(timing.alternate(runs, rounds), "CPU ms per frame", 1000 / FRAMES)


def scenes(late: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Three uneven blobs that drift: (frame, height, width)."""
    y, x = np.ogrid[: SIZE[0], : SIZE[1]]
    masks = np.zeros((FRAMES, *SIZE), np.uint8)
    for frame, ids in enumerate(masks):
        for number, (top, left, radius) in enumerate(((200, 300, 90), (250, 500, 120), (100, 700, 60)), 1):
            down, right = y - top - frame - late, x - left - 2 * frame - late
            ids[np.hypot(down, right) < radius + 9 * np.sin(9 * np.arctan2(down, right))] = number
    return masks


def official(annotated: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """The official evaluator's way: masks of all objects in all frames at once, through float64."""
    truth, found = expand(annotated.astype(float)), expand(predicted.astype(float))  # (object, frame, height, width)
    values = np.empty((FRAMES, OBJECTS, 2))
    for number in range(OBJECTS):
        values[:, number, 0] = regions(truth[number], found[number])
        values[:, number, 1] = [boundaries(*pair) for pair in zip(truth[number], found[number], strict=True)]
    return values


def expand(ids: np.ndarray) -> np.ndarray:
    numbers = np.ones((OBJECTS, *ids.shape)) * np.arange(1, OBJECTS + 1)[:, None, None, None]
    return (numbers == ids[None]) > 0


def regions(truth: np.ndarray, found: np.ndarray) -> np.ndarray:
    void = np.zeros_like(found)
    both = np.sum((found & truth) & ~void, axis=(-2, -1))
    either = np.sum((found | truth) & ~void, axis=(-2, -1))
    return np.where(either == 0, 1.0, both / np.maximum(either, 1))


def boundaries(truth: np.ndarray, found: np.ndarray) -> float:
    void = np.zeros_like(found)
    radius = math.ceil(0.008 * np.linalg.norm(found.shape))
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    disk = (x * x + y * y <= radius * radius).astype(np.uint8)
    one, other = outline(truth * ~void), outline(found * ~void)
    near_one, near_other = (cv2.dilate(edges.astype(np.uint8), disk) for edges in (one, other))
    there, seen = np.sum(one), np.sum(other)
    if not there or not seen:
        return float(there == seen)
    precision, recall = np.sum(other * near_one) / float(seen), np.sum(one * near_other) / float(there)
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def outline(mask: np.ndarray) -> np.ndarray:
    right, below, both = np.zeros_like(mask), np.zeros_like(mask), np.zeros_like(mask)
    right[:, :-1], below[:-1], both[:-1, :-1] = mask[:, 1:], mask[1:], mask[1:, 1:]
    edges = (mask ^ right) | (mask ^ below) | (mask ^ both)
    edges[-1], edges[:, -1] = mask[-1] ^ right[-1], mask[:, -1] ^ below[:, -1]
    edges[-1, -1] = False
    return edges


if __name__ == "__main__":
    main()
