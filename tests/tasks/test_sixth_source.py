"""Sources that only their connector knows: MusicBrainz in a catalogue, and what a connector's candidates become."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors import registry
from tasks import entities_live
from tests.connectors.cassette import FOLDER
from tests.connectors.web import Web, reply, served
from tests.tasks import fake_live
from tests.tasks.shelf import Shelf, track_id

LANTERNS = "0b5e4c4e-6f1a-4c0f-8a3b-3f2a1d9c7e55"


@pytest.fixture
def web() -> Iterator[Web]:
    """MusicBrainz as its cassette has it: one search for everything, and the recording."""
    with served() as web:
        said = {one["ask"]: one["body"] for one in json.loads((FOLDER / "musicbrainz/recordings.json").read_text())}
        search = next(body for ask, body in said.items() if "lanterns" in ask)
        web.says("/ws/2/recording", reply(json.dumps(search)))
        detail = next(body for ask, body in said.items() if f"recording/{LANTERNS}" in ask)
        web.says(f"/ws/2/recording/{LANTERNS}", reply(json.dumps(detail)))
        yield web


def test_musicbrainz_gives_items_their_mbid_isrc_and_genres(web: Web, tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, "spotify")
    policy = {"requests_per_second": None, "hosts": ["127.0.0.1"]}
    options = {"api_root": f"{web.url}/ws/2/", "policy": policy}
    shelf.sources["musicbrainz"] = {"connector": "musicbrainz", "items": False, "options": options}
    shelf.spotify(
        {"id": track_id(1), "name": "Lanterns", "artist": "Vela Norte", "playlist_genre": ""},
        {"id": track_id(2), "name": "Nothing like it", "artist": "Al"},
    )
    shelf.run(until="items")
    found = shelf.sql("select mbid, isrc, genres from items where title = 'Lanterns'")
    assert found == [(LANTERNS, "DEAAA1600001", ["dream pop", "electronic"])]
    assert shelf.sql("select source_id, state from links where source = 'musicbrainz' and state <> 'rejected'") == [
        (LANTERNS, "accepted")
    ]
    assert shelf.sql("select count(*) from drifts") == [0]
    assert web.times(f"/ws/2/recording/{LANTERNS}") == 1
    assert all(asked["user-agent"].startswith("mediateca/") for asked in web.headers)


def test_a_connector_that_adds_nothing_is_described_by_its_candidate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry.LIVE, "plain", fake_live.LIVE)
    said = {"id": "L", "title": " Luna ", "artists": ["Bo", ""], "year": 2001, "duration_ms": 0, "isrc": "GBAAA0000001"}
    row = entities_live.from_candidate("plain", "L", {"track": said})
    assert (row["kind"], row["title"], row["creators"], row["year"]) == ("track", "Luna", ["Bo"], 2001)
    assert (row["duration_ms"], row["isrc"], row["ids"]) == (None, "GBAAA0000001", ["plain:L"])


def test_an_answer_that_cannot_be_read_has_no_title() -> None:
    assert entities_live.from_candidate("musicbrainz", LANTERNS, {"recording": {"id": LANTERNS}}) == {"title": None}
