"""What most events of late were of, seen from the time of the query."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from training.data import NO_TIME, Queries, TrainingSet
from training.models.files import Stored

DAY_MS = 86_400_000
NEVER = -1100.0  # below log2 of the smallest float64 there is, 2**-1074


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of `RecentPopularity`."""

    half_life_days: float = 30.0  # an event this much older weighs half


SPACE: dict[str, tuple[Any, ...]] = {"half_life_days": (1.0, 3.0, 7.0, 14.0, 30.0, 90.0, 365.0)}


class RecentPopularity(Stored):
    """The score is log2 of the sum of 2 ** (-age / half-life) over an item's events before the query.

    Who asks at no time asks at the end of training; events of no time are as old as the oldest. Items with no event
    for about a thousand half-lives score as those with none at all.
    """

    name: ClassVar[str] = "recent_popularity"
    config_type: ClassVar[type[Config]] = Config

    def fit(self, train: TrainingSet) -> Self:
        """Sort the events by time."""
        at = train.events.at
        known = at[at != NO_TIME]
        at = np.where(at == NO_TIME, known.min() if len(known) else 0, at)
        order = np.argsort(at, kind="stable")
        self._arrays = {"at": at[order], "item": train.events.item[order], "items": np.array([train.items])}
        return self

    def score(self, queries: Queries) -> NDArray[np.float32]:
        """(B, V): queries in the order of time, each adding the events since the one before."""
        at, item, items = (self.arrays[key] for key in ("at", "item", "items"))
        asked = np.where(queries.at == NO_TIME, at[-1] + 1 if len(at) else 0, queries.at)
        scores = np.empty((len(queries), int(items[0])), np.float32)
        sums, then, done = np.zeros(int(items[0])), 0, 0
        for row in np.argsort(asked, kind="stable").tolist():
            now, before = int(asked[row]), int(np.searchsorted(at, asked[row]))
            sums *= self._share(now - then)
            new = slice(done, before)
            sums += np.bincount(item[new], self._share(now - at[new]), minlength=len(sums))
            with np.errstate(divide="ignore"):
                scores[row] = np.maximum(np.log2(sums), NEVER)
            then, done = now, before
        return scores

    def _share(self, age_ms: Any) -> Any:
        """What is left of an event's weight."""
        return np.exp2(-age_ms / (self.config.half_life_days * DAY_MS))
