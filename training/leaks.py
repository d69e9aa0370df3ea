"""Nothing that is learnt from, or shown, is later than what is asked for: every split is checked before it is used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from training.data import NO_TIME, UNKNOWN, Cases, Feature, Origin, Split
from training.picks import Picks


class Leak(ValueError):
    """Training, a history, a feature or what was fitted knows something that is asked for."""


class Fitted(Protocol):
    """What was fitted on items, such as a scaler: it says on which."""

    @property
    def name(self) -> str:
        """For messages."""
        ...

    @property
    def items(self) -> NDArray[np.bool_]:
        """(V,): the items it was fitted on."""
        ...


@dataclass(frozen=True, kw_only=True)
class Edges:
    """A bipartite graph: who met which item."""

    user: NDArray[np.int32]  # (E,): of U users, held-out ones too
    item: NDArray[np.int32]  # (E,)
    place: NDArray[np.int64]  # (E,): of the event in `Split.data`


def graph_edges(split: Split) -> Edges:
    """Training's events and what held-out users met before they are asked: never an edge at or after a target.

    A GNN needs its test users in the graph (S2). Of a user's history what lies before the user's first target counts,
    also where it is validation's: the graph is the same while tuning. In `temporal` what lies before all targets.
    """
    events = split.data.events
    place = np.flatnonzero(_shown(split))
    early = place < _first_targets(split)[events.user[place]]
    if _in_time(split):
        early &= events.at[place] < _first_time(split)
    place = place[early]
    edges = Edges(user=events.user[place], item=events.item[place], place=place)
    _check_edges(split, edges)
    return edges


def check(
    split: Split,
    *,
    popularity: NDArray[np.int64] | None = None,
    edges: Edges | None = None,
    fits: Sequence[Fitted] = (),
) -> None:
    """Pass if the split, and what was made from it, knows nothing that is asked for.

    Args:
        split: From a builder: its cases and training events name the events they were made of.
        popularity: (V,) counts that somebody means to use.
        edges: A graph that somebody made.
        fits: Scalers, projections and the like.

    Raises:
        Leak: It names the place, how many, and one of them.
        ValueError: The split does not say which events it was made of.
    """
    _check_training(split)
    for part, cases in (("validation", split.validation), ("test", split.test)):
        _check_cases(split, part, cases)
    _check_parts(split)
    if _in_time(split):
        _check_time(split)
    if split.protocol["protocol"] == "cold_items":
        _check_cold(split)
    for feature in split.train.features.values():
        _check_feature(split, feature)
    if popularity is not None:
        _check_popularity(split, popularity)
    if edges is not None:
        _check_edges(split, edges)
    for fit in fits:
        _check_fit(split, fit)


def first_targets(users: int, events: int, *picks: Picks) -> NDArray[np.int64]:
    """(U,): where the first event that each user is asked for stands; `events` where there is none."""
    first = np.full(users, events, np.int64)
    for one in picks:
        np.minimum.at(first, one.owner, one.targets.values[one.targets.starts[:-1]])
    return first


# --- what is learnt from


def _check_training(split: Split) -> None:
    place, events, train = _places(split), split.data.events, split.train.events
    if len(place) != len(train) or (np.diff(place) <= 0).any():
        raise Leak(
            f"{_who(split)}: training has {len(train):,} events, and names {len(place):,} in order; make it anew"
        )
    other = (events.user[place] != train.user) | (events.item[place] != train.item) | (events.at[place] != train.at)
    _refuse(split, "training events are other than those they name", place[other])
    late = place >= _first_targets(split)[events.user[place]]
    _refuse(split, "training holds events at or after a target of their user", place[late])
    held = np.zeros(split.data.users, np.bool_)
    for cases in (split.validation, split.test):
        held[_origin(cases).owner[cases.queries.user == UNKNOWN]] = True
    _refuse(split, "training holds events of users that are held out", place[held[events.user[place]]])


# --- what is shown and asked


def _check_cases(split: Split, part: str, cases: Cases) -> None:
    origin, events, queries = _origin(cases), split.data.events, cases.queries
    if len(origin.history) != len(queries.history.values) or len(origin.targets) != len(cases.targets.values):
        raise Leak(f"{_who(split)}: {part} histories or targets hold events that they do not name; make it anew")
    wanted = cases.targets.rows
    shown, asked = origin.history, origin.targets
    other = (events.item[shown] != queries.history.values) | (events.at[shown] != queries.history_at)
    _refuse(split, f"{part} histories are other than the events they name", shown[other])
    there, oldest, newest = _edges_of(cases)
    mixed = ~_steady(events.user[shown], shown, oldest, newest) | (events.user[shown[newest]] != origin.owner[there])
    _refuse(split, f"{part} histories are of others, or not in order", shown[newest[mixed]])
    other = (events.item[asked] != cases.targets.values) | (events.user[asked] != origin.owner[wanted])
    _refuse(split, f"{part} targets are other than the events they name", asked[other])
    first = np.minimum.reduceat(asked, cases.targets.starts[:-1])
    last = shown[newest]
    _refuse(split, f"{part} histories reach to their target or beyond", last[last >= first[there]])
    _refuse(
        split, f"{part} queries are asked at another time than their target's", first[events.at[first] != queries.at]
    )
    known = (queries.user != UNKNOWN) & (queries.user != origin.owner)
    _refuse(split, f"{part} queries are of another user than their target", first[known])
    if cases.filter_seen:
        _refuse(split, f"{part} targets, or the same recording, are in their history", asked[_met(split, cases)])


def _check_parts(split: Split) -> None:
    """Nothing that the test asks for is in validation."""
    asked = np.zeros(len(split.data.events), np.bool_)
    asked[_origin(split.test).targets] = True
    for name in ("history", "targets"):
        place: NDArray[np.int64] = getattr(_origin(split.validation), name)
        _refuse(split, f"validation {name} holds what the test asks for", place[asked[place]])


def _check_time(split: Split) -> None:
    """In `temporal` training and histories are earlier than every target, or their own, by the clock."""
    at, place = split.data.events.at, _places(split)
    _refuse(split, "training holds events as late as a target, or later", place[at[place] >= _first_time(split)])
    tuned, asked = _origin(split.validation).targets, _origin(split.test).targets
    _refuse(split, "validation targets are as late as a test target, or later", tuned[at[tuned] >= at[asked].min()])
    for part, cases in (("validation", split.validation), ("test", split.test)):
        there, _, newest = _edges_of(cases)
        late = newest[cases.queries.history_at[newest] >= cases.queries.at[there]]
        _refuse(split, f"{part} histories hold events as late as their target, or later", _origin(cases).history[late])


def _check_cold(split: Split) -> None:
    """Neither a cold item nor the same recording is in training or in a history."""
    groups = _groups(split)
    cold = np.zeros(groups.max() + 1, np.bool_)
    for cases in (split.validation, split.test):
        cold[groups[cases.targets.values]] = True
        if not cases.candidates.all():
            cold[groups[cases.candidates]] = True
    item = split.data.events.item
    shown = {"training": _places(split)}
    shown |= {f"{p} histories": _origin(c).history for p, c in (("validation", split.validation), ("test", split.test))}
    for name, place in shown.items():
        _refuse(split, f"{name}: cold items, or the same recording", place[cold[groups[item[place]]]])


# --- what comes from outside


def _check_feature(split: Split, feature: Feature) -> None:
    if feature.known_at != "fetched":
        return
    if feature.fetched_at is None:
        raise Leak(
            f"{_who(split)}: feature '{feature.name}' was fetched nobody knows when; give fetched_at, or leave it out"
        )
    first = _first_time(split)
    late = np.flatnonzero(feature.present & ((feature.fetched_at >= first) | (first == NO_TIME)))
    if len(late):
        raise Leak(
            f"{_who(split)}: feature '{feature.name}' holds {len(late):,} values that were fetched after the earliest "
            f"target, for example of item '{split.data.item_ids[late[0]]}'; hide them with `known_at.as_of`"
        )


def _check_popularity(split: Split, counts: NDArray[np.int64]) -> None:
    right = split.train.popularity()
    other = np.flatnonzero(counts != right) if counts.shape == right.shape else np.arange(len(right))
    if len(other):
        item = split.data.item_ids[other[0]]
        raise Leak(
            f"{_who(split)}: popularity of {len(other):,} items is not training's, for example of item '{item}'; "
            "count it anew with `TrainingSet.popularity`"
        )


def _check_edges(split: Split, edges: Edges) -> None:
    events, place = split.data.events, edges.place
    other = (events.user[place] != edges.user) | (events.item[place] != edges.item)
    _refuse(split, "edges of the graph are other than the events they name", place[other])
    late = place >= _first_targets(split)[edges.user]
    if _in_time(split):
        late |= events.at[place] >= _first_time(split)
    _refuse(split, "the graph holds edges at or after a target", place[late])
    _refuse(split, "the graph holds edges that neither training nor a history has", place[~_shown(split)[place]])


def _check_fit(split: Split, fit: Fitted) -> None:
    outside = np.flatnonzero(fit.items & (split.train.popularity() == 0))
    if len(outside):
        raise Leak(
            f"{_who(split)}: '{fit.name}' was fitted on {len(outside):,} items outside training, for example "
            f"'{split.data.item_ids[outside[0]]}'; fit it on the items of training alone"
        )


# --- helpers


def _refuse(split: Split, what: str, places: NDArray[np.int64]) -> None:
    if not len(places):
        return
    events, data, at = split.data.events, split.data, int(places[0])
    user, item = data.user_ids[events.user[at]], data.item_ids[events.item[at]]
    raise Leak(f"{_who(split)}: {what}: {len(places):,}, for example event {at}, user '{user}' and item '{item}'")


def _who(split: Split) -> str:
    return f"{split.data.name}, {split.protocol['protocol']}"


def _places(split: Split) -> NDArray[np.int64]:
    if split.places is None:
        raise ValueError(f"{_who(split)}: it does not say which events training was made of; build it by its protocol")
    return split.places


def _origin(cases: Cases) -> Origin:
    if cases.origin is None:
        raise ValueError("cases do not say which events they were made of; build the split by its protocol")
    return cases.origin


def _edges_of(cases: Cases) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """The cases that have a history, and where in its values the oldest and the newest event of each stand."""
    history = cases.queries.history
    there = np.flatnonzero(history.lengths)
    return there, history.starts[there], history.ends[there] - 1


def _steady(
    user: NDArray[np.int32], place: NDArray[np.int64], oldest: NDArray[np.int64], newest: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Per history: all is of one user, and in the order of the events."""
    odd = np.append(0, np.cumsum((user[1:] != user[:-1]) | (place[1:] <= place[:-1])))
    return odd[oldest] == odd[newest]


