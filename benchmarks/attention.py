"""What the attention analysis costs: against the forward pass it rides on, and against its straightforward form.

    python -m benchmarks.attention [--rounds 9] [--batch 8]

What both forms make is compared before anything is timed.
"""

from __future__ import annotations

from . import timing  # before torch: it sets the environment

# isort: split

import argparse
import math
import time
from collections.abc import Callable, Mapping, Sequence

import timm
import torch
from torch import Tensor
from torch.nn import functional as F

from vitan.analysis.records import Result
from vitan.anatomy import TIMM, TokenLayout
from vitan.data.batch import Batch
from vitan.models.recorder import Recorder
from vitan_analyses.attention.probe import AttentionProbe
from vitan_analyses.attention.reduce import BlockReducer
from vitan_analyses.attention.state import AttentionOptions

from . import memory
from .made_up import DEPTH, DIM, HEADS, vit_b

KINDS = ("stacked: the published metrics", "tiled: these, entropy and head means", "tiled: everything, with exact sums")
SIDE, LARGE_SIDE = 14, 28  # patch 16 and patch 8, at 224 pixels


def main() -> None:
    parser = timing.parser(__doc__, 9)
    parser.add_argument("--batch", type=int, default=8, help="images per forward pass")
    parser.add_argument("--memory", choices=["idle", "stacked", "reduced", "watched"], help=argparse.SUPPRESS)
    args = parser.parse_args()
    timing.one_thread()
    if args.memory:
        measure_memory(args.memory)
        return
    print(f"torch {torch.__version__}, timm {timm.__version__}, one thread; ViT-B, random weights")
    against_forward(args.rounds, args.batch)
    against_stacked(args.rounds)
    against_stacked_at_785()


def against_forward(rounds: int, images: int) -> None:
    """The forward pass alone (fused kernel), and with recording and analysis; the analysis is also timed inside."""
    model = timm.create_model("vit_base_patch16_224", pretrained=False).eval()
    pixels, batch = torch.randn(images, 3, 224, 224), batch_of(images)
    inside = []

    probe = new_probe(SIDE)

    def analysed() -> None:
        spent = 0.0

        def on_block(block: int, taps: Mapping[str, Tensor]) -> None:
            nonlocal spent
            start = time.process_time()
            probe.update_block(block, taps, batch)
            spent += time.process_time() - start

        with Recorder(model, TIMM, dict.fromkeys(range(DEPTH), AttentionProbe.taps), on_block):
            model(pixels)
        inside.append(spent)

    seconds = timing.alternate({"forward": lambda: model(pixels), "with everything": analysed}, rounds)
    forward, everything, analysis = *seconds.values(), inside[1:]
    print(f"\nViT-B/16, 224 px, 197 tokens, {images} images a batch, {rounds} rounds")
    named = {"forward": forward, "forward, recorded, analysed": everything, "analysis alone": analysis}
    timing.rows(named, "CPU ms per image", 1000 / images)
    timing.row("(recording + analysis) / forward", [x - 100 for x in timing.ratios(everything, forward, 100)], "%")
    timing.row("analysis / forward", timing.ratios(analysis, forward, 100), "%")


def against_stacked(rounds: int) -> None:
    """The metrics alone, at the published batch size."""
    images = 2
    blocks, values = [made_up_attention(images, SIDE, seed) for seed in range(DEPTH)], made_up_values(images, SIDE)
    reducer = BlockReducer(TokenLayout(("cls",), (SIDE, SIDE)))
    check_agreement(stacked_metrics(blocks), watch(new_probe(SIDE), blocks, values).compute())
    probe = new_probe(SIDE)
    runs: dict[str, Callable[[], object]] = {
        KINDS[0]: lambda: stacked_metrics(blocks),
        KINDS[1]: lambda: [reducer(attention) for attention in blocks],
        KINDS[2]: lambda: watch(probe, blocks, values),
    }
    seconds = timing.alternate(runs, rounds)
    print(f"\nMetrics alone, 197 tokens, {images} images a batch, {rounds} rounds")
    timing.rows(seconds, "CPU ms per image", 1000 / images)
    stacked, reduced, everything = seconds.values()
    timing.row("stacked / tiled, these", timing.ratios(stacked, reduced), "x")
    timing.row("stacked / tiled, everything", timing.ratios(stacked, everything), "x")


def against_stacked_at_785() -> None:
    """One image of ViT-B/8: CPU time, and peak memory over that of a process that only imports.

    The attention itself counts: all blocks of it for the stacked form, one at a time for ours.
    """
    print("\nMetrics alone, 785 tokens, 1 image, a process each")
    idle = memory.of_own_process("attention", "idle")[0]
    measured = {kind: memory.of_own_process("attention", kind) for kind in ("stacked", "reduced", "watched")}
    for name, (peak, seconds) in zip(KINDS, measured.values(), strict=True):
        print(f"  {name:40}{seconds:8.2f} CPU s{peak - idle:10.0f} MB")
    peak, seconds = measured["stacked"]
    for name, kind in (("these", "reduced"), ("everything", "watched")):
        our_peak, our_seconds = measured[kind]
        ratio = f"{seconds / our_seconds:8.1f} x    {(peak - idle) / (our_peak - idle):10.1f} x"
        print(f"  {'stacked / tiled, ' + name:40}{ratio}")


