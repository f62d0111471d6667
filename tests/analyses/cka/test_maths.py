"""Debiased CKA against its definition, the published code's numbers, and what it must not depend on."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import golden
from vitan_analyses.hsic.exact import Centred, cka, hsic

GOLDEN = golden.arrays("features_seg.npz")
TOKENS = {"all": slice(None), "cls": slice(0, 1), "spat": slice(1, None)}


def _by_definition(x: Any, y: Any) -> Any:
    """Song et al.'s estimator, written as it stands, from Gram matrices without their diagonals."""
    n = len(x)
    k, l = (features @ features.T for features in (x, y))  # noqa: E741
    np.fill_diagonal(k, 0)
    np.fill_diagonal(l, 0)
    one = np.ones(n)
    middle = (one @ k @ one) * (one @ l @ one) / ((n - 1) * (n - 2)) - 2 * (one @ k @ l @ one) / (n - 2)
    return (np.trace(k @ l) + middle) / (n * (n - 3))


def _cka(x: Any, y: Any) -> Any:
    return cka(Centred.of([x]), Centred.of([y]))[0, 0]


@pytest.mark.parametrize("shapes", [(7, 3, 5), (5, 40, 30), (30, 4, 50), (4, 2, 2)])
def test_hsic_is_the_definition(shapes: Any) -> None:
    n, p, q = shapes
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(n, p)) + 2, rng.normal(size=(n, q)) - 1
    found = hsic(Centred.of([x, x[:, :1]]), Centred.of([y, x]))
    assert found[0, 0] == pytest.approx(_by_definition(x, y), rel=1e-9, abs=1e-12)
    assert found[1, 1] == pytest.approx(_by_definition(x[:, :1], x), rel=1e-9, abs=1e-12)


def _replay(side: Any, kind: Any) -> Any:
    keys = sorted(key for key in GOLDEN.files if re.fullmatch(rf"cka_replay/{side}\d+", key))
    return [GOLDEN[key][:, TOKENS[kind]].reshape(len(GOLDEN[key]), -1) for key in keys]


def _minibatches() -> Any:
    ends = np.cumsum(GOLDEN["cka_replay/batch_sizes"])
    return [slice(int(end - size), int(end)) for end, size in zip(ends, GOLDEN["cka_replay/batch_sizes"], strict=True)]


def _range(layer: Any) -> Any:
    """The published code divides each Gram matrix, diagonal included, by its range."""
    gram = layer.astype(np.float64) @ layer.astype(np.float64).T
    return gram.max() - gram.min()


@pytest.mark.golden
@pytest.mark.parametrize("kind", [kind for kind in TOKENS if f"cka_replay/{kind}_kl_f64" in GOLDEN.files])
def test_published_minibatches(kind: Any) -> None:
    """On one minibatch the published scale cancels, so its CKA is ours; its HSIC is ours over the two ranges."""
    first, second = _replay("a", kind), _replay("b", kind)
    for i, part in enumerate(_minibatches()):
        a, b = [layer[part] for layer in first], [layer[part] for layer in second]
        found = cka(Centred.of(a), Centred.of(b))
        np.testing.assert_allclose(found, GOLDEN[f"cka_replay/{kind}_per_batch"][i], atol=2e-5)
        ranges = np.outer([_range(layer) for layer in a], [_range(layer) for layer in b])
        scaled = hsic(Centred.of(a), Centred.of(b)) / ranges
        np.testing.assert_allclose(scaled, GOLDEN[f"cka_replay/{kind}_kl_f64"][i], atol=2e-6)


def test_equal_features_are_alike() -> None:
    x = np.random.default_rng(1).normal(size=(50, 20))
    assert _cka(x, x) == pytest.approx(1, abs=1e-12)


def test_rotation_scale_offset_and_order_do_not_matter() -> None:
    rng = np.random.default_rng(2)
    x = rng.normal(size=(60, 12))
    y = x[:, :5] + 0.5 * rng.normal(size=(60, 5))
    rotation, order = np.linalg.qr(rng.normal(size=(12, 12)))[0], rng.permutation(60)
    assert _cka(3 * x[order] @ rotation + 7, y[order]) == pytest.approx(_cka(x, y), abs=1e-12)
    assert 0.2 < _cka(x, y) < 0.9


@pytest.mark.parametrize("width", [5, 100, 2000])
def test_independent_features_are_not_alike_however_wide(width: Any) -> None:
    """The biased estimator would say 0.6 and more for the widest; this one says 0, give or take its noise."""
    rng = np.random.default_rng(3)
    values = [_cka(rng.normal(size=(80, width)), rng.normal(size=(80, width))) for _ in range(20)]
    assert abs(np.mean(values)) < 0.02


def test_a_common_offset_costs_no_accuracy() -> None:
    rng = np.random.default_rng(4)
    x, y = rng.normal(size=(200, 64)), rng.normal(size=(200, 64))
    y[:, :32] += x[:, :32]
    exact = _cka(x + 10, y + 10)
    assert _cka((x + 10).astype(np.float32), (y + 10).astype(np.float32)) == pytest.approx(exact, abs=1e-6)
    assert exact == pytest.approx(_cka(x, y), abs=1e-9)


def test_gaps_stay_gaps() -> None:
    x = np.random.default_rng(5).normal(size=(10, 4))
    broken = x.copy()
    broken[3, 2] = np.nan
    found = cka(Centred.of([x, broken, np.full((10, 4), 2.5)]), Centred.of([x]))
    assert found[0, 0] == pytest.approx(1)
    assert np.isnan(found[1:]).all()
