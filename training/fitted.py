"""What is fitted on the items of training alone, and says so."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from training.data import Feature, TrainingSet


@dataclass(frozen=True, kw_only=True)
class Scaler:
    """Mean 0 and deviation 1 over the items it was fitted on."""

    name: str  # of the feature
    mean: NDArray[np.float32]  # (d,)
    scale: NDArray[np.float32]  # (d,): 1 / deviation; 0 where training has one value only, which teaches nothing
    items: NDArray[np.bool_]  # (V,): what it was fitted on; `leaks.check` looks at it

    def __call__(self, feature: Feature) -> Feature:
        """The feature scaled; cells that were not observed, and items that have none, are 0."""
        there = np.broadcast_to(feature.present[:, None], feature.values.shape)
        there = there if feature.observed is None else there & feature.observed
        values = np.where(there, (feature.values - self.mean) * self.scale, np.float32(0))
        return replace(feature, values=values.astype(np.float32))


def fitted_items(train: TrainingSet, feature: Feature) -> NDArray[np.bool_]:
    """(V,): items that training has met and that have the feature: what may be fitted on."""
    return feature.present & (train.popularity() > 0)


def fit_scaler(train: TrainingSet, feature: Feature) -> Scaler:
    """The scaler of a feature, each item of training counting once.

    It undoes any affine scaling that came before, such as the z-scores over all items of the catalogue in `tabular`:
    what comes out depends on the items of training alone.

    Raises:
        ValueError: No item of training has the feature.
    """
    items = fitted_items(train, feature)
    if not items.any():
        raise ValueError(f"scaler of '{feature.name}': no item of training has it; leave the feature out")
    values = feature.values[items].astype(np.float64)
    there = np.ones(values.shape, np.bool_) if feature.observed is None else feature.observed[items]
    count = np.maximum(there.sum(axis=0), 1)
    mean = np.where(there, values, 0).sum(axis=0) / count
    deviation = np.sqrt((np.where(there, values - mean, 0) ** 2).sum(axis=0) / count)
    varies = deviation > 1e-6  # float32 of a constant
    scale = np.where(varies, 1 / np.where(varies, deviation, 1), 0)
    return Scaler(name=feature.name, mean=mean.astype(np.float32), scale=scale.astype(np.float32), items=items)
