"""What was met last comes again: in music, a baseline that many models do not beat."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from training.data import Queries, TrainingSet
from training.models.files import Stored
from training.models.matrices import beneath, latest, popularity_steps


@dataclass(frozen=True, kw_only=True)
class Config:
    """It has no settings."""


SPACE: dict[str, tuple[Any, ...]] = {}


class RepeatLast(Stored):
    """The history's items, the last one first (1 / how many events ago); below them the others, by popularity."""

    name: ClassVar[str] = "repeat_last"
    config_type: ClassVar[type[Config]] = Config

    def fit(self, train: TrainingSet) -> Self:
        """Learn popularity alone."""
        self._arrays = {"popularity": popularity_steps(train.popularity())}
        return self

    def score(self, queries: Queries) -> NDArray[np.float32]:
        """(B, V)."""
        steps_V = self.arrays["popularity"]
        return beneath(latest(queries, len(steps_V)).toarray().astype(np.float32), steps_V)
