"""The ``segments`` analyses: pooling by hand, and clusters of planted objects."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

import golden
from vitan.anatomy import ModelInfo, TokenLayout
from vitan.data.batch import Batch, Window
from vitan.engine.loader import cut_grid
from vitan.errors import OptionError
from vitan.registry.plugins import installed
from vitan.testing import check_probe
from vitan_analyses.plotting.curves import resample
from vitan_analyses.segments.pooling import pool, window_shares
from vitan_analyses.segments.probe import DenseSegmentsProbe, SegmentsOptions, SegmentsProbe

GOLDEN = golden.arrays("features_seg.npz")
LAYOUT = TokenLayout(("cls", "register"), (2, 2))
SPECS = {spec.name: spec for _, spec in installed().probes if spec.name.startswith("segments")}


def whole(count: int, grid: tuple[int, int] = (2, 2)) -> list[Window]:
    return [Window(image, 0, 0, torch.ones(grid, dtype=torch.bool)) for image in range(count)]


def test_pooling_by_hand() -> None:
    """Patches 1 2 3 4; an object of the first two evenly, and one of the last. The second picture has none."""
    features = torch.tensor([[[1.0], [2.0], [3.0], [4.0]], [[5.0], [6.0], [7.0], [8.0]]])
    weights = [torch.tensor([[[0.5, 0.5], [0, 0]], [[0, 0], [0, 1.0]]]), torch.zeros(0, 2, 2)]
    shares = window_shares(weights, whole(2), torch.device("cpu"))
    first, second = pool(features.half(), shares, whole(2), [2, 0])
    assert first.tolist() == [[1.5], [4.0]]
    assert first.dtype == torch.float32
    assert second.shape == (0, 1)


@pytest.mark.parametrize("pictures", [1, 3])
def test_windows_sum_up_to_the_assembled_picture(pictures: int) -> None:
    """Overlapping windows: the product per window is that of the stitched grid, which holds each patch once."""
    generator = torch.Generator().manual_seed(0)
    corners, grid, side, size = [(0, 0), (16, 0), (24, 0), (0, 8), (16, 8), (24, 8)], (3, 5), (2, 2), 16
    windows = [
        Window(image, w.top, w.left, w.own) for image in range(pictures) for w in cut_grid(corners, grid, side, size)
    ]
    features = torch.randn(len(windows), 4, 6, generator=generator)
    weights = [torch.rand(image, *grid, generator=generator) for image in range(1, pictures + 1)]
    batch = Batch(range(pictures), (), (), torch.empty(len(windows), 3, 0, 0), windows)
    found = pool(features, window_shares(weights, windows, torch.device("cpu")), windows, range(1, pictures + 1))
    for rows, weight, assembled in zip(found, weights, batch.stitch(features), strict=True):
        torch.testing.assert_close(rows, (weight[..., None] * assembled).sum((1, 2)))


def probe_of(kind: type[SegmentsProbe] = SegmentsProbe, **options: object) -> SegmentsProbe:
    model = ModelInfo(
        name="toy-T8", family="toy", arch="T", patch=8, image_size=16, depth=1, heads=1, dim=6, layout=LAYOUT,
        blocks=(0,),
    )  # fmt: skip
    return kind(SegmentsOptions(**options), model)


def watched(labels: Sequence[Sequence[int]], features: Tensor, **options: object) -> SegmentsProbe:
    """Pictures with as many objects as labels: the first fills the first patch, and so on."""
    probe = probe_of(**options)
    prepared = [
        {
            "weights": torch.eye(4)[: len(own)].view(-1, 2, 2),
            "labels": torch.tensor(own, dtype=torch.long),
            "skipped": torch.tensor(4 - len(own)),
        }
        for own in labels
    ]
    batch = Batch(
        range(len(labels)), (), (), torch.empty(len(labels), 3, 0, 0), whole(len(labels)),
        prepared={probe.preparation(probe.options): prepared},
    )  # fmt: skip
    probe.update_block(0, {"block": features}, batch)
    return probe


def planted(pictures: int = 12) -> tuple[list[list[int]], Tensor]:
    """Three objects a picture, categories 5 and 9 far apart; CLS and the register must not matter."""
    labels = [[5, 9, 5], [9, 9, 5], []] * (pictures // 3)
    features = torch.randn(pictures, 6, 6, generator=torch.Generator().manual_seed(0))
    features[:, :2] *= 1000
    for row, own in enumerate(labels):
        for patch, label in enumerate(own):
            features[row, 2 + patch] += 20.0 * label
    return labels, features


def test_planted_objects_are_found() -> None:
    result = watched(*planted()).compute()
    assert result.arrays["objects"].tolist() == [[1.0, 1.0, 1.0]]
    assert result.arrays["noise"][0] < 0.5
    assert result.arrays["label"].tolist() == [5, 9, 5, 9, 9, 5] * 4
    assert result.arrays["image"].tolist()[:7] == [0, 0, 0, 1, 1, 1, 3]
    records = {record.metric: record for record in result.records}
    assert (records["nmi"].parameter, records["nmi"].at) == ("clusters", 2)
    assert [records[name].value for name in ("objects", "categories", "objects-not-shown")] == [24, 2, 24]


def test_the_paper_has_eighty_clusters_and_its_own_sizes() -> None:
    assert DenseSegmentsProbe.view_for(SegmentsOptions(protocol="paper")) == "dense-paper"
    assert DenseSegmentsProbe.view_for(SegmentsOptions()) == "dense"
    with pytest.raises(OptionError, match="24 objects of 2 categories cannot be put into 80 clusters"):
        watched(*planted(), protocol="paper").compute()
    assert watched(*planted(), protocol="paper", k=2).compute().arrays["objects"].tolist() == [[1.0, 1.0, 1.0]]


def test_one_category_or_none_says_what_to_change() -> None:
    with pytest.raises(OptionError, match=r"objects of 1 categories cannot be put into 1 clusters; change --limit"):
        watched([[7], [7]], torch.zeros(2, 6, 6)).compute()
    with pytest.raises(OptionError, match=r"no object in these pictures.* raise --limit"):
        watched([[], []], torch.zeros(2, 6, 6)).compute()


@pytest.mark.parametrize("name", SPECS)
def test_the_contract_holds_with_the_published_masks(name: str) -> None:
    check_probe(SPECS[name], draw=False, protocol="paper", k=3)


@pytest.mark.golden
@pytest.mark.parametrize("key", [k for k in GOLDEN.files if k.startswith("meta/interp") and k.endswith("_in")])
def test_published_curves_over_depth(key: str) -> None:
    curve, expected = GOLDEN[key], GOLDEN[key.removesuffix("_in") + "_out"]
    where = np.arange(len(curve)) / (len(curve) - 1)
    np.testing.assert_allclose(resample(where, curve, len(expected)), expected, atol=1e-12)


@pytest.mark.golden
@pytest.mark.parametrize("key", [k for k in GOLDEN.files if k.startswith("meta/pooled_")])
def test_published_mean_of_a_family(key: str) -> None:
    curves = [GOLDEN[f"meta/interp{depth}_in"] for depth in key.split("_")[1:]]
    sampled = [resample(np.linspace(0, 1, len(c)), c, len(GOLDEN[key])) for c in curves]
    np.testing.assert_allclose(np.mean(sampled, axis=0), GOLDEN[key], atol=1e-12)


def test_a_curve_of_some_blocks_ends_where_they_end() -> None:
    assert resample(np.array([0.25, 0.75]), np.array([1.0, 3.0]), 5).tolist() == pytest.approx(
        [np.nan, 1.0, 2.0, 3.0, np.nan], nan_ok=True
    )
