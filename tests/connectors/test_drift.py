"""Drift: what is new in an answer, and what is gone from it."""

from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, Field

from connectors.drift import Drift, drift_of


class Base(BaseModel):
    model_config = ConfigDict(extra="allow")


class Artist(Base):
    name: str


class Track(Base):
    id: str
    duration_ms: int
    isrc: str | None = None
    by: list[Artist] = Field(alias="artists")


class Tracks(Base):
    items: list[Track | None]


class Answer(Base):
    tracks: Tracks


TRACK = {"id": "t", "duration_ms": 1, "artists": [{"name": "A"}]}


@pytest.mark.parametrize(
    ("track", "unknown", "missing"),
    [
        (TRACK, (), ()),
        (TRACK | {"isrc": None}, (), ()),
        (TRACK | {"mood": 1}, ("tracks.items[].mood",), ()),
        (TRACK | {"artists": [{"name": "A", "uri": "u"}]}, ("tracks.items[].artists[].uri",), ()),
        (TRACK | {"id": None}, (), ("tracks.items[].id",)),
        (TRACK | {"duration_ms": "long"}, (), ("tracks.items[].duration_ms",)),
        (TRACK | {"artists": [{}]}, (), ("tracks.items[].artists[].name",)),
        ({"id": "t", "duration_ms": 1, "by": [{"name": "A"}]}, (), ("tracks.items[].artists",)),
        (None, (), ()),
    ],
)
def test_new_and_lost_fields_are_told_by_their_path(
    track: Any, unknown: tuple[str, ...], missing: tuple[str, ...]
) -> None:
    payload = {"tracks": {"items": [TRACK, track, track]}}
    assert drift_of(Answer, payload) == Drift(unknown=unknown, missing=missing)


def test_what_holds_a_field_takes_it_along() -> None:
    drift = drift_of(Answer, {"tracks": {}})
    assert drift.missing == ("tracks.items",)
    assert drift.lacks("tracks.items[].isrc")
    assert not drift.lacks("tracks.total")
    assert not drift_of(Answer, {"tracks": {"items": []}})


def test_an_answer_that_is_no_object_lacks_everything() -> None:
    assert drift_of(Answer, ["?"]).missing == (".",)
