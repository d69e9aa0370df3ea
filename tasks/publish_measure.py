"""What an index finds for the user tower, and how fast: one half of the users tunes, the other is reported."""

# Annotations stay text: numpy is imported at its first use.
from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from storage.ann import Exact
from storage.lazy import np
from storage.opened_bundle import Searcher

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from training.data import Dataset, Queries
    from training.models.base import Retriever

NEAREST = 10
QUERIES = 2_500  # per half, where there are so many moments; 2,000 are the least that is worth a third digit
_CHUNK = 1_024


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Queries, their vectors, and what is no answer to each. B rows."""

    queries: Queries
    vectors: NDArray[np.float32]  # (B, D)
    seen: list[NDArray[np.int64]]  # B lists of places


def asked_of(
    model: Retriever, data: Dataset, queries: Queries | None, *, filter_seen: bool, seed: int
) -> tuple[Asked, Asked]:
    """The tuning and the reporting half; no user is in both.

    Raises:
        ValueError: There is no query to ask, or a query's vector is not finite.
    """
    chosen = moments(data, 4 * QUERIES, seed) if queries is None else queries
    if not len(chosen):
        raise ValueError("there is nobody to ask for: no event has one before it; pass queries")
    tuning, report = (_asked(model, half, filter_seen=filter_seen) for half in halves(chosen, seed))
    return tuning, report


def moments(data: Dataset, count: int, seed: int) -> Queries:
    """Users as they stood before one of their events, which has at least one before it; fewer where there are fewer."""
    from training.data import NOBODY, Queries, Ragged

    events, bounds = data.events, data.events.bounds(data.users)
    later = np.flatnonzero(np.arange(len(events)) > bounds[events.user])
    dice = np.random.default_rng(seed)
    at = np.sort(dice.choice(later, min(count, len(later)), replace=False))
    begin = bounds[events.user[at]]
    starts = np.concatenate([[0], np.cumsum(at - begin)]).astype(np.int64)
    rows = np.arange(starts[-1]) + np.repeat(begin - starts[:-1], at - begin)
    user = events.user[at]
    nobody = np.full((len(at), 2), NOBODY, np.int32)
    return Queries(
        user=user,
        history=Ragged(values=events.item[rows], starts=starts),
        history_at=events.at[rows],
        at=events.at[at],
        profile=nobody if data.profiles is None else data.profiles[user],
    )


def halves(queries: Queries, seed: int) -> tuple[Queries, Queries]:
    """By user, who is in one of them alone; of unknown users by row. Each of QUERIES at most."""
    who = np.where(queries.user >= 0, queries.user, -1 - np.arange(len(queries)))
    users, owner = np.unique(who, return_inverse=True)
    first = np.random.default_rng([seed, 1]).permutation(len(users)) % 2 == 0
    rows = np.random.default_rng([seed, 2]).permutation(len(queries))
    picked = (rows[first[owner][rows]][:QUERIES], rows[~first[owner][rows]][:QUERIES])
    if not len(picked[1]):  # one user alone
        picked = (rows, rows)
    return queries.take(np.sort(picked[0])), queries.take(np.sort(picked[1]))


def _asked(model: Retriever, queries: Queries, *, filter_seen: bool) -> Asked:
    vectors = np.concatenate([model.query_vectors(part) for part in queries.chunks(_CHUNK)]).astype(np.float32)
    if odd := np.flatnonzero(~np.isfinite(vectors).all(axis=1)).tolist():
        raise ValueError(f"{len(odd):,} query vectors have NaN or infinity; look at training")
    nothing = np.empty(0, np.int64)
    seen = [np.unique(h).astype(np.int64) if filter_seen else nothing for h in queries.history]
    return Asked(queries=queries, vectors=vectors, seen=seen)


def measured(searcher: Searcher, vectors: NDArray[np.float32], asked: Asked, new: NDArray[np.bool_]) -> dict[str, Any]:
    """Recall@10 after the seen filter, overall and of new items, and latency of single questions on one thread."""
    exact = Exact(vectors, asked.vectors, NEAREST, asked.seen)
    _, found = searcher.search(asked.vectors, NEAREST, asked.seen)
    times = latencies(searcher, asked)
    return {
        "queries": len(asked.vectors),
        "recall_at_10": exact.recall(found),
        "recall_at_10_new_items": exact.recall(found, new),
        "new_items": int(new.sum()),
        "latency_ms": {f"p{q}": round(float(np.percentile(times, q)), 4) for q in (50, 95, 99)},
    }


def latencies(searcher: Searcher, asked: Asked) -> NDArray[np.float64]:
    """(B,) milliseconds."""
    times = np.empty(len(asked.vectors))
    for row, seen in enumerate(asked.seen):
        began = time.perf_counter()
        searcher.search(asked.vectors[row : row + 1], NEAREST, [seen])
        times[row] = (time.perf_counter() - began) * 1e3
    return times
