"""What a recommender learns from and is asked: events, queries and cases, as arrays.

Items and users are numbers here: places in the sorted lists of a `Dataset`. Sizes in comments: N events, V items,
U users, B queries, T targets, H events of all histories together.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

NO_TIME = np.iinfo(np.int64).min
"""`at` of an event whose source gives no time: the order of its file is all there is."""
UNKNOWN = -1
"""A user whom training has not seen."""
NOBODY = 0
"""Code of a gender or country that is not known."""

KnownAt = Literal["static", "release", "fetched"]
"""When a value became known: always; with the item itself; when it was fetched (counts, votes, charts)."""


@dataclass(frozen=True, kw_only=True)
class Events:
    """Who met which item, sorted by user, then time, then the order of the file (stable)."""

    user: NDArray[np.int32]  # (N,)
    item: NDArray[np.int32]  # (N,)
    at: NDArray[np.int64]  # (N,) milliseconds since 1970, or NO_TIME
    value: NDArray[np.float32]  # (N,) the rating; NaN where there is none

    def __len__(self) -> int:
        return len(self.user)

    def take(self, chosen: NDArray[np.bool_] | NDArray[np.int64]) -> Events:
        """The events of a mask or of places, in the order given."""
        return Events(user=self.user[chosen], item=self.item[chosen], at=self.at[chosen], value=self.value[chosen])

    def bounds(self, users: int) -> NDArray[np.int64]:
        """(users + 1,): the events of user u are those from bounds[u] to bounds[u + 1]."""
        return np.searchsorted(self.user, np.arange(users + 1)).astype(np.int64)

    def histories(self, users: int) -> Ragged:
        """Each user's items, oldest first."""
        return Ragged(values=self.item, starts=self.bounds(users))


