"""Which block is best, and which cannot be told from it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from vitan.analysis.records import BEST, LEVEL
from vitan.analysis.sweep import best_blocks, records_of, wilson


def test_a_clear_winner_stands_alone() -> None:
    hits = np.zeros((3, 100))
    hits[0, :30], hits[1, :90], hits[2, :50] = 1, 1, 1
    sweep = best_blocks(hits)
    assert sweep.mean.tolist() == [0.3, 0.9, 0.5]
    assert (sweep.best, sweep.equals, sweep.queries) == (1, (1,), 100)
    assert sweep.behind_high[0] < 0 == sweep.behind_high[1] == sweep.behind_low[1]


def test_the_interval_is_that_of_a_share() -> None:
    """For 400 independent hits at 0.5 the normal interval is 0.5 -+ 1.96 * 0.025."""
    sweep = best_blocks(np.tile([0.0, 1.0], 200)[None])
    assert [sweep.low[0], sweep.high[0]] == pytest.approx([0.451, 0.549], abs=0.006)


def test_pairing_tells_apart_what_the_intervals_alone_do_not() -> None:
    """One block is 0.02 better on every single query, which vary by far more than that."""
    random = np.random.default_rng(0).random(60)
    sweep = best_blocks([random, random + 0.02])
    assert sweep.low[1] < sweep.mean[0] < sweep.high[1]
    assert sweep.equals == (1,)
    assert sweep.behind_high[0] == pytest.approx(-0.02)


def test_equal_blocks_cannot_be_told_apart_and_the_first_leads() -> None:
    random = np.random.default_rng(0)
    one, two = (random.random(50) < 0.6).astype(float), (random.random(50) < 0.6).astype(float)
    sweep = best_blocks([one, one, two])
    assert {0, 1} <= set(sweep.equals)
    assert sweep.best in (0, 2)
    assert best_blocks([one, one]).equals == (0, 1)


def test_a_query_without_a_score_counts_nowhere() -> None:
    scores = np.array([[1.0, np.nan, 0.0, 1.0], [1.0, 1.0, 1.0, 1.0]])
    sweep = best_blocks(scores)
    assert sweep.mean.tolist() == [2 / 3, 1.0]
    assert sweep.queries == 3


def test_a_block_without_scores_is_left_out() -> None:
    scores = np.array([[np.nan] * 40, [1.0] * 40, [0.0] * 40])
    sweep = best_blocks(scores)
    assert (sweep.best, sweep.equals, sweep.queries) == (1, (1,), 40)
    assert sweep.mean.tolist() == [pytest.approx(np.nan, nan_ok=True), 1, 0]
    nothing = best_blocks(scores[:1])
    assert np.isnan(nothing.mean).all()
    assert (nothing.equals, nothing.queries) == ((), 0)


@pytest.mark.parametrize("queries", [0, 1])
def test_too_few_queries_claim_nothing(queries: Any) -> None:
    sweep = best_blocks(np.arange(3.0)[:, None].repeat(queries, 1))
    assert sweep.equals == (0, 1, 2)
    assert np.isnan(sweep.low).all()
    assert sweep.best == (2 if queries else 0)
    labels = [record.label for record in records_of(sweep, "score", [4, 5, 6])]
    assert labels == ([LEVEL, LEVEL, BEST] if queries else ["", "", ""])


def test_units_are_drawn_whole() -> None:
    """Ten copies of each of eight scores are eight observations, not eighty."""
    scores = np.random.default_rng(1).random((2, 8))
    plain, copied = best_blocks(scores), best_blocks(scores.repeat(10, 1), units=np.arange(8).repeat(10))
    np.testing.assert_allclose([plain.low, plain.high], [copied.low, copied.high])
    assert best_blocks(scores.repeat(10, 1)).low[0] > copied.low[0]


def test_weights_make_a_mean_over_categories() -> None:
    points = np.array([[1.0, 1.0, 1.0, 0.0]])  # three of one category, one of another
    assert best_blocks(points, weights=[1 / 3, 1 / 3, 1 / 3, 1]).mean.tolist() == pytest.approx([0.5])


def test_the_same_seed_gives_the_same_bits_in_any_company() -> None:
    scores = np.random.default_rng(2).random((4, 30))
    one, two = best_blocks(scores), best_blocks(scores)
    assert one.low.tobytes() == two.low.tobytes()
    assert best_blocks(scores[:2]).low == pytest.approx(one.low[:2])
    assert best_blocks(scores, seed=1).low.tolist() != one.low.tolist()


def test_records_say_all_of_it() -> None:
    sweep = best_blocks([[0.0, 0.0, 1.0] * 30, [1.0, 1.0, 0.0] * 30, [1.0, 1.0, 0.0] * 30])
    made = records_of(sweep, "knn-top1", [2, 5, 8], parameter="k", at=20)
    assert [(record.block, record.label, record.n) for record in made] == [(2, "", 90), (5, BEST, 90), (8, LEVEL, 90)]
    assert made[1].value == pytest.approx(2 / 3)
    assert made[1].low < made[1].value < made[1].high
    assert {(record.metric, record.parameter, record.at, record.gap) for record in made} == {("knn-top1", "k", 20, "")}


def test_a_block_without_a_score_says_why() -> None:
    made = records_of(best_blocks([[1.0, 0.0], [np.nan, np.nan]]), "acc", [0, 1], gap="features are not finite")
    assert [(record.label, record.gap) for record in made] == [(BEST, ""), ("", "features are not finite")]
    assert (made[1].low, made[1].high) == (None, None)


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="block, query"):
        best_blocks(np.zeros(3))
    with pytest.raises(ValueError, match="each of the 3 queries"):
        best_blocks(np.zeros((2, 3)), units=[0, 1])


@pytest.mark.parametrize(
    ("hits", "trials", "low", "high"),
    [  # solved by hand: at 0 or all hits one bound is z^2 / (n + z^2) from the end
        (70, 70, 0.94797, 1.0),
        (0, 70, 0.0, 0.05203),
        (5, 10, 0.23659, 0.76341),
        (81, 263, 0.2553, 0.3662),  # the example of Newcombe 1998, table 1
    ],
)
def test_wilson_bounds_a_proportion(hits: int, trials: int, low: float, high: float) -> None:
    assert wilson(np.array(hits / trials), trials).tolist() == pytest.approx([low, high], abs=1e-4)


@pytest.mark.parametrize("top", [1.0, 100.0])
def test_a_proportion_is_never_sure(top: float) -> None:
    hits = np.tile([1.0, 1.0, 1.0, 0.0], 20) * top
    sweep = best_blocks([np.full(80, top), np.zeros(80), hits], top=top)
    np.testing.assert_allclose([sweep.low, sweep.high], top * wilson(np.array([1, 0, 0.75]), 80), atol=1e-12)
    assert [sweep.high[0], sweep.low[1]] == pytest.approx([top, 0])
    assert sweep.low[0] < 0.96 * top
    assert sweep.high[1] > 0.04 * top


def test_units_that_all_agree_count_as_trials_and_others_are_drawn() -> None:
    """Ten points of each of eight pairs are eight trials; and weights make fewer of them."""
    pairs = np.arange(8).repeat(10)
    mixed = np.tile([1.0, 0.0], 40)
    sweep = best_blocks([np.ones(80), mixed], units=pairs, top=1)
    assert sweep.low[0] == pytest.approx(wilson(np.array(1.0), 8)[0])
    assert sweep.low[1] == best_blocks([np.ones(80), mixed], units=pairs).low[1]
    uneven = best_blocks(np.ones((1, 2)), weights=[3, 1], top=1)
    assert uneven.low[0] == pytest.approx(wilson(np.array(1.0), 1.6)[0])  # (3 + 1)^2 / (9 + 1)


def test_scores_between_the_ends_are_drawn() -> None:
    scores = np.random.default_rng(2).random((1, 50))
    assert best_blocks(scores, top=1).low[0] == best_blocks(scores).low[0]