def _shown(split: Split) -> NDArray[np.bool_]:
    """(N,): the events of training and of all histories."""
    shown = np.zeros(len(split.data.events), np.bool_)
    for place in (_places(split), _origin(split.validation).history, _origin(split.test).history):
        shown[place] = True
    return shown


def _in_time(split: Split) -> bool:
    return split.protocol["protocol"] == "temporal"


def _first_targets(split: Split) -> NDArray[np.int64]:
    first = np.full(split.data.users, len(split.data.events), np.int64)
    for cases in (split.validation, split.test):
        origin = _origin(cases)
        np.minimum.at(first, origin.owner[cases.targets.rows], origin.targets)
    return first


def _first_time(split: Split) -> int:
    """When the earliest target was; NO_TIME where one has no time."""
    return min(int(split.data.events.at[_origin(c).targets].min()) for c in (split.validation, split.test))


def _groups(split: Split) -> NDArray[np.int32]:
    recordings = split.data.recordings
    return recordings if recordings is not None else np.arange(split.data.items, dtype=np.int32)


def _met(split: Split, cases: Cases) -> NDArray[np.bool_]:
    """(T,): the target's recording is in the history."""
    groups, history, targets = _groups(split), cases.queries.history, cases.targets
    return replace(history, values=groups[history.values]).hold(targets.rows, groups[targets.values])
