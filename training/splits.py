"""Splits: a dataset cut by a protocol, checked for leaks before anyone sees it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training import leaks
from training.data import NO_TIME, NOBODY, Cases, Dataset, Feature, Split, TrainingSet
from training.known_at import as_of
from training.picks import Picks, Rows, Spans, cases, single, usable
from training.protocols import ColdItems, Loo, Playlist, Prepare, Protocol, Temporal, UserHoldout, milliseconds


@dataclass(frozen=True, kw_only=True)
class Cut:
    """What a protocol makes of the events."""

    train: NDArray[np.bool_]  # (N,)
    validation: Picks
    test: Picks
    cold: tuple[NDArray[np.bool_], NDArray[np.bool_]] | None = None  # (V,) each: items cold in validation and in test


def build(data: Dataset, protocol: Protocol) -> Split:
    """The dataset split by the protocol.

    Raises:
        Leak: Training, a history or a feature would see what is asked for.
        ValueError: The protocol does not fit the dataset, or leaves nothing to ask.
    """
    prepared, notes = prepare(data, protocol.prepare, protocol.seed)
    return assemble(prepared, protocol, _CUTS[type(protocol)](prepared, protocol), notes)


def folds(data: Dataset, protocol: UserHoldout | Playlist | ColdItems) -> Iterator[Split]:
    """One split per fold, each user, playlist or item being the test once."""
    return (build(data, replace(protocol, fold=fold)) for fold in range(protocol.folds))


def in_catalogue(cases_: Cases) -> Cases:
    """The same cases, their targets looked for in the whole catalogue."""
    return replace(cases_, candidates=np.ones_like(cases_.candidates))


def prepare(data: Dataset, options: Prepare, seed: int) -> tuple[Dataset, list[str]]:
    """The dataset with the events that the options leave; users and items keep their numbers."""
    events = data.events
    if options.drop_first:
        place = np.arange(len(events)) - events.bounds(data.users)[events.user]
        events = events.take(place >= options.drop_first)
    length = np.bincount(events.user, minlength=data.users)
    kept = length > 0
    kept &= length >= (options.fewest or 0)
    kept &= length <= (options.most or len(events))
    if options.user_share is not None:
        left = np.flatnonzero(kept)
        drawn = np.random.default_rng(seed).permutation(left)[: round(options.user_share * len(left))]
        kept = np.isin(np.arange(data.users), drawn)
    events = events.take(kept[events.user]) if not kept.all() else events
    if options.least_value is not None:
        events = events.take(events.value >= options.least_value)
    if options.shortest is not None:
        events = events.take((np.bincount(events.user, minlength=data.users) >= options.shortest)[events.user])
    if len(events) == len(data.events):
        return data, []
    users = (int(np.count_nonzero(np.bincount(e.user, minlength=1))) for e in (events, data.events))
    note = "prepared: {:,} of {:,} users, {:,} of {:,} events".format(*users, len(events), len(data.events))
    return replace(data, events=events), [note]


def assemble(data: Dataset, protocol: Protocol, cut: Cut, notes: list[str]) -> Split:
    """The split that a cut says, with what cannot be asked left out; checked."""
    filter_seen = filters_seen(data, protocol)
    groups = data.recordings if data.recordings is not None else np.arange(data.items, dtype=np.int32)
    places = np.flatnonzero(cut.train)
    known = np.bincount(data.events.user[places], minlength=data.users) > 0
    every = np.ones(data.items, np.bool_)
    masks = (
        cut.cold if cut.cold and isinstance(protocol, ColdItems) and protocol.candidates == "cold" else (every, every)
    )
    found: list[Cases] = []
    said = [*data.notes, *([] if data.honest_time else [_NOT_HONEST]), *notes]
    for part, picks, candidates in (("validation", cut.validation, masks[0]), ("test", cut.test, masks[1])):
        left, lost = usable(picks, data, groups, filter_seen=filter_seen, least_history=protocol.least_history)
        if not len(left.owner):
            raise ValueError(f"{data.name}, {protocol.name}: no {part} case is left ({'; '.join(lost) or 'no user'})")
        found.append(cases(left, data, candidates=candidates, known=known, filter_seen=filter_seen))
        said += [f"{part}: {note}" for note in lost]
    features = known_features(data, *found)
    said += [
        f"feature {name}: {hidden:,} items hidden, fetched after the earliest target"
        for name in features
        if (hidden := int(data.features[name].present.sum() - features[name].present.sum()))
    ]
    split = Split(
        protocol=protocol.to_json() | {"filter_seen": filter_seen},
        data=data,
        train=training_set(data, places, features, found[0]),
        validation=found[0],
        test=found[1],
        notes=tuple(said),
        places=places,
    )
    leaks.check(split)
    return split


def known_features(data: Dataset, *parts: Cases) -> dict[str, Feature]:
    """The dataset's features, as they were known before the earliest target of these cases."""
    cut_at = min(int(data.events.at[part.origin.targets].min()) for part in parts if part.origin)
    return {name: as_of(feature, cut_at) for name, feature in data.features.items()}


