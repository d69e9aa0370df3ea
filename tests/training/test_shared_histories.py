"""Many cases of one user share the events of their histories: memory grows with the events, answers do not change."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.training.worlds import dataset, lists
from training.data import Cases, Queries, Ragged, Split
from training.evaluation import digest, evaluate
from training.leaks import Leak, check
from training.models.registry import model
from training.protocols import Temporal
from training.splits import build
from training.stored import load, save

USERS, LENGTH, ITEMS = 6, 40, 9
DICE = np.random.default_rng(3)
HISTORIES = [DICE.integers(ITEMS, size=LENGTH).tolist() for _ in range(USERS)]
TIMES = [[n * 10 + u for n in range(LENGTH)] for u in range(USERS)]
ROWS = [([5, 6, 7], 0, 3), ([5, 6], 0, 2), ([], 2, 2), ([8, 9], 4, 6), ([9], 5, 6)]


@pytest.fixture(scope="module")
def split() -> Split:
    data = dataset(*HISTORIES, times=TIMES, kinds=("track",) * ITEMS, met="play")
    return build(data, Temporal(test_share=0.3, validation_share=0.2, per_user=None))


def shared() -> tuple[Ragged, Any]:
    first, ends = (np.array([row[n] for row in ROWS]) for n in (1, 2))
    return Ragged.sharing(np.array([5, 6, 7, 0, 8, 9, 1], np.int32), first, ends)


def apart(cases: Cases) -> Cases:
    """The same cases, each with a history of its own."""
    every = np.arange(len(cases))
    return replace(cases, queries=cases.queries.take(every), origin=None)


def test_rows_share_values_and_what_no_row_has_is_left_out() -> None:
    rows, places = shared()
    assert lists(rows) == [row[0] for row in ROWS]
    assert (rows.values.tolist(), places.tolist()) == ([5, 6, 7, 8, 9], [0, 1, 2, 4, 5])
    assert rows.lengths.tolist() == [3, 2, 0, 2, 1]
    with pytest.raises(ValueError, match="5 rows share 5 values; `take` some of them first"):
        _ = rows.rows


def test_rows_that_share_nothing_are_plain() -> None:
    rows, _ = Ragged.sharing(np.arange(6, dtype=np.int32), np.array([1, 3, 3]), np.array([3, 3, 6]))
    assert (lists(rows), rows.until) == ([[1, 2], [], [3, 4, 5]], None)
    assert rows.rows.tolist() == [0, 0, 2, 2, 2]


def test_rows_that_are_taken_have_values_of_their_own_and_some_still_share() -> None:
    rows, _ = shared()
    taken, (some, places) = rows.take(np.array([1, 0])), rows.some(np.array([1, 0]))
    assert (lists(taken), taken.values.tolist(), taken.until) == ([[5, 6], [5, 6, 7]], [5, 6, 5, 6, 7], None)
    assert (lists(some), some.values.tolist(), places.tolist()) == ([[5, 6], [5, 6, 7]], [5, 6, 7], [0, 1, 2])


@pytest.mark.parametrize("many", [2_000, 10])
def test_a_row_holds_what_lies_between_its_ends(many: int) -> None:
    values = DICE.integers(4, size=50).astype(np.int32)
    first = DICE.integers(51, size=200)
    ends = np.minimum(first + DICE.integers(9, size=200), 50)
    rows = Ragged(values=values, starts=np.append(first, 50), until=ends)
    asked, wanted = DICE.integers(200, size=many), DICE.integers(5, size=many)
    expected = [w in values[first[r] : ends[r]] for r, w in zip(asked, wanted, strict=True)]
    assert rows.hold(asked, wanted).tolist() == expected
    assert 0 < sum(expected) < many
    assert (rows.lengths[asked].sum() > 2 * len(values)) == (many > 10)  # both ways of looking


def test_histories_of_all_cases_hold_each_event_once(split: Split) -> None:
    for cases in (split.test, split.validation):
        history, origin = cases.queries.history, cases.origin
        assert origin
        assert len(history.values) == len(origin.history) == len(np.unique(origin.history)) < USERS * LENGTH
        assert history.lengths.sum() > 4 * len(history.values)
        for row, owner in enumerate(origin.owner):
            place = int(origin.targets[row]) - LENGTH * int(owner)
            assert history[row].tolist() == HISTORIES[owner][:place]


def test_answers_are_those_of_histories_apart(split: Split) -> None:
    for name in ("most_played", "item_knn"):
        fitted = model(name).fit(split.train)
        one = evaluate(fitted, split.test, train=split.train)
        for cases, chunk in ((apart(split.test), None), (split.test, 7)):
            other = evaluate(fitted, cases, train=split.train, chunk=chunk)
            assert other.places.values.tolist() == one.places.values.tolist()
            assert [s.codes.tolist() for s in other.slicings] == [s.codes.tolist() for s in one.slicings]


def test_cases_that_are_taken_share_and_a_query_does_not(split: Split) -> None:
    rows = np.flatnonzero(split.test.queries.at > int(np.median(split.test.queries.at)))
    taken = split.test.take(rows)
    assert lists(taken.queries.history) == [split.test.queries.history[row].tolist() for row in rows]
    assert (taken.queries.history.until is None, split.test.queries.take(rows).history.until is None) == (False, True)
    assert digest(taken) == digest(split.test.take(np.arange(len(split.test))).take(rows))
    assert digest(split.test.take(np.arange(len(split.test)))) == digest(split.test)


def test_queries_are_cut_where_their_histories_grow_long() -> None:
    asked = Queries.of([[1, 2, 3], [4], [5], [6, 7, 8, 9], []])
    assert [rows.tolist() for rows in asked.parts(4)] == [[0, 1], [2], [3, 4]]
    assert [rows.tolist() for rows in asked.parts(3, each=1)] == [[0], [1], [2], [3], [4]]


def test_a_split_is_stored_as_it_is(split: Split, tmp_path: Path) -> None:
    save(split, tmp_path / "split")
    again = load(tmp_path / "split")
    assert (digest(again.test), digest(again.validation)) == (digest(split.test), digest(split.validation))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda h: {"until": h.ends + (np.arange(len(h)) == 0)}, "reach to their target or beyond: 1"),
        (lambda h: {"starts": np.append(h.starts[:-1] * 0, h.starts[-1])}, "are of others, or not in order"),
    ],
)
def test_future_events_in_a_shared_history_fail_the_check(split: Split, change: Any, said: str) -> None:
    queries = split.test.queries
    planted = replace(queries, history=replace(queries.history, **change(queries.history)))
    with pytest.raises(Leak, match=f"test histories {said}"):
        check(replace(split, test=replace(split.test, queries=planted)))
