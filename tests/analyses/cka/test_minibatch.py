"""Minibatch CKA against its definition, the published code's numbers, and what it must not depend on."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import torch

import golden
from vitan.anatomy import TokenLayout
from vitan_analyses.hsic import grams as gram_maths
from vitan_analyses.hsic import minibatch
from vitan_analyses.hsic.grams import grams, u_centre
from vitan_analyses.hsic.minibatch import Layers

GOLDEN = golden.arrays("features_seg.npz")
THEIRS = {"all": "all", "cls": "cls", "spatial": "spat"}
KINDS = [kind for kind, name in THEIRS.items() if f"cka_replay/{name}" in GOLDEN.files]


def _layers(features: Any, kind: Any, sizes: Any, *, published: Any = False, prefix: Any = ("cls",)) -> Any:
    """What is kept of layers (image, token, channel) that are cut into batches of these sizes."""
    ends = np.cumsum(sizes)
    most = max(sizes)
    rows, ranges = [], []
    for layer in features:
        layout = TokenLayout(prefix, (1, layer.shape[1] - len(prefix)))
        found = [
            grams([torch.as_tensor(layer[end - size : end])], layout, kinds=(kind,), ranges=published)
            for end, size in zip(ends, sizes, strict=True)
        ]
        kept = [one.rows()[0, 0].numpy() for one in found]
        rows.append([np.pad(row, (0, most * (most - 1) // 2 - len(row))) for row in kept])
        ranges.append([float(one.ranges[0, 0]) if published else 0.0 for one in found])
    return Layers(np.array(rows), np.array(sizes), np.array(ranges) if published else None)


def _replay(group: Any, side: Any) -> Any:
    keys = [key for key in GOLDEN.files if re.fullmatch(rf"{group}/{side}\d+", key)]
    return [GOLDEN[key] for key in sorted(keys, key=lambda key: int(re.search(r"\d+$", key)[0]))]


def _published(side: Any, kind: Any, dtype: Any = np.float32) -> Any:
    features = [layer.astype(dtype) for layer in _replay("cka_replay", side)]
    return _layers(features, kind, GOLDEN["cka_replay/batch_sizes"].tolist(), published=True)


@pytest.mark.golden
@pytest.mark.parametrize("kind", KINDS)
def test_published_replay(kind: Any) -> None:
    """Every array of the group: CKA, of a model with itself, batch by batch, and HSIC of each minibatch."""
    a, b, name = _published("a", kind), _published("b", kind), f"cka_replay/{THEIRS[kind]}"
    np.testing.assert_allclose(minibatch.cka(a, b).cka, GOLDEN[f"{name}_f64"], atol=2e-6)
    np.testing.assert_allclose(minibatch.cka(a, b).cka, GOLDEN[name], atol=2e-5)
    np.testing.assert_allclose(minibatch.cka(a, a).cka, GOLDEN[f"{name}_self"], atol=2e-5)
    np.testing.assert_allclose(minibatch.own_hsic(a), GOLDEN[f"{name}_kk_f64"], atol=2e-6)
    np.testing.assert_allclose(minibatch.hsic(a, b), GOLDEN[f"{name}_kl_f64"], atol=2e-6)
    np.testing.assert_allclose(minibatch.own_hsic(b), GOLDEN[f"{name}_ll_f64"], atol=2e-6)
    for i, expected in enumerate(GOLDEN[f"{name}_per_batch"]):
        one, other = (Layers(x.rows[:, i : i + 1], x.counts[i : i + 1], x.ranges[:, i : i + 1]) for x in (a, b))
        np.testing.assert_allclose(minibatch.cka(one, other).cka, expected, atol=2e-5)


@pytest.mark.golden
@pytest.mark.skipif("cka_replay/all_loader2_first2" not in GOLDEN.files, reason="not in this set")
def test_published_replay_of_two_batches() -> None:
    a, b = (
        Layers(x.rows[:, :2], x.counts[:2], x.ranges[:, :2]) for x in (_published("a", "all"), _published("b", "all"))
    )
    np.testing.assert_allclose(minibatch.cka(a, b).cka, GOLDEN["cka_replay/all_loader2_first2"], atol=2e-5)


@pytest.mark.golden
@pytest.mark.skipif("cka_replay/all_a_half_seqfirst" not in GOLDEN.files, reason="not in this set")
def test_published_replay_in_half_precision() -> None:
    found = minibatch.cka(_published("a", "all", np.float16), _published("b", "all")).cka
    np.testing.assert_allclose(found, GOLDEN["cka_replay/all_a_half_seqfirst"], atol=1e-3)


def _noise(seed: Any, n: Any = 24, tokens: Any = 5, channels: Any = 7) -> Any:
    return np.random.default_rng(seed).normal(size=(n, tokens, channels))


def _cka(x: Any, y: Any, sizes: Any = (8, 8, 8), kind: Any = "all") -> Any:
    return float(minibatch.cka(_layers([x], kind, sizes), _layers([y], kind, sizes)).cka[0, 0])


def _by_definition(x: Any, y: Any, sizes: Any) -> Any:
    """Song et al.'s estimator on each batch as it stands, in float64, and the ratio of its sums."""
    totals, start = np.zeros(3), 0
    for n in sizes:
        k, l = (part.reshape(n, -1) @ part.reshape(n, -1).T for part in (x[start : start + n], y[start : start + n]))  # noqa: E741
        np.fill_diagonal(k, 0)
        np.fill_diagonal(l, 0)
        one = np.ones(n)
        for i, (a, b) in enumerate(((k, l), (k, k), (l, l))):
            middle = (one @ a @ one) * (one @ b @ one) / ((n - 1) * (n - 2)) - 2 * (one @ a @ b @ one) / (n - 2)
            totals[i] += n * (np.trace(a @ b) + middle) / (n * (n - 3))
        start += n
    return totals[0] / np.sqrt(totals[1] * totals[2])


