"""Regions on the patch grid: exact shares, and the published rule."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

from outlined import GOLDEN, Outlined
from vitan.data.samples import Segment
from vitan.errors import ImageError
from vitan_analyses.regions.token_masks import coverage, published_levels, published_regions, regions

GRIDS = [key.removesuffix("/grid_skips_loads") for key in GOLDEN.files if key.endswith("/grid_skips_loads")]

#: pycocotools asks numpy in a way that numpy is about to drop.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def segment(mask: Any, label: Any = 1, *, crowd: Any = False) -> Any:
    return Segment(label=label, decode=lambda: np.asarray(mask, bool), id=f"of {label}", crowd=crowd)


def whole(mask: Any) -> Any:
    height, width = mask.shape
    return (0, 0, width, height), (width, height)


@pytest.mark.golden
@pytest.mark.parametrize("key", GRIDS)
def test_published_masks(key: Any) -> None:
    """Weights, labels, union and what is left out, for crops on two grids and for the whole picture."""
    name, number, view = key.split("/")
    sample = _outlined(name)[int(number)]
    unread = len(GOLDEN[f"{name}/{number}/ann_ids"]) - len(sample.segments)
    rows, columns, skips, loads = GOLDEN[f"{key}/grid_skips_loads"].tolist()
    found = published_regions(sample.segments, sample.image.size, (rows, columns), crop=view != "dense")
    assert found.skipped + unread == skips
    assert len(found.labels) == loads
    if loads:
        np.testing.assert_allclose(found.weights, GOLDEN[f"{key}/masks"], atol=1e-7)
        assert np.array_equal(found.labels, GOLDEN[f"{key}/labels"])
        assert np.array_equal(found.union, GOLDEN[f"{key}/union"].astype(bool))


_outlined = cache(Outlined)


def test_coverage_by_hand() -> None:
    """A mask of 2 x 4 pixels: the left half. Three columns of cells over it, and then over a box that sticks out."""
    mask = np.array([[1, 1, 0, 0], [1, 1, 0, 0]], bool)
    np.testing.assert_allclose(coverage(mask, (0, 0, 4, 2), (1, 3)), [[1, 0.5, 0]])
    np.testing.assert_allclose(coverage(mask, (-2, 0, 2, 2), (2, 2)), [[0, 1], [0, 1]])
    np.testing.assert_allclose(coverage(mask, (1.5, 0.5, 2.5, 1.5), (1, 1)), [[0.5]])


@pytest.mark.parametrize("grid", [(3, 5), (7, 2), (16, 16)])
def test_coverage_keeps_the_area(grid: Any) -> None:
    """Summed over cells it is the area of the mask within the box, however the grid cuts it."""
    mask = np.random.default_rng(0).random((9, 11)) > 0.6
    box = (1.25, 0.5, 9.75, 8.5)
    share = coverage(mask, box, grid)
    fine = np.repeat(np.repeat(mask, 4, 0), 4, 1)[2:34, 5:39]  # quarter pixels: the box lies on their borders
    cell = (box[2] - box[0]) * (box[3] - box[1]) / (grid[0] * grid[1])
    assert share.sum() * cell == pytest.approx(fine.sum() / 16, abs=1e-9)
    assert ((share >= 0) & (share <= 1 + 1e-9)).all()


def test_regions_by_hand() -> None:
    """Two objects, a crowd that joins the union alone, and an object outside the box."""
    left, right, crowd, outside = (np.zeros((2, 6), bool) for _ in range(4))
    left[:, :1], right[0, 2:4], crowd[:, 3], outside[:, 5] = True, True, True, True
    segments = [segment(left, 7), segment(right, 9), segment(crowd, 9, crowd=True), segment(outside, 3)]
    found = regions(segments, (0, 0, 4, 2), (6, 2), (1, 2))
    assert found.labels.tolist() == [7, 9]
    assert found.weights.tolist() == [[[1, 0]], [[0, 1]]]
    assert found.union.tolist() == [[True, True]]  # half of the first patch, three quarters of the second
    assert found.skipped == 1


def test_the_published_rule_takes_crowds_and_any_touch() -> None:
    """One pixel of 16 x 16 in a patch makes it part of the union, though not half of it is covered."""
    mask = np.zeros((32, 32), bool)
    mask[8, 8] = True
    found = published_regions([segment(mask, 4, crowd=True)], (32, 32), (2, 2), crop=True)
    assert found.union.tolist() == [[True, False], [False, False]]
    assert found.labels.tolist() == [4]
    ours = regions([segment(mask, 4)], *whole(mask), (2, 2))
    assert not ours.union.any()
    assert ours.weights.tolist() == [[[1, 0], [0, 0]]]


def test_the_published_crop_is_the_centre_square() -> None:
    mask = np.zeros((4, 9), bool)
    mask[:, 2:6] = True  # int(5 / 2) = 2 pixels are cut from the left
    assert (published_levels(mask, (2, 2), crop=True) == 255).all()
    assert published_levels(mask, (2, 2), crop=False).max() < 255


def test_pictures_without_objects_have_none() -> None:
    found = regions([], (0, 0, 4, 4), (4, 4), (2, 2))
    assert found.weights.shape == (0, 2, 2)
    assert found.labels.shape == (0,)
    assert not found.union.any()


def test_a_mask_of_another_size_is_named() -> None:
    with pytest.raises(ImageError, match=r"segment 'of 1' is 3 x 2 pixels, but its picture is 6 x 2"):
        regions([segment(np.ones((2, 3)))], (0, 0, 6, 2), (6, 2), (1, 2))
