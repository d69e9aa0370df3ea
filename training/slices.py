"""Parts of the cases whose figures are told apart: by query (who asked) or by target (what was looked for).

Sizes: B queries, V items, T targets of all queries together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.data import NO_TIME, NOBODY, UNKNOWN, Cases, TrainingSet
from training.popularity_metrics import BANDS, bands

DAY_MS = 86_400_000
LENGTHS = {"0": 0, "1-4": 1, "5-19": 5, "20-99": 20, "100+": 100}  # events of the history, from
AGES = ("met later", "under a week", "under a month", "under a year", "older", "no time", "cold")
AGES_DAYS = (0, 7, 30, 365)
NEVER = np.iinfo(np.int64).max


@dataclass(frozen=True, kw_only=True)
class Slicing:
    """One way to part the queries, or the targets, of cases."""

    name: str
    labels: tuple[str, ...]
    codes: NDArray[np.int64]  # (B,) or (T,): place in labels
    of_targets: bool  # False: of queries


def slicings(cases: Cases, train: TrainingSet) -> tuple[Slicing, ...]:
    """All that can be told of these cases."""
    of_targets = [
        _pair("target", "new", "in the history", _in_history(cases), of_targets=True),
        _ages(cases, train),
        Slicing(
            name="popularity", labels=BANDS, codes=bands(train.popularity())[cases.targets.values], of_targets=True
        ),
        *(
            _pair(f"feature {name}", "missing", "present", feature.present[cases.targets.values], of_targets=True)
            for name, feature in sorted(train.features.items())
        ),
    ]
    return (*_of_queries(cases, train), *of_targets)


def _of_queries(cases: Cases, train: TrainingSet) -> Sequence[Slicing]:
    queries = cases.queries
    codes = np.searchsorted(list(LENGTHS.values()), queries.history.lengths, side="right") - 1
    met = np.bincount(train.events.user, minlength=train.users) > 0
    known = (queries.user != UNKNOWN) & met[queries.user]
    return (
        Slicing(name="history length", labels=tuple(LENGTHS), codes=codes, of_targets=False),
        _pair("user", "unknown", "known", known, of_targets=False),
        _pair("country", "unknown", "known", queries.profile[:, 1] != NOBODY, of_targets=False),
    )


def _pair(name: str, no: str, yes: str, which: NDArray[np.bool_], *, of_targets: bool) -> Slicing:
    return Slicing(name=name, labels=(no, yes), codes=which.astype(np.int64), of_targets=of_targets)


def _in_history(cases: Cases) -> NDArray[np.bool_]:
    return cases.queries.history.hold(cases.targets.rows, cases.targets.values)


def _ages(cases: Cases, train: TrainingSet) -> Slicing:
    """Time from the item's first training event to the query; `met later` where training has only later ones."""
    first = np.full(train.items, NEVER)
    timed = train.events.at != NO_TIME
    np.minimum.at(first, train.events.item[timed], train.events.at[timed])
    met = train.popularity() > 0
    item, asked = cases.targets.values, cases.queries.at[cases.targets.rows]
    known = (first[item] != NEVER) & (asked != NO_TIME)
    days = np.where(known, asked - np.where(known, first[item], 0), 0) / DAY_MS
    codes = np.where(known, np.searchsorted(AGES_DAYS, days, side="right"), AGES.index("no time"))
    codes[~met[item]] = AGES.index("cold")
    return Slicing(name="item age", labels=AGES, codes=codes, of_targets=True)
