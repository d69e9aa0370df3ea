"""The largest values of a product's rows, which neighbours are found by."""

import numpy as np
import pytest
from scipy import sparse

from training.models.matrices import largest, nearest


def matrix(rows: int, columns: int, *, seed: int, share: float = 0.3) -> sparse.csr_array:
    """Small whole numbers, so that many sums of products are equal."""
    dice = np.random.default_rng(seed)
    there = dice.random((rows, columns)) < share
    return sparse.csr_array(np.where(there, dice.integers(1, 3, (rows, columns)), 0).astype(float))


@pytest.mark.parametrize("k", [1, 3, 20, 500])
@pytest.mark.parametrize("threads", ["1", "3,2", "many"])
def test_a_product_that_is_never_whole_keeps_what_sorting_the_whole_one_would(
    k: int, threads: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", threads)
    left, right = matrix(40, 15, seed=1), matrix(15, 300, seed=2)
    rank = np.random.default_rng(3).permutation(300)
    found, wanted = (part.toarray() for part in (nearest(left, right, k, rank), largest(left @ right, k, rank)))
    np.testing.assert_array_equal(found != 0, wanted != 0)
    np.testing.assert_allclose(found, wanted, rtol=1e-7)


@pytest.mark.parametrize("shape", [(0, 0), (3, 0), (0, 4), (3, 4)])
def test_nothing_is_near_nothing(shape: tuple[int, int]) -> None:
    rows, columns = shape
    found = nearest(sparse.csr_array((rows, 2)), sparse.csr_array((2, columns)), 5, np.arange(columns))
    assert found.shape == shape
    assert found.nnz == 0
    assert len(found.indices) == 0


def test_values_below_zero_are_kept_where_there_are_no_others() -> None:
    left, right = sparse.csr_array([[-1.0, 0.0], [0.0, 1.0]]), sparse.csr_array([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]])
    found = nearest(left, right, 2, np.arange(3)).toarray()
    np.testing.assert_allclose(found, [[-1, -2, 0], [0, 2, 3]], rtol=1e-7)
