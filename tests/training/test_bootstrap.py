"""Intervals by resampling people."""

import time
from dataclasses import replace

import numpy as np
import pytest

from training.bootstrap import difference, mean, resampled
from training.data import Ragged
from training.evaluation import Evaluation
from training.slices import Slicing


def evaluation(values, person=None, model="a", cases="c") -> Evaluation:
    values = np.asarray(values, np.float64)
    count = len(values)
    return Evaluation(
        model=model,
        cases=cases,
        ks=(10,),
        person=np.arange(count) if person is None else np.asarray(person, np.int64),
        places=Ragged.of([[1]] * count),
        top=np.zeros((count, 1), np.int32),
        values={"ndcg@10": values},
        target_values={"ndcg@10": values},
        catalogue={},
        slicings=(
            Slicing(name="user", labels=("unknown", "known"), codes=np.arange(count) % 2, of_targets=False),
            Slicing(name="target", labels=("new", "old"), codes=np.zeros(count, np.int64), of_targets=True),
        ),
    )


def test_the_interval_of_a_mean_is_that_of_its_standard_error():
    values = np.random.default_rng(1).random(4_000)
    found = mean(evaluation(values), "ndcg@10")
    half = 1.96 * values.std() / np.sqrt(4_000)
    assert found.value == pytest.approx(values.mean())
    assert [found.low, found.high] == pytest.approx([found.value - half, found.value + half], abs=0.1 * half)


def test_people_are_drawn_not_their_queries():
    # 100 people of 50 equal queries each say no more than 100 queries.
    values = np.random.default_rng(1).random(100)
    once, often = evaluation(values), evaluation(np.repeat(values, 50), np.repeat(np.arange(100), 50))
    one, other = mean(once, "ndcg@10"), mean(often, "ndcg@10")
    assert (other.value, other.low, other.high, other.people) == pytest.approx((one.value, one.low, one.high, 100))


def test_a_difference_is_paired():
    hard = np.random.default_rng(1).random(1_000)  # how hard a case is, both models feel alike
    found = difference(evaluation(hard + 0.01), evaluation(hard, model="b"), "ndcg@10")
    assert [found.value, found.low, found.high] == pytest.approx([0.01] * 3)
    assert mean(evaluation(hard), "ndcg@10").high - mean(evaluation(hard), "ndcg@10").low > 0.03


def test_a_relative_difference_is_over_the_base_in_each_resample():
    base = np.random.default_rng(1).random(500)
    found = difference(evaluation(base * 1.2), evaluation(base, model="b"), "ndcg@10", relative=True)
    assert [found.value, found.low, found.high] == pytest.approx([0.2] * 3)


def test_a_base_that_is_nothing_is_no_measure():
    with pytest.raises(ValueError, match="b has ndcg@10 0 for too many"):
        difference(evaluation([1, 1]), evaluation([0, 0], model="b"), "ndcg@10", relative=True)


def test_seeds_are_averaged_query_by_query_and_told():
    found = mean([evaluation([0, 1]), evaluation([1, 1])], "ndcg@10")
    assert (found.value, found.seeds) == (0.75, (0.5, 1.0))
    both = difference([evaluation([0, 1]), evaluation([1, 0])], evaluation([0.5, 0.5]), "ndcg@10")
    assert (both.value, both.low, both.high) == (0, 0, 0)


def test_slices_have_intervals():
    values = [0.0, 1.0, 0.5, 1.0]
    assert mean(evaluation(values), "ndcg@10", within=("user", "known")).value == 1
    assert mean(evaluation(values), "ndcg@10", within=("target", "new")).value == 0.625
    with pytest.raises(ValueError, match="nothing is in the slice"):
        mean(evaluation(values), "ndcg@10", within=("target", "old"))


@pytest.mark.parametrize("other", [evaluation([1, 2], cases="d"), [evaluation([1, 2]), evaluation([1, 2], cases="d")]])
def test_different_cases_cannot_be_compared(other):
    with pytest.raises(ValueError, match="cases"):
        difference(evaluation([1, 2]), other, "ndcg@10")


@pytest.mark.parametrize(("metric", "within"), [("hr", None), ("ndcg@10", ("x", "new")), ("ndcg@10", ("user", "x"))])
def test_what_is_not_measured_is_named_beside_what_is(metric, within):
    with pytest.raises(ValueError, match=r"has no '.+'; known: (ndcg@10|user, target|unknown, known)"):
        mean(evaluation([1, 2]), metric, within=within)


def test_the_same_seed_gives_the_same_interval_whatever_the_chunk(monkeypatch):
    values = np.random.default_rng(1).random(300)
    first = mean(evaluation(values), "ndcg@10")
    assert first == mean(evaluation(values), "ndcg@10")
    assert first != mean(evaluation(values), "ndcg@10", seed=1)
    monkeypatch.setattr("training.bootstrap.CHUNK_DRAWS", 1_000)
    again = mean(evaluation(values), "ndcg@10")
    assert (again.low, again.high) == pytest.approx((first.low, first.high), abs=1e-12)  # but for the order of sums


def test_95_of_100_intervals_hold_the_truth():
    random = np.random.default_rng(3)
    held = 0
    for seed in range(300):
        found = mean(evaluation(random.random(150) < 0.3), "ndcg@10", resamples=400, seed=seed)
        held += found.low <= 0.3 <= found.high
    assert 0.91 < held / 300 < 0.985


def test_two_thousand_resamples_of_six_thousand_people_take_well_under_a_second():
    began = time.process_time()
    resampled(np.random.default_rng(0).random((6_040, 3)), np.arange(6_040), 2_000, 0)
    assert time.process_time() - began < 1.5  # 0.2 s on an idle core


def test_an_interval_is_json():
    assert replace(mean(evaluation([1, 1]), "ndcg@10"), people=2).as_json() == {
        **{"value": 1.0, "low": 1.0, "high": 1.0, "level": 0.95, "people": 2, "seeds": (1.0,)},
    }
