"""More by the artists and directors of the history."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from training.data import Queries, TrainingSet
from training.models.files import Stored, matrix_of, parts_of
from training.models.matrices import asked, beneath, popularity_steps


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of `SameCreator`."""

    decay: float = 1.0  # what an event of the history weighs against the one after it


SPACE: dict[str, tuple[Any, ...]] = {"decay": (1.0, 0.95, 0.8, 0.5)}


class SameCreator(Stored):
    """The weight of the history's events by any of the item's creators; of equal ones the more popular first.

    An event counts once per creator that both items share. Items of other creators come below, by popularity.
    """

    name: ClassVar[str] = "same_creator"
    config_type: ClassVar[type[Config]] = Config

    def fit(self, train: TrainingSet) -> Self:
        """Note who made what.

        Raises:
            ValueError: The training set does not say.
        """
        if train.creators is None:
            raise ValueError(f"{self.name}: the training set names no creators; expected a row of codes per item")
        made = train.creators
        shape = (train.items, int(made.values.max(initial=-1)) + 1)
        by_VC = sparse.csr_array((np.ones(len(made.values)), (made.rows, made.values)), shape=shape)
        by_VC.data[:] = 1  # who is named twice
        self._arrays = {"popularity": popularity_steps(train.popularity()), **parts_of("creators", by_VC)}
        return self

    def score(self, queries: Queries) -> NDArray[np.float32]:
        """(B, V)."""
        by_VC, steps_V = matrix_of("creators", self.arrays), self.arrays["popularity"]
        history_BV = asked(queries, len(steps_V), counts=True, decay=self.config.decay)
        scores = (history_BV @ by_VC @ by_VC.T).toarray()
        # With decay 1 the sums are whole numbers: less than 1 breaks ties and nothing else.
        return beneath(np.where(scores > 0, scores + steps_V, 0).astype(np.float32), steps_V)
