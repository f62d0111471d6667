"""The mathematics of ``video-segmentation``: label propagation, final masks, J and F."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import golden
from vitan.data.views import make_view
from vitan_analyses.video_segmentation.masks import final_mask, first_labels, from_png, palette, to_png
from vitan_analyses.video_segmentation.metrics import (
    boundary_map,
    boundary_measure,
    region_similarity,
    score,
    statistics,
)
from vitan_analyses.video_segmentation.propagation import Frame, Propagation, Trail, normalise

METRICS = golden.arrays("downstream/davis_metrics.npz")
CASES = sorted(name[:-5] for name in METRICS.files if name.startswith("case") and name.endswith("_meta"))
MAPS = sorted(name[:-3] for name in METRICS.files if name.startswith("bmap") and name.endswith("_in"))
LENGTHS = sorted(name[8:] for name in METRICS.files if name.startswith("stat_in_"))


def unpacked(case: Any, name: Any, shape: Any) -> Any:
    bits = METRICS[f"{case}_{name}"]
    return np.unpackbits(bits)[: shape[0] * shape[1]].reshape(shape).astype(bool)


@pytest.mark.golden
@pytest.mark.parametrize("case", CASES)
def test_single_masks(case: Any) -> None:
    height, width, tolerance, with_void = METRICS[f"{case}_meta"]
    shape = int(height), int(width)
    annotated, predicted = unpacked(case, "gt", shape), unpacked(case, "pred", shape)
    void = unpacked(case, "void", shape) if with_void else None
    row = CASES.index(case)
    expected = METRICS["case_J"][row], METRICS["case_F"][row]
    found = region_similarity(annotated, predicted, void), boundary_measure(annotated, predicted, void, tolerance)
    np.testing.assert_allclose(found, expected, atol=1e-12)
    if void is None:
        by_ids = score(annotated.astype(np.uint8), predicted.astype(np.uint8), 1, tolerance)[0]
        np.testing.assert_allclose(by_ids, expected, atol=1e-12)


@pytest.mark.golden
@pytest.mark.parametrize("name", MAPS)
def test_boundary_maps(name: Any) -> None:
    np.testing.assert_array_equal(boundary_map(METRICS[f"{name}_in"]), METRICS[f"{name}_out"])


@pytest.mark.golden
@pytest.mark.parametrize("length", LENGTHS)
def test_statistics(length: Any) -> None:
    found = statistics(METRICS[f"stat_in_{length}"])
    np.testing.assert_allclose((found.mean, found.recall, found.decay), METRICS[f"stat_out_{length}"], atol=1e-12)


PROPAGATED = golden.arrays("downstream/labelprop.npz")
VARIANTS = range(len(PROPAGATED["variants"])) if "variants" in PROPAGATED.files else ()


@pytest.mark.golden
@pytest.mark.parametrize("variant", VARIANTS)
def test_label_propagation(variant: Any) -> None:
    window, top_k, context = (int(value) for value in PROPAGATED["variants"][variant])
    features = torch.from_numpy(PROPAGATED["features"])
    grid, patch = tuple(features.shape[1:3]), int(PROPAGATED["patch"])
    final = PROPAGATED[f"final_v{variant}"]
    first = first_labels(final[0], grid)
    np.testing.assert_array_equal(first.T.reshape(-1, *grid), PROPAGATED["first_seg"][0])
    trail = Trail(
        Propagation(grid, window=window, top_k=top_k, temperature=0.1), context, normalise(features[0]), first
    )
    for frame, expected, mask in zip(features[1:], PROPAGATED[f"soft_v{variant}"], final[1:], strict=True):
        labels = trail.follow(normalise(frame))
        np.testing.assert_allclose(labels.T.reshape(expected.shape), expected, atol=1e-5)
        made = final_mask(labels, grid, patch, mask.shape[::-1])
        assert (made != mask).mean() <= 0.0005


def published(query: Any, context: Any, *, window: Any, top_k: Any) -> Any:
    """The straightforward form: all affinities, the window by multiplication, top-k over everything."""
    rows, columns = query.shape[:2]
    row, column = torch.arange(rows), torch.arange(columns)
    near = ((row[:, None] - row).abs() <= window)[:, None, :, None]
    near = (near & ((column[:, None] - column).abs() <= window)[None, :, None, :]).reshape(rows * columns, -1)
    own = query.flatten(0, 1)
    affinity = torch.cat(
        [(own @ frame.tokens.flatten(0, 1).T / 0.1).exp() * (near | (window == 0)) for frame in context], 1
    )
    least = affinity.topk(top_k, 1).values[:, -1:]
    affinity = torch.where(affinity < least, 0, affinity)
    return (affinity / affinity.sum(1, keepdim=True)) @ torch.cat([frame.labels for frame in context])


def made_up_frames(grid: Any, count: Any, seed: Any = 0) -> Any:
    random = torch.Generator().manual_seed(seed)
    tokens = normalise(torch.randn(count, *grid, 6, generator=random) + 0.5)
    labels = torch.rand(count, grid[0] * grid[1], 3, generator=random)
    return [Frame(*pair) for pair in zip(tokens, labels, strict=True)]


@pytest.mark.parametrize("side", [1, 8, 28])
@pytest.mark.parametrize("window", [0, 1, 3, 30])
@pytest.mark.parametrize("grid", [(1, 1), (9, 17), (20, 5)])
def test_tiles_change_nothing(grid: Any, window: Any, side: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vitan_analyses.video_segmentation.propagation._TILE", side)
    *context, query = made_up_frames(grid, 4)
    propagation = Propagation(grid, window=window, top_k=3, temperature=0.1)
    expected = published(query.tokens, context, window=window, top_k=3)
    torch.testing.assert_close(propagation(query.tokens, context), expected, atol=1e-6, rtol=1e-5)


def test_more_sources_may_be_asked_for_than_there_are() -> None:
    first, query = made_up_frames((2, 2), 2)
    carried = Propagation((2, 2), window=0, top_k=50, temperature=0.1)(query.tokens, [first])
    expected = published(query.tokens, [first], window=0, top_k=4)
    torch.testing.assert_close(carried, expected)


def test_equals_of_the_last_source_count_too() -> None:
    """A still picture: the same token in all frames is equally close, though only one source is asked for."""
    still, *_ = made_up_frames((10, 11), 1)
    context = [Frame(still.tokens, torch.full((110, 1), value)) for value in (0.0, 0.5, 1.0, 2.5)]
    carried = Propagation((10, 11), window=2, top_k=1, temperature=0.1)(still.tokens, context)
    torch.testing.assert_close(carried, torch.ones(110, 1))


def test_equals_beyond_the_window_do_not_count() -> None:
    tokens = torch.ones(1, 5, 1)
    labels = torch.tensor([[0.0], [10.0], [20.0], [30.0], [400.0]])
    carried = Propagation((1, 5), window=1, top_k=1, temperature=0.1)(tokens, [Frame(tokens, labels)])
    torch.testing.assert_close(carried[:, 0], torch.tensor([5.0, 10, 20, 150, 215]))


def test_the_first_frame_is_never_forgotten() -> None:
    frames = made_up_frames((3, 4), 6)
    propagation = Propagation((3, 4), window=0, top_k=5, temperature=0.1)
    trail = Trail(propagation, 2, frames[0].tokens, frames[0].labels)
    followed = [frames[0], *(Frame(frame.tokens, trail.follow(frame.tokens)) for frame in frames[1:])]
    expected = propagation(frames[5].tokens, [followed[0], followed[3], followed[4]])
    torch.testing.assert_close(followed[5].labels, expected)


def test_without_context_only_the_first_frame_is_a_source() -> None:
    frames = made_up_frames((3, 4), 3)
    propagation = Propagation((3, 4), window=0, top_k=5, temperature=0.1)
    trail = Trail(propagation, 0, frames[0].tokens, frames[0].labels)
    trail.follow(frames[1].tokens)
    torch.testing.assert_close(trail.follow(frames[2].tokens), propagation(frames[2].tokens, [frames[0]]))


# Masks


def test_void_is_background_and_a_small_object_keeps_its_class() -> None:
    ids = np.zeros((40, 40), np.uint8)
    ids[:20], ids[20:, :20], ids[39, 39] = 255, 1, 2
    expected = [[1, 0, 0], [1, 0, 0], [0, 1, 0], [1, 0, 0]]
    assert first_labels(ids, (2, 2)).tolist() == expected


def test_an_object_that_is_nearly_gone_is_stretched() -> None:
    labels = torch.tensor([[0.999, 0.001], [1, 0], [1, 0], [1, 0]])
    assert final_mask(labels, (2, 2), 4, (8, 8))[:2, :2].tolist() == [[1, 1], [1, 1]]


@pytest.mark.parametrize(("columns", "expected"), [([1.0, 0.0], 0), ([0.0, 1.0], 1), ([0.5, 0.5], 0)])
def test_a_class_that_is_the_same_everywhere_wins(columns: Any, expected: Any) -> None:
    assert np.unique(final_mask(torch.tensor([columns] * 6), (2, 3), 4, (13, 9))) == [expected]


def test_masks_have_the_size_of_the_frame() -> None:
    assert final_mask(torch.rand(6, 2), (2, 3), 4, (31, 17)).shape == (17, 31)


def test_masks_survive_as_png_with_the_colours_of_voc() -> None:
    ids = np.random.default_rng(0).integers(0, 256, (13, 7), dtype=np.uint8)
    np.testing.assert_array_equal(from_png(to_png(ids)), ids)
    assert palette()[[0, 1, 2, 3, 4, 8, 255]].tolist() == [
        [0, 0, 0],
        [128, 0, 0],
        [0, 128, 0],
        [128, 128, 0],
        [0, 0, 128],
        [64, 0, 0],
        [224, 224, 192],
    ]


# J and F


def test_a_shifted_square_by_hand() -> None:
    """10 x 10 pixels one to the right: 90 of 110; all boundaries lie within the two pixels allowed."""
    one, other = np.zeros((2, 96, 128), np.uint8)
    one[20:30, 20:30], other[20:30, 21:31] = 1, 1
    assert score(one, other, 1).tolist() == [[90 / 110, 1.0]]


def test_objects_that_are_nowhere_are_perfect_and_those_missed_are_not() -> None:
    one = np.zeros((30, 40), np.uint8)
    other = one.copy()
    one[5:9, 5:9], other[20:24, 20:24] = 1, 3
    assert score(one, other, 3).tolist() == [[0, 0], [1, 1], [0, 0]]


@pytest.mark.parametrize("shape", [(1, 1), (7, 1), (33, 47), (60, 81)])
@pytest.mark.parametrize("seed", range(4))
def test_a_part_of_the_picture_is_enough(shape: Any, seed: Any) -> None:
    random = np.random.default_rng(seed)
    small = random.integers(0, 4, (2, 4, 4), dtype=np.uint8)
    one, other = (np.kron(ids, np.ones((20, 25), np.uint8))[: shape[0], : shape[1]] for ids in small)
    for number, values in enumerate(score(one, other, 3), 1):
        pair = one == number, other == number
        assert values.tolist() == [region_similarity(*pair), boundary_measure(*pair)]


def test_statistics_of_a_long_video_do_not_wrap() -> None:
    values = np.linspace(1, 0, 1000)
    found = statistics(values)
    assert found.decay == pytest.approx(0.75, abs=0.01)
    assert found.recall == 0.5


@pytest.mark.parametrize("values", [np.zeros(0), np.full(3, np.nan)])
def test_statistics_of_nothing_are_not_a_number(values: Any) -> None:
    assert np.isnan([statistics(values).mean, statistics(values).recall, statistics(values).decay]).all()


@pytest.mark.parametrize("tolerance", [1, 2, 5, 40])
def test_boundaries_are_dilated_with_a_disk(tolerance: Any) -> None:
    """Against every pair of pixels; corners, borders and a radius larger than the picture included."""
    random = np.random.default_rng(tolerance)
    one, other = random.random((2, 13, 17)) < 0.03
    one[0, 0], other[-1, -1] = True, True
    edges = [np.argwhere(boundary_map(mask)) for mask in (one, other)]
    near = ((edges[0][:, None] - edges[1]) ** 2).sum(-1) <= tolerance**2  # (pixel of one, pixel of the other)
    precision, recall = near.any(0).mean(), near.any(1).mean()
    expected = 2 * precision * recall / (precision + recall)
    assert boundary_measure(one, other, tolerance=tolerance) == pytest.approx(expected, abs=1e-12)


# Frames in the dense view

GEOMETRY = golden.arrays("downstream/geometry.npz")
FRAMES = GEOMETRY["davis_grid"].tolist() if "davis_grid" in GEOMETRY.files else []


@pytest.mark.golden
@pytest.mark.parametrize("row", FRAMES, ids=lambda row: "{}x{}-{}".format(*row))
def test_frames_are_scaled_as_published(row: Any) -> None:
    """The published code scales by two rules that may differ, and then fails; tokens and labels share one grid here."""
    width, height, patch, *scaled, columns, rows = row
    paper, default = (make_view(name, 224, patch) for name in ("dense-paper", "dense"))
    assert list(paper.scaled(width, height)) == scaled
    assert default.scaled(width, height) == (columns * patch, rows * patch)
    assert first_labels(np.zeros((height, width), np.uint8), (rows, columns)).shape == (rows * columns, 1)
