"""What is most like what was met, by content alone: needs no event of an item."""

# B queries, V items, d numbers of content

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from training.data import Queries, TrainingSet
from training.models.files import Stored
from training.models.matrices import asked
from training.scaling import content_vectors, scales


@dataclass(frozen=True, kw_only=True)
class Config:
    """Which features say what an item is, and how the likenesses to a history become one score."""

    modalities: tuple[str, ...]
    of: Literal["mean", "max"] = "mean"  # cosine to the items of the history


SPACE: dict[str, tuple[Any, ...]] = {"of": ("mean", "max")}


class ContentKnn(Stored):
    """The score of an item is its mean, or largest, cosine to the items of the history; 0 without any."""

    name: ClassVar[str] = "content_knn"
    config_type: ClassVar[type[Config]] = Config

    def fit(self, train: TrainingSet) -> Self:
        """Scale the modalities on the items that training has events of."""
        fitted = scales(train, self.config.modalities)
        self._arrays = {"vectors": content_vectors(train.features, fitted)}
        return self

    def score(self, queries: Queries) -> NDArray[np.float32]:
        """(B, V), cosines."""
        vectors_Vd = self.arrays["vectors"]
        met_BV = asked(queries, len(vectors_Vd), counts=True)
        if self.config.of == "mean":
            count_B1 = np.maximum(met_BV.sum(axis=1), 1)[:, None].astype(np.float32)
            return ((met_BV @ vectors_Vd) / count_B1).astype(np.float32) @ vectors_Vd.T
        scores_BV = np.zeros((len(queries), len(vectors_Vd)), np.float32)
        for row in np.flatnonzero(np.diff(met_BV.indptr)):
            met = met_BV.indices[met_BV.indptr[row] : met_BV.indptr[row + 1]]
            scores_BV[row] = (vectors_Vd @ vectors_Vd[met].T).max(axis=1)
        return scores_BV
