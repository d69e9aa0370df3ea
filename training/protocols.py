"""Evaluation protocols as data: which events are learnt from, which are asked for. `training.splits` carries them out.

Each is a frozen dataclass that JSON can hold: `parse({"protocol": "loo", "filter_seen": True})`.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from typing import Any, ClassVar, Literal, get_args, get_type_hints


@dataclass(frozen=True, kw_only=True)
class Prepare:
    """What is left of a user's events before they are split, in this order (S2 of the seeds)."""

    drop_first: int = 0  # events of each user: a site's own recommender chose them
    fewest: int | None = None  # users with fewer events left are dropped
    most: int | None = None  # users with more, too
    user_share: float | None = None  # of the users left, drawn by the protocol's seed
    least_value: float | None = None  # events rated lower are dropped, after the lengths were looked at
    shortest: int | None = None  # users with fewer events after all that are dropped

    def __post_init__(self) -> None:
        """Refuse numbers that mean nothing."""
        _at_least(0, drop_first=self.drop_first)
        _at_least(1, fewest=self.fewest, most=self.most, shortest=self.shortest)
        _share(user_share=self.user_share)
        if self.fewest is not None and self.most is not None and self.fewest > self.most:
            raise ValueError(f"prepare: fewest {self.fewest} is more than most {self.most}; no user would be left")

    @property
    def sees_the_future(self) -> bool:
        """Whether users are chosen by how many events they will have had."""
        return (self.fewest, self.most, self.shortest) != (None, None, None)


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """What all protocols have."""

    name: ClassVar[str] = ""

    filter_seen: bool | None = None  # None: false for plays of tracks, which repeat, else true
    least_history: int = 1  # cases with a shorter one are left out, and counted; 0 asks for newcomers, too
    seed: int = 0
    prepare: Prepare = field(default_factory=Prepare)

    def __post_init__(self) -> None:
        """Refuse numbers that mean nothing."""
        _at_least(0, least_history=self.least_history, seed=self.seed)

    def to_json(self) -> dict[str, Any]:
        """As `parse` reads it."""
        return {"protocol": self.name} | asdict(self)


@dataclass(frozen=True, kw_only=True)
class _Folded(Protocol):
    folds: int = 10
    fold: int = 0  # this one is the test, the next one validation

    def __post_init__(self) -> None:
        super().__post_init__()
        _at_least(3, folds=self.folds)
        if not 0 <= self.fold < self.folds:
            raise ValueError(f"fold {self.fold}: expected 0 to {self.folds - 1}, as there are {self.folds} folds")


@dataclass(frozen=True, kw_only=True)
class Loo(Protocol):
    """Leave one out: each user's last event is the test, the one before validation, all before training."""

    name: ClassVar[str] = "loo"


@dataclass(frozen=True, kw_only=True)
class UserHoldout(_Folded):
    """Users dealt into folds: one is the test, one validation, 80 % training; asked is the last event of each."""

    name: ClassVar[str] = "user_holdout"


@dataclass(frozen=True, kw_only=True)
class Temporal(Protocol):
    """A cut at one time for all: what is learnt lies before it, what is asked for after it."""

    name: ClassVar[str] = "temporal"

    test_from: str | None = None  # ISO 8601, UTC without a zone; None: by the share
    validation_from: str | None = None
    test_share: float = 0.1  # of all events, the latest
    validation_share: float = 0.1  # those before them
    per_user: int | None = 1  # so many of a user's events after the cut are asked for, each with what was before it

    def __post_init__(self) -> None:
        """Refuse times that are none, and shares that leave nothing."""
        super().__post_init__()
        _share(test_share=self.test_share, validation_share=self.validation_share)
        _at_least(1, per_user=self.per_user)
        if self.test_share + self.validation_share >= 1:
            raise ValueError(f"temporal: {self.test_share} and {self.validation_share} leave nothing to learn from")
        if (self.test_from is None) != (self.validation_from is None):
            raise ValueError("temporal: test_from and validation_from belong together; give both or none")
        if (
            self.test_from
            and self.validation_from
            and milliseconds(self.validation_from) >= milliseconds(self.test_from)
        ):
            raise ValueError(f"temporal: validation_from {self.validation_from} is not before {self.test_from}")
        if self.prepare.sees_the_future:
            raise ValueError("temporal: fewest, most and shortest choose users by events after the cut; leave them out")


