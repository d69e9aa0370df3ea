"""Who replaces whom: what is asked of a challenger, and how often a model replaces itself."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tasks.settings_recipes import Gate
from tests.training.worlds import dataset
from training.contest import Guard, Seeds, judge
from training.data import Ragged
from training.evaluation import Evaluation, evaluate
from training.models.registry import model, reseeded
from training.protocols import Loo
from training.splits import build

BOUNDS = Gate(least_cases=1, least_people=2)
PEOPLE, QUALITY = 60, 0.3


def answers(values: NDArray[np.float64], name: str = "challenger") -> Evaluation:
    count = len(values)
    return Evaluation(
        model=name,
        cases="c",
        ks=(10,),
        person=np.arange(count),
        places=Ragged.of([[1]] * count),
        top=np.zeros((count, 1), np.int32),
        values={"ndcg@10": values},
        target_values={},
        catalogue={},
        slicings=(),
    )


def draws(dice: np.random.Generator, seeds: int, *, by_seed: float) -> list[Evaluation]:
    """One recipe under so many seeds, asked by the same people: each model a little better or worse."""
    people = QUALITY + 0.1 * dice.standard_normal(PEOPLE)
    return [
        answers(people + by_seed * dice.standard_normal() + 0.1 * dice.standard_normal(PEOPLE)) for _ in range(seeds)
    ]


def promoted(by_seed: float, *, runs: int, gain: float = 0.0, asked: int = 3) -> float:
    """The share of runs in which a recipe, better by `gain`, replaces what it was under another seed."""
    dice, count = np.random.default_rng(7), 0
    for _ in range(runs):
        *ours, champion = draws(dice, asked + 1, by_seed=by_seed)
        ours = [answers(one.values["ndcg@10"] + gain) for one in ours]
        count += judge(
            ours[0], {"it": champion}, question="better", metric="ndcg@10", bounds=BOUNDS, again=ours[1:]
        ).promoted
    return count / runs


@pytest.mark.parametrize("by_seed", [0.0, 0.1])
def test_a_model_under_another_seed_replaces_itself_in_at_most_5_percent_of_runs(by_seed: float) -> None:
    assert promoted(by_seed, runs=100) <= 0.05


def test_an_interval_of_people_alone_would_let_it() -> None:
    assert promoted(0.1, runs=40, asked=1) > 0.3


def test_what_is_better_by_more_than_seeds_differ_replaces_it() -> None:
    assert promoted(0.02, runs=20, gain=0.15) > 0.8


def test_one_more_seed_lies_above_the_bound_of_a_t_prediction() -> None:
    # 0.2 - 2.919986 x 0.1 x sqrt(1 + 1/3); 2.919986 is the 95 % point of Student's t of 2 degrees.
    assert Seeds.of([0.1, 0.2, 0.3]).low == pytest.approx(0.2 - 0.337171, abs=1e-6)


def test_a_lucky_seed_is_told_so() -> None:
    luck = [answers(np.full(PEOPLE, value)) for value in (0.5, 0.2, 0.35)]
    verdict = judge(
        luck[0],
        {"it": answers(np.full(PEOPLE, 0.3), "it")},
        question="better",
        metric="ndcg@10",
        bounds=BOUNDS,
        again=luck[1:],
    )
    assert verdict.reasons == (
        "ndcg@10 +16.7% against it as the mean of 3 seeds, lower bound of one more -151.9%, not above +0.0%",
    )
    assert verdict.as_json()["seeds"]["values"] == pytest.approx([2 / 3, -1 / 3, 1 / 6])


def test_models_that_ranked_different_candidates_are_not_judged() -> None:
    split = build(dataset(*[[u % 5, (u + 1) % 5, (u + 2) % 5, (u + 3) % 5] for u in range(10)]), Loo(filter_seen=False))
    asked = split.test.take(np.flatnonzero(split.test.targets.values != 4))  # 4 can be left out of the candidates
    fewer = replace(asked, candidates=np.arange(5) != 4)
    popular = model("most_popular").fit(split.train)
    one, same, other, filtered = (
        evaluate(popular, cases, train=split.train, name=name)
        for cases, name in ((asked, "a"), (asked, "b"), (fewer, "c"), (replace(asked, filter_seen=True), "d"))
    )
    said: dict[str, Any] = {"question": "better", "metric": "ndcg@10", "bounds": BOUNDS}
    assert judge(one, {"b": same}, **said).reasons == ("ndcg@10 +0.0% against b, lower bound +0.0%, not above +0.0%",)
    for rival in (other, filtered):
        with pytest.raises(ValueError, match=rf"a and {rival.model} ranked different candidates \(\w+, \w+\)"):
            judge(one, {rival.model: rival}, **said)
    with pytest.raises(ValueError, match="a and b answered different cases"):
        judge(one, {"b": replace(same, cases="others")}, **said)


def test_a_guard_that_cannot_be_asked_holds_and_says_so() -> None:
    guard = Guard(name="cold items", found=0.1, bound=None, unasked="there is no such case")
    assert guard.holds
    assert str(guard) == "cold items cannot be asked: there is no such case"
    assert not Guard(name="cold items", found=0.1, bound=0.2).holds


def test_only_what_draws_has_other_seeds() -> None:
    assert [one["seed"] for one in reseeded("svd", {"factors": 2, "seed": 5}, 2)] == [6, 7]
    (one,) = reseeded("sasrec", {"loop": {"epochs": 3}}, 1)
    assert (one["loop"]["epochs"], one["loop"]["seed"]) == (3, 1)
    model("sasrec", **one)
    assert reseeded("item_knn", {}, 2) == []


@pytest.mark.parametrize(("hits", "expected"), [(1, 29.0), (0, 0.5)])
def test_a_difference_is_relative_also_to_a_rival_that_hardly_ever_hits(hits: int, expected: float) -> None:
    """In some resample it has no hit, and nothing can be divided by that; where it has none at all it is plain."""
    rival = np.zeros(PEOPLE)
    rival[:hits] = 1.0
    ours = np.tile([1.0, 0.0], PEOPLE // 2)
    found = judge(
        answers(ours), {"it": answers(rival, "it")}, question="better", metric="ndcg@10", bounds=BOUNDS
    ).as_json()["relative_difference"]
    assert found["mean"] == pytest.approx(expected)
    assert 0 < found["low"] < found["mean"] < found["high"]
