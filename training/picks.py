"""Cases as places of events, before they become arrays of items: what protocols choose and what is left of it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from training.data import NOBODY, UNKNOWN, Cases, Dataset, Events, Origin, Queries, Ragged

Places = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Rows of places: row b is values[starts[b] : starts[b + 1]]."""

    values: Places
    starts: NDArray[np.int64]  # (B + 1,)

    @property
    def rows(self) -> NDArray[np.int64]:
        """Which row each value belongs to."""
        return np.repeat(np.arange(len(self.starts) - 1), np.diff(self.starts))

    def keep(self, kept: NDArray[np.bool_]) -> Rows:
        """The values of the mask; as many rows."""
        before = np.concatenate([[0], np.cumsum(kept)])
        return Rows(values=self.values[kept], starts=before[self.starts])

    def take(self, chosen: NDArray[np.bool_]) -> Rows:
        """The rows of the mask."""
        lengths = np.diff(self.starts)
        values = self.values[np.repeat(chosen, lengths)]
        return Rows(values=values, starts=np.concatenate([[0], np.cumsum(lengths[chosen])]))

    @classmethod
    def between(cls, first: Places, end: Places) -> Rows:
        """Row b holds all places from first[b] to end[b], which is left out."""
        lengths = end - first
        ends = np.cumsum(lengths)
        values = np.arange(lengths.sum()) + np.repeat(first - ends + lengths, lengths)
        return cls(values=values, starts=np.concatenate([[0], ends]))


@dataclass(frozen=True, kw_only=True)
class Spans:
    """Rows of places that may have many in common: row b is among[first[b] : end[b]]."""

    among: Places  # ascending
    first: Places  # (B,)
    end: Places  # (B,)

    def take(self, chosen: NDArray[np.bool_]) -> Spans:
        """The rows of the mask."""
        return Spans(among=self.among, first=self.first[chosen], end=self.end[chosen])

    def of(self, values: NDArray[np.int32]) -> tuple[Ragged, Places]:
        """What of the events' values, (N,), the rows hold; and the places of what is held."""
        rows, kept = Ragged.sharing(values[self.among], self.first, self.end)
        return rows, self.among[kept]


@dataclass(frozen=True, kw_only=True)
class Picks:
    """What is asked, of whom: B cases."""

    owner: NDArray[np.int32]  # (B,)
    history: Spans
    targets: Rows

    def take(self, chosen: NDArray[np.bool_]) -> Picks:
        """The cases of the mask."""
        return Picks(owner=self.owner[chosen], history=self.history.take(chosen), targets=self.targets.take(chosen))


def single(events: Events, bounds: Places, targets: Places, ends: Places | None = None) -> Picks:
    """A case per target (place), with all of its user's events before `ends`, or before the target itself."""
    owner = events.user[targets]
    every = np.arange(len(events))
    history = Spans(among=every, first=bounds[owner], end=targets if ends is None else ends)
    return Picks(owner=owner, history=history, targets=Rows(values=targets, starts=np.arange(len(targets) + 1)))


def usable(
    picks: Picks, data: Dataset, groups: NDArray[np.int32], *, filter_seen: bool, least_history: int
) -> tuple[Picks, list[str]]:
    """The cases that can be answered, and what was left out.

    A target that comes twice counts once. Where items of the history are no candidates, neither is a target that is in
    it; nor one whose recording is: it would be found by looking for its twin.
    """
    notes: list[str] = []
    long = picks.history.end - picks.history.first >= least_history
    if lost := int((~long).sum()):
        notes.append(f"{lost:,} cases left out: fewer than {least_history} events in the history")
    picks = picks.take(long)
    kept = _first_of_its_row(picks.targets, data.events.item)
    if filter_seen:
        seen = _met(picks, groups[data.events.item])
        if lost := int((kept & seen).sum()):
            notes.append(
                f"{lost:,} targets left out: they, or the same recording, are in the history, which is filtered"
            )
        kept &= ~seen
    if kept.all():
        return picks, notes
    picks = replace(picks, targets=picks.targets.keep(kept))
    return picks.take(np.diff(picks.targets.starts) > 0), notes


def cases(
    picks: Picks, data: Dataset, *, candidates: NDArray[np.bool_], known: NDArray[np.bool_], filter_seen: bool
) -> Cases:
    """The cases as models are asked; `known` (U,): the users that training has seen."""
    events, targets = data.events, picks.targets
    history, places = picks.history.of(events.item)
    profiles = (
        data.profiles[picks.owner] if data.profiles is not None else np.full((len(picks.owner), 2), NOBODY, np.int32)
    )
    queries = Queries(
        user=np.where(known[picks.owner], picks.owner, UNKNOWN).astype(np.int32),
        history=history,
        history_at=events.at[places],
        at=events.at[targets.values[targets.starts[:-1]]],
        profile=profiles,
    )
    return Cases(
        queries=queries,
        targets=Ragged(values=events.item[targets.values], starts=targets.starts),
        candidates=candidates,
        filter_seen=filter_seen,
        origin=Origin(owner=picks.owner, history=places, targets=targets.values),
    )


def _first_of_its_row(targets: Rows, item: NDArray[np.int32]) -> NDArray[np.bool_]:
    """(T,): not the same item as a target before it."""
    if len(targets.values) == len(targets.starts) - 1:  # one each
        return np.ones(len(targets.values), np.bool_)
    first = np.zeros(len(targets.values), np.bool_)
    first[np.unique(targets.rows * (item.max(initial=0) + 1) + item[targets.values], return_index=True)[1]] = True
    return first


def _met(picks: Picks, group: NDArray[np.int32]) -> NDArray[np.bool_]:
    """(T,): the group of the target is in the history; `group` (N,) is that of each event."""
    return picks.history.of(group)[0].hold(picks.targets.rows, group[picks.targets.values])
