"""The mathematics of ``video-segmentation``: label propagation, final masks, J and F."""

from __future__ import annotations

import golden
import numpy as np
import pytest
import torch

from vitan_analyses.video_segmentation.masks import final_mask, first_labels
from vitan_analyses.video_segmentation.metrics import (
    boundary_map,
    boundary_measure,
    region_similarity,
    score,
    statistics,
)
from vitan_analyses.video_segmentation.propagation import Propagation, Trail, normalise

METRICS = golden.arrays("downstream/davis_metrics.npz")
CASES = sorted(name[:-5] for name in METRICS.files if name.startswith("case") and name.endswith("_meta"))
MAPS = sorted(name[:-3] for name in METRICS.files if name.startswith("bmap") and name.endswith("_in"))
LENGTHS = sorted(name[8:] for name in METRICS.files if name.startswith("stat_in_"))


def unpacked(case, name, shape):
    bits = METRICS[f"{case}_{name}"]
    return np.unpackbits(bits)[: shape[0] * shape[1]].reshape(shape).astype(bool)


@pytest.mark.golden
@pytest.mark.parametrize("case", CASES)
def test_single_masks(case):
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
def test_boundary_maps(name):
    np.testing.assert_array_equal(boundary_map(METRICS[f"{name}_in"]), METRICS[f"{name}_out"])


@pytest.mark.golden
@pytest.mark.parametrize("length", LENGTHS)
def test_statistics(length):
    found = statistics(METRICS[f"stat_in_{length}"])
    np.testing.assert_allclose(
        (found.mean, found.recall, found.decay), METRICS[f"stat_out_{length}"], atol=1e-12
    )


PROPAGATED = golden.arrays("downstream/labelprop.npz")
VARIANTS = range(len(PROPAGATED["variants"])) if "variants" in PROPAGATED.files else ()


@pytest.mark.golden
@pytest.mark.parametrize("variant", VARIANTS)
def test_label_propagation(variant):
    window, top_k, context = (int(value) for value in PROPAGATED["variants"][variant])
    features = torch.from_numpy(PROPAGATED["features"])
    grid, patch = tuple(features.shape[1:3]), int(PROPAGATED["patch"])
    final = PROPAGATED[f"final_v{variant}"]
    first = first_labels(final[0], grid)
    np.testing.assert_array_equal(first.T.reshape(-1, *grid), PROPAGATED["first_seg"][0])
    trail = Trail(Propagation(grid, window=window, top_k=top_k, temperature=0.1), context, normalise(features[0]), first)
    for frame, expected, mask in zip(features[1:], PROPAGATED[f"soft_v{variant}"], final[1:], strict=True):
        labels = trail.follow(normalise(frame))
        np.testing.assert_allclose(labels.T.reshape(expected.shape), expected, atol=1e-5)
        made = final_mask(labels, grid, patch, mask.shape[::-1])
        assert (made != mask).mean() <= 0.0005
