"""Places and metrics, against tables worked out by hand."""

import numpy as np
import pytest

from training import metrics
from training.data import Ragged
from training.metrics import NONE, masked, per_query, ranks, top_k

ALL = np.ones(6, np.bool_)
SCORES = np.array([[0.9, 0.1, 0.5, 0.5, 0.5, 0.2]], np.float32)


def places_of(*targets: int, scores=SCORES, candidates=ALL, seen=None) -> list[int]:
    return ranks(scores, Ragged.of([list(targets)]), candidates, seen).values.tolist()


def placed(*rows: list[int]) -> Ragged:
    return Ragged.of(list(rows))


@pytest.mark.parametrize(
    ("item", "place"),
    [
        (0, 1),  # nothing is as high
        (2, 4),  # item 0 is higher, 3 and 4 are equal: three at least as high
        (3, 4),  # of equal items each has the same, last place when it alone is the target
        (5, 5),  # 0, 2, 3, 4
        (1, 6),  # last of six
    ],
)
def test_a_place_is_one_more_than_the_others_at_least_as_high(item, place):
    assert places_of(item) == [place]


def test_targets_of_a_query_take_places_of_their_own_behind_equal_candidates():
    # 0 is higher (1); of the equal 2, 3, 4 the candidate 3 comes first (2), then the targets as listed (3 and 4).
    assert places_of(4, 2) == [3, 4]
    assert places_of(2, 4) == [3, 4]
    # All three equal items are targets: 2, 3, 4 in the order of the list; item 1 is last.
    assert places_of(3, 1, 4, 2) == [2, 6, 3, 4]
    # A target that is higher than the others comes before them: 0 first, then candidate 3 and 4 before 2.
    assert places_of(2, 0) == [4, 1]


def test_what_is_no_candidate_or_was_seen_takes_no_place():
    assert places_of(5, candidates=np.array([True, True, False, True, True, True])) == [4]
    assert places_of(5, seen=Ragged.of([[0, 3]])) == [3]
    assert places_of(5, candidates=ALL & (SCORES[0] != 0.5), seen=Ragged.of([[0]])) == [1]


def test_an_empty_history_filters_nothing():
    scores = np.repeat(SCORES, 2, axis=0)
    found = ranks(scores, Ragged.of([[5], [5]]), ALL, Ragged.of([[], [0]]))
    assert found.values.tolist() == [5, 4]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_score_that_is_not_finite_is_an_error_that_names_model_query_and_item(bad):
    scores = np.repeat(SCORES, 2, axis=0)
    scores[1, 4] = bad
    with pytest.raises(ValueError, match=rf"knn: score {bad} of item 4 for query 1"):
        ranks(scores, Ragged.of([[0], [1]]), ALL, of="knn")


def test_scores_of_what_is_no_candidate_may_be_anything():
    scores = SCORES.copy()
    scores[0, :2] = np.nan, np.inf
    candidates = np.array([False, True, True, True, True, True])
    assert ranks(scores, Ragged.of([[5]]), candidates, Ragged.of([[1]])).values.tolist() == [4]


@pytest.mark.parametrize(
    ("candidates", "seen"), [(SCORES[0] != 0.1, None), (ALL, Ragged.of([[1]])), (np.zeros(6, np.bool_), None)]
)
def test_a_target_that_is_no_candidate_is_an_error(candidates, seen):
    with pytest.raises(ValueError, match="target 1 of query 0 is no candidate"):
        places_of(1, candidates=candidates, seen=seen)


@pytest.mark.parametrize(
    ("targets", "message"),
    [([], "query 0 has no target"), ([2, 2], "query 0 has target 2 twice"), ([6], "6 is no item"), ([-1], "-1 is no")],
)
def test_targets_that_mean_nothing_are_refused(targets, message):
    with pytest.raises(ValueError, match=message):
        places_of(*targets)


@pytest.mark.parametrize("shape", [(6,), (1, 5), (2, 6)])
def test_scores_of_another_shape_are_refused(shape):
    with pytest.raises(ValueError, match="expected"):
        ranks(np.zeros(shape), Ragged.of([[0]]), ALL, Ragged.of([[]]))


def test_scores_are_left_as_they_are():
    scores = np.broadcast_to(SCORES, (3, 6))  # read-only, as a model of popularity answers
    masked(scores, ALL, Ragged.of([[0], [1], [2]]))
    assert (scores == SCORES).all()


