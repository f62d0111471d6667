"""Query positions and mass masks."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch

import golden
from vitan.anatomy import TokenLayout
from vitan.errors import MismatchError, OptionError
from vitan_analyses.regions.attention_rows import ALL_PATCHES, diagonal, mass_mask, merge_heads, positions, query_map

GOLDEN = golden.arrays("attention.npz")
CASES = sorted({key.split("__")[0] for key in GOLDEN.files})
MASKS = [key for key in GOLDEN.files if "__mask__" in key]
NAMES = {"spcagg": "all"}  # the published name and ours
QUERIES = {"cls": "cls", "spc": "all", "center": "center"}


def square(tokens: int) -> TokenLayout:
    side = round((tokens - 1) ** 0.5)
    return TokenLayout(("cls",), (side, side))


@pytest.mark.golden
@pytest.mark.parametrize("case", [case for case in CASES if f"{case}__positions" in GOLDEN.files])
def test_positions_are_the_published_ones(case: str) -> None:
    layout = square(GOLDEN[f"{case}__attn"].shape[-1])
    names = [NAMES.get(str(name), str(name)) for name in GOLDEN[f"{case}__position-names"]]
    assert positions(layout) == dict(zip(names, GOLDEN[f"{case}__positions"].tolist(), strict=True))
    names = [str(name) for name in GOLDEN[f"{case}__diag-names"]]
    assert diagonal(layout) == dict(zip(names, GOLDEN[f"{case}__diag-positions"].tolist(), strict=True))


@pytest.mark.golden
@pytest.mark.parametrize("key", MASKS)
def test_masks_are_the_published_ones(key: str) -> None:
    case, image, _, mode, mass, order = key.split("__")
    attention = GOLDEN[f"{case}__attn"][int(image.removeprefix("img"))]
    layout = square(attention.shape[-1])
    query = mode.removesuffix("-merge")
    maps = query_map(torch.from_numpy(attention), layout, positions(layout)[QUERIES[query]]).numpy()
    if mode.endswith("-merge"):
        maps = merge_heads(maps, equal=order == "REF_ORDER" and query != "spc")
    amount = re.fullmatch(r"mass([\d.]+)", mass)
    assert amount
    assert np.array_equal(mass_mask(maps, float(amount[1])), GOLDEN[key])


def test_positions_follow_the_layout() -> None:
    layout = TokenLayout(("cls", "register", "register"), (2, 5))
    expected = {"cls": 0, "top": 5, "left": 3, "center": 5, "right": 7, "bottom": 10, "all": ALL_PATCHES}
    assert positions(layout) == expected
    assert "cls" not in positions(TokenLayout((), (3, 3)))
    assert positions(TokenLayout((), (3, 3)))["center"] == 4


@pytest.mark.parametrize("grid", [(1, 1), (1, 4), (2, 5), (5, 2), (3, 3)])
def test_the_diagonal_runs_from_corner_to_corner(grid: tuple[int, int]) -> None:
    layout = TokenLayout((), grid)
    tokens = list(diagonal(layout).values())
    assert len(tokens) == max(grid)
    assert tokens == sorted(tokens)
    assert tokens[0] == 0
    assert tokens[-1] == len(layout) - 1 or grid == (1, 1)


def test_query_map_reads_only_patches_and_widens_halves() -> None:
    layout = TokenLayout(("cls", "register"), (1, 2))
    attention = torch.arange(16, dtype=torch.float16).reshape(1, 4, 4)
    assert query_map(attention, layout, 0).tolist() == [[[2.0, 3.0]]]
    assert query_map(attention, layout, ALL_PATCHES).tolist() == [[[12.0, 13.0]]]
    assert query_map(attention, layout, 0).dtype == torch.float32
    with pytest.raises(MismatchError, match="does not fit 2 tokens"):
        query_map(attention, TokenLayout((), (1, 2)), 0)


def test_mass_mask_by_hand() -> None:
    maps = np.array([[[0.1, 0.4], [0.3, 0.2]], [[1.0, 1.0], [1.0, 1.0]], [[0.0, 0.0], [0.0, 0.0]]])
    assert mass_mask(maps, 0.65)[0].tolist() == [[False, True], [True, False]]
    assert mass_mask(maps, 0.75)[0].tolist() == [[False, True], [True, True]]
    assert mass_mask(maps, 0.4)[1].tolist() == [[False, False], [True, True]]  # of equals the later first
    assert not mass_mask(maps, 0.9)[2].any()
    assert mass_mask(maps[:2], 1.0).all()
    for mass in (0.0, 1.1, float("nan")):
        with pytest.raises(OptionError, match="fraction"):
            mass_mask(maps, mass)


def test_merging_heads_equally_ignores_their_mass() -> None:
    maps = np.array([[[0.9, 0.1]], [[0.0, 0.2]]])
    assert merge_heads(maps).tolist() == [[[0.9, pytest.approx(0.3)]]]
    assert merge_heads(maps, equal=True)[0, 0] == pytest.approx([0.9, 1.1])
