"""Item-KNN: items that the same users met as those of the history.

Source: Sarwar et al., 2001; weightings, their constants and the scores are those of `implicit` (see
tests/training/test_models_parity.py); shrinkage as in Ferrari Dacrema et al., arXiv 1907.06902.
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
    largest,
    nearest,
    popularity_steps,
    ranks,
    row_blocks,
    stacked,
)
from training.models.weighting import Weighting, inverse_frequency, norms, weighted


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of `ItemKnn`."""

    neighbours: int = 100  # per item, itself among them, as in implicit
    weighting: Weighting = "cosine"
    shrink: float = 0.0  # similarity * n / (n + shrink), n the product of both items' lengths: few users, less trust
    counts: bool = False  # an item met again counts again, in training and in the history
    decay: float = 1.0  # what an event of the history weighs against the one after it
    k1: float = 1.2  # BM25 alone
    b: float = 0.75  # BM25 alone
    fallback: bool = True  # popularity orders the items that are nobody's neighbour; see `beneath`


SPACE: dict[str, tuple[Any, ...]] = {
    "neighbours": (20, 50, 100, 200, 500),
    "weighting": ("cosine", "tfidf", "bm25"),
    "shrink": (0.0, 5.0, 20.0, 100.0),
    "decay": (1.0, 0.95, 0.8, 0.5),
}


class ItemKnn(Stored):
    """The score of an item is the sum of its similarities with the history's items that have it as a neighbour."""

    name: ClassVar[str] = "item_knn"
    config_type: ClassVar[type[Config]] = Config

    def fit(self, train: TrainingSet) -> Self:
        """Find the neighbours of each item."""
        met_UV = interactions(train.events, train.users, train.items, counts=self.config.counts)
        popularity = train.popularity()
        self._arrays = {
            "popularity": popularity_steps(popularity),
            **parts_of("neighbours", self._neighbours(met_UV.T.tocsr(), popularity)),
        }
        return self

    def _neighbours(self, met_VU: Csr, popularity: NDArray[np.int64]) -> Csr:
        """(V, V): per row the similarities of its nearest items; equally near ones by popularity, then number."""
        config = self.config
        left_VU = weighted(met_VU, config.weighting, inverse_frequency(met_VU), k1=config.k1, b=config.b)
        right_UV = left_VU.T.tocsr()
        rank = ranks(popularity)
        if not config.shrink:
            return nearest(left_VU, right_UV, config.neighbours, rank)
        length, parts = norms(met_VU), list[Csr]()  # a shrunk similarity is no inner product
        for rows in row_blocks(left_VU, right_UV):
            near = left_VU[rows] @ right_UV
            both = np.repeat(length[rows], np.diff(near.indptr)) * length[near.indices]
            near.data *= both / (both + config.shrink)
            parts.append(largest(near, config.neighbours, rank))
        return stacked(parts, len(popularity))

    def score(self, queries: Queries) -> NDArray[np.float32]:
        """(B, V)."""
        near_VV = matrix_of("neighbours", self.arrays)
        history_BV = asked(queries, near_VV.shape[0], counts=self.config.counts, decay=self.config.decay)
        scores = dense(history_BV @ near_VV)
        return beneath(scores, self.arrays["popularity"]) if self.config.fallback else scores
