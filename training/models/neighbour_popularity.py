"""How often the items most like it by content were met: a guess of what an item without events will be worth."""

# V items, S items that training has events of, d numbers of content

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from training.data import Queries, TrainingSet
from training.models.files import Stored
from training.scaling import content_vectors, scales

COSINES = 2**24
"""Cosines held at a time: 64 MB."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """Which features say what an item is."""

    modalities: tuple[str, ...]
    neighbours: int = 20


SPACE: dict[str, tuple[Any, ...]] = {}


class NeighbourPopularity(Stored):
    """The score of an item is the mean number of training events of its nearest neighbours by content."""

    name: ClassVar[str] = "neighbour_popularity"
    config_type: ClassVar[type[Config]] = Config

    def fit(self, train: TrainingSet) -> Self:
        """Find the neighbours, among items that training has events of, never an item itself."""
        vectors_Vd = content_vectors(train.features, scales(train, self.config.modalities))
        events = train.popularity()
        known_S = np.flatnonzero(events)
        step = max(1, COSINES // len(known_S))
        places = (np.arange(at, min(at + step, len(vectors_Vd))) for at in range(0, len(vectors_Vd), step))
        means = [events[self._nearest(vectors_Vd, items, known_S)].mean(axis=1) for items in places]
        self._arrays = {"popularity": np.concatenate(means).astype(np.float32)}
        return self

    def _nearest(
        self, vectors_Vd: NDArray[np.float32], items: NDArray[np.int64], known_S: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """(items, neighbours); of equally near ones the smaller number."""
        cosines = vectors_Vd[items] @ vectors_Vd[known_S].T
        cosines[items[:, None] == known_S[None]] = -np.inf
        count = min(self.config.neighbours, len(known_S) - 1) or 1
        least = -np.partition(-cosines, count - 1, axis=1)[:, count - 1 : count]
        # Those above the least of the nearest, then as many of those equal to it as there is room for.
        equal = cosines == least
        room = count - (cosines > least).sum(axis=1, keepdims=True)
        chosen = (cosines > least) | (equal & (np.cumsum(equal, axis=1) <= room))
        return known_S[np.nonzero(chosen)[1].reshape(len(items), count)]

    def score(self, queries: Queries) -> NDArray[np.float32]:
        """(B, V), events."""
        return np.tile(self.arrays["popularity"], (len(queries), 1))
