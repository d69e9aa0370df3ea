"""A recommender's answers to held-out cases, as places, metrics per query and what it recommends.

Sizes: B queries, V items, T targets of all queries together, K the largest k.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.data import UNKNOWN, Cases, Ragged, TrainingSet
from training.metrics import Floats, masked, per_query, places, refuse_targets, top_k
from training.models.base import Recommender
from training.popularity_metrics import (
    coverage,
    debiased_ndcg,
    list_means,
    novelty_bits,
    novelty_linear,
    popularity_shift,
    propensity_weights,
)
from training.slices import Slicing, slicings

CHUNK_SCORES = 2**24
"""Scores and events of histories held at a time unless told otherwise: 64 MB, as much again while ranked."""


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
    target_values: Mapping[str, Floats]  # the same as if each target were a query of its own: (T,)
    catalogue: Mapping[str, Any]  # `coverage@10`, `popularity@10` ...: of all lists together, as JSON
    slicings: tuple[Slicing, ...]
    candidates: str = ""  # digest of the items that targets were ranked among, and of whether what was seen counts

    def __len__(self) -> int:
        return len(self.person)

    def measured(self, metric: str, within: tuple[str, str] | None = None) -> tuple[Floats, NDArray[np.int64]]:
        """Values of a metric, and whose each is; of all queries, or of a slice such as `("popularity", "cold")`.

        In a slice of targets each target is a query of its own, at the place it has among all of its query.

        Raises:
            ValueError: There is no such metric or slice.
        """
        if within is None:
            return _named(self.values, metric, self.model), self.person
        slicing = _named({slicing.name: slicing for slicing in self.slicings}, within[0], self.model)
        code = _named({label: code for code, label in enumerate(slicing.labels)}, within[1], within[0])
        chosen = slicing.codes == code
        if not slicing.of_targets:
            return _named(self.values, metric, self.model)[chosen], self.person[chosen]
        return _named(self.target_values, metric, self.model)[chosen], self.person[self.places.rows[chosen]]

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
            "catalogue": dict(self.catalogue),
            "slices": {slicing.name: dict(self._slice_means(slicing)) for slicing in self.slicings},
        }

    def _slice_means(self, slicing: Slicing) -> Iterator[tuple[str, dict[str, Any]]]:
        values = self.target_values if slicing.of_targets else self.values
        for code, label in enumerate(slicing.labels):
            chosen = slicing.codes == code
            if chosen.any():
                means = {name: float(of[chosen].mean()) for name, of in values.items()}
                yield label, {"of": "targets" if slicing.of_targets else "queries", "count": int(chosen.sum())} | means


def _named(known: Mapping[str, Any], name: str, whose: str) -> Any:
    if name not in known:
        raise ValueError(f"{whose} has no '{name}'; known: {', '.join(known)}")
    return known[name]


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
    runs = cases.queries.parts(CHUNK_SCORES, each=items) if chunk is None else _runs(len(cases), chunk)
    found: list[Ragged] = []
    top: list[NDArray[np.int32]] = []
    for rows in runs:
        asked, of = cases.queries.take(rows), f"{name}, queries from {rows[0]}"
        seen = asked.history if cases.filter_seen else None
        scores_BV = masked(model.score(asked), cases.candidates, seen, of=of)
        found.append(places(scores_BV, cases.targets.take(rows), of=of))
        top.append(top_k(scores_BV, max(ks)))
    top_BK = np.concatenate(top)
    everywhere = Ragged(values=np.concatenate([part.values for part in found]), starts=cases.targets.starts)
    return Evaluation(
        model=name,
        cases=digest(cases),
        candidates=candidates_digest(cases),
        ks=tuple(ks),
        person=persons(cases),
        places=everywhere,
        top=top_BK,
        values=per_query(everywhere, ks) | _popularity_values(top_BK, everywhere, cases, train, ks),
        target_values=per_query(Ragged(values=everywhere.values, starts=np.arange(len(everywhere.values) + 1)), ks),
        catalogue=_catalogue(top_BK, cases, train, ks),
        slicings=slicings(cases, train),
    )


def _runs(count: int, rows: int) -> Iterator[NDArray[np.int64]]:
    return (np.arange(start, min(start + rows, count)) for start in range(0, count, rows))


def _popularity_values(
    top_BK: NDArray[np.int32], everywhere: Ragged, cases: Cases, train: TrainingSet, ks: Sequence[int]
) -> dict[str, Floats]:
    popularity = train.popularity()
    weights_T = propensity_weights(popularity)[cases.targets.values]
    linear, bits = novelty_linear(popularity), novelty_bits(train.events, train.items)
    return (
        {f"debiased_ndcg@{k}": debiased_ndcg(everywhere, weights_T, k) for k in ks}
        | {f"novelty_linear@{k}": list_means(top_BK[:, :k], linear) for k in ks}
        | {f"novelty_bits@{k}": list_means(top_BK[:, :k], bits) for k in ks}
    )


def _catalogue(top_BK: NDArray[np.int32], cases: Cases, train: TrainingSet, ks: Sequence[int]) -> dict[str, Any]:
    popularity, consumed = train.popularity(), train.events.item
    return {f"coverage@{k}": coverage(top_BK[:, :k], cases.candidates) for k in ks} | {
        f"popularity@{k}": popularity_shift(top_BK[:, :k], consumed, popularity) for k in ks
    }


def persons(cases: Cases) -> NDArray[np.int64]:
    """(B,): whose the query is; where no one knows, as of cases of no split whose users are new, each is a person."""
    if cases.origin is not None:
        return cases.origin.owner.astype(np.int64)
    own = -1 - np.arange(len(cases))
    return np.where(cases.queries.user == UNKNOWN, own, cases.queries.user)


def candidates_digest(cases: Cases) -> str:
    """16 hexadecimal digits of the items that targets are ranked among, and of whether what was seen counts."""
    found = hashlib.sha256(f"{cases.filter_seen}{len(cases.candidates)}".encode())
    found.update(np.packbits(cases.candidates).data)
    return found.hexdigest()[:16]


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
        *([] if queries.history.until is None else [queries.history.until]),
    ):
        found.update(f"{part.dtype}{part.shape}".encode())
        found.update(np.ascontiguousarray(part).data)
    return found.hexdigest()[:16]