def measure_memory(kind: str) -> None:
    """Print this process's peak memory in MB and the CPU seconds of the metrics."""
    probe, values, batch = new_probe(LARGE_SIDE), made_up_values(1, LARGE_SIDE), batch_of(1)
    reducer, kept = BlockReducer(probe.model.layout), []
    steps: dict[str, Callable[[int, Tensor], object]] = {
        "stacked": lambda _, attention: kept.append(attention),
        "reduced": lambda _, attention: reducer(attention),
        "watched": lambda block, attention: probe.update_block(block, {"attention": attention, "v": values}, batch),
    }
    seconds = 0.0
    for block in range(DEPTH) if kind in steps else ():
        attention = made_up_attention(1, LARGE_SIDE, block)
        start = time.process_time()
        steps[kind](block, attention)
        if len(kept) == DEPTH:
            stacked_metrics(kept)
        seconds += time.process_time() - start
    print(memory.peak(), seconds)


def stacked_metrics(blocks: Sequence[Tensor]) -> dict[str, Tensor]:
    """The published metrics in their straightforward form; ``blocks`` holds (batch, head, query, key), CLS first.

    Everything waits until the attention of all blocks is stacked, and then each metric goes over the stack on its own.
    """
    attention = torch.stack(list(blocks), 1)  # (batch, block, head, query, key)
    spatial = attention[..., 1:, 1:]
    side = math.isqrt(spatial.shape[-1])
    mass = spatial.sum(-1, keepdim=True)
    only = torch.where(mass == 0, 0.0, spatial / mass)
    aligned = _aligned(only, side)
    return {
        "head-deviation": spatial.std(2).mean((-1, -2)),
        "position-deviation": spatial.std(-2).mean(-1),
        "attention-distance": (only * _distances(side)).sum(-1).mean(-1),
        "patch-to-cls": attention[..., 1:, 0].mean(-1),
        "attention-on-token-all": attention.mean(-2).mean(0),
        "attention-on-token-patch": attention[..., 1:, :].mean(-2).mean(0),
        "attention-on-token-cls": attention[..., 0, :].mean(0),
        "attention-on-token-patch-only": F.pad(only.mean(-2).mean(0), (1, 0)),
        "aligned-attention": aligned,
        "attention-offset": _offset(aligned, side),
    }


def _distances(side: int) -> Tensor:
    cells = torch.cartesian_prod(torch.arange(side), torch.arange(side)).float() / (side - 1)
    return torch.cdist(cells, cells, compute_mode="donot_use_mm_for_euclid_dist")


def _aligned(only: Tensor, side: int) -> Tensor:
    """One addition of a shifted map for every query."""
    batch, blocks, heads, patches, _ = only.shape
    maps = only.view(*only.shape[:-1], side, side)
    aligned = torch.zeros(blocks, heads, 2 * side - 1, 2 * side - 1)
    for query in range(patches):
        top, left = side - 1 - query // side, side - 1 - query % side
        aligned[..., top : top + side, left : left + side] += maps[:, :, :, query].sum(0)
    return aligned / (batch * patches)


def _offset(aligned: Tensor, side: int) -> Tensor:
    step = torch.arange(1 - side, side) / (side - 1)
    mass = aligned.sum((-1, -2))
    x, y = (aligned * step).sum((-1, -2)) / mass, (aligned * step[:, None]).sum((-1, -2)) / mass
    return torch.stack([x, y, torch.hypot(x, y)], -1)


def watch(probe: AttentionProbe, blocks: Sequence[Tensor], values: Tensor) -> AttentionProbe:
    batch = batch_of(len(values))
    for block, attention in enumerate(blocks):
        probe.update_block(block, {"attention": attention, "v": values}, batch)
    return probe


def check_agreement(stacked: Mapping[str, Tensor], ours: Result) -> None:
    for name, expected in stacked.items():
        torch.testing.assert_close(
            torch.from_numpy(ours.arrays[name]).float(), expected, atol=1e-6, rtol=1e-5, msg=f"{name} differs"
        )


def new_probe(side: int) -> AttentionProbe:
    return AttentionProbe(AttentionOptions(), vit_b(side))


def batch_of(images: int) -> Batch:
    return Batch(tuple(range(images)), (), (), torch.empty(images, 3, 0, 0))


def made_up_attention(images: int, side: int, seed: int) -> Tensor:
    tokens = 1 + side**2
    logits = torch.randn(images, HEADS, tokens, tokens, generator=torch.Generator().manual_seed(seed))
    return logits.mul_(1.5).softmax(-1)


def made_up_values(images: int, side: int) -> Tensor:
    return torch.ones(images, HEADS, 1 + side**2, DIM // HEADS)


if __name__ == "__main__":
    main()
