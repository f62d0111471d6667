"""Average precision and precision at k: by hand, by their properties, and against the published numbers."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import golden
from vitan_analyses.arrays import unit
from vitan_analyses.retrieval.metrics import DEPTHS, PROTOCOLS, rank, score

GOLDEN = golden.arrays("downstream/retrieval/retrieval.npz")
TRUTH = golden.FOLDER / "downstream/retrieval/gnd.json"
RANKINGS = [name for name, array in (("ranks", "ranks"), ("feat", "feat_ranks")) if array in GOLDEN.files]
CASES = [(ranking, p) for ranking in RANKINGS for p in PROTOCOLS if f"{ranking}_aps{p[0].upper()}" in GOLDEN.files]


def test_average_precision_by_hand() -> None:
    """Right at ranks 1 and 3: (1 + 1)/2 and (1/2 + 2/3)/2, averaged."""
    found = score(np.array([4, 2, 0, 1, 3]), right=[4, 0])
    assert found.average == pytest.approx((1 + 7 / 12) / 2, abs=1e-15)
    assert found.precision == pytest.approx([1, 2 / 3, 2 / 3])  # the last right one has rank 3


def test_junk_is_taken_out_before_anything_is_counted() -> None:
    clean = score(np.array([0, 1, 2, 3]), right=[0, 2])
    assert score(np.array([5, 0, 4, 1, 2, 6, 3]), right=[0, 2], junk=[4, 5, 6]) == clean


def test_a_perfect_and_the_worst_ranking() -> None:
    assert score(np.arange(100), right=range(7)).average == 1.0
    worst = score(np.arange(100), right=[99])
    assert worst.average == pytest.approx(0.005)  # (0 + 1/100)/2
    assert worst.precision == (0, 0, 0)


def test_a_query_without_positives_has_no_score() -> None:
    found = score(np.arange(5), right=[], junk=[1])
    assert np.isnan([found.average, *found.precision]).all()


def test_no_swap_of_a_right_one_upwards_lowers_the_score() -> None:
    random = np.random.default_rng(0)
    order, right = random.permutation(40), set(range(9))
    before = score(order, right).average
    for i in range(1, 40):
        if order[i] in right and order[i - 1] not in right:
            better = order.copy()
            better[[i - 1, i]] = better[[i, i - 1]]
            assert score(better, right).average > before


def test_ties_are_ranked_by_place() -> None:
    assert rank(np.array([[0.5, 1.0, 0.5, 1.0]], np.float32)).tolist() == [[1, 3, 0, 2]]


def _kinds(truth: Any, names: Any) -> Any:
    return [index for name in names for index in truth[name]]


@pytest.mark.golden
@pytest.mark.parametrize(("ranking", "protocol"), CASES)
def test_published_scores(ranking: Any, protocol: Any) -> None:
    end = protocol[0].upper()
    order = GOLDEN["ranks" if ranking == "ranks" else "feat_ranks"].T  # (query, gallery)
    depths = GOLDEN["ks"].tolist()
    right, junk = PROTOCOLS[protocol]
    truth = json.loads(TRUTH.read_text())["gnd"]
    found = [score(o, _kinds(t, right), _kinds(t, junk), depths) for o, t in zip(order, truth, strict=True)]
    averages, precisions = np.array([f.average for f in found]), np.array([f.precision for f in found])
    np.testing.assert_allclose(averages, GOLDEN[f"{ranking}_aps{end}"], atol=1e-12, rtol=0)
    np.testing.assert_allclose(np.nanmean(averages), GOLDEN[f"{ranking}_map{end}"], atol=1e-12, rtol=0)
    np.testing.assert_allclose(np.nanmean(precisions, 0), GOLDEN[f"{ranking}_mpr{end}"], atol=1e-12, rtol=0)
    some = ~np.isnan(averages)
    np.testing.assert_allclose(precisions[some], GOLDEN[f"{ranking}_prs{end}"][some], atol=1e-12, rtol=0)


@pytest.mark.golden
def test_published_ranking_of_features() -> None:
    if "db" not in GOLDEN.files:
        pytest.skip("this set has no features")
    found = rank(unit(GOLDEN["query"]) @ unit(GOLDEN["db"]).T)
    np.testing.assert_array_equal(found, GOLDEN["feat_ranks"].T)


def test_the_depths_are_the_published_ones() -> None:
    assert DEPTHS == (1, 5, 10)