@dataclass(frozen=True, kw_only=True)
class Playlist(_Folded):
    """Playlists dealt into folds; of those held out the last entries are asked for, all of them at once."""

    name: ClassVar[str] = "playlist"

    hidden: float = 0.5  # share of a held-out playlist's entries
    least_entries: int = 2  # shorter playlists are learnt from and not asked for

    def __post_init__(self) -> None:
        """Refuse numbers that mean nothing."""
        super().__post_init__()
        _share(hidden=self.hidden)
        _at_least(2, least_entries=self.least_entries)


@dataclass(frozen=True, kw_only=True)
class ColdItems(_Folded):
    """Groups of the same recording dealt into folds: the items of one are cold, and nobody has met them in training."""

    name: ClassVar[str] = "cold_items"

    folds: int = 5
    validation_share: float = 0.1  # of the other groups and of the users: cold as well, for early stopping
    candidates: Literal["cold", "catalogue"] = "cold"
    per_user: int | None = 1  # so many of a user's last cold events are asked for, at once

    def __post_init__(self) -> None:
        """Refuse numbers that mean nothing."""
        super().__post_init__()
        _share(validation_share=self.validation_share)
        _at_least(1, per_user=self.per_user)


PROTOCOLS: dict[str, type[Protocol]] = {p.name: p for p in (Loo, UserHoldout, Temporal, Playlist, ColdItems)}


def parse(given: Mapping[str, Any]) -> Protocol:
    """A protocol from its name and options, as a recipe has them.

    Raises:
        ValueError: An unknown protocol or option, or a value that means nothing.
    """
    options = dict(given)
    name = options.pop("protocol", None)
    if name not in PROTOCOLS:
        raise ValueError(f"protocol {name!r}: unknown{_meant(name, PROTOCOLS)}; known: {', '.join(PROTOCOLS)}")
    prepare = options.pop("prepare", {})
    if not isinstance(prepare, Mapping):
        raise ValueError(f"{name}: prepare {prepare!r} is no mapping; expected options like {{drop_first: 20}}")
    made = _made(Prepare, f"{name}.prepare", prepare)
    return _made(PROTOCOLS[name], str(name), options | {"prepare": made})


def milliseconds(text: str) -> int:
    """Milliseconds since 1970 of a time in ISO 8601; UTC where it names no zone."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError as exc:
        raise ValueError(f"'{text}' is no time; expected ISO 8601, such as 2026-01-31 or 2026-01-31T12:00:00Z") from exc
    return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)


def _made(kind: type[Any], where: str, options: Mapping[str, Any]) -> Any:
    known = {f.name for f in fields(kind)}
    for name in options:
        if name not in known:
            raise ValueError(
                f"{where}: unknown option '{name}'{_meant(name, known)}; known: {', '.join(sorted(known))}"
            )
    hints = get_type_hints(kind)
    return kind(**{name: _typed(f"{where}.{name}", value, hints[name]) for name, value in options.items()})


def _typed(where: str, value: Any, hint: Any) -> Any:
    choices = get_args(hint) or (hint,)
    if hint is Prepare or value in [c for c in choices if isinstance(c, str)]:
        return value
    if value is None and type(None) in choices:
        return None
    if float in choices and type(value) is int:
        return float(value)
    if type(value) not in choices or (isinstance(value, float) and not math.isfinite(value)):
        expected = " or ".join("null" if c is type(None) else getattr(c, "__name__", repr(c)) for c in choices)
        raise ValueError(f"{where}: {value!r}, expected {expected}")
    return value


def _meant(name: object, known: Any) -> str:
    near = difflib.get_close_matches(str(name), list(known), n=1)
    return f"; did you mean '{near[0]}'?" if near else ""


def _at_least(least: int, **given: int | None) -> None:
    for name, value in given.items():
        if value is not None and value < least:
            raise ValueError(f"{name} {value}: expected {least} or more")


def _share(**given: float | None) -> None:
    for name, value in given.items():
        if value is not None and not 0 < value < 1:
            raise ValueError(f"{name} {value}: expected a share between 0 and 1")