def training_set(
    data: Dataset, places: NDArray[np.int64], features: Mapping[str, Feature], validation: Cases
) -> TrainingSet:
    """The events at these places, and what else a model may see."""
    return TrainingSet(
        events=data.events.take(places),
        items=data.items,
        users=data.users,
        profiles=data.profiles if data.profiles is not None else np.full((data.users, 2), NOBODY, np.int32),
        features=features,
        creators=data.creators,
        genres=data.genres,
        validation=validation,
    )


_NOT_HONEST = (
    "times say when it was written down, not when it happened: for comparing architectures, not for what will be"
)


def filters_seen(data: Dataset, protocol: Protocol) -> bool:
    """Whether items of the history are no candidates: not for plays of tracks, which listeners repeat."""
    if protocol.filter_seen is not None:
        return protocol.filter_seen
    return not (data.met == "play" and set(data.kinds) == {"track"})


# --- cuts


def _loo(data: Dataset, protocol: Loo) -> Cut:
    events, bounds = data.events, data.events.bounds(data.users)
    asked = np.diff(bounds) >= 2 + max(1, protocol.least_history)
    last = bounds[1:][asked] - 1
    train = np.ones(len(events), np.bool_)
    train[last] = train[last - 1] = False
    return Cut(train=train, validation=single(events, bounds, last - 1), test=single(events, bounds, last))


def _user_holdout(data: Dataset, protocol: UserHoldout) -> Cut:
    events, bounds = data.events, data.events.bounds(data.users)
    fold = _dealt(np.flatnonzero(np.diff(bounds) >= 1 + protocol.least_history), data.users, protocol)
    last = bounds[1:] - 1
    held = _held(fold, protocol)
    validation, test = (single(events, bounds, last[users]) for users in held)
    return Cut(train=~(held[0] | held[1])[events.user], validation=validation, test=test)


def _dealt(who: NDArray[Any], count: int, protocol: UserHoldout | Playlist | ColdItems) -> NDArray[np.int64]:
    """(count,): the fold of each; -1 of those that are not dealt."""
    fold = np.full(count, -1)
    fold[np.random.default_rng(protocol.seed).permutation(who)] = np.arange(len(who)) % protocol.folds
    return fold


