"""Points in the padded square, and what they find in another picture."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import golden
from vitan_analyses.keypoints.matching import best_pixels, enlargement, match, normalise, source_vectors
from vitan_analyses.keypoints.square import shown_size, threshold, to_pixels, to_square

SETS = [path.relative_to(golden.FOLDER).as_posix() for path in sorted(golden.FOLDER.glob("downstream/kp_*_*.npz"))]
CASES = [(name, str(category)) for name in SETS for category in golden.arrays(name)["categories"]]
GEOMETRY = golden.arrays("downstream/geometry.npz")
PICTURES = [name.removeprefix("kps_in_") for name in GEOMETRY.files if name.startswith("kps_in_")]


# The square


def test_points_and_boxes_of_a_wide_picture() -> None:
    """200 × 100 at half size: 100 × 50, with 25 rows above and below."""
    assert shown_size((200, 100), 100) == (100, 50)
    assert to_square([(0, 0), (200, 100), (11, 3)], (200, 100), 100).tolist() == [[0, 25], [100, 75], [5.5, 26.5]]
    assert threshold((10, 20, 60, 100), (200, 100), 100) == 40


def test_the_shorter_side_is_rounded_to_even_halves() -> None:
    assert shown_size((8, 5), 4) == (4, 2)  # 2.5
    assert shown_size((7, 8), 4) == (4, 4)  # 3.5
    assert to_square([], (7, 8), 4).shape == (0, 2)


def test_published_rounding_cuts_x_and_rounds_y() -> None:
    points = torch.tensor([[2.9, 2.9], [2.5, 2.5], [3.5, 3.5], [9.8, 9.6], [-0.4, 0.2]])
    assert to_pixels(points, 10, "nearest").tolist() == [[3, 3], [2, 2], [4, 4], [9, 9], [0, 0]]
    assert to_pixels(points, 10, "published").tolist() == [[2, 3], [2, 2], [3, 4], [9, 9], [0, 0]]


@pytest.mark.golden
@pytest.mark.parametrize("name", PICTURES)
def test_points_of_pictures_are_those_published(name: Any) -> None:
    from PIL import Image

    picture = Image.open(golden.FOLDER / f"downstream/images/{name}.png").size
    side = len(GEOMETRY[f"pad_{name}"])
    points, expected = GEOMETRY[f"kps_in_{name}"], GEOMETRY[f"kps_out_{name}"]
    visible = points[:, 2] > 0
    found = to_square([tuple(point[:2].tolist()) for point in points], picture, side)
    assert found[visible].numpy().tobytes() == expected[visible, :2].astype(np.float32).tobytes()


# Enlarging


@pytest.mark.parametrize(("cells", "pixels"), [(14, 224), (3, 7), (1, 5), (7, 7), (28, 224)])
def test_enlarging_is_that_of_torch(cells: Any, pixels: Any) -> None:
    values = torch.randn(1, 1, cells, cells, dtype=torch.float64)
    ours = enlargement(cells, pixels) @ values[0, 0] @ enlargement(cells, pixels).T
    theirs = F.interpolate(values, size=(pixels, pixels), mode="bilinear", align_corners=False)[0, 0]
    assert (ours - theirs).abs().max() < 1e-12


def test_source_vectors_by_hand() -> None:
    """Two cells, four pixels: pixel 1 is a quarter of the way from the first centre to the second."""
    tokens = torch.tensor([[[[0.0], [8.0]], [[80.0], [88.0]]]])  # (1, 2, 2, 1)
    pixels = torch.tensor([[0, 0], [1, 0], [1, 1], [3, 2], [3, 3]])
    found = source_vectors(tokens, torch.zeros(5, dtype=torch.long), pixels, 4)
    assert found[:, 0].tolist() == [0, 2, 22, 68, 88]


def straightforward(source: torch.Tensor, target: torch.Tensor, pixel: torch.Tensor, side: int) -> torch.Tensor:
    """The published form: both maps enlarged, every pixel compared. Tokens are (row, column, channel)."""

    def enlarged(tokens: torch.Tensor) -> torch.Tensor:
        return F.interpolate(tokens.permute(2, 0, 1)[None], size=(side, side), mode="bilinear")[0]

    vectors = enlarged(source)[:, pixel[:, 1], pixel[:, 0]]  # (channel, point)
    similarities = vectors.T @ enlarged(target).flatten(1)  # (point, pixel)
    best = similarities.amax(1, keepdim=True)
    first = (similarities >= best - 1e-6 * best.abs()).int().argmax(1)
    return torch.stack([first % side, first // side], 1)


@pytest.mark.parametrize(("rows", "columns", "side"), [(4, 4, 32), (5, 3, 30), (1, 1, 6), (7, 7, 7), (2, 6, 17)])
def test_matches_are_those_of_enlarged_features(rows: Any, columns: Any, side: Any) -> None:
    generator = torch.Generator().manual_seed(rows + side)
    tokens = normalise(torch.randn(3, rows, columns, 8, generator=generator, dtype=torch.float64))
    points = 60
    source, target = (torch.randint(3, (points,), generator=generator) for _ in range(2))
    pixel = torch.randint(side, (points, 2), generator=generator)
    found = match(tokens, source, pixel, target, side)
    for i in range(points):
        one = straightforward(tokens[source[i]], tokens[target[i]], pixel[i : i + 1], side)
        assert found[i].tolist() == one[0].tolist()


# Ties


def test_of_equal_pixels_the_lowest_row_then_column_counts() -> None:
    maps = torch.zeros(3, 4, 4)
    maps[0, 2, 1] = maps[0, 1, 3] = 1  # token centres lie between pixels: four pixels tie, the upper left one counts
    maps[2, 3, 3] = 1
    maps[1] = -0.5
    assert best_pixels(maps, 16).tolist() == [[14, 5], [0, 0], [14, 14]]


def test_values_within_a_millionth_are_equal() -> None:
    maps = torch.zeros(2, 3, 3, dtype=torch.float64)
    maps[:, 2, 2] = 1
    maps[0, 0, 0], maps[1, 0, 0] = 1 - 0.9e-6, 1 - 1.1e-6
    assert best_pixels(maps, 9).tolist() == [[0, 0], [7, 7]]  # a best token on the rim holds two pixels of each axis


def test_features_that_are_not_finite_find_nothing() -> None:
    tokens = normalise(torch.randn(2, 3, 3, 4))
    tokens[1, 0, 0, 0] = float("nan")
    index = torch.tensor([0, 0])
    found = match(tokens, index, torch.tensor([[1, 1], [2, 2]]), torch.tensor([0, 1]), 9)
    assert found[0].isfinite().all()
    assert found[1].isnan().all()


def test_tokens_without_length_find_the_first_pixel() -> None:
    found = match(normalise(torch.zeros(1, 3, 3, 4)), *(torch.zeros(s, dtype=torch.long) for s in (1, (1, 2), 1)), 9)
    assert found.tolist() == [[0, 0]]


def test_no_points_find_nothing() -> None:
    none = torch.zeros(0, dtype=torch.long)
    assert match(torch.ones(1, 2, 2, 3), none, none.reshape(0, 2), none, 4).shape == (0, 2)


# The published numbers


@pytest.mark.golden
@pytest.mark.parametrize(("name", "category"), CASES)
def test_matches_are_those_published(name: Any, category: Any) -> None:
    """Exact where the best pixel is unique, inside the box of the tied pixels otherwise."""
    data = golden.arrays(name)
    side, cells = int(data["imsize"]), int(data["imsize"]) // int(data["patch"])
    features = torch.from_numpy(data[f"{category}_features"])[:, 1:]
    tokens = normalise(features).unflatten(1, (cells, cells))
    points = torch.from_numpy(data[f"{category}_kps"])
    both = (points[0::2, :, 2] * points[1::2, :, 2]) > 0  # (pair, point)
    pair = both.nonzero()[:, 0]
    found = match(tokens, 2 * pair, to_pixels(points[0::2][both][:, :2], side, "published"), 2 * pair + 1, side).numpy()
    stable, box = data[f"{category}_stable"], data[f"{category}_tie_box"]
    assert np.array_equal(found[stable], data[f"{category}_pred_xy"][stable])
    assert (found >= box[:, :2]).all()
    assert (found <= box[:, 2:]).all()
    assert np.array_equal(found, data[f"{category}_pred64_xy"])  # the same rule for ties, in float64