def _related(seed: Any = 0, **shape: Any) -> Any:
    x = _noise(seed, **shape)
    return x, x + 1.5 * _noise(seed + 1, **shape)


@pytest.mark.parametrize("sizes", [(8, 8, 8), (16, 8), (4, 20), (24,)])
def test_it_is_the_definition(sizes: Any) -> None:
    x, y = _related()
    assert _cka(x, y, sizes) == pytest.approx(_by_definition(x, y, sizes), abs=1e-6)


def test_u_centring_by_hand() -> None:
    """Four images; only the first two are alike. Off the diagonal every row sums to 0, and the mean product is 1/6."""
    gram = torch.zeros(4, 4)
    gram[0, 1] = gram[1, 0] = 1.0
    gram.diagonal().fill_(9.0)  # must not matter
    centred = u_centre(gram[None].double())[0]
    # off-diagonal entries: 1 - 2/2 + 2/6 for the pair, -1/2 + 2/6 across, and 2/6 for the other pair
    expected = torch.full((4, 4), -1 / 6, dtype=torch.float64)
    expected[0, 1] = expected[1, 0] = expected[2, 3] = expected[3, 2] = 1 / 3
    torch.testing.assert_close(centred, expected.fill_diagonal_(0))


def test_equal_features_are_alike() -> None:
    x = _noise(1)
    assert _cka(x, x) == pytest.approx(1, abs=1e-12)


def test_rotation_scale_and_offset_do_not_matter() -> None:
    x, y = _related(2)
    flat = x.reshape(len(x), -1)
    rotation = np.linalg.qr(np.random.default_rng(3).normal(size=(35, 35)))[0]
    turned = (3 * flat @ rotation + np.arange(35)).reshape(x.shape)
    assert _cka(turned, y) == pytest.approx(_cka(x, y), abs=2e-6)
    assert 0.1 < _cka(x, y) < 0.8


@pytest.mark.parametrize("channels", [1, 40, 2000])
def test_independent_features_are_not_alike_however_wide(channels: Any) -> None:
    shape = {"n": 160, "tokens": 2, "channels": channels}
    values = [_cka(_noise(i, **shape), _noise(i + 100, **shape), (8,) * 20) for i in range(12)]
    assert abs(np.mean(values)) < 0.05


@pytest.mark.parametrize("offset", [3, 10, 1000])
def test_a_common_offset_costs_no_accuracy_in_single_precision(offset: Any) -> None:
    """The published code, and most others, multiply first: at an offset of 10 they are off by hundredths and more."""
    x, y = _related(5, channels=300)
    narrow = [(values + offset).astype(np.float32) for values in (x, y)]
    exact = _by_definition(*(values.astype(np.float64) - offset for values in narrow), (8, 8, 8))
    assert abs(_cka(*narrow) - exact) < 2e-6


def test_the_published_range_is_that_of_the_raw_matrix_despite_an_offset() -> None:
    x = torch.from_numpy(_noise(6)[:8] + 50).float()
    raw = x.double().flatten(1) @ x.double().flatten(1).T
    found = grams([x], TokenLayout(("cls",), (1, 4)), kinds=("all",), ranges=True)
    assert float(found.ranges[0, 0]) == pytest.approx(float(raw.max() - raw.min()), rel=1e-6)


def test_tokens_may_be_multiplied_in_any_number_of_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    x, layout = torch.from_numpy(_noise(7, tokens=9)), TokenLayout(("register", "cls"), (1, 7))
    kinds = ("all", "cls", "spatial")
    whole = grams([x], layout, kinds=kinds, ranges=True)
    monkeypatch.setattr(gram_maths, "_CHUNK", 2 * 24 * 7)  # two tokens at a time
    parts = grams([x], layout, kinds=kinds, ranges=True)
    torch.testing.assert_close(parts.values, whole.values, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(parts.ranges, whole.ranges, rtol=1e-5, atol=1e-5)
    flat = (x - x.mean(0))[:, 1]
    torch.testing.assert_close(whole.values[0, 1], (flat @ flat.T).double(), rtol=1e-5, atol=1e-5)


def test_what_differs_by_rounding_alone_is_the_same() -> None:
    x = np.full((8, 5, 7), 0.1, dtype=np.float32)
    x[3] = np.nextafter(x[3], np.float32(1))
    layers = _layers([x, np.full_like(x, 3.3)], "all", (8,))
    assert not layers.rows.any()
    assert [layers.gap(i) for i in range(2)] == [minibatch.SAME] * 2


def test_the_standard_error_is_that_of_the_batches() -> None:
    """Over many draws the estimates spread about as the standard error says."""
    found = []
    for seed in range(80):
        x, y = _related(2 * seed + 1000, n=160, tokens=2, channels=3)
        estimate = minibatch.cka(_layers([x], "all", (8,) * 20), _layers([y], "all", (8,) * 20))
        found.append((estimate.cka[0, 0], estimate.error[0, 0]))
    values, errors = np.array(found).T
    assert errors.mean() == pytest.approx(values.std(ddof=1), rel=0.3)


def test_one_batch_has_no_standard_error() -> None:
    x, y = _related()
    assert np.isnan(minibatch.cka(_layers([x], "all", (24,)), _layers([y], "all", (24,))).error).all()
