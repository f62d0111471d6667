"""Every measure of similarity against its definition, its declared blind spots, and the permutation null."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.linalg import eigh
from scipy.spatial.distance import pdist
from scipy.stats import kstest, rankdata, spearmanr

from vitan_analyses.hsic.exact import Centred
from vitan_analyses.hsic.exact import cka as whole_cka
from vitan_analyses.similarity import null
from vitan_analyses.similarity.kernels import average_ranks
from vitan_analyses.similarity.layers import Undefined
from vitan_analyses.similarity.measures import INVARIANCES, MEASURES
from vitan_analyses.similarity.tables import table

NAMES = sorted(MEASURES)
K = 4


def _rng(seed: Any = 0) -> Any:
    return np.random.default_rng(seed)


def _related(seed: Any = 0, n: Any = 60, widths: Any = (6, 8)) -> Any:
    """Two layers with something in common, each with a mean of its own."""
    rng = _rng(seed)
    common = rng.normal(size=(n, 4))
    return [
        common @ rng.normal(size=(4, d)) + rng.normal(size=(n, d)) * rng.uniform(0.5, 2, d) + rng.normal(size=d)
        for d in widths
    ]


def _changes(kind: Any, d: Any, seed: Any = 1) -> Any:
    rng = _rng(seed)
    rotation = np.linalg.qr(rng.normal(size=(d, d)))[0]
    return {
        "orthogonal": lambda x: x @ rotation,
        "scale": lambda x: 3.7 * x,
        "offset": lambda x: x + 2 * rng.normal(size=d),
        "linear": lambda x: x @ (rotation * np.geomspace(0.05, 20, d)) @ rotation.T,
    }[kind]


@pytest.mark.parametrize("change", INVARIANCES)
@pytest.mark.parametrize("name", NAMES)
def test_invariances_are_as_declared(name: Any, change: Any) -> None:
    """What is declared changes nothing, on either side; what is not does change something."""
    measure = MEASURES[name]
    moved = 0.0
    for seed in range(3):
        x, y = _related(seed)
        value = measure(x, y, K)
        for a, b in ((_changes(change, 6)(x), y), (x, _changes(change, 8)(y))):
            moved = max(moved, abs(measure(a, b, K) - value))
    assert moved < 1e-9 if change in measure.invariances else moved > 1e-4


@pytest.mark.parametrize("name", NAMES)
def test_equal_is_1_and_all_values_are_in_range(name: Any) -> None:
    measure = MEASURES[name]
    x = _related()[0]
    assert measure(x, x, K) == pytest.approx(1, abs=1e-12) == measure.highest
    for seed in range(5):
        for widths in ((6, 8), (2, 25)):
            a, b = _related(seed, widths=widths)
            assert measure.lowest - 1e-9 <= measure(a, b, K) <= 1 + 1e-9
            assert measure(a, b, K) == pytest.approx(measure(b, a, K), abs=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_the_order_of_samples_does_not_matter_but_their_pairing_does(name: Any) -> None:
    measure = MEASURES[name]
    x, y = _related()
    order = _rng(2).permutation(len(x))
    assert measure(x[order], y[order], K) == pytest.approx(measure(x, y, K), abs=1e-10)
    a, b = (measure.prepare(layer, K) for layer in (x, y))
    shuffled = measure.compare(a, b.permuted(order))
    assert shuffled == pytest.approx(measure(x, y[order], K), abs=1e-10)
    assert shuffled < measure(x, y, K) - 0.02


def test_cka_is_that_of_the_cka_analysis() -> None:
    x, y = _related()
    assert MEASURES["cka"](x, y) == pytest.approx(whole_cka(Centred.of([x]), Centred.of([y]))[0, 0], abs=1e-12)


def _near(x: Any, k: Any) -> Any:
    cosine = x @ x.T / np.outer(*[np.linalg.norm(x, axis=1)] * 2)
    sets = []
    for i in range(len(x)):
        others = sorted((j for j in range(len(x)) if j != i), key=lambda j: -cosine[i, j])
        sets.append(set(others[:k]))
    return cosine, sets


def test_mutual_knn_by_sets() -> None:
    x, y = _related()
    (_, a), (_, b) = _near(x, K), _near(y, K)
    expected = np.mean([len(p & q) / K for p, q in zip(a, b, strict=True)])
    assert MEASURES["mutual-knn"](x, y, K) == pytest.approx(expected, abs=1e-12)


def test_mutual_knn_by_hand() -> None:
    """Directions in the plane, whose neighbours can be read off their angles."""
    first, second = (np.radians(angles) for angles in ([0, 10, 35, 90], [0, 80, 35, 95]))
    x, y = (np.stack([np.cos(a), np.sin(a)], 1) for a in (first, second))
    # nearest in the first: 1, 0, 1, 2; in the second: 2, 3, 0, 1
    assert MEASURES["mutual-knn"](x, y, 1) == 0
    # two nearest in the first: {1,2} {0,2} {0,1} {1,2}; in the second: {1,2} {2,3} {0,1} {1,2}
    assert MEASURES["mutual-knn"](x, y, 2) == pytest.approx((2 + 1 + 2 + 2) / 8)


def test_cknna_by_loops() -> None:
    x, y = _related()
    (k, a), (l, b) = _near(x, K), _near(y, K)  # noqa: E741

    def align(p: Any, p_sets: Any, q: Any, q_sets: Any) -> Any:
        total = 0.0
        for i in range(len(p)):
            for j in p_sets[i] & q_sets[i]:
                total += (p[i, j] - p[i].mean()) * (q[i, j] - q[i].mean())
        return total

    expected = align(k, a, l, b) / np.sqrt(align(k, a, k, a) * align(l, b, l, b))
    assert MEASURES["cknna"](x, y, K) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("widths", [(6, 8), (5, 90), (80, 100)])
def test_procrustes_is_the_least_distance(widths: Any) -> None:
    """The best rotation leaves exactly that distance, and no other leaves less."""
    rng = _rng(3)
    x, y = _related(widths=widths)
    d = max(widths)
    a, b = (np.pad(z - z.mean(0), ((0, 0), (0, d - z.shape[1]))) for z in (x, y))
    a, b = a / np.linalg.norm(a), b / np.linalg.norm(b)
    left, _, right = np.linalg.svd(b.T @ a)
    value = MEASURES["procrustes"](x, y)
    assert value == pytest.approx(1 - np.square(a - b @ left @ right).sum() / 2, abs=1e-10)
    for _ in range(5):
        rotation = np.linalg.qr(rng.normal(size=(d, d)))[0]
        assert 1 - np.square(a - b @ rotation).sum() / 2 <= value


def test_rsa_by_scipy() -> None:
    x, y = _related()
    expected = spearmanr(pdist(x, "correlation"), pdist(y, "correlation")).statistic
    assert MEASURES["rsa"](x, y) == pytest.approx(expected, abs=1e-12)


def test_rsa_with_equal_distances() -> None:
    """Values of few steps in three channels give many equal distances; they are rounded alike on both sides."""
    values = np.array([3.0, 1.0, 2.0, 1.0, 1.0, 2.0])
    np.testing.assert_array_equal(average_ranks(values), rankdata(values))
    rng = _rng(4)
    x = np.eye(3)[rng.integers(0, 3, 20)]
    y = np.eye(3)[rng.integers(0, 3, 20)]
    expected = spearmanr(pdist(x, "correlation").round(9), pdist(y, "correlation").round(9)).statistic
    assert MEASURES["rsa"](x, y) == pytest.approx(expected, abs=1e-9)


def _correlations(x: Any, y: Any) -> Any:
    """Canonical correlations, largest first, and directions of x, from the generalised eigenproblem."""
    x, y = x - x.mean(0), y - y.mean(0)
    xx, yy, xy = x.T @ x, y.T @ y, x.T @ y
    squares, directions = eigh(xy @ np.linalg.solve(yy, xy.T), xx)
    return np.sqrt(squares[::-1].clip(0)), directions[:, ::-1]


def test_svcca_by_eigenproblem() -> None:
    x, y = _related()
    kept = []
    for layer in (x, y):
        centred = layer - layer.mean(0)
        squares, axes = np.linalg.eigh(centred.T @ centred)
        squares, axes = squares[::-1], axes[:, ::-1]
        count = next(c for c in range(1, len(squares) + 1) if squares[:c].sum() >= 0.99 * squares.sum())
        kept.append(centred @ axes[:, :count])
    small, large = sorted(kept, key=lambda z: z.shape[1])
    assert MEASURES["svcca"](x, y) == pytest.approx(_correlations(small, large)[0].mean(), abs=1e-10)


def _pwcca_from(x: Any, y: Any) -> Any:
    found, directions = _correlations(x, y)
    centred = x - x.mean(0)
    variables = centred @ directions
    variables /= np.linalg.norm(variables, axis=0)
    weights = np.abs(variables.T @ centred).sum(1)
    return found @ weights / weights.sum()


def test_pwcca_by_eigenproblem() -> None:
    x, y = _related()
    assert MEASURES["pwcca"](x, y) == pytest.approx(_pwcca_from(x, y), abs=1e-10)
    assert MEASURES["pwcca"](y, x) == pytest.approx(_pwcca_from(x, y), abs=1e-10)
    x, y = _related(widths=(5, 5))
    assert MEASURES["pwcca"](x, y) == pytest.approx((_pwcca_from(x, y) + _pwcca_from(y, x)) / 2, abs=1e-10)


def _even(layer: Any) -> Any:
    """The same variance in every direction, so that 99 % of it needs all of them."""
    return np.linalg.qr(layer - layer.mean(0))[0]


@pytest.mark.parametrize("name", ["svcca", "pwcca"])
def test_too_few_samples_for_cca_are_refused(name: Any) -> None:
    rng = _rng(5)
    x, y = (_even(rng.normal(size=(20, 10))) for _ in range(2))
    with pytest.raises(Undefined, match="10 and 10 directions need more than 20 images, and there are 20"):
        MEASURES[name](x, y)
    x, y = (_even(rng.normal(size=(21, 10))) for _ in range(2))
    assert MEASURES[name](x, y) < 1 - 1e-9


@pytest.mark.parametrize("name", NAMES)
def test_what_has_no_value_says_why(name: Any) -> None:
    measure = MEASURES[name]
    x, _ = _related()
    broken = x.copy()
    broken[3, 2] = np.inf
    for bad, why in (
        (np.tile(x[:1], (60, 1)), "the same for every image"),
        (broken, "not finite"),
        (x[:3], "fewer than 4 images"),
    ):
        with pytest.raises(Undefined, match=why):
            measure(x[: len(bad)], bad, K)


def test_features_without_direction_or_neighbours_say_why() -> None:
    x, _ = _related()
    nothing = x.copy()
    nothing[5] = 0
    with pytest.raises(Undefined, match="all 0"):
        MEASURES["mutual-knn"](x, nothing)
    with pytest.raises(Undefined, match="same value in every channel"):
        MEASURES["rsa"](x, nothing)
    with pytest.raises(Undefined, match="every image is a neighbour"):
        MEASURES["cknna"](x[:9], x[:9], 8)


def _of(name: Any, x: Any, y: Any, count: Any = 199, seed: Any = 0) -> Any:
    measure = MEASURES[name]
    found = table(measure, [lambda: x], [lambda: y], K, null.orders(count, len(x), seed))
    p = null.p_values(found.values, found.null)[0, 0]
    return found, p, null.calibrated(found.values, found.null, measure.highest)[0, 0]


@pytest.mark.parametrize("name", NAMES)
def test_a_planted_relation_is_found(name: Any) -> None:
    x, y = _related(seed=6)
    found, p, score = _of(name, x, y)
    assert p == 1 / 200
    assert 0.05 < score < found.values[0, 0]
    assert _of(name, x, x)[2] == pytest.approx(1)


@pytest.mark.parametrize(
    ("name", "width"),
    [(name, width) for name in NAMES for width in (3, 12, 300) if "cca" not in name or width < 20],  # refused beyond
)
def test_unrelated_features_are_at_0_however_wide(name: Any, width: Any) -> None:
    """Calibrated scores are 0 but for one in twenty, and p-values even; raw values depend on the width."""
    rng = _rng(7)
    found = [_of(name, rng.normal(size=(40, width)), rng.normal(size=(40, width)), 39, seed) for seed in range(60)]
    scores, values = np.array([score for _, _, score in found]), np.array([p for _, p, _ in found])
    assert scores.mean() < 0.02
    assert (scores > 0).mean() < 0.17  # 5 % expected; 10 of 60 would be less likely than 1 in 1000
    assert ((scores > 0) == (values <= 0.05)).all()
    ties = name == "mutual-knn"  # few different values, so that p-values are too large rather than too small
    assert kstest(values, "uniform", alternative="greater" if ties else "two-sided").pvalue > 0.001


def test_the_null_by_hand() -> None:
    null_values = np.arange(1, 20, dtype=float)[:, None] / 20  # 0.05 to 0.95
    observed = np.array([0.975])
    assert null.p_values(observed, null_values) == 1 / 20
    assert null.calibrated(observed, null_values) == pytest.approx((0.975 - 0.95) / 0.05)
    assert null.p_values(np.array([0.5]), null_values) == pytest.approx((1 + 10) / 20)
    assert null.calibrated(np.array([0.95]), null_values) == 0
    assert np.isnan(null.p_values(np.array([np.nan]), null_values))


def test_a_table_is_its_pairs_however_it_is_tiled(monkeypatch: pytest.MonkeyPatch) -> None:
    layers = [_related(seed)[0] for seed in range(4)]
    layers[2][0, 0] = np.nan
    loads = [lambda layer=layer: layer for layer in layers]
    orders = null.orders(3, 60, 0)
    for name in ("rsa", "pwcca", "mutual-knn"):
        whole = table(MEASURES[name], loads, None, K, orders)
        between = table(MEASURES[name], loads[:3], loads[1:], K)
        monkeypatch.setattr("vitan_analyses.similarity.tables._HELD", 2)
        tiled = table(MEASURES[name], loads, None, K, orders)
        np.testing.assert_array_equal(tiled.values, whole.values)
        np.testing.assert_array_equal(tiled.null, whole.null)
        assert tiled.gaps == whole.gaps
        np.testing.assert_array_equal(table(MEASURES[name], loads[:3], loads[1:], K).values, between.values)
        assert whole.values[0, 3] == whole.values[3, 0] == MEASURES[name](layers[0], layers[3], K)
        assert whole.null[1, 0, 3] == pytest.approx(MEASURES[name](layers[0], layers[3][orders[1]], K), abs=1e-10)
        assert np.isnan(whole.values[2]).all()
        assert whole.gaps[0, 2] == whole.gaps[2, 0] == "a block is not finite"
        assert between.values[0, 2] == whole.values[0, 3]
        monkeypatch.undo()


def test_the_page_says_what_is_declared() -> None:
    page = (Path(__file__).parents[3] / "docs" / "similarity.md").read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in page.splitlines() if line.startswith("| `")]
    declared = [
        [f"`{m.name}`", f"{m.lowest:g}", ", ".join(w for w in INVARIANCES if w in m.invariances), m.unrelated]
        for m in MEASURES.values()
    ]
    assert rows == declared
