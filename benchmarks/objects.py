"""What saliency and the pooling of objects cost, against their straightforward forms; and what token masks cost.

    python -m benchmarks.objects [--rounds 9]

What both forms make is compared before anything is timed.
"""

from __future__ import annotations

from . import timing  # before torch: it sets the environment

# isort: split

import math
import time
from collections.abc import Callable, Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from vitan.anatomy import TokenLayout
from vitan.data.batch import Batch, Window
from vitan.data.samples import Segment
from vitan.data.views import make_view
from vitan.engine.loader import cut_grid
from vitan_analyses.regions.token_masks import TokenMasks, published_regions, regions
from vitan_analyses.saliency.probe import SaliencyOptions, SaliencyProbe
from vitan_analyses.segments.pooling import pool, window_shares

from .made_up import DEPTH, DIM, HEADS, SIZE, vit_b

MASS = 0.6
WIDTH, HEIGHT, OBJECTS = 640, 480, 7  # a picture of COCO


def main() -> None:
    rounds = timing.parser(__doc__, 9).parse_args().rounds
    timing.one_thread()
    print(f"torch {torch.__version__}, numpy {np.__version__}, one thread; ViT-B, made-up values")
    saliency(rounds, 14, 8)
    saliency(rounds, 28, 1)
    for patch in (16, 8):
        pooling(rounds, patch)
    token_masks(rounds)


