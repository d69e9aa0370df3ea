"""The null test counts what it says: pairs, what they are worth, and an improvement that is one."""

import numpy as np
import pytest

from benchmarks.null_test import Share, Worse, listening, null_tables, power
from training.evaluation import evaluate
from training.models.registry import model
from training.protocols import Temporal
from training.splits import build


def table(seeds: int, *promoted: tuple[int, int]) -> np.ndarray:
    found = np.zeros((seeds, seeds), np.bool_)
    for pair in promoted:
        found[pair] = True
    return found


def test_no_promotion_is_as_certain_as_pairs_that_share_no_seed() -> None:
    share = Share.of([table(10), table(10)])
    # 2 worlds x 10 seeds make 10 pairs; Wilson's upper bound of 0 in 10 is z² / (10 + z²) = 3.8415 / 13.8415.
    assert (share.promoted, share.pairs, share.independent, share.low) == (0, 180, 10, 0)
    assert share.high == pytest.approx(0.27753, abs=1e-5)


def test_promotions_of_one_seed_are_worth_less_than_as_many_of_all() -> None:
    lucky = Share.of([table(10, *((0, other) for other in range(1, 10)))])
    spread = Share.of([table(10, *((own, (own + 1) % 10) for own in range(9)))])
    assert lucky.promoted == spread.promoted == 0.1
    # Without the lucky seed 0 of 72, without another one 8 of 72: the jackknife says .01, and .1 x .9 / .01 = 9.
    assert lucky.independent == pytest.approx(9)
    assert spread.independent == 90  # all seeds alike: no more than there are pairs
    assert lucky.high - lucky.low > spread.high - spread.low


def test_a_model_that_draws_nothing_never_replaces_itself_and_a_blurred_one_is_replaced() -> None:
    split = build(listening(60, 40, 60, seed=0), Temporal(per_user=5))
    fitted = model("item_knn").fit(split.train)
    answers = [evaluate(fitted, split.test, train=split.train, ks=(10,), name=str(n)) for n in range(4)]
    tables = null_tables(answers)
    assert not tables["better"].any()
    assert not tables["better, seeds not asked"].any()
    assert tables["not worse"].sum() == 12  # all pairs: no worse than itself
    promoted, gains = power(split, [fitted] * 4, answers, blur=3.0)
    assert promoted == [True] * 4
    assert min(gains) > 0.2


def test_blurred_scores_are_the_same_alone_and_in_a_batch() -> None:
    split = build(listening(20, 20, 30, seed=1), Temporal())
    worse = Worse(model("item_knn").fit(split.train), 1.0, seed=2)
    together = worse.score(split.test.queries)
    alone = worse.score(split.test.queries.take(np.array([1])))
    np.testing.assert_array_equal(together[1:2], alone)