def test_top_k_breaks_ties_by_item_number_and_ends_where_candidates_end():
    assert top_k(SCORES, 3).tolist() == [[0, 2, 3]]
    assert top_k(SCORES, 6).tolist() == [[0, 2, 3, 4, 5, 1]]
    assert top_k(np.zeros((1, 9)), 4).tolist() == [[0, 1, 2, 3]]
    few = masked(SCORES, SCORES[0] == 0.5, Ragged.of([[3]]))
    assert top_k(few, 3).tolist() == [[2, 4, NONE]]
    assert top_k(few, 8).tolist() == [[2, 4] + [NONE] * 6]
    assert top_k(masked(SCORES, ~ALL), 2).tolist() == [[NONE, NONE]]


def test_one_target_at_place_3():
    found = per_query(placed([3]), [2, 3])
    assert found["hr@2"] == found["recall@2"] == found["ndcg@2"] == found["map@2"] == found["mrr@2"] == 0
    assert found["hr@3"] == found["recall@3"] == 1
    assert found["ndcg@3"] == pytest.approx(0.5, abs=1e-15)  # 1 / log2(4)
    assert found["mrr@3"] == found["map@3"] == found["mrr"] == pytest.approx(1 / 3)


def test_three_targets_at_places_5_2_and_1():
    found = per_query(placed([5, 2, 1]), [1, 2, 3, 5])
    assert [float(found[f"recall@{k}"][0]) for k in (1, 2, 3, 5)] == pytest.approx([1 / 3, 2 / 3, 2 / 3, 1])
    # DCG: 1 / log2(2) = 1; 1 / log2(3) = 0.63092975; 1 / log2(6) = 0.38685281. Ideal of 1, 2, 3 targets: 1; 1.63092975;
    # 2.13092975 (1 / log2(4) = 0.5). So 1 / 1; 1.63092975 / 1.63092975; / 2.13092975; 2.01778256 / 2.13092975.
    assert [float(found[f"ndcg@{k}"][0]) for k in (1, 2, 3, 5)] == pytest.approx([1, 1, 0.76536064, 0.94690254])
    # Precision at places 1, 2, 5: 1/1, 2/2, 3/5. At 3: (1 + 1) / min(3, 3); at 5: 2.6 / 3; at 1: 1 / min(3, 1).
    assert [float(found[f"map@{k}"][0]) for k in (1, 2, 3, 5)] == pytest.approx([1, 1, 2 / 3, 2.6 / 3])
    assert found["mrr"] == found["mrr@1"] == found["hr@1"] == 1


def test_queries_with_different_numbers_of_targets_do_not_mix():
    rows = [[4], [7, 1, 3], [2, 9]]
    together = per_query(placed(*rows), [3, 10])
    for name, values in together.items():
        assert values.tolist() == [float(per_query(placed(row), [3, 10])[name][0]) for row in rows]


@pytest.mark.parametrize("ks", [[], [0], [10, -1]])
def test_lists_are_cut_at_one_or_more(ks):
    with pytest.raises(ValueError, match="from 1 up"):
        per_query(placed([1]), ks)


def test_all_metrics_are_between_zero_and_one_and_grow_with_k_but_for_ndcg_and_map():
    random = np.random.default_rng(0)
    rows = [random.choice(50, random.integers(1, 9), replace=False) + 1 for _ in range(200)]
    for name, metric in metrics.METRICS.items():
        values = np.stack([metric(placed(*map(list, rows)), k) for k in range(1, 51)])
        assert values.min() >= 0
        assert values.max() <= 1 + 1e-12
        if name in ("hr", "recall", "mrr"):
            assert (np.diff(values, axis=0) >= 0).all()


def test_the_example_of_the_documentation():
    found = ranks(SCORES, Ragged.of([[2, 5]]), ALL, Ragged.of([[0]]))
    assert found.values.tolist() == [3, 4]
    figures = {name: float(values[0]) for name, values in per_query(found, [3]).items()}
    expected = {"hr@3": 1, "recall@3": 1 / 2, "ndcg@3": 0.5 / 1.63092975, "mrr@3": 1 / 3, "map@3": 1 / 6, "mrr": 1 / 3}
    assert figures == pytest.approx(expected)