def saliency(rounds: int, side: int, images: int) -> None:
    """From the attention of all blocks to the IoU of every head: six masks, and the same with all that is kept.

    The straightforward form goes picture by picture over the stacked attention of all blocks. Ours sees each block when
    it has just been computed, as in a pass; computing it is not timed.
    """
    model = vit_b(side)
    logits = [made_up_logits(images, model.layout, seed) for seed in range(DEPTH)]
    stacked = [torch.stack([block[i].softmax(-1) for block in logits]) for i in range(images)]
    truth = torch.zeros(side, side, dtype=torch.bool)
    truth[side // 4 : -side // 4, side // 3 :] = True
    index = tuple(range(images))
    batch = Batch(index, (), (), torch.empty(images, 3, 0, 0), prepared={TokenMasks(): [{"union": truth}] * images})

    def straight() -> list[dict[str, Tensor]]:
        return [six_ious(attention, truth) for attention in stacked]

    def ours() -> tuple[SaliencyProbe, float]:
        probe, spent = SaliencyProbe(SaliencyOptions(examples=0), model), 0.0
        for block, each in enumerate(logits):
            attention = each.softmax(-1)
            start = time.process_time()
            probe.update_block(block, {"attention": attention}, batch)
            spent += time.process_time() - start
        return probe, spent

    expected, (probe, _) = straight(), ours()
    found = torch.stack([probe.iou.rows(block) for block in range(DEPTH)], 1)  # (image, block, source, head + 1)
    for i, name in enumerate(("cls", "patches", "center")):
        theirs = torch.stack([one[name] for one in expected])
        assert (found[:, :, i, :-1] - theirs).abs().max() < 0.03, f"{name} differs"
    print(f"\nSaliency, {len(model.layout)} tokens, {images} images a batch, {rounds} rounds")
    runs = {"six masks, straightforward": lambda: timing.timed(straight), "block by block": lambda: ours()[1]}
    timing.compare(timing.in_turn(runs, rounds), "CPU ms per image", 1000 / images)


def six_ious(attention: Tensor, truth: Tensor) -> dict[str, Tensor]:
    """IoU (block, head or 1) of the six masks in their straightforward form, one after the other."""
    found = {}
    for source in ("cls", "patches", "center"):
        for merged in (False, True):
            mask = straight_mask(attention, source, merged=merged)
            both, either = (mask & truth).sum((-2, -1)), (mask | truth).sum((-2, -1))
            found[f"{source}-merged" if merged else source] = both / either
    return found


def straight_mask(attention: Tensor, source: str, *, merged: bool) -> Tensor:
    """One mask, (block, head or 1, row, column); the order of the sort is undone map by map."""
    side = math.isqrt(attention.shape[-1] - 1)
    middle = (side + 1) // 2
    if source == "patches":
        rows = attention[:, :, 1:, 1:].sum(2)
    else:
        rows = attention[:, :, 0 if source == "cls" else (middle - 1) * side + middle, 1:]
    if merged:
        rows = rows.sum(1, keepdim=True)
    rows = rows / rows.sum(-1, keepdim=True)
    values, order = rows.sort(-1)
    values = values / values.sum(-1, keepdim=True)
    kept = values.cumsum(-1) > 1 - MASS
    back = order.argsort(-1)
    for block in range(kept.shape[0]):
        for head in range(kept.shape[1]):
            kept[block, head] = kept[block, head][back[block, head]]
    return kept.reshape(*kept.shape[:2], side, side)


def pooling(rounds: int, patch: int) -> None:
    """Features of the objects of one picture in the dense view, from all blocks."""
    windows, grid = dense_windows(patch)
    side = SIZE // patch
    features = [torch.randn(len(windows), side * side, DIM) for _ in range(DEPTH)]
    weights = torch.from_numpy(regions(objects(), (0, 0, WIDTH, HEIGHT), (WIDTH, HEIGHT), grid).weights)
    batch = Batch((0,), (), (), torch.empty(len(windows), 3, 0, 0), windows)
    assembled = torch.stack([batch.stitch(block)[0] for block in features])  # (block, row, column, channel)

    def straight() -> Tensor:
        return (weights[:, None, ..., None] * assembled).sum((2, 3))  # (object, block, channel)

    def ours() -> Tensor:
        shares = window_shares([weights], windows)
        return torch.stack([pool(block, shares, windows, [len(weights)])[0] for block in features], 1)

    torch.testing.assert_close(ours(), straight(), atol=1e-5, rtol=1e-4)
    shape = f"{grid[0]} x {grid[1]} patches of {patch}, {len(windows)} windows, {len(weights)} objects"
    print(f"\nPooling, {shape}, {rounds} rounds (assembling the windows is not counted)")
    runs = {"masks * features, summed": straight, "a product per window": ours}
    timing.compare(timing.alternate(runs, rounds), "CPU ms per image", 1000)


def token_masks(rounds: int) -> None:
    """Laying the outlines of one picture on the patch grid. A second model finds them in the store."""
    outlined, picture, box = objects(), (WIDTH, HEIGHT), (80.0, 0.0, 560.0, 480.0)
    dense = dense_windows(16)[1]
    print(f"\nToken masks, {OBJECTS} objects on {WIDTH} x {HEIGHT} pixels, once for all models, {rounds} rounds")
    rules: dict[str, Callable[[], object]] = {
        "published rule, crop": lambda: published_regions(outlined, picture, (14, 14), crop=True),
        "published rule, dense": lambda: published_regions(outlined, picture, dense, crop=False),
        "exact shares, crop": lambda: regions(outlined, box, picture, (14, 14)),
        "exact shares, dense": lambda: regions(outlined, (0, 0, WIDTH, HEIGHT), picture, dense),
    }
    timing.rows(timing.alternate(rules, rounds), "CPU ms per image", 1000)


def objects() -> list[Segment]:
    """Ellipses of very different sizes."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    rng = np.random.default_rng(0)
    found = []
    for label in range(OBJECTS):
        centre, radius = rng.uniform((40, 40), (WIDTH - 40, HEIGHT - 40)), rng.uniform(10, 150, 2)
        mask = ((x - centre[0]) / radius[0]) ** 2 + ((y - centre[1]) / radius[1]) ** 2 < 1
        found.append(Segment(label=label, decode=mask.copy))
    return found


def dense_windows(patch: int) -> tuple[Sequence[Window], tuple[int, int]]:
    """The windows of the dense view of such a picture, and its whole grid."""
    view = make_view("dense", SIZE, patch)
    placement = view.place(Image.new("RGB", (WIDTH, HEIGHT)))[1]
    corners, grid = view.windows(placement), (placement.pixels[1] // patch, placement.pixels[0] // patch)
    return cut_grid(corners, grid, (SIZE // patch, SIZE // patch), SIZE), grid


def made_up_logits(images: int, layout: TokenLayout, seed: int) -> Tensor:
    logits = torch.randn(images, HEADS, len(layout), len(layout), generator=torch.Generator().manual_seed(seed))
    return logits.mul_(1.5)


if __name__ == "__main__":
    main()