def _held(fold: NDArray[np.int64], protocol: UserHoldout | Playlist) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Masks of those held out for validation and for the test."""
    return fold == (protocol.fold + 1) % protocol.folds, fold == protocol.fold


def _temporal(data: Dataset, protocol: Temporal) -> Cut:
    at = data.events.at
    if not data.honest_time:
        raise ValueError(
            f"{data.name}: its times say when people wrote it down, not when they met the items, so that a cut in time "
            "means nothing; use loo or user_holdout"
        )
    if (timeless := int((at == NO_TIME).sum())) or not len(at):
        raise ValueError(f"{data.name}: {timeless:,} events have no time, so that no cut can be made; use loo")
    validation_from, test_from = _cut_times(at, protocol)
    parts = [(at >= validation_from) & (at < test_from), at >= test_from]
    validation, test = (_next_ones(data, part, protocol.per_user) for part in parts)
    return Cut(train=at < validation_from, validation=validation, test=test)


def _cut_times(at: NDArray[np.int64], protocol: Temporal) -> tuple[int, int]:
    if protocol.test_from and protocol.validation_from:
        return milliseconds(protocol.validation_from), milliseconds(protocol.test_from)
    late = round(protocol.test_share * len(at))
    later = late + round(protocol.validation_share * len(at))
    places = [len(at) - max(1, later), len(at) - max(1, late)]
    ordered = np.partition(at, places)
    return int(ordered[places[0]]), int(ordered[places[1]])


def _next_ones(data: Dataset, asked: NDArray[np.bool_], per_user: int | None) -> Picks:
    """The first `per_user` of the asked events of each user, each with what was strictly before it in time."""
    events, bounds = data.events, data.events.bounds(data.users)
    targets = np.flatnonzero(asked)
    owner = events.user[targets]
    rank = np.arange(len(targets)) - np.searchsorted(owner, owner)
    targets = targets[rank < (per_user or len(events))]
    # Of events at one time none is before the other: the history ends where the first of them stands.
    new = np.ones(len(events), np.bool_)
    new[1:] = (events.at[1:] != events.at[:-1]) | (events.user[1:] != events.user[:-1])
    since = np.maximum.accumulate(np.where(new, np.arange(len(events)), 0))
    return single(events, bounds, targets, since[targets])


def _playlist(data: Dataset, protocol: Playlist) -> Cut:
    events, bounds = data.events, data.events.bounds(data.users)
    length = np.diff(bounds)
    shortest = max(protocol.least_entries, protocol.least_history + 1)
    held = _held(_dealt(np.flatnonzero(length >= shortest), data.users, protocol), protocol)
    hidden = np.clip(np.rint(protocol.hidden * length), 1, np.maximum(length - 1, 1)).astype(np.int64)

    def asked(users: NDArray[np.bool_]) -> Picks:
        owner = np.flatnonzero(users)
        first = bounds[1:][owner] - hidden[owner]
        history = Spans(among=np.arange(len(events)), first=bounds[owner], end=first)
        return Picks(owner=owner.astype(np.int32), history=history, targets=Rows.between(first, bounds[1:][owner]))

    return Cut(train=~(held[0] | held[1])[events.user], validation=asked(held[0]), test=asked(held[1]))


def _cold_items(data: Dataset, protocol: ColdItems) -> Cut:
    """Cold in the test is one fold of groups, in validation some of the others; each user is asked for one of them."""
    events = data.events
    groups = data.recordings if data.recordings is not None else np.arange(data.items, dtype=np.int32)
    met = np.unique(groups[events.item])
    fold = _dealt(met, int(groups.max()) + 1, protocol)
    rng = np.random.default_rng([protocol.seed, protocol.fold])
    others = rng.permutation(np.flatnonzero((fold >= 0) & (fold != protocol.fold)))
    tuning = np.isin(groups, others[: max(1, round(protocol.validation_share * len(others)))])
    cold = fold[groups] == protocol.fold
    tuned = rng.permutation(data.users)[: max(1, round(protocol.validation_share * data.users))]
    asked_for_tuning = np.isin(np.arange(data.users), tuned)
    warm = ~(cold | tuning)[events.item]
    validation = _last_ones(data, tuning[events.item] & asked_for_tuning[events.user], warm, protocol.per_user)
    test = _last_ones(data, cold[events.item] & ~asked_for_tuning[events.user], warm, protocol.per_user)
    train = warm & (
        np.arange(len(events)) < leaks.first_targets(data.users, len(events), validation, test)[events.user]
    )
    return Cut(train=train, validation=validation, test=test, cold=(tuning, cold))


def _last_ones(data: Dataset, asked: NDArray[np.bool_], visible: NDArray[np.bool_], per_user: int | None) -> Picks:
    """A case per user: the last `per_user` asked events, with the visible events before the first of them."""
    bounds = data.events.bounds(data.users)
    targets = np.flatnonzero(asked)
    owners, first, count = np.unique(data.events.user[targets], return_index=True, return_counts=True)
    taken = np.minimum(count, per_user or len(data.events))
    rows = Rows.between(first + count - taken, first + count)
    chosen = Rows(values=targets[rows.values], starts=rows.starts)
    among = np.flatnonzero(visible)
    first, end = (np.searchsorted(among, at) for at in (bounds[owners], chosen.values[chosen.starts[:-1]]))
    return Picks(owner=owners.astype(np.int32), history=Spans(among=among, first=first, end=end), targets=chosen)


_CUTS: dict[type[Protocol], Callable[[Dataset, Any], Cut]] = {
    Loo: _loo,
    UserHoldout: _user_holdout,
    Temporal: _temporal,
    Playlist: _playlist,
    ColdItems: _cold_items,
}
