"""The evaluator against scorers whose figures are known."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from training.data import NO_TIME, Cases, Events, Queries, Ragged, TrainingSet
from training.evaluation import evaluate


@dataclass
class Scorer:
    """Scores by a function of the users' numbers and the items' numbers."""

    score_of: object
    items: int
    name = "scorer"

    def score(self, queries: Queries):
        return self.score_of(queries.user[:, None], np.arange(self.items)[None]).astype(np.float32)


def cases(queries=400, items=120, targets=1, history=3, filter_seen=True, seed=0) -> Cases:
    """Users 0, 1, ... with their own random history and targets."""
    random = np.random.default_rng(seed)
    dealt = np.stack([random.choice(items, history + targets, replace=False) for _ in range(queries)])
    asked = Queries.of([row[:history].tolist() for row in dealt])
    return Cases(
        queries=replace(asked, user=np.arange(queries, dtype=np.int32)),
        targets=Ragged.of([row[history:].tolist() for row in dealt]),
        candidates=np.ones(items, np.bool_),
        filter_seen=filter_seen,
    )


def train(items=120, users=400) -> TrainingSet:
    """Item i was met by i users."""
    item = np.repeat(np.arange(items), np.arange(items)).astype(np.int32)
    user = (np.concatenate([np.arange(count) for count in range(items)]) % users).astype(np.int32)
    order = np.argsort(user, kind="stable")
    events = Events(
        user=user[order],
        item=item[order],
        at=np.full(len(item), NO_TIME, np.int64),
        value=np.full(len(item), np.nan, np.float32),
    )
    return TrainingSet(events=events, items=items, users=users, profiles=np.zeros((users, 2), np.int32))


def oracle(asked: Cases) -> Scorer:
    def score_of(user, item):
        found = np.zeros((len(user), item.shape[1]))
        for row, who in enumerate(user[:, 0]):
            found[row, asked.targets[who]] = 1_000 - asked.targets[who]  # the rarest first: what debiased NDCG wants
        return found

    return Scorer(score_of, len(asked.candidates))


@pytest.mark.parametrize("targets", [1, 5, 15])
def test_an_oracle_gets_one_everywhere(targets):
    asked = cases(targets=targets)
    found = evaluate(oracle(asked), asked, train=train(), ks=(15, 20))
    ones = {name: mean for name, mean in found.means.items() if not name.startswith("novelty")}
    assert len(ones) == 13  # five metrics and debiased NDCG at two places, and MRR
    assert ones == pytest.approx(dict.fromkeys(ones, 1.0), abs=1e-12)
    if targets == 1:
        for within in found.slicings:
            assert found.measured("ndcg@15", (within.name, within.labels[within.codes[0]]))[0] == pytest.approx(1)


def test_equal_scores_get_the_last_place_not_the_first():
    asked = cases(history=3)
    found = evaluate(Scorer(lambda user, item: 0 * (user + item), 120), asked, train=train(), ks=(10, 116, 117))
    assert set(found.places.values) == {117}  # 120 items without the 3 that were seen
    assert found.means["hr@10"] == found.means["hr@116"] == 0
    assert found.means["hr@117"] == 1


def test_a_random_scorer_gets_k_of_v_within_its_binomial_interval():
    asked = cases(queries=3_000, items=200, history=0)
    random = Scorer(lambda user, item: np.random.default_rng(7).random((len(user), item.shape[1])), 200)
    found = evaluate(random, asked, train=train(200, 3_000), ks=(5, 10, 50), chunk=3_000).means
    for k in (5, 10, 50):
        share = k / 200
        assert abs(found[f"hr@{k}"] - share) < 3 * np.sqrt(share * (1 - share) / 3_000)
        # The mean of 1 / log2(1 + place) over all places; its spread is below that of hits.
        assert found[f"ndcg@{k}"] == pytest.approx((1 / np.log2(np.arange(2, k + 2))).sum() / 200, abs=0.013)


def test_the_chunk_changes_nothing():
    asked = cases(targets=4)
    scorer = Scorer(lambda user, item: (user * 7_919 + item * 104_729) % 53, 120)  # many ties
    whole = evaluate(scorer, asked, train=train(), chunk=400)
    for chunk in (1, 7, None):
        part = evaluate(scorer, asked, train=train(), chunk=chunk)
        assert (part.places.values == whole.places.values).all()
        assert (part.top == whole.top).all()
        assert part.summary() == whole.summary()


def test_seen_items_are_recommended_only_where_the_cases_keep_them():
    asked = cases(history=5)
    scorer = Scorer(lambda user, item: (user + item) % 120, 120)
    filtered = evaluate(scorer, asked, train=train(), ks=(115,)).top
    kept = evaluate(scorer, replace(asked, filter_seen=False), train=train(), ks=(115,)).top
    seen = asked.queries.history.values.reshape(-1, 5)
    assert not (filtered[:, :, None] == seen[:, None]).any()
    assert (kept[:, :, None] == seen[:, None]).any()


def test_only_candidates_are_recommended_and_ranked_against():
    asked = cases(filter_seen=False)
    candidates = np.zeros(120, np.bool_)
    candidates[asked.targets.values] = True
    candidates[60:] = False
    rows = np.flatnonzero(asked.targets.values < 60)
    few = replace(asked.take(rows), candidates=candidates)
    found = evaluate(Scorer(lambda user, item: 0 * (user + item), 120), few, train=train(), ks=(200,))
    assert set(found.places.values) == {candidates.sum()}
    assert set(found.top[found.top >= 0]) == set(np.flatnonzero(candidates))


def test_a_score_that_is_no_number_names_the_model():
    def score_of(user, item):
        return np.where(user == 9, np.nan, user + item)

    with pytest.raises(ValueError, match=r"broken, queries from 8: score nan of item \d+ for query 1"):
        evaluate(Scorer(score_of, 120), cases(), train=train(), chunk=8, name="broken")


def test_no_case_is_an_error():
    with pytest.raises(ValueError, match="no case"):
        evaluate(oracle(cases()), cases().take(np.arange(0)), train=train())
