"""Spotify's answers through spotipy; cassettes have shapes as recorded and invented values."""

import logging
from datetime import UTC, datetime

import pytest

from connectors.base import Request, Wanted
from connectors.errors import (
    AuthError,
    BlockedPage,
    NotFound,
    PermanentError,
    QuotaExceeded,
    SchemaDrift,
    TransientError,
)
from connectors.spotify import Spotify, SpotifySettings, connect, cover_of
from connectors.spotify_answers import isrc_of, judge, year_of
from connectors.spotify_client import app_of
from tests.connectors.cassette import SECRET, Cassette

T, N, U, V, P, Q = ("T" * 22, "N" * 22, "U" * 22, "V" * 22, "P" * 22, "Q" * 22)
TOKEN = {
    "ask": "POST /api/token?grant_type=client_credentials",
    "body": {"access_token": "made-up", "token_type": "Bearer", "expires_in": 3600},
}


@pytest.fixture(autouse=True)
def forgetful():
    """What was learnt of an app ends with the test."""
    app_of.cache_clear()


def spotify(tape, **settings):
    tape = tape if isinstance(tape, Cassette) else Cassette.of(f"spotify/{tape}", judge)
    return connect(policy=tape, client_id="id", client_secret=SECRET, **settings)


def answering(*exchanges, **settings):
    return spotify(Cassette("spotify", [TOKEN, *exchanges], judge), **settings)


def look_up_track(exchange, **settings):
    return answering({"ask": f"GET /v1/tracks/{T}", **exchange}, **settings).lookup(Request(entity="track", key=T))


# --- one answer


@pytest.mark.parametrize(
    ("entity", "key", "name"),
    [("track", T, "Lanterns"), ("album", "a" * 22, "Quiet Machines"), ("artist", "1" * 22, "Vela Norte")],
)
def test_what_came_is_kept_as_it_is(entity, key, name):
    record = spotify("things").lookup(Request(entity=entity, key=key))
    assert (record.entity, record.source_id, record.payload["name"]) == (entity, key, name)
    assert record.url == f"https://api.spotify.com/v1/{entity}s/{key}"
    assert (datetime.now(UTC) - record.fetched_at).total_seconds() < 60


def test_a_market_is_asked_for_in_each_question_that_knows_it():
    tape = Cassette("spotify", [TOKEN, {"ask": f"GET /v1/tracks/{T}?market=SE", "body": {"id": T, "name": "x"}}])
    assert "market=SE" in spotify(tape, market="SE").lookup(Request(entity="track", key=T)).url


def test_an_expired_token_is_renewed_once():
    connector = spotify("expired")
    assert connector.lookup(Request(entity="track", key=T)).payload["id"] == T
    assert connector.policy.asked.count(TOKEN["ask"]) == 2


def test_a_token_that_is_refused_again_is_an_auth_error():
    with pytest.raises(AuthError, match=r"status 401 .*SPOTIFY_CLIENT_ID"):
        look_up_track({"status": 401, "body": {"error": {"status": 401, "message": "Invalid access token"}}})


def test_without_keys_nothing_is_asked():
    connector = connect(policy=Cassette("spotify"), client_id=None, client_secret=None)
    with pytest.raises(AuthError, match="no key; set SPOTIFY_CLIENT_ID and SPOTIFY_CLIENT_SECRET"):
        connector.lookup(Request(entity="track", key=T))
    assert connector.questions(Wanted(title="x", creators=("y",)))


def test_refused_keys_are_an_auth_error_without_the_key():
    said = {"error": "invalid_client", "error_description": "Invalid client secret"}
    connector = spotify(Cassette("spotify", [{**TOKEN, "status": 400, "body": said}], judge))
    with pytest.raises(AuthError, match="invalid_client") as caught:
        connector.lookup(Request(entity="track", key=T))
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("key", ["", T + "/5", "https://open.spotify.com/track/" + V, "../search", "a b", "å" * 22])
def test_what_is_no_id_is_not_found_and_not_asked(key):
    connector = spotify("things")
    with pytest.raises(NotFound, match="is no id of Spotify's"):
        connector.lookup(Request(entity="track", key=key))
    assert connector.policy.asked == []


