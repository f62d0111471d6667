"""The ``residual`` analysis against the published code's numbers, by hand, and its own properties."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import golden
import golden_vits
from vitan.anatomy import ModelInfo, TokenLayout
from vitan.data.batch import Batch
from vitan.data.samples import Sample
from vitan_analyses.hsic.probe import GramOptions
from vitan_analyses.residual.probe import BRANCHES, ResidualProbe
from watching import watch

GOLDEN = golden.arrays("features_seg.npz")
THEIRS = {"attention": "attn", "mlp": "mlp"}
KINDS = {"all": "all", "cls": "cls", "spatial": "spat"}


def _probe(layout: Any, depth: Any, **options: Any) -> Any:
    info = ModelInfo(
        name="toy", family="toy", arch="T", patch=8, image_size=16, depth=depth, heads=1, dim=6, layout=layout,
        blocks=tuple(range(depth)),
    )  # fmt: skip
    return ResidualProbe(GramOptions(**options), info)


def _watched(taps: Any, sizes: Any, layout: Any = None, **options: Any) -> Any:
    """A probe that has seen features (block, image, token, channel) by tap, in batches of these sizes."""
    first = next(iter(taps.values()))
    probe = _probe(layout or TokenLayout(("cls",), (1, first.shape[2] - 1)), len(first), **options)
    for number, end in enumerate(np.cumsum(sizes)):
        index = range(end - sizes[number], end)
        samples = [Sample(id=str(i), image=None) for i in index]
        batch = Batch(tuple(index), samples, (), torch.empty(1), number=number)
        for block in range(len(first)):
            watch(probe, block, {name: features[block, index[0] : end] for name, features in taps.items()}, batch)
    return probe


def _taps(seed: Any, blocks: Any = 2, images: Any = 20, tokens: Any = 5, channels: Any = 6) -> Any:
    generator = torch.Generator().manual_seed(seed)
    names = [tap for pair in BRANCHES.values() for tap in pair]
    return {name: torch.randn(blocks, images, tokens, channels, generator=generator) + 1 for name in names}


def _published() -> Any:
    """The stored summands, in the published batches."""
    depth = range(len(GOLDEN["residual/attn_cka"]))
    taps = {
        tap: torch.from_numpy(np.stack([GOLDEN[f"residual/{THEIRS[branch]}_{side}{i}"] for i in depth]))
        for branch, pair in BRANCHES.items()
        for side, tap in zip(("skip", "branch"), pair, strict=True)
    }
    n, size = next(iter(taps.values())).shape[1], int(GOLDEN["vit/batch_size"])
    sizes = [min(size, n - start) for start in range(0, n, size)]
    return _watched(taps, sizes, protocol="paper", batch=size)


def _check(probe: Any) -> None:
    arrays = probe.compute().arrays
    for branch, theirs in THEIRS.items():
        np.testing.assert_allclose(arrays[branch], GOLDEN[f"residual/{theirs}_cka_f64"], atol=2e-6)
        np.testing.assert_allclose(arrays[branch], GOLDEN[f"residual/{theirs}_cka"], atol=2e-5)
        for kind, name in KINDS.items():
            expected = GOLDEN[f"residual/{theirs}_norm_{name}"]
            np.testing.assert_allclose(probe.batch_ratios(branch, kind), expected, rtol=2e-5)
            np.testing.assert_allclose(arrays[f"norm-ratio-{branch}-{kind}"], expected.mean(1), rtol=2e-5)


@pytest.mark.golden
@pytest.mark.skipif("residual/attn_cka" not in GOLDEN.files, reason="not in this set")
def test_published_summands() -> None:
    _check(_published())


@pytest.mark.golden
@pytest.mark.skipif("residual/attn_cka" not in GOLDEN.files, reason="not in this set")
def test_published_numbers_from_pixels() -> None:
    """Through the recorder, in one pass, on the untouched model."""
    model, images = golden_vits.dino()
    options = GramOptions(protocol="paper", batch=int(GOLDEN["vit/batch_size"]))
    _check(golden_vits.show(ResidualProbe(options, golden_vits.info(model, "dino")), model, images))


def test_ratios_by_hand() -> None:
    """A skip stream of 3 in every channel, and a branch of 1 for CLS and 2 for both patches."""
    skip, branch = torch.full((1, 4, 3, 2), 3.0), torch.ones(1, 4, 3, 2)
    branch[:, :, 1:] = 2
    taps = {tap: values for pair in BRANCHES.values() for tap, values in zip(pair, (skip, branch), strict=True)}
    arrays = _watched(taps, [4]).compute().arrays
    for branch in BRANCHES:
        assert arrays[f"norm-ratio-{branch}-cls"] == pytest.approx([3])
        assert arrays[f"norm-ratio-{branch}-spatial"] == pytest.approx([1.5])
        assert arrays[f"norm-ratio-{branch}-all"] == pytest.approx([np.sqrt(27 / 9)])


def test_a_partial_batch_weighs_as_its_images_by_default_and_as_a_batch_as_published() -> None:
    taps = _taps(0)
    lengths = taps["block_in"][0].flatten(1).norm(dim=1) / taps["attention_branch"][0].flatten(1).norm(dim=1)
    found = _watched(taps, [8, 8, 4], batch=8).compute().arrays["norm-ratio-attention-all"][0]
    published = _watched(taps, [8, 8, 4], batch=8, protocol="paper").compute().arrays["norm-ratio-attention-all"][0]
    assert found == pytest.approx(lengths.mean().item(), rel=1e-6)
    assert published == pytest.approx(np.mean([part.mean().item() for part in lengths.split(8)]), rel=1e-6)


def test_a_branch_that_is_the_skip_stream_turned_is_fully_alike() -> None:
    taps = _taps(1)
    turned = torch.linalg.qr(torch.randn(30, 30, generator=torch.Generator().manual_seed(0)))[0]
    taps["attention_branch"] = (taps["block_in"].flatten(2) @ turned).view_as(taps["block_in"]) * 0.1
    found = _watched(taps, [20]).compute()
    assert found.arrays["attention"].diagonal() == pytest.approx([1, 1], abs=1e-5)
    assert found.arrays["mlp"].max() < 0.9


def test_gaps_are_named_and_stop_nothing() -> None:
    taps = _taps(2)
    taps["block_in"][0, 3, 2, 1] = np.inf
    taps["mlp_branch"][1] = 0
    found = _watched(taps, [20]).compute()
    gaps = {(r.metric, r.token, r.block): r.gap for r in found.records if r.gap}
    assert gaps["skip-branch-cka-attention", "all-tokens", 0] == "skip stream: it is not finite everywhere"
    assert gaps["skip-branch-cka-mlp", "all-tokens", 1] == "branch: it is the same for every image"
    assert gaps["norm-ratio-mlp", "all-tokens", 1] == "a branch adds nothing"
    assert np.isnan(found.arrays["attention"][0]).all()
    assert np.isfinite(found.arrays["attention"][1]).all()


def test_registers_are_neither_cls_nor_patch() -> None:
    taps = _taps(3)
    layout = TokenLayout(("cls", "register"), (1, 3))
    base = _watched(taps, [20], layout).compute().arrays
    for tap in taps:
        taps[tap] = taps[tap].clone()
    taps["block_in"][:, :, 1] *= 100
    found = _watched(taps, [20], layout).compute().arrays
    for kind in ("cls", "spatial"):
        np.testing.assert_array_equal(base[f"norm-ratio-attention-{kind}"], found[f"norm-ratio-attention-{kind}"])
    assert (found["norm-ratio-attention-all"] > 10 * base["norm-ratio-attention-all"]).all()
