"""When each column became known: `release`, with the item itself, or `fetched`, when somebody asked for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from training.data import NO_TIME, Feature, KnownAt

_SOUND = (
    "danceability energy key loudness mode speechiness acousticness instrumentalness liveness valence tempo "
    "time_signature"
)
RELEASED = frozenset(("year", "duration_ms", "budget", *_SOUND.split()))
"""Numbers that an item has from its first day. All others (votes, popularity, plays, revenue) grow with time."""
_GENRE = "genre:"


def of_cell(name: str, declared: Mapping[str, KnownAt]) -> KnownAt:
    """When a number was known: as declared, else by its name; one that nobody knows counts as `fetched`."""
    return declared.get(name) or ("release" if name in RELEASED or name.startswith(_GENRE) else "fetched")


def parted(feature: Feature, declared: Mapping[str, KnownAt], fetched_at: NDArray[np.int64]) -> dict[str, Feature]:
    """A feature of named cells as two: `NAME` of what was known from the start, and `NAME_fetched`."""
    kinds = [of_cell(cell, declared) for cell in feature.cells]
    early = [at for at, kind in enumerate(kinds) if kind != "fetched"]
    late = [at for at, kind in enumerate(kinds) if kind == "fetched"]
    found = {feature.name: _columns(feature, early)} if early else {}
    if late:
        name = f"{feature.name}_fetched"
        found[name] = replace(_columns(feature, late), name=name, known_at="fetched", fetched_at=fetched_at)
    return found


def _columns(feature: Feature, chosen: Sequence[int]) -> Feature:
    observed = None if feature.observed is None else feature.observed[:, chosen]
    present = feature.present if observed is None else feature.present & observed.any(axis=1)
    cells = tuple(feature.cells[at] for at in chosen)
    return replace(feature, values=feature.values[:, chosen], observed=observed, present=present, cells=cells)


def as_of(feature: Feature, cut: int) -> Feature:
    """The feature as it was known before `cut`, milliseconds since 1970; NO_TIME: at no time that one could tell.

    A value that was fetched at the cut or later is hidden: not present, and zeros.

    Raises:
        ValueError: It was fetched, and nobody knows when.
    """
    if feature.known_at != "fetched":
        return feature
    if feature.fetched_at is None:
        raise ValueError(
            f"feature '{feature.name}': fetched, but not said when; give `fetched_at`, or leave the feature out"
        )
    known = feature.present & (feature.fetched_at < cut) if cut != NO_TIME else np.zeros_like(feature.present)
    return replace(feature, values=np.where(known[:, None], feature.values, np.float32(0)), present=known)
