"""Ranking against a few drawn items, for comparison with tables that were made so; it says nothing of a full ranking.

Sizes: B queries, V items, T targets of all queries together.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.data import Cases, Ragged


def draw_negatives(cases: Cases, count: int, seed: int) -> NDArray[np.int32]:
    """(T, count): for each target so many candidates, uniformly; never one seen, a target of the query, or one twice.

    Raises:
        ValueError: A query has fewer candidates to draw from.
    """
    random = np.random.default_rng(seed)
    drawn = np.empty((len(cases.targets.values), count), np.int32)
    for row in range(len(cases)):
        free = cases.candidates.copy()
        free[cases.queries.history[row]] = False
        free[cases.targets[row]] = False
        pool = np.flatnonzero(free)
        if len(pool) < count:
            raise ValueError(f"query {row} has {len(pool)} items to draw {count} negatives from; draw fewer")
        for place in range(cases.targets.starts[row], cases.targets.starts[row + 1]):
            drawn[place] = random.choice(pool, count, replace=False)
    return drawn


def sampled_ranks(scores_BV: NDArray[Any], targets: Ragged, negatives: NDArray[np.int32]) -> Ragged:
    """T rows: the place of each target, as a query of its own, among itself and its drawn negatives; ties against it.

    Args:
        scores_BV: Of the queries the targets are of; finite where a target or a negative is.
        targets: Of B queries.
        negatives: (T, count), of `draw_negatives`.

    Raises:
        ValueError: A score that is looked at is not finite.
    """
    scores = scores_BV[targets.rows[:, None], negatives]
    own = scores_BV[targets.rows, targets.values]
    if not (np.isfinite(scores).all() and np.isfinite(own).all()):
        raise ValueError("a score of a target or a drawn negative is NaN or infinite; expected finite scores")
    values = 1 + (scores >= own[:, None]).sum(axis=1)
    return Ragged(values=values.astype(np.int32), starts=np.arange(len(values) + 1))
