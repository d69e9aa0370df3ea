"""Truncated SVD of users by items; a history is folded in, so that who asks need not have been seen in training.

Source: PureSVD (Cremonesi et al., 2010): scores are rows of U S V' = X V V'. With `scaling` below 1, EigenRec's
(Nikolakopoulos et al., 2019): columns are divided by their length to the power 1 - scaling before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.linalg import svds

from training.data import Queries, TrainingSet
from training.models.files import Stored
from training.models.matrices import asked, interactions, popularity_steps


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of `Svd`."""

    factors: int = 64  # fewer where there are not so many users or items
    scaling: float = 1.0  # 0: all items count the same; 1: as many events as they have
    counts: bool = False  # an item met again counts again, in training and in the history
    decay: float = 1.0  # what an event of the history weighs against the one after it
    fallback: bool = True  # an empty history is answered by popularity
    seed: int = 0


SPACE: dict[str, tuple[Any, ...]] = {
    "factors": (8, 16, 32, 64, 128, 256),
    "scaling": (1.0, 0.75, 0.5, 0.25),
    "decay": (1.0, 0.95, 0.8, 0.5),
}


class Svd(Stored):
    """The score is the history's product with V V', of the largest `factors` right singular vectors."""

    name: ClassVar[str] = "svd"
    config_type: ClassVar[type[Config]] = Config

    def fit(self, train: TrainingSet) -> Self:
        """Decompose, to machine precision (ARPACK).

        Raises:
            ValueError: Fewer than two users or items, or no events.
        """
        met_UV = interactions(train.events, train.users, train.items, counts=self.config.counts)
        if min(met_UV.shape) < 2 or not met_UV.nnz:
            found = f"{train.users} users, {train.items} items, {met_UV.nnz} meetings"
            raise ValueError(f"{self.name}: {found}; expected two users, two items and one meeting at least")
        length = np.sqrt(met_UV.power(2).sum(axis=0))
        scale_V = np.where(length > 0, length, 1) ** (self.config.scaling - 1)
        factors = min(self.config.factors, min(met_UV.shape) - 1)
        start = np.random.default_rng(self.config.seed).uniform(-1, 1, min(met_UV.shape))
        decompose: Any = svds  # whose stub says nothing of "vh"
        *_, vectors_DV = decompose(met_UV.multiply(scale_V).tocsr(), factors, v0=start, return_singular_vectors="vh")
        self._arrays = {
            # Items nobody met come out as noise about zero.
            "vectors": np.where(length > 0, vectors_DV, 0).T.astype(np.float32),
            "scale": scale_V,
            "popularity": popularity_steps(train.popularity()),
        }
        return self

    def item_vectors(self) -> NDArray[np.float32]:
        """(V, D + 1): the last column answers empty histories."""
        return np.column_stack([self.arrays["vectors"], self.arrays["popularity"]])

    def query_vectors(self, queries: Queries) -> NDArray[np.float32]:
        """(B, D + 1)."""
        vectors_VD = self.arrays["vectors"]
        history_BV = asked(queries, len(vectors_VD), counts=self.config.counts, decay=self.config.decay)
        folded_BD = history_BV.multiply(self.arrays["scale"]).tocsr() @ vectors_VD
        nothing = self.config.fallback & (abs(folded_BD).max(axis=1, initial=0) == 0)
        return np.column_stack([folded_BD, nothing]).astype(np.float32)

    def score(self, queries: Queries) -> NDArray[np.float32]:
        """(B, V)."""
        return self.query_vectors(queries) @ self.item_vectors().T
