"""Answers of Spotify and Last.fm with anything anywhere: an error of ours, or what the rest says; nothing else."""

import copy
import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors import lastfm, spotify
from connectors.base import event_schema
from connectors.drift import drift_of
from connectors.errors import ConnectorError
from tasks.entities_live import from_lastfm_api, from_spotify_api, profile_of
from tests.connectors.cassette import FOLDER, SECRET, Cassette

ODD = [None, "", "x", 0, -1, 1e300, True, [], {}, [None], [[]], {"x": 1}, "9" * 30, "\ud800"]
EDITS = st.lists(st.tuples(st.integers(0, 10_000), st.sampled_from(["drop", *range(len(ODD))])), min_size=1, max_size=4)
FUZZ = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


def bodies(name: str) -> list[Any]:
    return [e["body"] for e in json.loads((FOLDER / f"{name}.json").read_text()) if isinstance(e.get("body"), dict)]


def damaged(body: Any, edits: list[tuple[int, Any]]) -> Any:
    """The body with some of its places dropped or replaced."""
    body = copy.deepcopy(body)
    for at, what in edits:
        places = list(_places(body))
        if not places:
            break
        holder, key = places[at % len(places)]
        if what == "drop":
            del holder[key]
        else:
            holder[key] = copy.deepcopy(ODD[what])
    return body


def _places(value: Any) -> Any:
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield value, key
        yield from _places(value[key])


SPOTIFY = [body for name in ("search", "things", "playlist") for body in bodies(f"spotify/{name}")]
LASTFM = [body for name in ("plays", "things", "chart") for body in bodies(f"lastfm/{name}")]


class Same(Cassette):
    """Every question but that for a token gets the same answer."""

    body: Any = None

    def answer(self, method: str, url: str, form: str) -> tuple[int, dict[str, str], bytes]:
        token = {"access_token": "made-up", "token_type": "Bearer", "expires_in": 3600}
        body = token if "/api/token" in url else self.body
        return 200, {"Content-Type": "application/json"}, json.dumps(body).encode()


def tried(ask: Any, *args: Any, **options: Any) -> Any:
    """What comes, None where an error of ours does; any other error is let through."""
    try:
        found = ask(*args, **options)
        return list(found) if hasattr(found, "__next__") else found
    except ConnectorError:
        return None


def first_pages(pages: Any) -> list[Any]:
    """At most three: a damaged answer may say that there is always one more."""
    return [page for page, _ in zip(pages, range(3), strict=False)]


@FUZZ
@given(body=st.sampled_from(SPOTIFY), edits=EDITS)
def test_damaged_answers_of_spotify_end_in_errors_of_ours(home, body, edits):
    tape = Same("spotify")
    tape.body = damaged(body, edits)
    connector = spotify.connect(policy=tape, client_id="id", client_secret=SECRET)
    for entity, model in connector.models.items():
        drift_of(model, tape.body)
        for candidate in tried(connector.candidates, entity, tape.body) or ():
            assert candidate.id
            assert candidate.title
    spotify.cover_of(tape.body)
    row = from_spotify_api("x", {"track": tape.body})
    assert isinstance(row["creators"], list)
    for entity in ("playlist", "track"):
        for page in tried(lambda e=entity: first_pages(connector.pages(e, keys=["T" * 22, "U" * 22]))) or ():
            assert page.events.schema.equals(event_schema())
            assert all(isinstance(record.source_id, str) for record in page.records)
    connector.close()


@FUZZ
@given(body=st.sampled_from(LASTFM), edits=EDITS)
def test_damaged_answers_of_lastfm_end_in_errors_of_ours(home, body, edits):
    tape = Same("lastfm")
    tape.body = damaged(body, edits)
    connector = lastfm.connect(policy=tape, api_key=SECRET, page_limit=3)
    for entity, model in connector.models.items():
        drift_of(model, tape.body)
        tried(connector.candidates, entity, tape.body)
    for name in ("track", "track_info", "track_tags"):
        assert isinstance(from_lastfm_api("x", {name: tape.body})["genres"], list)
    profile_of(tape.body)
    for entity in ("plays", "chart"):
        for page in tried(lambda e=entity: first_pages(connector.pages(e, keys=["ann"]))) or ():
            assert page.events.schema.equals(event_schema())
    connector.close()
