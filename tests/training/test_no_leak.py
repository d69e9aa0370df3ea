"""Whatever the dataset, a split that is built knows nothing of what it asks for; looked at event by event."""

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from tests.training.worlds import dataset
from training.data import UNKNOWN, Cases, Dataset, Split
from training.leaks import check, graph_edges
from training.protocols import ColdItems, Loo, Playlist, Protocol, Temporal, UserHoldout
from training.splits import build

PROTOCOLS = [
    Loo(),
    UserHoldout(folds=3),
    Temporal(test_share=0.3, validation_share=0.3, per_user=None),
    Playlist(folds=3),
    ColdItems(folds=3, validation_share=0.4, per_user=2),
]


@st.composite
def worlds(draw: st.DrawFn) -> Dataset:
    """Few users, few items, many ties in time, twins among the items."""
    rows = draw(st.lists(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 6)), max_size=9), min_size=3, max_size=9))
    rows = [sorted(row, key=lambda event: event[1]) for row in rows]
    twins = draw(st.lists(st.integers(0, 9), min_size=10, max_size=10))
    histories, times = ([[event[n] for event in row] for row in rows] for n in (0, 1))
    if not any(histories):
        histories[0], times[0] = [0], [0]
    ids = {"item_ids": tuple(f"i{n}" for n in range(10)), "recordings": np.array(twins, np.int32)}
    return dataset(*histories, times=times, **ids)


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda p: p.name)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=worlds(), filter_seen=st.booleans())
def test_no_split_leaks(protocol: Protocol, data: Dataset, filter_seen: bool) -> None:
    given_: dict[str, Any] = {**vars(protocol), "filter_seen": filter_seen}
    try:
        split = build(data, type(protocol)(**given_))
    except ValueError as exc:
        if "case is left" not in str(exc):
            raise
        event("too small to ask anything")
        return
    events, edges = data.events, graph_edges(split)
    trained = list(zip(split.train.events.user.tolist(), split.places.tolist(), strict=True))  # type: ignore[union-attr]
    for cases in (split.validation, split.test):
        for owner, unknown, history, targets in _each(cases):
            assert all(place < min(targets) for place in history)
            assert all(place < min(targets) for user, place in trained if user == owner)
            assert not unknown or owner not in [user for user, _ in trained]
            assert not any(place >= min(targets) for place in edges.place[edges.user == owner])
            groups = data.recordings[events.item[history]].tolist()  # type: ignore[index]
            asked = data.recordings[events.item[targets]].tolist()  # type: ignore[index]
            assert not (filter_seen and set(groups) & set(asked))
            if protocol.name == "temporal":
                assert all(events.at[place] < events.at[min(targets)] for place in history)
                assert all(events.at[place] < events.at[min(targets)] for _, place in trained)
            if protocol.name == "cold_items":
                learnt = data.recordings[split.train.events.item].tolist()  # type: ignore[index]
                assert not set(asked) & {*learnt, *groups}
                assert cases.candidates[events.item[targets]].all()
    check(split, popularity=split.train.popularity(), edges=edges)
    _each_event_is_asked_once_at_most(split)


def _each(cases: Cases) -> list[tuple[int, bool, list[int], list[int]]]:
    """Owner, whether the model is told nobody, places of history and targets."""
    origin, history, targets = cases.origin, cases.queries.history, cases.targets.starts
    assert origin
    return [
        (
            int(origin.owner[row]),
            bool(cases.queries.user[row] == UNKNOWN),
            origin.history[history.starts[row] : history.ends[row]].tolist(),
            origin.targets[targets[row] : targets[row + 1]].tolist(),
        )
        for row in range(len(cases))
    ]


def _each_event_is_asked_once_at_most(split: Split) -> None:
    asked = [place for cases in (split.validation, split.test) for *_, targets in _each(cases) for place in targets]
    assert len(asked) == len(set(asked))
