"""Which part of the cases a query or a target falls into."""

from dataclasses import replace

import numpy as np

from training.data import NO_TIME, UNKNOWN, Cases, Events, Feature, Queries, Ragged, TrainingSet
from training.slices import DAY_MS, slicings

NOW = 1_000 * DAY_MS
# Items 0 to 4 met 0, 1, 2, 5 and 800 days before now, item 5 never, item 6 at no time, item 7 two days after now.
AT = [NOW, NOW - DAY_MS, NOW - 7 * DAY_MS, NOW - 30 * DAY_MS, NOW - 800 * DAY_MS, NO_TIME, NOW + 2 * DAY_MS]
ITEMS = [0, 1, 2, 3, 4, 6, 7]
PRESENT = np.array([True, False, True, True, True, True, True, True])
TRAIN = TrainingSet(
    events=Events(
        user=np.zeros(8, np.int32),
        item=np.array([*ITEMS, 4], np.int32),  # 4 again, today: its first event counts
        at=np.array([*AT, NOW]),
        value=np.zeros(8, np.float32),
    ),
    items=8,
    users=2,
    profiles=np.zeros((2, 2), np.int32),
    features={
        "minilm": Feature(name="minilm", values=np.zeros((8, 1), np.float32), present=PRESENT, known_at="static")
    },
)


def parts(cases: Cases, name: str) -> list[str]:
    found = {slicing.name: slicing for slicing in slicings(cases, TRAIN)}[name]
    assert len(found.codes) == (len(cases.targets.values) if found.of_targets else len(cases))
    return [found.labels[code] for code in found.codes]


def cases(histories: list[list[int]], targets: list[list[int]], at: int = NOW) -> Cases:
    asked = replace(Queries.of(histories), at=np.full(len(histories), at))
    return Cases(queries=asked, targets=Ragged.of(targets), candidates=np.ones(8, np.bool_), filter_seen=False)


def test_a_target_is_in_its_own_querys_history_or_new():
    asked = cases([[1, 2], [3], [7, 7]], [[2, 3], [2], [7]])
    assert parts(asked, "target") == ["in the history", "new", "new", "in the history"]
    assert parts(cases([[], []], [[7], [0]]), "target") == ["new", "new"]


def test_bands_of_history_length():
    lengths = [0, 1, 4, 5, 19, 20, 99, 100, 400]
    bands = ["0", "1-4", "1-4", "5-19", "5-19", "20-99", "20-99", "100+", "100+"]
    assert parts(cases([[0] * n for n in lengths], [[1]] * 9), "history length") == bands


def test_age_is_from_the_items_first_training_event_to_the_query():
    found = parts(cases([[]], [[0, 1, 2, 3, 4, 5, 6, 7]]), "item age")
    week, month, year = "under a week", "under a month", "under a year"
    assert found == [week, week, month, year, "older", "cold", "no time", "met later"]
    asked = cases([[]], [[4, 5]], at=NO_TIME)
    assert parts(asked, "item age") == ["no time", "cold"]


def test_popularity_of_targets():
    # Eight events: 4 has two (the first quarter), then 0, 1 up to a half; 2, 3, 6 (begins at 75 %); 7 begins at 87.5 %.
    found = parts(cases([[]], [[4, 0, 1, 2, 3, 6, 7, 5]]), "popularity")
    assert found == ["head", "head", "head", "torso", "torso", "torso", "tail", "cold"]


def test_targets_without_a_modality():
    assert parts(cases([[]], [[0, 1, 2]]), "feature minilm") == ["present", "missing", "present"]


def test_users_without_training_events_and_of_no_country():
    asked = cases([[]] * 3, [[0]] * 3)
    queries = replace(
        asked.queries,
        user=np.array([0, 1, UNKNOWN], np.int32),
        profile=np.array([[0, 2], [1, 0], [0, 0]], np.int32),
    )
    assert parts(replace(asked, queries=queries), "user") == ["known", "unknown", "unknown"]
    assert parts(replace(asked, queries=queries), "country") == ["known", "unknown", "unknown"]
