"""What somebody was asked, in digests that another release can be held against: people and items by their names."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.data import Cases, Dataset
from training.evaluation import persons


def identity(cases: Cases, data: Dataset, protocol: Mapping[str, object]) -> dict[str, Any]:
    """As JSON: digests of the cases (people, times, targets), of the candidates and of the protocol; the seen filter.

    Equal digests are equal sets, also where users and items have other numbers; histories follow from the cases, the
    events and the protocol.
    """
    owner, queries, targets = persons(cases), cases.queries, cases.targets
    return {
        "cases": _digest(
            *_named(data.user_ids, owner), queries.at, targets.starts, *_named(data.item_ids, targets.values)
        ),
        "candidates": _digest(*_named(data.item_ids, np.flatnonzero(cases.candidates))),
        "protocol": _digest(json.dumps(protocol, sort_keys=True, default=str).encode()),
        "filter_seen": cases.filter_seen,
        "count": len(cases),
    }


def _named(ids: Sequence[str], numbers: NDArray[Any]) -> tuple[bytes, NDArray[np.int64]]:
    """The names that occur, in order of their numbers, and which is where; below 0 is nobody who has a name."""
    used, codes = np.unique(numbers, return_inverse=True)
    names = [ids[n] if n >= 0 else "" for n in used.tolist()]
    return json.dumps(names).encode(), codes.astype(np.int64)


def _digest(*parts: bytes | NDArray[Any]) -> str:
    found = hashlib.sha256()
    for part in parts:
        held = part if isinstance(part, bytes) else np.ascontiguousarray(part).tobytes()
        found.update(f"{len(held)}:".encode())
        found.update(held)
    return found.hexdigest()[:16]