def test_an_unknown_entity_names_the_known_ones():
    with pytest.raises(ValueError, match="unknown entity 'show'; known: album, artist, playlist, playlist_rows"):
        spotify("things").lookup(Request(entity="show", key=T))


# --- errors


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, {"error": {"status": 400, "message": "Invalid base62 id"}}, NotFound),
        (400, {"error": {"status": 400, "message": "Invalid market"}}, PermanentError),
        (403, {"error": {"status": 403}}, AuthError),
        (403, {"error": {"status": 403, "message": "Forbidden"}}, AuthError),
        (403, "User not registered in the Developer Dashboard", AuthError),
        (404, "", NotFound),
        (404, {"error": {"status": 404, "message": "Resource not found"}}, NotFound),
        (410, {"error": {"status": 410, "message": "Gone"}}, NotFound),
        (418, ["?"], PermanentError),
        (429, {"error": {"status": 429, "message": "API rate limit exceeded"}}, QuotaExceeded),
        (500, "", TransientError),
        (503, {"error": "upstream"}, TransientError),
        (200, '{"id": "TT', TransientError),
        (200, "<html>hello</html>", BlockedPage),
        (200, ["a list"], SchemaDrift),
        (200, "null", TransientError),
    ],
)
def test_each_answer_that_is_no_track_is_told_by_its_kind(status, body, kind):
    with pytest.raises(kind, match=r"^spotify: ") as caught:
        look_up_track({"status": status, "body": body})
    assert type(caught.value) is kind
    assert caught.value.source == "spotify"
    assert SECRET not in str(caught.value) + caught.value.url


def test_retry_after_says_when_the_quota_is_renewed():
    with pytest.raises(QuotaExceeded) as caught:
        look_up_track({"status": 429, "headers": {"Retry-After": "3600"}})
    assert 3500 < (caught.value.retry_at - datetime.now(UTC)).total_seconds() <= 3600


def test_an_answer_that_was_cut_is_asked_for_again():
    ask = f"GET /v1/tracks/{T}"
    connector = answering({"ask": ask, "body": '{"id": "TT'}, {"ask": ask, "body": {"id": T, "name": "Lanterns"}})
    assert connector.lookup(Request(entity="track", key=T)).payload["name"] == "Lanterns"
    assert connector.policy.asked.count(ask) == 2


def test_no_secret_is_logged(caplog):
    caplog.set_level(logging.DEBUG)
    spotify("expired").lookup(Request(entity="track", key=T))
    assert "made-up" not in caplog.text
    assert SECRET not in caplog.text


# --- searches


def test_questions_go_from_the_exact_to_the_free():
    asked = spotify("search").questions(
        Wanted(
            title='Lanterns: "Night" (feat. Ohm & Erik)',
            creators=("Vela Norte", "Ohm & Erik"),
            isrc="se-zzz-19-00017",
            ids={"spotify": T},
        )
    )
    assert [(request.entity, request.key) for request in asked] == [
        ("track", T),
        ("search", "isrc:SEZZZ1900017"),
        ("search", "track:Lanterns Night artist:Vela Norte"),
        ("search", "Vela Norte Lanterns Night"),
    ]


def test_an_item_without_creators_is_asked_for_by_ids_alone():
    connector = spotify("search")
    assert connector.questions(Wanted(title="Lanterns", isrc="no")) == ()
    assert len(connector.questions(Wanted(title="Lanterns", isrc="SEZZZ1900017"))) == 1


def test_a_query_is_no_longer_than_spotify_takes():
    asked = spotify("search").questions(Wanted(title="word " * 100, creators=("name " * 60,)))
    assert all(len(request.key) <= 250 for request in asked)


def test_the_page_limit_shrinks_until_it_is_allowed_and_stays_so():
    connector = spotify("search", search_limit=50)
    record = connector.lookup(Request(entity="search", key="track:Lanterns artist:Vela Norte"))
    assert [c.id for c in connector.candidates("search", record.payload)] == [T, U]
    whole = connector.part_of("track", U, record.payload)
    assert (whole["id"], connector.part_of("track", V, record.payload)) == (U, None)
    assert connector.part_of("album", U, record.payload) is None
    empty = connector.lookup(Request(entity="search", key="isrc:SEZZZ1900017"))
    assert connector.candidates("search", empty.payload) == []
    limits = [ask.split("limit=")[1].split("&")[0] for ask in connector.policy.asked if "limit=" in ask]
    assert limits == ["50", "20", "10", "10"]


