"""The ``spectrum`` analysis: planted dimensions, decays and outliers are found, and gaps are named."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from vitan.anatomy import ModelInfo, TokenLayout
from vitan.data.batch import Batch
from vitan.data.samples import Sample
from vitan_analyses.arrays import sampled
from vitan_analyses.spectrum import measures
from vitan_analyses.spectrum.measures import decay, eigenvalues, participation_ratio, rank_me, two_nn
from vitan_analyses.spectrum.probe import SpectrumOptions, SpectrumProbe
from watching import watch

LAYOUT = TokenLayout(("cls", "register"), (2, 3))


def _rotation(size: Any, rng: Any) -> Any:
    return np.linalg.qr(rng.normal(size=(size, size)))[0]


def _planted(n: Any, rank: Any, channels: Any, seed: Any = 0) -> Any:
    """Points of a Gaussian that fills ``rank`` of the channels evenly, in a random position."""
    rng = np.random.default_rng(seed)
    return np.linalg.qr(rng.normal(size=(n, rank)))[0] @ _rotation(channels, rng)[:rank]


def test_measures_by_hand() -> None:
    square = np.array([[1.0, 0], [-1, 0], [0, 1], [0, -1]])  # singular values sqrt 2, sqrt 2
    assert rank_me(square) == pytest.approx(2, abs=1e-5)
    assert eigenvalues(square).tolist() == pytest.approx([2 / 3, 2 / 3])
    assert participation_ratio(eigenvalues(square)) == pytest.approx(2)
    line = np.array([[0.0, 0], [1, 1], [2, 2], [3, 3]])
    assert participation_ratio(eigenvalues(line)) == pytest.approx(1)
    assert participation_ratio(np.array([3.0, 1.0])) == pytest.approx(16 / 10)


@pytest.mark.parametrize("rank", [1, 3, 20])
def test_a_planted_rank_is_found(rank: Any) -> None:
    cloud = _planted(200, rank, 64)
    assert rank_me(cloud) == pytest.approx(rank, rel=1e-3)
    assert participation_ratio(eigenvalues(cloud)) == pytest.approx(rank, rel=0.05)


@pytest.mark.parametrize("exponent", [0.5, 1.0, 2.0])
def test_a_planted_decay_is_found(exponent: Any) -> None:
    assert decay(np.arange(1, 101) ** -exponent) == pytest.approx(exponent, abs=1e-9)
    rng = np.random.default_rng(0)
    cloud = rng.normal(size=(4000, 60)) * np.arange(1, 61) ** (-exponent / 2) @ _rotation(60, rng)
    assert decay(eigenvalues(cloud)) == pytest.approx(exponent, abs=0.15)


@pytest.mark.parametrize("dimension", [1, 2, 5])
def test_a_planted_dimension_is_found(dimension: Any) -> None:
    """A flat piece of that dimension, bent into many channels, counts its own dimensions and not those around it."""
    rng = np.random.default_rng(1)
    flat = rng.random((1500, dimension))
    bent = np.concatenate([np.sin(2 * flat), np.cos(2 * flat)], 1) @ rng.normal(size=(2 * dimension, 30))
    assert two_nn(flat) == pytest.approx(dimension, rel=0.12)
    assert two_nn(bent) == pytest.approx(dimension, rel=0.15)


def test_rotation_order_offset_and_scale_do_not_matter() -> None:
    rng = np.random.default_rng(2)
    cloud = rng.normal(size=(80, 12)) * np.linspace(1, 3, 12)
    moved = 7 * cloud[rng.permutation(80)] @ _rotation(12, rng)
    for measure in (rank_me, two_nn, lambda x: decay(eigenvalues(x)), lambda x: participation_ratio(eigenvalues(x))):
        assert measure(moved) == pytest.approx(measure(cloud), rel=1e-6)
    shifted = (cloud + 10).astype(np.float32)
    assert participation_ratio(eigenvalues(shifted)) == pytest.approx(participation_ratio(eigenvalues(cloud)), rel=1e-4)


def test_what_has_no_dimension_is_nan() -> None:
    assert np.isnan(participation_ratio(eigenvalues(np.ones((5, 3)))))
    assert np.isnan(decay(np.array([1.0, 0.5])))
    assert np.isnan(two_nn(np.zeros((20, 3))))
    assert all(np.isnan(two_nn(np.eye(count))) for count in range(1, 5))
    assert rank_me(np.zeros((4, 3))) == pytest.approx(3)


def test_a_decomposition_in_parts_is_that_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    cloud = np.random.default_rng(3).normal(size=(103, 9)) * np.linspace(1, 4, 9) + 2
    whole = rank_me(cloud), eigenvalues(cloud)
    monkeypatch.setattr(measures, "ROWS", 20)  # the last part has three
    assert rank_me(cloud) == pytest.approx(whole[0], rel=1e-12)
    assert eigenvalues(cloud) == pytest.approx(whole[1], rel=1e-12)


def test_two_nn_looks_at_a_choice_of_many_images_and_says_so() -> None:
    features = _features()
    result = _watched(features, sample=12, seed=1)
    places = sampled(30, 12, 1)
    assert len(set(places.tolist())) == 12
    assert places.tolist() == sorted(places)
    assert places.tolist() != sampled(30, 12, 2).tolist()
    found = _value(result, "two-nn", "cls")
    assert found.value == pytest.approx(two_nn(features[places, 0].numpy()), rel=1e-9)
    assert found.n == 12
    assert _value(result, "rank-me", "cls") == _value(_watched(features), "rank-me", "cls")


def _watched(features: Any, **options: Any) -> Any:
    """A probe that has seen these features (image, token, channel) as its only block, in two batches."""
    info = ModelInfo(
        name="toy", family="toy", arch="T", patch=8, image_size=24, depth=1, heads=1, dim=features.shape[2],
        layout=LAYOUT, blocks=(0,),
    )  # fmt: skip
    probe = SpectrumProbe(SpectrumOptions(**options), info)
    for part in (range(0, 4), range(4, len(features))):
        samples = [Sample(id=str(i), image=None) for i in part]
        watch(probe, 0, {"block": features[list(part)]}, Batch(tuple(part), samples, (), torch.empty(1)))
    return probe.compute()


def _features() -> Any:
    return torch.randn(30, 8, 16, generator=torch.Generator().manual_seed(0))


def _value(result: Any, metric: Any, token: Any = "patch-tokens") -> Any:
    (found,) = (record for record in result.records if (record.metric, record.token) == (metric, token))
    return found


def test_planted_outliers_are_found_where_they_are() -> None:
    features = _features()
    features[:, 1] *= 100  # the register is not a patch
    features[:3, 2 + 4] *= 20  # patch (1, 1) of three pictures
    result = _watched(features)
    expected = np.zeros((2, 3))
    expected[1, 1] = 0.1
    assert result.arrays["outliers"][0] == pytest.approx(expected)
    assert _value(result, "outlier-share").value == pytest.approx(3 / 180)
    assert _value(result, "outlier-images").value == pytest.approx(0.1)
    assert not _watched(features, outlier=50).arrays["outliers"].any()


def test_the_probe_measures_what_it_kept() -> None:
    features = _features()
    arrays = _watched(features).arrays
    assert arrays["cls-rank-me"] == pytest.approx(rank_me(features[:, 0].numpy()), rel=1e-6)
    assert arrays["patches-two-nn"] == pytest.approx(two_nn(features[:, 2:].mean(1).numpy()), rel=1e-4)
    assert arrays["token-norm"] == pytest.approx(features[:, 2:].norm(dim=-1).mean().item(), rel=1e-6)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda f: f.index_fill(1, torch.tensor(0), float("inf")), "some features are not finite"),
        (lambda f: f.index_fill(1, torch.tensor(0), 4.2), "the features are the same for every image"),
    ],
)
def test_gaps_are_named(change: Any, why: Any) -> None:
    result = _watched(change(_features()))
    for name in ("rank-me", "participation-ratio", "decay", "two-nn"):
        assert np.isnan(_value(result, name, "cls").value)
        assert _value(result, name, "cls").gap == why
        assert np.isfinite(_value(result, name, "mean-patch").value)
