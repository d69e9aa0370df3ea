"""User-KNN: what those met whose events are most like the history; who asks need not have been seen in training.

Source: Herlocker et al., 1999; similarities are those of `implicit` with users in place of items, weightings too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from training.data import Queries, TrainingSet
from training.models.files import Stored, matrix_of, parts_of
from training.models.matrices import (
    Csr,
    asked,
    beneath,
    dense,
    interactions,
    nearest,
    popularity_steps,
    ranks,
)
from training.models.weighting import Weighting, inverse_frequency, weighted


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of `UserKnn`."""

    neighbours: int = 100  # users; who asks is among them if training holds the same events
    weighting: Weighting = "cosine"
    counts: bool = False  # an item met again counts again, in training and in the history
    decay: float = 1.0  # what an event of the history weighs against the one after it
    k1: float = 1.2  # BM25 alone
    b: float = 0.75  # BM25 alone
    fallback: bool = True  # popularity orders the items that no neighbour met; see `beneath`


SPACE: dict[str, tuple[Any, ...]] = {
    "neighbours": (20, 50, 100, 200, 500),
    "weighting": ("cosine", "tfidf", "bm25"),
    "decay": (1.0, 0.95, 0.8, 0.5),
}


class UserKnn(Stored):
    """The score of an item is the sum of the similarities of the nearest users who met it (times how often)."""

    name: ClassVar[str] = "user_knn"
    config_type: ClassVar[type[Config]] = Config

    def fit(self, train: TrainingSet) -> Self:
        """Weigh all users' events."""
        met_UV = interactions(train.events, train.users, train.items, counts=self.config.counts)
        frequency = inverse_frequency(met_UV)
        average = met_UV.sum() / max(train.users, 1)
        self._arrays = {
            "popularity": popularity_steps(train.popularity()),
            "frequency": frequency,
            "average": np.array([average]),
            **parts_of("met", met_UV),
            **parts_of("weighted", self._weighted(met_UV, frequency, average)),
        }
        return self

    def _weighted(self, met: Csr, frequency: NDArray[np.float64], average: float) -> Csr:
        config = self.config
        return weighted(met, config.weighting, frequency, average=average, k1=config.k1, b=config.b)

    def nearest(self, queries: Queries) -> Csr:
        """(B, U): similarities of the nearest users; of equal ones those with more items, then lower numbers."""
        arrays, config = self.arrays, self.config
        users_UV = matrix_of("weighted", arrays)
        history_BV = asked(queries, users_UV.shape[1], counts=config.counts, decay=config.decay)
        asks_BV = self._weighted(history_BV, arrays["frequency"], float(arrays["average"][0]))
        rank = ranks(np.diff(users_UV.indptr))
        return nearest(asks_BV, users_UV.T.tocsr(), config.neighbours, rank)

    def score(self, queries: Queries) -> NDArray[np.float32]:
        """(B, V)."""
        scores = dense(self.nearest(queries) @ matrix_of("met", self.arrays))
        return beneath(scores, self.arrays["popularity"]) if self.config.fallback else scores