def test_a_limit_that_is_never_allowed_ends_in_an_error():
    refusal = {"status": 400, "body": {"error": {"status": 400, "message": "Invalid limit"}}}
    asks = [{"ask": f"GET /v1/search?q=x&type=track&limit={n}&offset=0", **refusal} for n in (2, 1)]
    with pytest.raises(PermanentError, match="Invalid limit"):
        answering(*asks, search_limit=2).lookup(Request(entity="search", key="x"))


def test_a_candidate_has_all_that_matching_compares():
    connector = spotify("things")
    (found,) = connector.candidates("track", connector.lookup(Request(entity="track", key=T)).payload)
    assert (found.id, found.title, found.artists, found.album) == (T, "Lanterns", ("Vela Norte",), "Quiet Machines")
    assert (found.duration_ms, found.year, found.isrc, found.kind) == (201_500, 2019, "SEZZZ1900017", "track")
    assert found.url == f"https://open.spotify.com/track/{T}"


@pytest.mark.parametrize("payload", [{}, {"tracks": None}, {"tracks": {"items": None}}, {"tracks": []}])
def test_a_search_without_its_list_is_schema_drift(payload):
    with pytest.raises(SchemaDrift, match=r"no 'tracks\.items'"):
        spotify("search").candidates("search", payload)


@pytest.mark.parametrize("gone", ["id", "name"])
def test_tracks_of_which_none_can_be_read_are_drift_and_not_nothing(gone):
    with pytest.raises(SchemaDrift, match="no track of the answer has 'id' and 'name'"):
        spotify("search").candidates("search", {"tracks": {"items": [None, {"id": "x", "name": "y"} | {gone: None}]}})


@pytest.mark.parametrize("gone", ["album", "artists", "external_ids", "duration_ms", "type", "external_urls"])
def test_a_field_that_is_gone_costs_what_it_said_alone(gone):
    connector = spotify("things")
    payload = dict(connector.lookup(Request(entity="track", key=T)).payload)
    del payload[gone]
    (found,) = connector.candidates("track", payload)
    assert (found.id, found.title) == (T, "Lanterns")


# --- covers, ISRCs, years


@pytest.mark.parametrize(
    ("widths", "chosen"),
    [
        ([640, 300, 64], 300),
        ([640, 64], 640),
        ([64], 64),
        ([160, 320, 1000], 320),
        ([200, 100], 200),
        ([None], None),
        ([None, 500], 500),
    ],
)
def test_the_cover_of_300_pixels_is_chosen_then_the_next_best(widths, chosen):
    images = [{"url": f"https://i.scdn.co/image/{width}", "width": width, "height": width} for width in widths]
    assert cover_of({"album": {"images": images}}) == f"https://i.scdn.co/image/{chosen}"
    assert cover_of({"images": images}) == f"https://i.scdn.co/image/{chosen}"


@pytest.mark.parametrize(
    "payload", [{}, {"album": None}, {"album": {"images": []}}, {"images": None}, {"images": [{}]}]
)
def test_no_image_is_no_cover(payload):
    assert cover_of(payload) is None


def test_what_is_no_isrc_is_none():
    assert isrc_of({"external_ids": {"isrc": "gb-arl-93-00135"}}) == "GBARL9300135"
    assert [isrc_of({"external_ids": ids}) for ids in ({}, {"isrc": ""}, {"isrc": "12345"}, None)] == [None] * 4


@pytest.mark.parametrize(
    ("date", "year"),
    [("1987", 1987), ("1987-11", 1987), ("1987-11-12", 1987), ("0000", None), (None, None), ("", None)],
)
def test_a_release_date_may_be_a_year_a_month_or_a_day(date, year):
    assert year_of({"release_date": date}) == year


# --- many at once


