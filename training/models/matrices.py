"""What the classic models share: events and histories as sparse matrices, the largest of a row, ties.

Sizes: B queries, U users, V items; R rows and C columns of either.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sparse_dot_topn import sp_matmul_topn

from training.data import Events, Queries

Csr = Any
"""A scipy.sparse.csr_array of float64, whose own types know neither its shape nor what a product of two is."""
CELLS = 1 << 21
"""At most so many values of a product are held at a time: 30 MB, which is faster than 130 (measured 2026-11: 0.42 s
against 0.57 s on movielens-small): the allocator hands the same pages out again."""
TIE = 2.0**-25
"""Relative difference of scores below which they count as equal: half a step of the float32 that is kept."""


def interactions(events: Events, users: int, items: int, *, counts: bool) -> Csr:
    """(U, V): how often each user met each item; 1 for any number of times without `counts`."""
    matrix = sparse.csr_array((np.ones(len(events)), (events.user, events.item)), shape=(users, items))
    matrix.sum_duplicates()
    if not counts:
        matrix.data[:] = 1
    return matrix


def asked(queries: Queries, items: int, *, counts: bool, decay: float = 1.0) -> Csr:
    """(B, V): the histories, where the last event weighs 1, the one before `decay`, then `decay` squared ...

    An item that comes again weighs the sum of its events with `counts`, else what its last one weighs. Items from
    `items` on, which came after training, say nothing.
    """
    return _histories(queries, items, lambda age: np.power(decay, age, dtype=np.float64), counts=counts)


def latest(queries: Queries, items: int) -> Csr:
    """(B, V): 1 for the last item of the history, 1 / n for one whose last event is the n-th from the end."""
    return _histories(queries, items, lambda age: 1 / (1 + age), counts=False)


def _histories(
    queries: Queries, items: int, weigh: Callable[[NDArray[np.int64]], NDArray[np.float64]], *, counts: bool
) -> Csr:
    """(B, V): the weight of each event's age, 0 for the last one; summed, or of the item's last event."""
    history = queries.history
    age = history.starts[1:][history.rows] - 1 - np.arange(len(history.values))
    known = np.flatnonzero(history.values < items)[::-1]  # newest first: `last` finds the last event
    keys = history.rows[known] * items + history.values[known]
    cells, last, which = np.unique(keys, return_index=True, return_inverse=True)
    weight = weigh(age[known])
    data = np.bincount(which, weight, minlength=len(cells)) if counts else weight[last]
    return sparse.csr_array((data, (cells // items, cells % items)), shape=(len(queries), items))


def ranks(amounts: NDArray[Any]) -> NDArray[np.int64]:
    """0 for the largest; of equal ones the first comes first."""
    rank = np.empty(len(amounts), np.int64)
    rank[np.argsort(-amounts, kind="stable")] = np.arange(len(amounts))
    return rank


def stacked(parts: list[Csr], columns: int) -> Csr:
    """Blocks of rows, one below the other; none at all is a matrix of no rows."""
    return sparse.vstack(parts, format="csr") if parts else sparse.csr_array((0, columns))


def dense(product: Csr) -> NDArray[np.float32]:
    """A row of scores per query."""
    return product.astype(np.float32).toarray()


def nearest(left_RU: Csr, right_UC: Csr, k: int, rank_C: NDArray[np.int64]) -> Csr:
    """(R, C): the k largest values of each row of the product, as float32; of equal ones those of the lowest rank.

    The product is never whole. Columns weigh up to `TIE` more the lower their rank, so that no two are equal:
    sparse_dot_topn, like implicit, keeps any of those that are. As many threads as OMP_NUM_THREADS or the machine has.
    """
    columns, right = right_UC.shape[1], sparse.csr_matrix(right_UC, copy=True)
    right.data *= (1 + TIE * (1 - rank_C / max(columns, 1)))[right.indices]
    found = sp_matmul_topn(sparse.csr_matrix(left_RU), right, min(k, columns), -np.inf, n_threads=_threads())
    return sparse.csr_array((found.data.astype(np.float32), found.indices, found.indptr), shape=found.shape)


def _threads() -> int:
    told = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]  # "4,2" is of nested loops
    return max(int(told), 1) if told.isdigit() else os.cpu_count() or 1


def largest(matrix: Csr, k: int, rank_C: NDArray[np.int64]) -> Csr:
    """The k largest stored values of each row, as float32; of equal ones those of the lowest rank."""
    kept: list[NDArray[np.int64]] = []
    data, starts = matrix.data.astype(np.float32), matrix.indptr
    for start, end in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True):
        if end - start <= k:
            kept.append(np.arange(start, end))
            continue
        row = data[start:end]
        least = np.partition(row, -k)[-k]
        found = np.flatnonzero(row >= least)
        if len(found) > k:
            rank = rank_C[matrix.indices[start + found]]
            found = found[np.lexsort((rank, -row[found]))[:k]]
        kept.append(start + found)
    places = np.concatenate(kept) if kept else np.empty(0, np.int64)
    indptr = np.concatenate([[0], np.cumsum([len(row) for row in kept])])
    return sparse.csr_array((data[places], matrix.indices[places], indptr), shape=matrix.shape)


def row_blocks(left: Csr, right: Csr) -> Iterator[slice]:
    """Slices of left's rows such that the product with `right` has at most about CELLS values in each."""
    cost = np.minimum(left.astype(bool) @ np.diff(right.indptr).astype(np.float64), right.shape[1])
    block = (np.cumsum(cost) // CELLS).astype(np.int64)
    edges = np.concatenate([[0], np.flatnonzero(np.diff(block)) + 1, [left.shape[0]]])
    return (slice(a, b) for a, b in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True) if a < b)


def popularity_steps(popularity: NDArray[np.int64]) -> NDArray[np.float32]:
    """(V,): in [0, 1), higher for the more popular; equally popular items stay equal."""
    counts, step = np.unique(popularity, return_inverse=True)
    return (step / max(len(counts), 1)).astype(np.float32)


def beneath(scores: NDArray[np.float32], steps_V: NDArray[np.float32]) -> NDArray[np.float32]:
    """The scores, where a model that has nothing to say of an item (exactly 0) leaves the word to popularity.

    Such items come below all others of their row, in the order of popularity. Equally popular ones stay equal: an order
    among them would be that of their ids.
    """
    floor = np.minimum(scores.min(axis=1, keepdims=True), 0)
    return np.where(scores == 0, floor - 1 + steps_V, scores)
