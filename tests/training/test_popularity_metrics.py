"""Coverage, novelty, debiased NDCG and popularity recommended against consumed, worked out by hand."""

import numpy as np
import pytest
from scipy.stats import wasserstein_distance

from training.data import NO_TIME, Events, Ragged
from training.metrics import NONE, ndcg
from training.popularity_metrics import (
    bands,
    coverage,
    debiased_ndcg,
    list_means,
    novelty_bits,
    novelty_linear,
    popularity_shift,
    propensity_weights,
)

POPULARITY = np.array([0, 1, 4, 8, 3])
LISTS = np.array([[3, 2], [3, 1], [4, NONE]], np.int32)


def events(user: list[int], item: list[int]) -> Events:
    return Events(
        user=np.array(user, np.int32),
        item=np.array(item, np.int32),
        at=np.full(len(user), NO_TIME),
        value=np.full(len(user), np.nan, np.float32),
    )


def test_coverage_is_the_share_of_candidates_that_anybody_is_recommended():
    assert coverage(LISTS, np.ones(5, np.bool_)) == 4 / 5
    assert coverage(LISTS[:2], np.array([False, True, True, True, False])) == 1


def test_linear_novelty_is_one_minus_popularity_of_the_most_popular():
    assert novelty_linear(POPULARITY).tolist() == [1, 7 / 8, 1 / 2, 0, 5 / 8]
    # (0 + 1/2) / 2, (0 + 7/8) / 2, and a list of one item
    assert list_means(LISTS, novelty_linear(POPULARITY)).tolist() == [1 / 4, 7 / 16, 5 / 8]
    assert novelty_linear(np.zeros(3, np.int64)).tolist() == [1, 1, 1]


def test_novelty_in_bits_counts_users_not_events():
    # Users 0, 1, 4, 6 have events. Item 0: all four, 0 bits. Item 1: two of four (0 twice), 1 bit. Item 2: one, 2 bits.
    # Item 3: none, counted as one.
    met = events([0, 0, 0, 1, 1, 4, 4, 6], [0, 1, 1, 0, 1, 2, 0, 0])
    assert novelty_bits(met, 4).tolist() == [0, 1, 2, 2]


def test_bands_part_the_events_in_half_three_tenths_and_the_rest():
    # 100 events: 30 + 20 are the first half; 20 + 10 reach 80; the rest is tail, but for what has none.
    assert bands(np.array([5, 30, 20, 0, 20, 10, 15])).tolist() == [1, 3, 3, 0, 2, 1, 2]
    # Equally popular: the smaller number first; items begin before 50 %, before 80 %, after it.
    assert bands(np.array([1] * 10)).tolist() == [3] * 5 + [2] * 3 + [1] * 2
    assert bands(np.zeros(2, np.int64)).tolist() == [0, 0]


def test_a_target_half_as_popular_gains_more():
    # (8 / 8) ** .5, (8 / 4) ** .5, and what has no events as what has one
    weights = propensity_weights(POPULARITY)
    assert weights == pytest.approx([8**0.5, 8**0.5, 2**0.5, 1, (8 / 3) ** 0.5])


def test_debiased_ndcg_of_single_targets_is_the_weighted_mean_of_their_ndcg():
    # Weights 1, 3: NDCG@5 1 (place 1) and 1/2 (place 3): (1 * 1 + 3 * 1/2) / (1 + 3) = 0.625.
    found = debiased_ndcg(Ragged.of([[1], [3]]), np.array([1.0, 3.0]), 5)
    assert found.mean() == pytest.approx(0.625)
    assert found.tolist() == pytest.approx([1 * 1 / 2, 0.5 * 3 / 2])  # the mean weight is 2


def test_debiased_ndcg_of_several_targets_wants_the_heaviest_first():
    # Weights 1 at place 1 and 3 at place 2: (1 + 3 / log2(3)) / (3 + 1 / log2(3)) = 2.89278926 / 3.63092975
    found = debiased_ndcg(Ragged.of([[1, 2]]), np.array([1.0, 3.0]), 2)
    assert found.tolist() == pytest.approx([0.79670761])
    assert debiased_ndcg(Ragged.of([[2, 1]]), np.array([1.0, 3.0]), 2).tolist() == pytest.approx([1])
    # Only the first place counts: 1 / 3.
    assert debiased_ndcg(Ragged.of([[1, 2]]), np.array([1.0, 3.0]), 1).tolist() == pytest.approx([1 / 3])


def test_debiased_ndcg_of_equal_weights_is_ndcg():
    places = Ragged.of([[4], [1, 7, 3], [2, 9]])
    assert debiased_ndcg(places, np.full(6, 2.5), 5) == pytest.approx(ndcg(places, 5))


def test_popularity_of_lists_and_of_what_is_consumed_are_told_side_by_side():
    consumed = np.repeat(np.arange(5), POPULARITY)  # 16 events
    found = popularity_shift(LISTS, consumed, POPULARITY)
    assert found["from"] == [0, 1, 2, 4, 8]
    # Lists hold 3, 2, 3, 1, 4: popularity 8 twice, 4, 1, 3.
    assert found["recommended"] == [0, 1 / 5, 1 / 5, 1 / 5, 2 / 5]
    assert found["consumed"] == [0, 1 / 16, 3 / 16, 4 / 16, 8 / 16]
    doublings = [np.log2(1 + POPULARITY[items]) for items in (LISTS[LISTS != NONE], consumed)]
    assert found["distance"] == pytest.approx(wasserstein_distance(*doublings))
    assert found["shift"] == pytest.approx(doublings[0].mean() - doublings[1].mean())
    assert found["shift"] < 0


def test_lists_like_what_is_consumed_are_at_no_distance():
    consumed = np.repeat(np.arange(5), POPULARITY)
    found = popularity_shift(consumed, consumed, POPULARITY)
    assert (found["distance"], found["shift"]) == (0, 0)
