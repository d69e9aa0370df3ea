"""Splits, worked out by hand."""

import numpy as np

from tests.training.worlds import dataset, lists
from training.data import UNKNOWN
from training.protocols import Loo, UserHoldout
from training.splits import build, folds


def test_loo_asks_for_the_last_event_and_tunes_on_the_one_before() -> None:
    split = build(dataset([0, 1, 2, 3], [4, 5], [2, 0, 4]), Loo())
    assert lists(split.train.events.histories(3)) == [[0, 1], [4, 5], [2]]  # two events leave nothing to learn from
    assert lists(split.validation.queries.history) == [[0, 1], [2]]
    assert lists(split.validation.targets) == [[2], [0]]
    assert lists(split.test.queries.history) == [[0, 1, 2], [2, 0]]
    assert lists(split.test.targets) == [[3], [4]]
    assert split.test.queries.user.tolist() == [0, 2]
    assert split.train.popularity().tolist() == [1, 1, 1, 0, 1, 1]


def test_user_holdout_trains_on_nothing_of_the_users_it_asks() -> None:
    data = dataset(*([n % 7, (n + 1) % 7, (n + 2) % 7] for n in range(20)))
    split = build(data, UserHoldout())
    trained = set(split.train.events.user.tolist())
    tuned, asked = (set(cases.origin.owner.tolist()) for cases in (split.validation, split.test) if cases.origin)
    assert (len(trained), len(tuned), len(asked)) == (16, 2, 2)
    assert trained | tuned | asked == set(range(20))
    assert (split.test.queries.user == UNKNOWN).all()
    assert all(lists(split.test.queries.history)[row] == [u % 7, (u + 1) % 7] for row, u in enumerate(sorted(asked)))


def test_every_user_is_the_test_of_one_fold() -> None:
    data = dataset(*([n % 7, (n + 1) % 7, (n + 2) % 7] for n in range(20)))
    asked = [split.test.origin.owner for split in folds(data, UserHoldout(folds=4)) if split.test.origin]
    assert sorted(np.concatenate(asked).tolist()) == list(range(20))
