"""Frozen vectors of several kinds as numbers of one size; fitted to what training has events of. V items."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.data import Feature, TrainingSet

FARTHEST = 5.0
"""Deviations a standardised number may have: a share that is 0 for nearly all items has hundreds where it is not."""


@dataclass(frozen=True, kw_only=True)
class Scale:
    """Mean and deviation of a modality's numbers over the items that training has events of."""

    mean: NDArray[np.float32]  # (d,)
    deviation: NDArray[np.float32]  # (d,)

    @classmethod
    def of(cls, values: NDArray[np.float32], name: str) -> Scale:
        """Of (n, d) values.

        Raises:
            ValueError: There is none, or one is not finite.
        """
        if not len(values) or not np.isfinite(values).all():
            what = "has a value that is not finite" if len(values) else "is missing of every item in the training part"
            raise ValueError(f"feature '{name}' {what}; mend it, or leave it out of `modalities`")
        deviation = values.std(axis=0, dtype=np.float64)
        # A column that does not vary says nothing: dividing by 1 leaves it 0.
        return cls(
            mean=values.mean(axis=0, dtype=np.float64).astype(np.float32),
            deviation=np.where(deviation > 1e-8, deviation, 1.0).astype(np.float32),
        )

    def __call__(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n, d) as deviations from the mean."""
        return np.clip((values - self.mean) / self.deviation, -FARTHEST, FARTHEST)


def scales(train: TrainingSet, modalities: tuple[str, ...]) -> dict[str, Scale]:
    """Per modality, of the items that have it and training events.

    Raises:
        ValueError: The training set has no such feature, or nothing to fit a scale to.
    """
    unknown = [name for name in modalities if name not in train.features]
    if unknown:
        known = ", ".join(sorted(train.features)) or "none"
        raise ValueError(f"no feature '{unknown[0]}' in the training set; it has {known}")
    seen = train.popularity() > 0
    return {
        name: Scale.of(train.features[name].values[seen & train.features[name].present], name) for name in modalities
    }


def content_vectors(features: Mapping[str, Feature], fitted: Mapping[str, Scale]) -> NDArray[np.float32]:
    """(V, d), of unit length: all modalities side by side, each with the same say; zeros for an item that has none."""
    parts = [_unit(scale(features[name].values) * features[name].present[:, None]) for name, scale in fitted.items()]
    return _unit(np.concatenate(parts, axis=1))


def _unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return (rows / np.where(lengths > 0, lengths, 1)).astype(np.float32)
