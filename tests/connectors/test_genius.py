"""Genius: what is asked, what comes back, and what its errors mean."""

import json
from pathlib import Path

import pytest

from connectors.base import Request, Wanted
from connectors.drift import Drift, drift_of
from connectors.errors import AuthError, BlockedPage, NotFound, SchemaDrift, TransientError
from connectors.genius import Genius, connect, lyrics_of, page_request, placeholder_of
from connectors.genius_models import Search, Song
from tests.connectors.recorded import Recorded, cassette

TOKEN = "t0ken-never-told"
WANTED = Wanted(title="Paper Moons (Live)", creators=("Ann Example", "Bo Sample"))


@pytest.fixture
def policy() -> Recorded:
    return cassette("genius")


@pytest.fixture
def genius(policy: Recorded) -> Genius:
    return connect(policy=policy, access_token=TOKEN)


def test_the_cascade_asks_for_the_title_as_it_is_then_without_its_extras() -> None:
    def ask(title: str, **more: object) -> list[str]:
        wanted = Wanted(title=title, creators=("Ann", "Bo"), **more)
        return [
            f"{request.entity} {request.key}"
            for request in connect(policy=Recorded("genius"), access_token=TOKEN).questions(wanted)
        ]

    assert ask("Moon") == ["search Moon Ann"]
    assert ask("Moon (feat. Cy) [Remix]") == ["search Moon (feat. Cy) [Remix] Ann", "search Moon Ann"]
    assert ask("Moon - Remastered 2011") == ["search Moon - Remastered 2011 Ann", "search Moon Ann"]
    assert ask("(Intro)") == ["search (Intro) Ann"]
    assert ask("Moon", ids={"genius": "101"}) == ["song 101"]
    assert ask(" ") == []
    assert connect(policy=Recorded("genius"), access_token=TOKEN).questions(Wanted(title="Moon")) == ()


def test_the_cascade_ends_in_candidates_with_what_genius_knows(genius: Genius, policy: Recorded) -> None:
    answers = [genius.lookup(request) for request in genius.questions(WANTED)]
    found = [genius.candidates("search", answer.payload) for answer in answers]
    assert found[0] == []
    assert len(found[1]) == 1  # a hit without an address is of no use
    best = found[1][0]
    assert (best.id, best.title, best.artists) == ("101", "Paper Moons", ("Ann Example", "Bo Sample", "Cy Test"))
    assert (best.year, best.views, best.kind) == (2019, 4321, "song")
    assert page_request(best.url or "").key == "Ann-example-and-bo-sample-paper-moons-lyrics"
    assert answers[1].source_id == "Paper Moons Ann Example"
    assert answers[1].url == policy.asked[1]
    assert policy.headers[1]["authorization"] == f"Bearer {TOKEN}"


def test_a_song_alone_is_a_candidate_with_its_album(genius: Genius) -> None:
    payload = genius.lookup(Request(entity="song", key="101")).payload
    (song,) = genius.candidates("song", payload)
    assert (song.id, song.album) == ("101", "Night Drawings")
    assert placeholder_of(payload) is None
    assert genius.request_from("page", payload) == page_request(song.url or "")
    assert genius.request_from("page", {"url": "https://genius.com/Ann-song-lyrics"}).key == "Ann-song-lyrics"
    with pytest.raises(SchemaDrift, match="without `path` and `url`"):
        genius.request_from("page", {"song": {}})
    Song.model_validate(payload)


def test_a_page_is_kept_as_received_and_its_words_are_utf8(genius: Genius) -> None:
    record = genius.lookup(Request(entity="page", key="Ann-example-and-bo-sample-paper-moons-lyrics"))
    assert lyrics_of(record.payload["html"]).text == "Paper moons — ça va\nover the bay"
    assert record.payload["html"].endswith("</html>")
    assert json.loads(json.dumps(record.payload)) == record.payload


