"""What the live services say of a track, in our columns."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from storage.hashing import entity_id
from storage.store import Store
from tasks.entities import parse
from tasks.entities_live import from_lastfm_api, from_spotify_api, genres_of, profile_of
from tasks.items import describe_users

CASSETTES = Path(__file__).parents[1] / "connectors" / "cassettes"
LANTERNS = "Vela+Norte/_/Lanterns"


def recorded(cassette: str, part: str) -> Any:
    """The body of the first exchange whose question holds `part`."""
    return next(e["body"] for e in json.loads((CASSETTES / f"{cassette}.json").read_text()) if part in e["ask"])


def row_of(connector: str, source_id: str, **bodies: Any) -> dict[str, Any]:
    """What the stage makes of one entity's raw records."""
    row = {
        "source": "s",
        "source_id": source_id,
        "names": list(bodies),
        "bodies": [json.dumps(body).encode() for body in bodies.values()],
    }
    (found,) = parse(pa.Table.from_pylist([row]), Store("unused"), connectors={"s": connector}).to_pylist()
    return found


TRACK = recorded("spotify/things", "/tracks/T")
INFO = recorded("lastfm/things", "track.getInfo")
TAGS = recorded("lastfm/things", "track.getTopTags")
PLAYED = recorded("lastfm/plays", "page=1")["recenttracks"]["track"][1]
CHARTED = recorded("lastfm/chart", "page=1")["tracks"]["track"][0]


def test_a_track_of_spotify_in_our_columns():
    assert from_spotify_api("T" * 22, {"track": TRACK}) == {
        "kind": "track",
        "title": "Lanterns",
        "creators": ["Vela Norte"],
        "album": "Quiet Machines",
        "year": 2019,
        "duration_ms": 201_500,
        "isrc": "SEZZZ1900017",
        "explicit": False,
        "attributes": {"popularity": 31},
        "ids": ["spotify:" + "T" * 22, "isrc:SEZZZ1900017"],
    }


def test_what_spotify_tells_no_longer_is_missing_alone():
    bare = {name: value for name, value in TRACK.items() if name not in ("popularity", "external_ids", "album")}
    row = from_spotify_api("x", {"track": bare})
    assert (row["title"], row["isrc"], row["album"], row["year"], row["attributes"]) == (
        "Lanterns",
        None,
        None,
        None,
        {},
    )
    assert row["ids"] == ["spotify:x"]


def test_a_track_that_stands_for_another_country_s_has_both_ids():
    row = from_spotify_api("x", {"track": TRACK | {"linked_from": {"id": "y", "type": "track"}}})
    assert row["ids"] == ["spotify:x", "spotify:y", "isrc:SEZZZ1900017"]


def test_a_track_without_a_name_is_schema_drift():
    assert row_of("spotify", "x", track=TRACK | {"name": ""})["reason"] == "schema_drift"


def test_a_track_of_lastfm_in_our_columns():
    row = from_lastfm_api(LANTERNS, {"track": PLAYED, "track_info": INFO, "track_tags": TAGS})
    assert row == {
        "kind": "track",
        "title": "Lanterns",
        "creators": ["Vela Norte"],
        "album": "Quiet Machines",
        "duration_ms": 201_000,
        "mbid": "11111111-2222-3333-4444-555555555555",
        "genres": ["dream pop", "electronic"],
        "attributes": {"listeners": 1204, "playcount": 9001},
        "ids": ["mbid:11111111-2222-3333-4444-555555555555"],
    }


def test_a_chart_counts_seconds_and_track_getinfo_milliseconds():
    assert from_lastfm_api(LANTERNS, {"track": CHARTED})["duration_ms"] == 201_000
    assert from_lastfm_api(LANTERNS, {"track": CHARTED, "track_info": INFO})["duration_ms"] == 201_000
    assert from_lastfm_api(LANTERNS, {"track": CHARTED | {"duration": "0"}})["duration_ms"] is None


@pytest.mark.parametrize("bodies", [{"track": PLAYED}, {"track_info": INFO}, {"track": CHARTED, "track_tags": TAGS}])
def test_any_answer_that_names_the_track_describes_it(bodies):
    row = row_of("lastfm", LANTERNS, **bodies)
    assert row["reason"] is None
    assert (row["title"], row["creators"]) == ("Lanterns", ["Vela Norte"])
    assert row["entity_id"] == entity_id("lastfm", LANTERNS)
    assert row["match_key"] == "track|vela norte|lanterns"


def test_tags_alone_describe_nothing():
    assert row_of("lastfm", LANTERNS, track_tags=TAGS)["reason"] == "missing_input"


def test_genres_are_the_tags_given_often_that_are_no_names():
    tags = [{"name": "Rock", "count": 100}, {"name": "Ohm & Erik", "count": 90}, {"name": "Glas", "count": "50"}]
    assert genres_of(
        [*tags, {"name": "metal", "count": 9}, {"name": "Seen Live", "count": 80}], ("ohm and erik", "GLAS")
    ) == ["rock"]
    assert genres_of([{"name": "pop"}, {"name": "Dance"}], ("", "")) == ["dance", "pop"]


def test_a_profile_of_lastfm_says_null_where_nothing_is_given():
    body = recorded("lastfm/things", "user=ann")
    assert profile_of(body) == {"gender": None, "age": None, "country": "Sweden", "registered": "1083530858"}
    assert profile_of({"user": body["user"] | {"country": "None", "gender": "f", "age": "31"}}) == {
        "gender": "f",
        "age": "31",
        "country": None,
        "registered": "1083530858",
    }


def test_users_of_both_forms_become_rows():
    bulk = {"gender": "M", "age": "22", "country": "Japan", "registered": "Aug 13, 2006"}
    bodies = [json.dumps(body).encode() for body in (recorded("lastfm/things", "user=ann"), bulk)]
    rows = pa.table({"user_id": ["s:ann", "b:1"], "source": ["s", "b"], "body": bodies})
    ann, other = describe_users(rows, Store("unused")).to_pylist()
    assert (ann["country"], ann["gender"], ann["age"], ann["registered"]) == ("Sweden", None, None, "1083530858")
    assert (other["country"], other["gender"], other["age"]) == ("Japan", "m", 22)
