"""What most events are of: the same answer to everybody."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from training.data import Queries, TrainingSet
from training.models.files import Stored


@dataclass(frozen=True, kw_only=True)
class Config:
    """It has no settings."""


SPACE: dict[str, tuple[Any, ...]] = {}


class MostPopular(Stored):
    """The score of an item is the number of its events in the training part."""

    name: ClassVar[str] = "most_popular"
    config_type: ClassVar[type[Config]] = Config

    def fit(self, train: TrainingSet) -> Self:
        """Count."""
        self._arrays = {"popularity": train.popularity().astype(np.float32)}
        return self

    def score(self, queries: Queries) -> NDArray[np.float32]:
        """(B, V), events."""
        return np.tile(self.arrays["popularity"], (len(queries), 1))