def test_a_batch_that_is_refused_is_asked_one_by_one_and_the_refusal_remembered():
    connector = spotify("batch_closed")
    pages = list(connector.pages("track", keys=[T, N, V]))
    assert [[r.source_id for r in page.records] for page in pages] == [[T], [], [V]]
    assert [[(r.file, r.reason) for r in page.rejects] for page in pages] == [[], [(N, "not_found")], []]
    assert [page.cursor for page in pages] == ["1", "2", None]
    list(connector.pages("track", keys=[T]))
    assert sum("ids=" in ask for ask in connector.policy.asked) == 1


def test_what_one_connector_learnt_of_an_app_the_next_one_knows():
    list(spotify("batch_closed").pages("track", keys=[T, N, V]))
    other = spotify(Cassette("spotify", [{"ask": f"GET /v1/tracks/{T}", "body": {"id": T, "name": "Lanterns"}}]))
    assert [record.source_id for page in other.pages("track", keys=[T]) for record in page.records] == [T]
    assert len(other.policy.asked) == 1  # neither the token nor the batch


def test_a_batch_that_is_allowed_is_one_request():
    connector = spotify("batch_open")
    (page,) = connector.pages("track", keys=[T, N, V])
    assert [record.source_id for record in page.records] == [T, V]
    assert [(reject.file, reject.reason) for reject in page.rejects] == [(N, "not_found")]
    assert page.cursor is None
    assert len(connector.policy.asked) == 2  # the token, the batch


def test_reading_by_ids_resumes_at_the_cursor():
    connector = spotify("batch_closed", batch=False)
    assert [[r.source_id for r in page.records] for page in connector.pages("track", keys=[T, N, V], cursor="2")] == [
        [V]
    ]


def test_a_playlist_is_events_and_tracks_without_what_is_no_track():
    connector = spotify("playlist")
    pages = list(connector.pages("playlist", keys=[P, Q]))
    assert [page.cursor for page in pages] == ["0/3", "1/0", None]
    events = [event for page in pages for event in page.events.to_pylist()]
    assert [(e["user"], e["item"], e["kind"], e["position"], e["line"]) for e in events] == [
        (P, T, "playlist", 0, 1),
        (P, V, "playlist", 3, 4),
    ]
    assert [e["at"] for e in events] == [datetime(2021, 5, 1, 10, tzinfo=UTC), None]
    assert [(r.entity, r.source_id) for page in pages for r in page.records] == [
        ("playlist", P),
        ("track", T),
        ("playlist_rows", f"{P}/3"),
        ("track", V),
    ]
    assert [(r.file, r.reason) for page in pages for r in page.rejects] == [(Q, "not_found")]


@pytest.mark.parametrize(
    ("said", "line", "detail"),
    [
        ({"name": "Night drive"}, 0, "without its rows"),
        ({"tracks": {"items": [{"added_at": None, "song": {}}], "next": None}}, 1, "neither 'item' nor 'track'"),
    ],
)
def test_rows_that_are_no_longer_there_are_rejects_not_silence(said, line, detail):
    asked = {"ask": f"GET /v1/playlists/{P}?additional_types=track", "body": {"id": P, **said}}
    (page,) = answering(asked).pages("playlist", keys=[P])
    (reject,) = page.rejects
    assert (reject.file, reject.line, reject.reason) == (P, line, "schema_drift")
    assert detail in reject.detail
    assert page.records[0].payload["id"] == P


def test_a_playlist_resumes_at_the_row_of_the_cursor():
    (page,) = spotify("playlist").pages("playlist", keys=[P], cursor="0/3")
    assert page.events.column("item").to_pylist() == [V]


def test_what_has_no_pages_is_refused():
    with pytest.raises(ValueError, match="'search' has no pages"):
        spotify("search").pages("search")


# --- settings


def test_settings_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("SPOTIFY_CLIENT_ID", "id")
    monkeypatch.setenv("SPOTIFY_CLIENT_SECRET", SECRET)
    settings = SpotifySettings(endpoint="http://127.0.0.1:9/v1")
    assert settings.client_secret.get_secret_value() == SECRET
    assert SECRET not in repr(settings)
    assert Spotify(settings, Cassette("spotify"))._client.endpoint == "http://127.0.0.1:9/v1/"


def test_a_setting_that_is_unknown_is_refused_without_its_value():
    with pytest.raises(ValueError, match="secret_key") as caught:
        connect(policy=Cassette("spotify"), secret_key=SECRET)
    assert SECRET not in str(caught.value)