@dataclass(frozen=True, kw_only=True)
class Ragged:
    """Rows of different lengths: row b is values[starts[b] : ends[b]], one behind the other unless they share values.

    Many cases of one user have histories that begin alike: each holding its own would be quadratic. Such rows share
    values, and `until` says where each ends; `take` parts them again.
    """

    values: NDArray[np.int32]
    starts: NDArray[np.int64]  # (B + 1,); the last is len(values)
    until: NDArray[np.int64] | None = None  # (B,); None: each row ends where the next one starts

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __getitem__(self, row: int) -> NDArray[np.int32]:
        return self.values[self.starts[row] : self.ends[row]]

    def __iter__(self) -> Iterator[NDArray[np.int32]]:
        return (self[row] for row in range(len(self)))

    @property
    def ends(self) -> NDArray[np.int64]:
        """(B,)."""
        return self.starts[1:] if self.until is None else self.until

    @property
    def lengths(self) -> NDArray[np.int64]:
        """(B,)."""
        return self.ends - self.starts[:-1]

    @property
    def rows(self) -> NDArray[np.int64]:
        """(H,): which row each value belongs to.

        Raises:
            ValueError: A value may belong to many.
        """
        if self.until is not None:
            raise ValueError(f"{len(self):,} rows share {len(self.values):,} values; `take` some of them first")
        return np.repeat(np.arange(len(self)), self.lengths)

    def places(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Where in `values` those of these rows stand, in this order; for arrays beside `values`, too."""
        lengths = self.lengths[rows]
        ends = np.cumsum(lengths)
        return np.arange(lengths.sum()) + np.repeat(self.starts[rows] - ends + lengths, lengths)

    def take(self, rows: NDArray[np.int64]) -> Ragged:
        """These rows, in this order."""
        starts = np.concatenate([[0], np.cumsum(self.lengths[rows])]).astype(np.int64)
        return Ragged(values=self.values[self.places(rows)], starts=starts)

    def some(self, rows: NDArray[np.int64]) -> tuple[Ragged, NDArray[np.int64]]:
        """These rows, sharing what they shared, and where in `values` theirs stood; for arrays beside `values`, too."""
        if self.until is None:
            return self.take(rows), self.places(rows)
        return Ragged.sharing(self.values, self.starts[:-1][rows], self.until[rows])

    def hold(self, rows: NDArray[np.int64], wanted: NDArray[Any]) -> NDArray[np.bool_]:
        """(T,): whether row rows[t] holds the value wanted[t], from 0 up; linear but for a sort of the values."""
        lengths = self.lengths[rows]
        if lengths.sum() <= 2 * len(self.values):  # looking at each takes half as long as the sort (10 M values)
            same = self.values[self.places(rows)] == np.repeat(wanted, lengths)
            count, ends = np.append(0, np.cumsum(same)), np.cumsum(lengths)
            return count[ends] > count[ends - lengths]
        width = len(self.values) + 1
        # One more key, below all others: there is always one before.
        keys = np.sort(np.append(self.values.astype(np.int64) * width + np.arange(width - 1), -1))
        first = wanted.astype(np.int64) * width
        newest = keys[np.searchsorted(keys, first + self.ends[rows]) - 1]  # of this value, before the row's end
        return newest >= first + self.starts[rows]

    @classmethod
    def sharing(
        cls, values: NDArray[np.int32], first: NDArray[np.int64], ends: NDArray[np.int64]
    ) -> tuple[Ragged, NDArray[np.int64]]:
        """Row b is values[first[b] : ends[b]], without what no row has; and where the values that are left stood."""
        depth = np.bincount(first, minlength=len(values) + 1) - np.bincount(ends, minlength=len(values) + 1)
        kept = np.flatnonzero(np.cumsum(depth)[:-1])
        first, ends = np.searchsorted(kept, first), np.searchsorted(kept, ends)
        starts = np.append(first, len(kept))
        apart = np.array_equal(starts[1:], ends) and not starts[0]
        return cls(values=values[kept], starts=starts, until=None if apart else ends), kept

    @classmethod
    def of(cls, rows: list[list[int]] | list[NDArray[np.int32]]) -> Ragged:
        """From rows of items."""
        lengths = [len(row) for row in rows]
        values = np.concatenate([np.asarray(row, np.int32) for row in rows]) if rows else np.empty(0, np.int32)
        return cls(values=values.astype(np.int32), starts=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64))


@dataclass(frozen=True, kw_only=True)
class Feature:
    """One feature of all items."""

    name: str
    values: NDArray[np.float32]  # (V, d); zeros where there is none
    present: NDArray[np.bool_]  # (V,)
    known_at: KnownAt
    fetched_at: NDArray[np.int64] | None = None  # (V,) milliseconds since 1970; of `fetched` alone
    version: str = ""  # of the featurizer: one for all vectors
    observed: NDArray[np.bool_] | None = None  # (V, d): cells that are not filled in; None: all of what is present
    cells: tuple[str, ...] = ()  # d names, where the numbers have any


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A release as training reads it."""

    name: str  # release, or what it was made from
    item_ids: tuple[str, ...]  # V, sorted
    user_ids: tuple[str, ...]  # U, sorted
    events: Events
    titles: tuple[str, ...] = ()  # V
    kinds: tuple[str, ...] = ()  # V: film, track
    creators: Ragged | None = None  # of V items: codes of artists or directors
    genres: Ragged | None = None  # of V items
    years: NDArray[np.int32] | None = None  # (V,); 0 is unknown
    recordings: NDArray[np.int32] | None = None  # (V,): items of one `same_recording` group share a number
    works: NDArray[np.int32] | None = None  # (V,): likewise `same_work`
    documents: tuple[str, ...] = ()  # V: what there is to read of an item, "" where nothing is; or none at all
    profiles: NDArray[np.int32] | None = None  # (U, 2): codes of gender and country; NOBODY is unknown
    genders: tuple[str, ...] = ("",)  # what the codes stand for
    countries: tuple[str, ...] = ("",)
    features: Mapping[str, Feature] = field(default_factory=dict[str, Feature])
    honest_time: bool = True  # False: times say when people rated, not when they watched (MovieLens)
    met: str = ""  # what an event is: rating, play, playlist
    notes: tuple[str, ...] = ()  # what was left out while reading

    def __post_init__(self) -> None:
        """Refuse ratings with honest times: they are typed in when people remember, often many in one sitting."""
        if self.met == "rating" and self.honest_time:
            raise ValueError(
                f"{self.name}: honest_time is True for ratings, whose times say when they were typed in; expected "
                "False: compare architectures by loo or user_holdout"
            )

    @property
    def items(self) -> int:
        """V."""
        return len(self.item_ids)

    @property
    def users(self) -> int:
        """U."""
        return len(self.user_ids)


@dataclass(frozen=True, kw_only=True)
class Queries:
    """What a recommender is asked: who, with which history, when. B rows."""

    user: NDArray[np.int32]  # (B,) or UNKNOWN
    history: Ragged  # items, oldest first
    history_at: NDArray[np.int64]  # (H,) beside history.values
    at: NDArray[np.int64]  # (B,): when it is asked; the history is strictly before
    profile: NDArray[np.int32]  # (B, 2): codes of gender and country

    def __len__(self) -> int:
        return len(self.user)

    def take(self, rows: NDArray[np.int64]) -> Queries:
        """These queries, in this order, each with a history of its own: what a model is asked."""
        return Queries(
            user=self.user[rows],
            history=self.history.take(rows),
            history_at=self.history_at[self.history.places(rows)],
            at=self.at[rows],
            profile=self.profile[rows],
        )

    def chunks(self, rows: int) -> Iterator[Queries]:
        """The same, so many at a time."""
        return (self.take(np.arange(i, min(i + rows, len(self)))) for i in range(0, len(self), rows))

    def parts(self, most: int, each: int = 0) -> Iterator[NDArray[np.int64]]:
        """Runs of rows, with `most` events of histories at most, every row counting `each` more; or single rows."""
        until, done = np.cumsum(self.history.lengths + each), 0
        while done < len(self):
            before = until[done - 1] if done else 0
            end = max(done + 1, int(np.searchsorted(until, before + most, side="right")))
            yield np.arange(done, end)
            done = end

    @classmethod
    def of(cls, histories: list[list[int]]) -> Queries:
        """Histories alone: of users nobody knows, asked at no time."""
        history, count = Ragged.of(histories), len(histories)
        return cls(
            user=np.full(count, UNKNOWN, np.int32),
            history=history,
            history_at=np.full(len(history.values), NO_TIME, np.int64),
            at=np.full(count, NO_TIME, np.int64),
            profile=np.full((count, 2), NOBODY, np.int32),
        )


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Which events of `Split.data` cases were made of: to check, pair and slice by, never for a model."""

    owner: NDArray[np.int32]  # (B,): whose they are, also where `queries.user` is UNKNOWN
    history: NDArray[np.int64]  # (H,): places of events, beside `queries.history.values`
    targets: NDArray[np.int64]  # (T,): likewise, beside `targets.values`


@dataclass(frozen=True, kw_only=True)
class Cases:
    """Queries with the answers that were held out, and among which items they are looked for."""

    queries: Queries
    targets: Ragged  # per query at least one item
    candidates: NDArray[np.bool_]  # (V,): among these the targets are ranked
    filter_seen: bool  # items of the history are no candidates (films: true; music: false, listeners repeat)
    origin: Origin | None = None  # None: of no split

    def __len__(self) -> int:
        return len(self.queries)

    def take(self, rows: NDArray[np.int64]) -> Cases:
        """These cases, in this order; histories that share events still do."""
        queries = self.queries
        history, places = queries.history.some(rows)
        origin = self.origin and Origin(
            owner=self.origin.owner[rows],
            history=self.origin.history[places],
            targets=self.origin.targets[self.targets.places(rows)],
        )
        taken = Queries(
            user=queries.user[rows],
            history=history,
            history_at=queries.history_at[places],
            at=queries.at[rows],
            profile=queries.profile[rows],
        )
        return replace(self, queries=taken, targets=self.targets.take(rows), origin=origin)


@dataclass(frozen=True, kw_only=True)
class TrainingSet:
    """All that a model may see while it is fitted; nothing in it is later than any target."""

    events: Events
    items: int  # V
    users: int  # U; not every one has events here
    profiles: NDArray[np.int32]  # (U, 2)
    features: Mapping[str, Feature] = field(default_factory=dict[str, Feature])
    creators: Ragged | None = None
    genres: Ragged | None = None
    documents: tuple[str, ...] = ()  # V, as in the dataset
    validation: Cases | None = None  # for early stopping; never the test

    def popularity(self) -> NDArray[np.int64]:
        """(V,): events per item, of the training part alone."""
        return np.bincount(self.events.item, minlength=self.items)


@dataclass(frozen=True, kw_only=True)
class Split:
    """A dataset cut by a protocol: what is learnt from, what is tuned on, what is reported."""

    protocol: Mapping[str, object]  # the protocol and its options, as JSON
    data: Dataset
    train: TrainingSet
    validation: Cases
    test: Cases
    notes: tuple[str, ...] = ()  # what a report must say of it
    places: NDArray[np.int64] | None = None  # (N,): which events of `data` the training events are; None: not checked
