"""What the popularity of items does to a figure: coverage, novelty, debiased NDCG, popularity recommended and consumed.

Sizes: B queries, V items, T targets of all queries together, K recommended items per query.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.data import Events, Ragged
from training.metrics import NONE, Floats

BANDS = ("cold", "tail", "torso", "head")
"""Items without training events; those that carry the last 20 %, the next 30 %, the first 50 % of the events."""
HEAD_SHARE, TORSO_SHARE = 0.5, 0.8


def bands(popularity: NDArray[np.int64]) -> NDArray[np.int64]:
    """(V,): the place in `BANDS` of each item; of equally popular items the smaller number is the more popular."""
    order = np.argsort(-popularity, kind="stable")
    before = np.cumsum(popularity[order]) - popularity[order]
    found = np.empty(len(popularity), np.int64)
    total = popularity.sum()
    found[order] = 3 - (before >= HEAD_SHARE * total) - (before >= TORSO_SHARE * total)
    found[popularity == 0] = 0
    return found


def coverage(top_BK: NDArray[np.int32], candidates: NDArray[np.bool_]) -> float:
    """Share of the candidates that are recommended to anybody."""
    met = np.zeros(len(candidates), np.bool_)
    met[top_BK[top_BK != NONE]] = True
    return int(met.sum()) / int(candidates.sum())


def novelty_linear(popularity: NDArray[np.int64]) -> Floats:
    """(V,): 1 - events of the item / events of the most popular item.

    Source: popularity complement of Vargas & Castells (RecSys 2011), of events scaled to the most popular item.
    """
    return 1 - popularity / max(1, int(popularity.max()))


def novelty_bits(events: Events, items: int) -> Floats:
    """(V,): -log2 of the share of users (or playlists) that have the item; what nobody has counts as what one has.

    Source: mean inverse user frequency and self-information of Castells et al. (ECIR 2011).
    """
    pairs = np.sort(events.user.astype(np.int64) * items + events.item)
    having = np.bincount(pairs[np.diff(pairs, prepend=-1) > 0] % items, minlength=items)
    users = np.count_nonzero(np.bincount(events.user))
    return -np.log2(np.maximum(having, 1) / max(1, users))


def list_means(top_BK: NDArray[np.int32], of_items: Floats) -> Floats:
    """(B,): the mean over what is recommended; each query must have an item."""
    there_BK = top_BK != NONE
    return np.where(there_BK, of_items[top_BK], 0.0).sum(axis=1) / there_BK.sum(axis=1)


def propensity_weights(popularity: NDArray[np.int64], power: float = 0.5) -> Floats:
    """(V,): 1 / propensity, where propensity = (events / most events of an item) ** power; no events count as one.

    Source: Saito et al., "Unbiased Recommender Learning from Missing-Not-At-Random Implicit Feedback" (WSDM 2020).
    """
    return (max(1, int(popularity.max())) / np.maximum(popularity, 1)) ** power


def debiased_ndcg(places: Ragged, weights_T: Floats, k: int) -> Floats:
    """(B,): NDCG where a target gains its weight instead of 1, times the query's share of weight; 1 on average at best.

    The share is the mean weight of the query's targets over the mean of that of all queries: the mean over queries is
    the self-normalised inverse-propensity estimate of Yang et al., "Unbiased Offline Recommender Evaluation for
    Missing-Not-At-Random Implicit Feedback" (RecSys 2018). Values of single queries may exceed 1.
    """
    rows, count = places.rows, len(places)
    gains = np.where(places.values <= k, weights_T / np.log2(1.0 + places.values), 0.0)
    order = np.lexsort((-weights_T, rows))
    first = np.arange(1, len(rows) + 1) - np.repeat(places.starts[:-1], places.lengths)
    ideal = np.where(first <= k, weights_T[order] / np.log2(1.0 + first), 0.0)
    share = np.bincount(rows, weights_T, count) / places.lengths
    return np.bincount(rows, gains, count) / np.bincount(rows, ideal, count) * (share / share.mean())


def popularity_shift(
    recommended: NDArray[Any], consumed: NDArray[Any], popularity: NDArray[np.int64]
) -> Mapping[str, Any]:
    """How the popularity of what is recommended is distributed, against that of what is consumed.

    Args:
        recommended: Items, each as often as it is recommended; NONE is left out.
        consumed: Items, each as often as it is met.
        popularity: (V,) training events.

    Returns:
        `from`: least popularity of each bin (0, 1, 2, 4, 8 ...); `recommended`, `consumed`: share in each bin;
        `distance`: Wasserstein-1 of log2(1 + popularity), exact, not of the bins: the doublings a list would have to
        move on average; `shift`: mean of the recommended minus mean of the consumed, above 0 where lists are more
        popular than what is consumed.
    """
    shares = [_shares(items, len(popularity)) for items in (recommended[recommended != NONE], consumed)]
    doublings = np.log2(1.0 + popularity)
    bins = np.ceil(doublings).astype(np.int64)  # 0, 1, 2-3, 4-7, ...
    order = np.argsort(popularity, kind="stable")
    apart = np.abs(np.cumsum((shares[0] - shares[1])[order]))[:-1]
    return {
        "from": [0, *(2**n for n in range(int(bins.max())))],
        "recommended": np.bincount(bins, shares[0]).tolist(),
        "consumed": np.bincount(bins, shares[1]).tolist(),
        "distance": float(apart @ np.diff(doublings[order])),
        "shift": float((shares[0] - shares[1]) @ doublings),
    }


def _shares(items: NDArray[Any], count: int) -> Floats:
    return np.bincount(items, minlength=count) / max(1, len(items))
