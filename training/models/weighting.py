"""How much it tells that a user met an item, before rows are compared: cosine, TF-IDF, BM25, as `implicit` has them.

R rows are what is compared (items by their users, or users by their items), C columns are what describes them.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from training.models.matrices import Csr

Weighting = Literal["cosine", "tfidf", "bm25"]


def inverse_frequency(met_RC: Csr) -> NDArray[np.float64]:
    """(C,): log of rows to rows that have the column (plus one): what everybody has tells little."""
    rows, columns = met_RC.shape
    return np.log(rows) - np.log1p(np.bincount(met_RC.indices, minlength=columns))


def norms(matrix: Csr) -> NDArray[np.float64]:
    """(R,): length of each row."""
    return np.sqrt(matrix.power(2).sum(axis=1))


def weighted(
    met_RC: Csr,
    weighting: Weighting,
    frequency_C: NDArray[np.float64],
    *,
    average: float | None = None,
    k1: float,
    b: float,
) -> Csr:
    """(R, C): rows whose inner products are the similarities; of length 1 but for BM25.

    `frequency_C` is the `inverse_frequency` and `average` the mean sum of the rows that were learnt from; without it,
    that of these rows.
    """
    if weighting == "bm25":
        sums = met_RC.sum(axis=1)
        length = 1 - b + b * sums / (sums.mean() if average is None else average)
        each = np.repeat(length, np.diff(met_RC.indptr))
        data = met_RC.data * (k1 + 1) / (k1 * each + met_RC.data) * frequency_C[met_RC.indices]
        return _like(met_RC, data)
    if weighting == "tfidf":
        met_RC = _like(met_RC, np.sqrt(met_RC.data) * frequency_C[met_RC.indices])
    return unit_rows(met_RC)


def unit_rows(matrix: Csr) -> Csr:
    """Every row divided by its length; one of zeros stays."""
    length = norms(matrix)
    return _like(matrix, matrix.data / np.repeat(np.where(length > 0, length, 1), np.diff(matrix.indptr)))


def _like(matrix: Csr, data: NDArray[np.float64]) -> Csr:
    return sparse.csr_array((data, matrix.indices, matrix.indptr), shape=matrix.shape)
