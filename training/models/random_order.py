"""Chance: what every other model must beat."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from training.data import Queries, TrainingSet
from training.models.files import Stored


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of `Random`."""

    seed: int = 0


SPACE: dict[str, tuple[Any, ...]] = {}


class Random(Stored):
    """Any order is as likely as any other; the same query gets the same one."""

    name: ClassVar[str] = "random"
    config_type: ClassVar[type[Config]] = Config

    def fit(self, train: TrainingSet) -> Self:
        """Learn how many items there are."""
        self._arrays = {"items": np.array([train.items])}
        return self

    def score(self, queries: Queries) -> NDArray[np.float32]:
        """(B, V) in [0, 1)."""
        scores = np.empty((len(queries), int(self.arrays["items"][0])), np.float32)
        for row, (user, at, history) in enumerate(zip(queries.user, queries.at, queries.history, strict=True)):
            asked = crc32(history.tobytes(), crc32(at.tobytes(), crc32(user.tobytes())))
            np.random.default_rng([self.config.seed, asked]).random(out=scores[row], dtype=np.float32)
        return scores
