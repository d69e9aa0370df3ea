"""The contract of a recommender; one test runs over all that `training.models.registry` names."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from training.data import Queries, TrainingSet


class Recommender(Protocol):
    """Learns from a training set, then scores every item for any query, of users it has never seen too.

    Made from its own frozen config: `Sasrec(SasrecConfig(dimension=64))`. Given the same training set and config, a
    refit gives the same scores on CPU; a model saved and loaded again, too.
    """

    name: ClassVar[str]

    def fit(self, train: TrainingSet) -> Self:
        """Learn; returns itself."""
        ...

    def score(self, queries: Queries) -> NDArray[np.float32]:
        """(B, V), higher is better, finite; the same for a query alone and in a batch.

        Nothing is filtered here: what was seen, or is no candidate, the evaluator and `recommend` take out.
        """
        ...

    def save(self, folder: Path) -> None:
        """Write config and weights as JSON and safetensors into an empty folder."""
        ...

    @classmethod
    def load(cls, folder: Path) -> Self:
        """What `save` wrote."""
        ...


class Retriever(Recommender, Protocol):
    """A recommender whose score is the inner product of a query's vector and an item's: what an index can serve."""

    def item_vectors(self) -> NDArray[np.float32]:
        """(V, D), in evaluation mode."""
        ...

    def query_vectors(self, queries: Queries) -> NDArray[np.float32]:
        """(B, D), in evaluation mode; `score` is query_vectors @ item_vectors.T."""
        ...


class Served(Retriever, Protocol):
    """A retriever whose user tower a service runs without torch."""

    def export_onnx(self, path: Path) -> None:
        """Write the user tower as ONNX, so that it gives what `query_vectors` gives, within 1e-4.

        Inputs, all int64: `items` (B, L), positions, the oldest first, in the first `lengths` places, and -1 in those
        behind; `lengths` (B,), 1 to L; `profile` (B, 2), codes of gender and country. Output: `vector` (B, D) float32.
        L is fixed in the file; of a longer history the last L items are given. B may be fixed at 1.
        """
        ...
