"""How often items of the same creators, or genres, were met: a guess for an item without events."""

# V items, A attributes

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from training.data import Queries, TrainingSet
from training.models.files import Stored


@dataclass(frozen=True, kw_only=True)
class Config:
    """It has no settings."""


SPACE: dict[str, tuple[Any, ...]] = {}


class AttributePopularity(Stored):
    """The score of an item is the mean, over its attributes, of the mean number of training events of their items.

    An item does not count for itself. Attributes that no other item with events has say nothing: without any other the
    score is the mean of all items with events.
    """

    attribute: ClassVar[Literal["creators", "genres"]]
    config_type: ClassVar[type[Config]] = Config

    def fit(self, train: TrainingSet) -> Self:
        """Count.

        Raises:
            ValueError: The training set does not say who made the items, or their genres.
        """
        has = getattr(train, self.attribute)
        if has is None:
            raise ValueError(f"{self.name}: the training set has no {self.attribute}; take another baseline")
        events_V = train.popularity().astype(np.float64)
        own, known = events_V[has.rows], (events_V > 0)[has.rows]
        sums_A, items_A = np.bincount(has.values, weights=own), np.bincount(has.values, weights=known)
        others = items_A[has.values] - known
        mean = (sums_A[has.values] - own) / np.maximum(others, 1)
        count_V = np.bincount(has.rows, weights=others > 0, minlength=train.items)
        sum_V = np.bincount(has.rows, weights=np.where(others > 0, mean, 0.0), minlength=train.items)
        everywhere = events_V.sum() / max(1, np.count_nonzero(events_V))
        score_V = np.where(count_V > 0, sum_V / np.maximum(count_V, 1), everywhere)
        self._arrays = {"popularity": score_V.astype(np.float32)}
        return self

    def score(self, queries: Queries) -> NDArray[np.float32]:
        """(B, V), events."""
        return np.tile(self.arrays["popularity"], (len(queries), 1))


class CreatorPopularity(AttributePopularity):
    """Of the same artists or directors."""

    name: ClassVar[str] = "creator_popularity"
    attribute = "creators"


class GenrePopularity(AttributePopularity):
    """Of the same genres."""

    name: ClassVar[str] = "genre_popularity"
    attribute = "genres"