@pytest.mark.parametrize(
    ("request_", "error", "match"),
    [
        (Request(entity="song", key="404"), NotFound, "HTTP 404"),
        (Request(entity="song", key="401"), AuthError, "HTTP 401"),
        (Request(entity="page", key="Blocked-lyrics"), BlockedPage, "no song page"),
        (Request(entity="page", key="Consent-lyrics"), BlockedPage, "no song page"),
        (Request(entity="page", key="Cut-lyrics"), TransientError, "cut short"),
    ],
)
def test_what_is_no_answer_is_the_right_error(genius: Genius, request_: Request, error: type, match: str) -> None:
    with pytest.raises(error, match=match) as caught:
        genius.lookup(request_)
    assert type(caught.value) is error
    assert caught.value.source == "genius"


def test_without_a_token_the_api_is_not_asked_but_pages_are(policy: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GENIUS_ACCESS_TOKEN", raising=False)
    genius = connect(policy=policy)
    with pytest.raises(AuthError, match="set GENIUS_ACCESS_TOKEN"):
        genius.lookup(Request(entity="search", key="x"))
    assert policy.asked == []
    assert genius.lookup(Request(entity="page", key="Ann-example-and-bo-sample-paper-moons-lyrics"))


def test_a_token_comes_from_the_environment_and_is_never_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENIUS_ACCESS_TOKEN", TOKEN)
    policy = Recorded("genius").answer(
        "GET", "https://api.genius.com/songs/1?text_format=plain", 200, {"response": {"song": {}}}
    )
    connect(policy=policy).lookup(Request(entity="song", key="1"))
    assert policy.headers[0]["authorization"] == f"Bearer {TOKEN}"
    assert TOKEN not in repr(vars(connect(policy=policy))["_settings"])


def test_an_answer_that_is_no_json_and_one_without_hits_are_drift(genius: Genius, policy: Recorded) -> None:
    policy.answer("GET", "https://api.genius.com/songs/2?text_format=plain", 200, "<oops>")
    with pytest.raises(SchemaDrift, match="no JSON"):
        genius.lookup(Request(entity="song", key="2"))
    with pytest.raises(SchemaDrift, match="without a list"):
        genius.candidates("search", {"sections": []})


def test_a_status_the_library_trips_over_tells_no_body_and_no_header(genius: Genius, policy: Recorded) -> None:
    policy.answer("GET", "https://api.genius.com/songs/3?text_format=plain", 204, f"{TOKEN} in a body")
    with pytest.raises(Exception, match="status 204") as caught:
        genius.lookup(Request(entity="song", key="3"))
    assert TOKEN not in str(caught.value)
    assert caught.value.__suppress_context__


def test_what_genius_is_not_asked_for_is_refused(genius: Genius) -> None:
    with pytest.raises(ValueError, match="unknown entity 'album'; known: page, search, song"):
        genius.lookup(Request(entity="album", key="1"))
    with pytest.raises(ValueError, match="a song's id is a number; got 'x'"):
        genius.lookup(Request(entity="song", key="x"))
    with pytest.raises(ValueError, match="has no pages"):
        genius.pages("search")


@pytest.mark.parametrize(
    ("song", "state"),
    [
        ({"instrumental": True}, "instrumental"),
        ({"song": {"lyrics_placeholder_reason": "instrumental"}}, "instrumental"),
        ({"response": {"song": {"lyrics_placeholder_reason": "unreleased"}}}, "untranscribed"),
        ({"lyrics_state": "unreleased"}, "untranscribed"),
        ({"lyrics_state": "complete", "instrumental": False}, None),
    ],
)
def test_a_songs_record_may_spare_its_page(song: dict[str, object], state: str | None) -> None:
    assert placeholder_of(song) == state


@pytest.mark.real_data
def test_every_recorded_answer_of_genius_parses(real_data: Path) -> None:
    folder = real_data / "api-responses" / "genius" / "js-mock-dumps"
    genius = connect(policy=Recorded("genius"), access_token=TOKEN)
    search = json.loads((folder / "search_kendrick_lamar.json").read_text(encoding="utf-8"))
    song = json.loads((folder / "song_2872960.json").read_text(encoding="utf-8"))
    hits = genius.candidates("search", search)
    assert len(hits) == len(search["response"]["hits"]) == 10
    assert all(hit.artists and hit.year and hit.views for hit in hits)
    (alone,) = genius.candidates("song", song)
    assert (alone.id, alone.album, alone.year) == ("2872960", "24K Magic", 2016)
    assert drift_of(Search, search["response"]) == drift_of(Song, song["response"]) == Drift()
