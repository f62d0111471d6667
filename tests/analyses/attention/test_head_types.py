"""Head types, on heads that were made to be of one type."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from vitan.anatomy import TokenLayout
from vitan_analyses.attention.head_types import LOCAL, OTHER, TYPES, HeadTypes, classify, label
from vitan_analyses.attention.reduce import BlockReducer

GRIDS = [(7, 7), (8, 12), (14, 14), (20, 16)]
NOISE = [0.0, 0.5, 1.0]
IMAGES = 6

Logits = Callable[[Tensor, Tensor], Tensor]


def gaussian(x: float, y: float, width_x: float, width_y: float) -> Logits:
    return lambda dx, dy: -((dx - x) ** 2) / (2 * width_x**2) - (dy - y) ** 2 / (2 * width_y**2)


def attention_of(layout: TokenLayout, logits: Logits, noise: float, on_cls: float = 0.05) -> Tensor:
    """(image, head, query, key) of one head with that pattern over offsets, and a share for the CLS token."""
    rows, columns = layout.grid
    row, column = (torch.arange(rows * columns) // columns).double(), (torch.arange(rows * columns) % columns).double()
    pattern = logits(column[None] - column[:, None], row[None] - row[:, None])
    generator = torch.Generator().manual_seed(rows * 100 + columns)
    scatter = noise * torch.randn(IMAGES, 1, *pattern.shape, generator=generator, dtype=torch.float64)
    spatial = (1 - on_cls) * (pattern + scatter).softmax(-1)
    attention = torch.full((IMAGES, 1, len(layout), len(layout)), 1 / len(layout), dtype=torch.float64)
    attention[:, :, layout.patches, layout.patches] = spatial
    attention[:, :, layout.patches, 0] = on_cls
    return attention


def types_of(layout: TokenLayout, attention: Tensor) -> HeadTypes:
    seen = BlockReducer(layout)(attention)
    aligned, on_token, entropy = (part.mean(0).numpy() for part in (seen.aligned, seen.patch_mean, seen.entropy))
    return classify(aligned, on_token, entropy, layout)


def named(grid: tuple[int, int], logits: Logits, noise: float, on_cls: float = 0.05) -> tuple[str, HeadTypes]:
    layout = TokenLayout(("cls",), grid)
    types = types_of(layout, attention_of(layout, logits, noise, on_cls))
    assert types.scores.min() >= 0
    assert types.scores.sum() <= 1 + 1e-9
    return str(label(types.scores)[0]), types


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("noise", NOISE)
@pytest.mark.parametrize(
    ("expected", "logits"),
    [
        ("strict", gaussian(0, 0, 0.4, 0.4)),
        ("strict", gaussian(0, 0, 0.7, 0.7)),
        ("soft", gaussian(0, 0, 1.6, 1.6)),
        ("axial", gaussian(0, 0, 2.5, 0.4)),
        ("axial", gaussian(0, 0, 0.5, 4.0)),
        ("offset", gaussian(1, 0, 0.4, 0.4)),
        ("offset", gaussian(-1, 1, 0.6, 0.6)),
        ("offset", gaussian(0, -3, 0.7, 0.7)),
    ],
)
def test_local_heads(grid: tuple[int, int], noise: float, expected: str, logits: Logits) -> None:
    name, types = named(grid, logits, noise)
    assert name == expected, dict(zip(TYPES, types.scores[0].round(2), strict=True))


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("offset", [(1, 0), (0, -1), (-2, 1), (3, 2)])
def test_the_direction_of_an_offset(grid: tuple[int, int], offset: tuple[int, int]) -> None:
    name, types = named(grid, gaussian(*offset, 0.5, 0.5), 0.5)
    assert name == "offset"
    assert tuple(types.peaks[0]) == offset


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("noise", NOISE)
def test_heads_that_are_not_local(grid: tuple[int, int], noise: float) -> None:
    assert named(grid, gaussian(0, 0, 0.5, 0.5), noise, on_cls=0.8)[0] == "sink"
    assert named(grid, lambda dx, _: torch.zeros_like(dx), 0.0)[0] == "uniform"
    layout = TokenLayout(("cls",), grid)
    one_patch = attention_of(layout, lambda dx, _: torch.zeros_like(dx), noise) * 0.2
    one_patch[..., -2] += 0.8
    assert label(types_of(layout, one_patch).scores) == ["sink"]


@pytest.mark.parametrize("grid", GRIDS)
def test_attention_to_content_is_none_of_the_types(grid: tuple[int, int]) -> None:
    """Each query looks at its own few patches, anywhere."""
    name, types = named(grid, lambda dx, _: torch.zeros_like(dx), 3.0)
    assert name == OTHER
    assert types.scores[0, : len(LOCAL)].sum() < 0.2


def test_left_and_right_alike_is_no_offset() -> None:
    def both(dx: Tensor, dy: Tensor) -> Tensor:
        return torch.logaddexp(gaussian(2, 0, 0.5, 0.5)(dx, dy), gaussian(-2, 0, 0.5, 0.5)(dx, dy))

    assert named((14, 14), both, 0.0)[1].scores[0, TYPES.index("offset")] < 0.1


def test_registers_are_sinks() -> None:
    layout = TokenLayout(("register", "register"), (8, 8))
    attention = torch.full((1, 1, 66, 66), 0.1 / 64)
    attention[..., :2] = 0.45
    types = types_of(layout, attention)
    assert label(types.scores) == ["sink"]
    assert types.scores[0, TYPES.index("sink")] == pytest.approx(0.9 + 0.1 / 64, abs=1e-6)


def test_an_empty_map_is_a_sink_and_has_no_peak() -> None:
    layout = TokenLayout(("cls",), (4, 4))
    types = classify(np.zeros((2, 7, 7)), np.eye(17)[[0, 0]], np.zeros(2), layout)
    assert label(types.scores).tolist() == ["sink", "sink"]
    assert (types.peaks == 0).all()


def test_labels_by_hand() -> None:
    scores = np.array([[0.2, 0.25, 0, 0, 0.3, 0], [0.2, 0, 0, 0.1, 0.35, 0], [0, 0, 0.1, 0, 0.1, 0.3]])
    assert label(scores).tolist() == ["soft", "sink", OTHER]


@pytest.mark.parametrize("grid", [(2, 2), (1, 6), (3, 3), (2, 9)])
def test_small_grids_give_numbers(grid: tuple[int, int]) -> None:
    _, types = named(grid, gaussian(0, 0, 0.5, 0.5), 0.5)
    assert np.isfinite(types.scores).all()
