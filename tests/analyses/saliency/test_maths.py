"""Rows, masks and floors of the ``saliency`` analysis."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import torch

import golden
from vitan.anatomy import TokenLayout
from vitan.errors import MismatchError
from vitan_analyses.regions.attention_rows import mass_mask, overlap
from vitan_analyses.saliency.floor import random_iou
from vitan_analyses.saliency.rows import saliency_maps, sources

GOLDEN = golden.arrays("features_seg.npz")
CASES = sorted({key.split("/")[1] for key in GOLDEN.files if key.startswith("saliency/") and key.endswith("/attn")})
NAMES = {"cls": "cls", "spc": "patches", "center": "center"}


def square(tokens: int) -> TokenLayout:
    side = round((tokens - 1) ** 0.5)
    return TokenLayout(("cls",), (side, side))


def published(prefix: str, name: str) -> list[tuple[str, int, slice]]:
    """The published keys below a prefix that end so, with which source and which heads of ours they are."""
    layout, found = square(GOLDEN[f"{prefix.removesuffix('/alias')}/attn"].shape[-1]), []
    for theirs, ours in NAMES.items():
        for mode, heads in ((theirs, slice(0, -1)), (f"{theirs}-merge", slice(-1, None))):
            found.append((f"{prefix}/{mode}/{name}", sources(layout).index(ours), heads))
    return found


@pytest.mark.golden
@pytest.mark.parametrize("case", CASES)
def test_published_masks_and_their_iou(case: str) -> None:
    prefix = f"saliency/{case}"
    attention = torch.from_numpy(GOLDEN[f"{prefix}/attn"])  # the blocks take the place of images
    layout = square(attention.shape[-1])
    maps = saliency_maps(attention, layout)
    for i, mass in enumerate(GOLDEN[f"{prefix}/masses"].tolist()):
        ours = mass_mask(maps, mass)
        for key, source, heads in published(prefix, "mask"):
            assert np.array_equal(ours[:, source, heads], GOLDEN[key][i].astype(bool)), key
        for key, source, heads in published(prefix, "iou"):
            for j, truth in enumerate(GOLDEN[f"{prefix}/gt"]):
                iou, _ = overlap(ours[:, source, heads], truth)
                np.testing.assert_allclose(iou, GOLDEN[key][i, j], atol=1e-6)


@pytest.mark.golden
@pytest.mark.parametrize("case", [case for case in CASES if f"saliency/{case}/alias_attn" in GOLDEN.files])
def test_published_masks_of_the_six_in_a_row_and_of_each_alone(case: str) -> None:
    """In a row, an in-place division makes merged maps of CLS and centre sums of normalised heads."""
    prefix = f"saliency/{case}"
    attention = torch.from_numpy(GOLDEN[f"{prefix}/alias_attn"])
    layout = square(attention.shape[-1])
    mass = float(GOLDEN[f"{prefix}/masses"][0])
    for name, paper in (("mask_in_loop", True), ("mask_fresh", False)):
        ours = mass_mask(saliency_maps(attention, layout, paper=paper), mass)
        for key, source, heads in published(f"{prefix}/alias", name):
            assert np.array_equal(ours[:, source, heads], GOLDEN[key].astype(bool)), key
    alone, in_a_row = (saliency_maps(attention, layout, paper=paper) for paper in (False, True))
    assert not np.array_equal(mass_mask(alone, mass), mass_mask(in_a_row, mass))


@pytest.mark.golden
@pytest.mark.skipif("saliency/union_empty_iou" not in GOLDEN.files, reason="not in this set")
def test_published_iou_of_nothing_with_nothing() -> None:
    nothing = np.zeros((1, 1, 7, 7), np.bool_)
    np.testing.assert_array_equal(overlap(nothing, nothing[0, 0])[0], GOLDEN["saliency/union_empty_iou"])


def test_iou_by_hand() -> None:
    ours = np.array([[[True, True], [False, False]], [[False, False], [False, False]]])
    iou, size = overlap(ours, np.array([[True, False], [True, False]]))
    assert iou.tolist() == [pytest.approx(1 / 3), 0]
    assert size.tolist() == [2, 0]


def test_maps_by_hand() -> None:
    """CLS and a register in front of 1 x 2 patches; the register is neither query nor key."""
    layout = TokenLayout(("cls", "register"), (1, 2))
    attention = torch.arange(16.0).reshape(1, 1, 4, 4)
    maps = saliency_maps(attention.half(), layout)
    assert maps.dtype == np.float32
    assert maps[0, :, 0, 0].tolist() == [[2.0, 3.0], [12.0, 13.0], [10.0, 11.0]]  # cls, patches, center
    assert np.array_equal(maps[:, :, 1], maps[:, :, 0])  # the only head is all heads together
    with pytest.raises(MismatchError, match="does not fit 2 tokens"):
        saliency_maps(attention, TokenLayout((), (1, 2)))


def test_models_without_cls_have_two_sources() -> None:
    layout = TokenLayout(("register",), (2, 3))
    attention = torch.rand(2, 4, 7, 7)
    maps = saliency_maps(attention, layout)
    assert sources(layout) == ("patches", "center")
    assert maps.shape == (2, 2, 5, 2, 3)
    np.testing.assert_allclose(maps[:, 0, :-1], attention[..., 1:, 1:].mean(2).view(2, 4, 2, 3), rtol=1e-5)
    np.testing.assert_allclose(maps[:, :, -1], maps[:, :, :-1].sum(2), rtol=1e-5)


@pytest.mark.parametrize("mass", [0.1, 0.6, 1.0])
def test_masks_are_the_fewest_patches_with_that_mass_even_with_ties(mass: float) -> None:
    maps = np.random.default_rng(0).integers(0, 4, (200, 3, 3)).astype(np.float32)
    found = mass_mask(maps, mass)
    inside, total = (maps * found).sum((1, 2)), maps.sum((1, 2))
    assert (inside >= np.float32(mass) * total - 1e-4).all()
    smallest = np.where(found, maps, np.inf).min((1, 2))
    assert (inside - smallest < mass * total)[total > 0].all()  # one patch fewer would not do
    assert (np.where(found, -np.inf, maps).max((1, 2)) <= smallest).all()


def test_random_floor_is_the_expected_iou() -> None:
    """Three of six patches against two: every choice counted out, and the better of two independent ones."""
    truth = {0, 1}
    ious = [len(truth & {*c}) / len(truth | {*c}) for c in combinations(range(6), 3)]
    best = np.mean([max(a, b) for a in ious for b in ious])
    mean_found, best_found = random_iou(np.full((4000, 1, 2), 3), np.full(4000, 2), 6, seed=0)
    assert mean_found == pytest.approx([np.mean(ious)], abs=4e-3)
    assert best_found == pytest.approx([best], abs=4e-3)


def test_random_floor_of_a_full_mask_is_the_share_of_the_truth() -> None:
    mean, best = random_iou(np.full((3, 2, 4), 10), np.array([2, 5, 8]), 10, seed=1)
    assert mean == pytest.approx([0.5, 0.5])
    assert best == pytest.approx([0.5, 0.5])
