"""Nearest neighbours and their votes: by hand, by their properties, and against the published code's numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import golden
from vitan_analyses.arrays import unit
from vitan_analyses.knn import search
from vitan_analyses.knn.search import Nearest
from vitan_analyses.knn.vote import tables, verdicts

GOLDEN = golden.arrays("downstream/knn.npz")
KS = GOLDEN["ks"].tolist() if "ks" in GOLDEN.files else []


def find(queries: Any, bank: Any, k: Any, rows: Any = 8192) -> Any:
    nearest = Nearest(np.asarray(queries, np.float32), k)
    for part in np.split(np.asarray(bank, np.float32), range(rows, len(bank), rows)):
        nearest.see(part)
    return nearest.found()


def stable(queries: Any, bank: Any, k: Any) -> Any:
    """The rule in one line: by similarity, and the lowest place first."""
    scores = np.asarray(queries, np.float32) @ np.asarray(bank, np.float32).T
    places = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(scores, places, axis=1), places


def test_three_neighbours_by_hand() -> None:
    similarities, places = find([[1, 0]], [[0.5, 1], [-2, 0], [3, 0], [0.5, 0]], 3)
    assert places.tolist() == [[2, 0, 3]]
    assert similarities.tolist() == [[3.0, 0.5, 0.5]]


@pytest.mark.parametrize("rows", [1, 7, 64, 1000])
@pytest.mark.parametrize("k", [1, 5, 40])
def test_ties_follow_the_rule_however_the_bank_is_cut(rows: Any, k: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small whole numbers: every similarity is exact, and most are shared by many rows."""
    monkeypatch.setattr(search, "QUERIES", 10)
    random = np.random.default_rng(k)
    queries, bank = random.integers(-2, 3, (23, 3)), random.integers(-2, 3, (300, 3))
    for found, expected in zip(find(queries, bank, k, rows), stable(queries, bank, k), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_a_bank_in_order_of_its_classes_is_no_special_case() -> None:
    """All neighbours of a query come in one run, the last."""
    bank = np.sort(np.random.default_rng(0).random((500, 1)), axis=0)
    for found, expected in zip(find([[1.0]], bank, 90, 100), stable([[1.0]], bank, 90), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_a_bank_smaller_than_k_gives_what_it_has() -> None:
    similarities, places = find([[1.0], [-1.0]], [[1.0], [2.0]], 5)
    assert places.tolist() == [[1, 0], [0, 1]]
    assert similarities.tolist() == [[2, 1], [-1, -2]]


def test_zero_has_one_sign_and_zero_rows_stay_finite() -> None:
    assert find([[-1.0]], [[0.0], [-0.0]], 2)[1].tolist() == [[0, 1]]
    assert find([[1.0]], [[-0.0], [0.0]], 2)[1].tolist() == [[0, 1]]
    assert unit([[0, 0], [3, 4]]).tolist() == [[0, 0], pytest.approx([0.6, 0.8])]


def vote(similarities: Any, voters: Any, truth: Any, ks: Any, temperature: Any = 1.0) -> Any:
    return verdicts(np.array(similarities, np.float32), np.array(voters), np.array(truth), ks, temperature)


def test_votes_by_hand() -> None:
    """Two far neighbours of class 0 against a near one of class 2: e + e > e^1.5, but not e^2."""
    (two,) = vote([[1.5, 1, 1]], [[2, 0, 0]], [0], [3])
    assert (two.winner.tolist(), two.top1.tolist()) == ([0], [True])
    one, three = vote([[2, 1, 1]], [[2, 0, 0]], [0], [1, 3])
    assert (three.winner.tolist(), three.top1.tolist(), three.top5.tolist()) == ([2], [False], [True])
    assert (one.k, one.top5.tolist()) == (1, [False])


def test_equal_votes_go_to_the_lowest_class() -> None:
    (found,) = vote([[1, 1]] * 2, [[3, 1], [1, 3]], [1, 3], [2])
    assert found.winner.tolist() == [1, 1]
    assert (found.top1.tolist(), found.top5.tolist()) == ([True, False], [True, True])


def test_a_class_needs_a_vote() -> None:
    """Class 0 has none, although it would fill the second place of five."""
    (found,) = vote([[1, 1]], [[4, 4]], [0], [2])
    assert not found.top5[0]


def test_the_sixth_class_is_not_among_five() -> None:
    (found,) = vote([[6, 5, 4, 3, 2, 1]] * 2, [[5, 4, 3, 2, 1, 0]] * 2, [0, 1], [6])
    assert found.top5.tolist() == [False, True]


def test_a_small_temperature_neither_overflows_nor_loses_the_nearest() -> None:
    (found,) = vote([[1, 0.5]], [[1, 0]], [1], [2], temperature=1e-4)
    assert found.top1.tolist() == [True]


def test_all_k_at_once_are_each_k_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    similarities = -np.sort(-random.random((50, 30)).astype(np.float32), axis=1)
    voters, truth = random.integers(0, 7, (50, 30)), random.integers(0, 7, 50)
    together = vote(similarities, voters, truth, [30, 1, 10])
    monkeypatch.setattr("vitan_analyses.knn.vote._TABLE", 60)
    for found in together:
        (alone,) = vote(similarities, voters, truth, [found.k])
        for name in ("winner", "top1", "top5"):
            np.testing.assert_array_equal(getattr(found, name), getattr(alone, name))
    assert [found.k for found in together] == [1, 10, 30]


@pytest.fixture(scope="module")
def published() -> Any:
    """The neighbours that the golden vectors have, found in uneven runs."""
    if not KS:
        pytest.skip("this set has no k-NN")
    bank, queries = unit(GOLDEN["train"]), unit(GOLDEN["test"])
    similarities, places = find(queries, bank, max(KS), 317)
    return similarities, GOLDEN["train_labels"][places], places


@pytest.mark.golden
@pytest.mark.parametrize("column", range(len(KS)), ids=[f"k{k}" for k in KS])
def test_published_accuracies(published: Any, column: Any) -> None:
    similarities, voters, _ = published
    found = verdicts(similarities, voters, GOLDEN["test_labels"], KS, float(GOLDEN["temperature"]))[column]
    accuracies = [100 * found.top1.mean(), 100 * found.top5.mean()]
    assert accuracies == pytest.approx(GOLDEN["det_top1_top5"][column].tolist(), abs=1e-9)
    assert accuracies == pytest.approx(GOLDEN["ref_top1_top5"][column].tolist(), abs=1.0)  # luck with empty classes
    np.testing.assert_array_equal(found.winner, GOLDEN["pred_top1"][column])


@pytest.mark.golden
def test_published_neighbours_and_votes(published: Any) -> None:
    similarities, voters, places = published
    count = GOLDEN["neighbours"].shape[1]
    np.testing.assert_array_equal(places[:, :count], GOLDEN["neighbours"])
    np.testing.assert_allclose(similarities[:, :count], GOLDEN["similarities"], atol=1e-6)
    expected = GOLDEN["votes_k20"]
    temperature = float(GOLDEN["temperature"])
    (table,) = tables(similarities, voters, [20], temperature, expected.shape[1])
    scale = np.exp(similarities[:, :1].astype(np.float64) / temperature)
    np.testing.assert_allclose(table * scale, expected, rtol=1e-4, atol=1e-6 * expected.max())
