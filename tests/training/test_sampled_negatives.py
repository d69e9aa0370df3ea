"""Ranking against drawn negatives."""

from dataclasses import replace

import numpy as np
import pytest

from training.data import Cases, Queries, Ragged
from training.metrics import per_query
from training.sampled_negatives import draw_negatives, sampled_ranks

CASES = Cases(
    queries=Queries.of([[0, 1], [], [5]]),
    targets=Ragged.of([[2, 3], [4], [5]]),  # the last listens again
    candidates=np.arange(12) != 11,
    filter_seen=False,
)


def test_negatives_are_candidates_neither_seen_nor_targets_nor_twice():
    drawn = draw_negatives(CASES, 6, 0)
    assert drawn.shape == (4, 6)
    for row, negatives in zip(CASES.targets.rows, drawn, strict=True):
        barred = {11, *CASES.queries.history[row], *CASES.targets[row]}
        assert not barred & set(negatives)
        assert len(set(negatives)) == 6


def test_the_same_seed_draws_the_same():
    assert (draw_negatives(CASES, 5, 1) == draw_negatives(CASES, 5, 1)).all()
    assert (draw_negatives(CASES, 5, 1) != draw_negatives(CASES, 5, 2)).any()


def test_all_that_may_be_drawn_is_drawn_equally_often():
    many = CASES.take(np.zeros(2_000, np.int64))
    counts = np.bincount(draw_negatives(many, 1, 0).ravel(), minlength=12)
    assert (counts[[0, 1, 2, 3, 11]] == 0).all()
    assert np.abs(counts[4:11] - 4_000 / 7).max() < 4 * np.sqrt(4_000 / 7)


def test_too_few_to_draw_from_is_an_error():
    with pytest.raises(ValueError, match="query 0 has 7 items to draw 8 negatives from"):
        draw_negatives(CASES, 8, 0)


def test_each_target_is_ranked_among_its_own_negatives_ties_against_it():
    scores = np.array([[0, 0, 3, 1, 5, 3, 2, 1, 0, 0, 0, 0], [9] * 12, [0] * 12], np.float32)
    drawn = np.array([[4, 5, 6], [4, 7, 8], [0, 1, 2], [6, 7, 8]], np.int32)
    # 3 against 5, 3, 2: third; 1 against 5, 1, 0: third; all equal: last of four.
    found = sampled_ranks(scores, CASES.targets, drawn)
    assert found.values.tolist() == [3, 3, 4, 4]
    assert len(found) == 4  # each a query of its own


def test_chance_with_20_negatives_is_what_tables_of_that_protocol_show():
    # Of 21 equally likely places: R@5 = 5/21, R@10 = 10/21, N@10 = sum of 1 / log2(1 + place) over ten of 21 places.
    random = np.random.default_rng(0)
    cases = replace(CASES, candidates=np.ones(60, np.bool_)).take(np.ones(20_000, np.int64))
    places = sampled_ranks(random.random((20_000, 60)), cases.targets, draw_negatives(cases, 20, 0))
    found = {name: values.mean() for name, values in per_query(places, [5, 10]).items()}
    assert found["recall@5"] == pytest.approx(0.2381, abs=0.012)
    assert found["recall@10"] == pytest.approx(0.4762, abs=0.014)
    assert found["ndcg@10"] == pytest.approx(0.2164, abs=0.009)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_score_that_is_no_number_is_an_error(bad):
    scores = np.zeros((3, 12))
    scores[1, 4] = bad
    with pytest.raises(ValueError, match="NaN or infinite"):
        sampled_ranks(scores, CASES.targets, draw_negatives(CASES, 3, 0))
