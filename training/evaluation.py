"""A recommender's answers to held-out cases, as places, metrics per query and what it recommends.

Sizes: B queries, V items, T targets of all queries together, K the largest k.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.data import UNKNOWN, Cases, Queries, Ragged, TrainingSet
from training.metrics import Floats, masked, per_query, places, refuse_targets, top_k
from training.models.base import Recommender

CHUNK_SCORES = 2**24
"""Scores held at a time unless told otherwise: 64 MB as float32, and as much again while they are ranked."""


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What one model answered to one set of cases."""

    model: str
    cases: str  # digest of the cases: only evaluations of the same can be compared
    ks: tuple[int, ...]
    person: NDArray[np.int64]  # (B,): queries of one person share a number
    places: Ragged  # beside the targets
    top: NDArray[np.int32]  # (B, K) items, best first; metrics.NONE where candidates ran out
    values: Mapping[str, Floats]  # `ndcg@10` and the like: (B,)

    def __len__(self) -> int:
        return len(self.person)

    @property
    def means(self) -> dict[str, float]:
        """Over the queries."""
        return {name: float(values.mean()) for name, values in self.values.items()}

    def summary(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "model": self.model,
            "cases": self.cases,
            "queries": len(self),
            "targets": len(self.places.values),
            "metrics": self.means,
        }


def evaluate(
    model: Recommender,
    cases: Cases,
    *,
    train: TrainingSet,
    ks: Sequence[int] = (10, 20),
    chunk: int | None = None,
    name: str | None = None,
) -> Evaluation:
    """Rank every target among all candidates of its query.

    Args:
        model: Fitted.
        cases: Queries, targets, candidates, and whether what was seen is filtered.
        train: What the model was fitted on.
        ks: Where lists are cut.
        chunk: Queries scored at a time; by default as many as `CHUNK_SCORES` allows. It changes memory, not numbers.
        name: Of the model, in messages and summaries; its own by default.

    Raises:
        ValueError: There is no case; a score is not finite; a target is no candidate (see `metrics.ranks`).
    """
    if len(cases) == 0:
        raise ValueError("there is no case to evaluate; the protocol gave none")
    name, items = name or model.name, train.items
    refuse_targets(cases.targets, items)
    rows = chunk or max(1, CHUNK_SCORES // items)
    found: list[Ragged] = []
    top: list[NDArray[np.int32]] = []
    for start in range(0, len(cases), rows):
        part = cases.take(np.arange(start, min(start + rows, len(cases))))
        seen = part.queries.history if part.filter_seen else None
        scores_BV = masked(model.score(part.queries), part.candidates, seen, of=f"{name}, queries from {start}")
        found.append(places(scores_BV, part.targets, of=f"{name}, queries from {start}"))
        top.append(top_k(scores_BV, max(ks)))
    everywhere = Ragged(values=np.concatenate([part.values for part in found]), starts=cases.targets.starts)
    return Evaluation(
        model=name,
        cases=digest(cases),
        ks=tuple(ks),
        person=persons(cases.queries),
        places=everywhere,
        top=np.concatenate(top),
        values=per_query(everywhere, ks),
    )


def persons(queries: Queries) -> NDArray[np.int64]:
    """(B,): the user, or a number of its own for each query of a user whom training has not seen."""
    own = -1 - np.arange(len(queries))
    return np.where(queries.user == UNKNOWN, own, queries.user)


def digest(cases: Cases) -> str:
    """16 hexadecimal digits of all that the cases hold."""
    queries, found = cases.queries, hashlib.sha256(str(cases.filter_seen).encode())
    for part in (
        *(
            queries.user,
            queries.history.values,
            queries.history.starts,
            queries.history_at,
            queries.at,
            queries.profile,
        ),
        *(cases.targets.values, cases.targets.starts, cases.candidates),
    ):
        found.update(f"{part.dtype}{part.shape}".encode())
        found.update(np.ascontiguousarray(part).data)
    return found.hexdigest()[:16]
