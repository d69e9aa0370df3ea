"""Standardised numbers and one-hot genres, by a fit over all items that is made once and frozen."""

# Annotations stay text: numpy is imported at its first use.
from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, ClassVar

from featurizers.base import FeatureBatch, FeatureSpec
from storage.lazy import np
from storage.reasons import Reason


@dataclass(frozen=True, kw_only=True)
class TabularFit:
    """Means, deviations and the genres that have a column; stored as JSON."""

    numeric: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]  # never 0: a constant column has 1
    genres: tuple[str, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """The name of each cell of a vector."""
        return (*self.numeric, *(f"genre:{genre}" for genre in self.genres))

    @property
    def digest(self) -> str:
        """12 hex digits over all of it."""
        return hashlib.blake2b(json.dumps(asdict(self)).encode(), digest_size=6).hexdigest()

    @classmethod
    def from_json(cls, text: str) -> TabularFit:
        """The fit as `to_json` wrote it."""
        return cls(**{name: tuple(value) for name, value in json.loads(text).items()})

    def to_json(self) -> str:
        """JSON of all of it."""
        return json.dumps(asdict(self))


class Tabular:
    """Numbers as z-scores, genres as 0 or 1; what an item does not have is 0 with a False in the mask."""

    name: ClassVar[str] = "tabular"

    def __init__(self, *, fit: TabularFit) -> None:
        """`fit` stays as it is, however the items change, until it is refitted by command."""
        self._fit = fit

    @property
    def version(self) -> str:
        """Code version and digest of the fit."""
        return f"1-{self._fit.digest}"

    @property
    def spec(self) -> FeatureSpec:
        """As many cells as the fit has columns."""
        return FeatureSpec(shape=(len(self._fit.columns),), dtype="float32", unit="z-score, or 0/1 for genres")

    @cached_property
    def _genre_index(self) -> dict[str, int]:
        return {genre: i for i, genre in enumerate(self._fit.genres)}

    def __call__(self, batch: Sequence[Mapping[str, Any]]) -> FeatureBatch:
        """Vectors of shape (B, columns); an item with neither number nor genre has the reason `missing_input`."""
        fit = self._fit
        numbers = np.array([[number(item, name) for name in fit.numeric] for item in batch], np.float64)
        numbers = numbers.reshape(len(batch), len(fit.numeric))
        hot = np.zeros((len(batch), len(fit.genres)), np.float32)
        for row, item in enumerate(batch):
            for genre in item["genres"] or ():
                if (column := self._genre_index.get(genre)) is not None:
                    hot[row, column] = 1.0
        seen = ~np.isnan(numbers)
        scores = np.where(seen, (numbers - np.array(fit.mean)) / np.array(fit.std), 0.0).astype(np.float32)
        known = np.array([bool(item["genres"]) for item in batch], bool)[:, None]
        mask = np.hstack([seen, np.broadcast_to(known, hot.shape)])
        errors = tuple(None if row.any() else Reason.MISSING_INPUT.value for row in mask)
        return FeatureBatch(values=np.hstack([scores, hot]), errors=errors, mask=mask)


def number(item: Mapping[str, Any], name: str) -> float:
    """The item's number of that name; NaN where it has none."""
    value = item[name] if name in ("year", "duration_ms") else dict(item["attributes"] or ()).get(name)
    return float("nan") if value is None else float(value)
