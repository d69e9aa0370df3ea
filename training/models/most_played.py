"""What somebody met most often comes again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from training.data import Queries, TrainingSet
from training.models.files import Stored
from training.models.matrices import asked, beneath, latest, popularity_steps


@dataclass(frozen=True, kw_only=True)
class Config:
    """It has no settings."""


SPACE: dict[str, tuple[Any, ...]] = {}


class MostPlayed(Stored):
    """How often the history has the item, of equal ones the later first; below them the others, by popularity."""

    name: ClassVar[str] = "most_played"
    config_type: ClassVar[type[Config]] = Config

    def fit(self, train: TrainingSet) -> Self:
        """Learn popularity alone."""
        self._arrays = {"popularity": popularity_steps(train.popularity())}
        return self

    def score(self, queries: Queries) -> NDArray[np.float32]:
        """(B, V)."""
        steps_V = self.arrays["popularity"]
        played_BV = asked(queries, len(steps_V), counts=True)
        # 1 / 2 at most is added, so that a count is never overtaken.
        return beneath((played_BV + latest(queries, len(steps_V)) / 2).toarray().astype(np.float32), steps_V)
