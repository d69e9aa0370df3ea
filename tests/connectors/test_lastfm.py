"""Last.fm's answers through pylast; cassettes have shapes as recorded and invented values."""

import logging
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import httpx2
import pytest

from connectors.base import Request, Wanted, event_schema
from connectors.errors import (
    AuthError,
    BlockedPage,
    NotFound,
    PermanentError,
    QuotaExceeded,
    SchemaDrift,
    TransientError,
)
from connectors.lastfm import LastfmSettings, connect
from connectors.lastfm_answers import body_of, error_of, judge, names_of, number_of, track_path
from tests.connectors.cassette import SECRET, Cassette

LANTERNS = "Vela+Norte/_/Lanterns"
T0 = 1_699_000_000
BEGUN = "0/1700000000/1"  # a cursor: the first user, read until that time, the first page


def lastfm(tape, **settings):
    tape = tape if isinstance(tape, Cassette) else Cassette.of(f"lastfm/{tape}", judge)
    return connect(policy=tape, api_key=SECRET, **{"page_limit": 3, "profiles": False, **settings})


def answering(**exchange):
    return lastfm(
        Cassette("lastfm", [{"ask": "POST /2.0/?method=user.getInfo&user=ann&format=json", **exchange}], judge)
    )


def look_up_ann(**exchange):
    return answering(**exchange).lookup(Request(entity="user", key="ann"))


# --- one answer


@pytest.mark.parametrize(
    ("entity", "key", "params", "within"),
    [
        ("track_info", LANTERNS, {"autocorrect": "1"}, "track"),
        ("track_tags", LANTERNS, {}, "toptags"),
        ("artist_tags", "Vela+Norte", {}, "toptags"),
        ("user", "ann", {}, "user"),
    ],
)
def test_what_came_is_kept_as_it_is(entity, key, params, within):
    record = lastfm("things").lookup(Request(entity=entity, key=key, params=params))
    assert (record.entity, record.source_id, list(record.payload)) == (entity, key, [within])
    assert record.url.startswith("https://ws.audioscrobbler.com/2.0/?method=")
    assert SECRET not in record.url
    assert (datetime.now(UTC) - record.fetched_at).total_seconds() < 60


def test_a_user_who_is_not_there_is_not_found():
    with pytest.raises(NotFound, match=r"user\.getInfo answered error 6 \(User not found\)"):
        lastfm("things").lookup(Request(entity="user", key="nobody"))


def test_without_a_key_nothing_is_asked():
    connector = connect(policy=Cassette("lastfm"), api_key=None)
    with pytest.raises(AuthError, match="no key; set LASTFM_API_KEY"):
        connector.lookup(Request(entity="user", key="ann"))
    assert connector.questions(Wanted(title="x", creators=("y",)))


def test_an_unknown_entity_names_the_known_ones():
    with pytest.raises(ValueError, match="unknown entity 'film'; known: artist_tags, chart, plays"):
        lastfm("things").lookup(Request(entity="film", key="ann"))


@pytest.mark.parametrize("key", ["", "Vela", "Vela/_/", "/_/Lanterns"])
def test_what_is_no_path_of_a_track_is_refused(key):
    with pytest.raises(ValueError, match="is no path of a track"):
        lastfm("things").lookup(Request(entity="track_info", key=key))


# --- errors, which come with any HTTP status


CODES = [
    (6, NotFound),
    (7, NotFound),
    (17, NotFound),
    (4, AuthError),
    (9, AuthError),
    (10, AuthError),
    (13, AuthError),
    (14, AuthError),
    (26, AuthError),
    (29, QuotaExceeded),
    (8, TransientError),
    (11, TransientError),
    (16, TransientError),
    (3, PermanentError),
    (99, PermanentError),
]


@pytest.mark.parametrize("status", [200, 400, 403, 404])
@pytest.mark.parametrize(("code", "kind"), CODES)
def test_a_code_means_the_same_with_every_status_in_json_and_xml(code, kind, status):
    xml = f'<?xml version="1.0"?>\n<lfm status="failed"><error code="{code}">Something is wrong</error></lfm>'
    for body in ({"error": code, "message": "Something is wrong"}, xml):
        with pytest.raises(kind, match=rf"error {code} \(Something is wrong\)") as caught:
            look_up_ann(status=status, body=body)
        assert type(caught.value) is kind
        assert caught.value.source == "lastfm"
        assert "method=user.getInfo" in caught.value.url
        assert SECRET not in caught.value.url


def test_too_many_requests_are_allowed_again_after_five_minutes():
    wait = error_of(29, "Rate limit exceeded", "user.getInfo").retry_at - datetime.now(UTC)
    assert timedelta(minutes=4) < wait <= timedelta(minutes=5)


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (503, {"error": 8, "message": "x"}, TransientError),
        (500, "", TransientError),
        (429, {"error": 29, "message": "x"}, QuotaExceeded),
        (200, "", TransientError),
        (200, '{"user": {"na', TransientError),
        (200, '<lfm status="ok"><user>', TransientError),
        (200, "[" * 100_000, TransientError),
        (200, "[]", TransientError),
        (200, "<feed></feed>", TransientError),
        (403, "<!DOCTYPE html><html><body>Just a moment...</body></html>", BlockedPage),
        (200, '<html xmlns="http://www.w3.org/1999/xhtml"><body/></html>', BlockedPage),
    ],
)
def test_what_is_no_answer_is_told_by_its_kind(status, body, kind):
    with pytest.raises(kind, match=r"^lastfm: .* (answered|returned) ") as caught:
        look_up_ann(status=status, body=body)
    assert type(caught.value) is kind
    assert "method=user.getInfo" in caught.value.url
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("raised", "kind"),
    [
        (QuotaExceeded("lastfm: used up", source="lastfm"), QuotaExceeded),
        (BlockedPage("lastfm: blocked", source="lastfm"), BlockedPage),
        (httpx2.ConnectTimeout(f"https://ws/?api_key={SECRET}"), TransientError),
        (httpx2.DecodingError("broken gzip"), TransientError),
    ],
)
def test_what_the_transport_raises_comes_out_of_pylast_as_one_of_our_errors(raised, kind, monkeypatch):
    def handle(request):
        raise raised

    tape = Cassette("lastfm")
    monkeypatch.setattr(tape, "transport", lambda: httpx2.MockTransport(handle))
    with pytest.raises(kind) as caught:
        lastfm(tape).lookup(Request(entity="user", key="ann"))
    assert type(caught.value) is kind
    assert SECRET not in str(caught.value)
    assert caught.value.__suppress_context__


def test_a_service_that_is_down_is_asked_again():
    down = {"ask": "POST /2.0/?method=user.getInfo&user=ann&format=json", "body": {"error": 16, "message": "down"}}
    tape = Cassette("lastfm", [down, {**down, "body": {"user": {"name": "ann"}}}], judge)
    assert lastfm(tape).lookup(Request(entity="user", key="ann")).payload == {"user": {"name": "ann"}}
    assert len(tape.asked) == 2


def test_broken_text_is_transient(monkeypatch):
    tape = Cassette("lastfm")
    monkeypatch.setattr(tape, "answer", lambda *_: (200, {}, b'{"user": "\xff'))
    with pytest.raises(TransientError, match="broken text"):
        lastfm(tape).lookup(Request(entity="user", key="ann"))


def test_no_key_is_logged(caplog):
    caplog.set_level(logging.DEBUG)
    lastfm("things").lookup(Request(entity="user", key="ann"))
    assert SECRET not in caplog.text


# --- histories


def read_plays(connector, keys=("ann",), cursor=BEGUN):
    pages = list(connector.pages("plays", keys=list(keys), cursor=cursor))
    return pages, [event for page in pages for event in page.events.to_pylist()]


def test_a_history_is_its_plays_without_what_is_playing_now():
    pages, events = read_plays(lastfm("plays"))
    assert [(event["item"], event["at"].timestamp() - T0) for event in events] == [
        (LANTERNS, 900),
        ("Ohm+%26+Erik/_/Glas%2FIs", 800),
        (LANTERNS, 800),
        (LANTERNS, 0),
    ]
    assert {(event["user"], event["kind"], event["value"], event["position"]) for event in events} == {
        ("ann", "play", None, None)
    }
    assert all(page.events.schema.equals(event_schema()) for page in pages)


def test_lines_grow_with_time_also_among_plays_of_one_second():
    _, events = read_plays(lastfm("plays"))
    lines = [event["line"] for event in events]
    assert all(newer > older for newer, older in pairwise(lines))


def test_a_play_has_the_same_line_however_long_the_pages_are():
    entries = [{"name": f"t{n}", "artist": "a", "date": {"uts": str(T0 + n // 2)}} for n in range(6, 0, -1)]
    found = []
    for size in (2, 3, 6):
        exchanges = []
        for page in range(6 // size):
            attr = {"page": str(page + 1), "perPage": str(size), "totalPages": str(6 // size), "total": "6"}
            exchanges.append(
                {
                    "ask": f"POST /2.0/?method=user.getRecentTracks&user=ann&page={page + 1}&limit={size}"
                    "&to=1700000000&format=json",
                    "body": {"recenttracks": {"track": entries[page * size : (page + 1) * size], "@attr": attr}},
                }
            )
        _, events = read_plays(lastfm(Cassette("lastfm", exchanges), page_limit=size))
        found.append([(event["item"], event["line"]) for event in events])
    assert found[0] == found[1] == found[2]
    assert len({line for _, line in found[0]}) == 6


def history(entries, total, page=1, pages=2, size=3):
    attr = {"page": str(page), "perPage": str(size), "totalPages": str(pages), "total": str(total)}
    ask = f"POST /2.0/?method=user.getRecentTracks&user=ann&page={page}&limit={size}&to=1700000000&format=json"
    return {"ask": ask, "body": {"recenttracks": {"track": entries, "@attr": attr}}}


def test_plays_sent_late_push_none_onto_two_pages():
    plays = [{"name": f"t{n}", "artist": "a", "date": {"uts": str(T0 + n // 2)}} for n in range(6, 0, -1)]
    late = {"name": "late", "artist": "a", "date": {"uts": str(T0 + 9)}}
    tape = Cassette("lastfm", [history(plays[:3], 6), history([plays[2], *plays[3:5]], 7, page=2, pages=3)])
    tape.left.append(history(plays[5:], 7, page=3, pages=3))
    _, events = read_plays(lastfm(tape))
    assert [event["item"] for event in events] == [f"a/_/t{n}" for n in range(6, 0, -1)]
    _, again = read_plays(lastfm(Cassette("lastfm", [history([late, *plays], 7, pages=1)])))
    assert {event["line"] for event in events} < {event["line"] for event in again}


@pytest.mark.parametrize("gone", ["artist", "name"])
def test_plays_that_lack_what_is_read_are_drift_and_not_read(gone):
    play = {"name": "t", "artist": "a", "date": {"uts": str(T0)}}
    del play[gone]
    with pytest.raises(SchemaDrift, match=f"plays of ann lack '{gone}'"):
        read_plays(lastfm(Cassette("lastfm", [history([play], 1, pages=1)])))


def test_each_page_is_kept_with_its_tracks_once():
    pages, _ = read_plays(lastfm("plays"))
    assert [(record.entity, record.source_id) for record in pages[0].records] == [
        ("plays", "ann/1700000000/1"),
        ("track", LANTERNS),
        ("track", "Ohm+%26+Erik/_/Glas%2FIs"),
    ]
    track = pages[0].records[1].payload
    assert track["artist"] == {"mbid": "", "#text": "Vela Norte"}
    assert not {"date", "@attr"} & set(track)


def test_a_history_begins_with_the_profile_once():
    profile = {"ask": "POST /2.0/?method=user.getInfo&user=ann&format=json", "body": {"user": {"name": "ann"}}}
    tape = Cassette.of("lastfm/plays")
    tape.left.append(profile)
    pages, events = read_plays(lastfm(tape, profiles=True))
    users = [(i, r.source_id) for i, page in enumerate(pages) for r in page.records if r.entity == "user"]
    assert users == [(0, "ann")]
    assert len(events) == 4


def test_the_profile_of_who_keeps_the_history_private_is_kept():
    profile = {"ask": "POST /2.0/?method=user.getInfo&user=bob&format=json", "body": {"user": {"name": "bob"}}}
    tape = Cassette.of("lastfm/plays")
    tape.left.append(profile)
    (page,) = lastfm(tape, profiles=True).pages("plays", keys=["bob"], cursor=BEGUN)
    assert [(record.entity, record.source_id) for record in page.records] == [("user", "bob")]
    assert [reject.file for reject in page.rejects] == ["bob"]


def test_a_user_who_is_not_there_costs_one_request():
    tape = Cassette.of("lastfm/things")
    (page,) = lastfm(tape, profiles=True).pages("plays", keys=["nobody"])
    assert [(reject.file, reject.reason) for reject in page.rejects] == [("nobody", "not_found")]
    assert len(tape.asked) == 1


def test_a_play_of_before_last_fm_is_refused():
    pages, _ = read_plays(lastfm("plays"))
    (reject,) = [reject for page in pages for reject in page.rejects]
    assert (reject.file, reject.reason, reject.detail) == ("ann", "bad_value", "timestamp before 2002")
    assert reject.text == "12 Vela Norte - Old clock"


def test_a_history_resumes_at_its_cursor_in_the_same_window():
    pages, events = read_plays(lastfm("plays"))
    assert [page.cursor for page in pages] == ["0/1700000000/2", None]
    _, rest = read_plays(lastfm("plays"), cursor=pages[0].cursor)
    assert rest == events[3:]


def test_reading_on_takes_each_play_once():
    key = Request(entity="plays", key="ann", params={"from": str(T0 + 1)})
    _, events = read_plays(lastfm("plays"), [key])
    assert [event["at"].timestamp() - T0 for event in events] == [1]


def test_the_window_ends_now(monkeypatch):
    monkeypatch.setattr("time.time", lambda: 1_700_000_000.7)
    pages, events = read_plays(lastfm("plays"), cursor=None)
    assert pages[0].cursor == "0/1700000000/2"
    assert len(events) == 4


def test_a_user_who_keeps_it_private_stops_nobody_else(monkeypatch):
    monkeypatch.setattr("time.time", lambda: 1_700_000_000.7)
    pages, events = read_plays(lastfm("plays"), ["bob", "cid"])
    assert [(reject.file, reject.reason) for reject in pages[0].rejects] == [("bob", "not_found")]
    assert "private" in pages[0].rejects[0].detail
    assert [event["user"] for event in events] == ["cid"]


def test_pages_that_vanished_meanwhile_end_the_history():
    gone = {"status": 400, "body": {"error": 6, "message": "no such page"}}
    ask = "POST /2.0/?method=user.getRecentTracks&user=ann&page=7&limit=3&to=1700000000&format=json"
    pages, events = read_plays(lastfm(Cassette("lastfm", [{"ask": ask, **gone}])), cursor="0/1700000000/7")
    assert ([page.cursor for page in pages], events, pages[0].rejects) == ([None], [], ())


@pytest.mark.parametrize("tracks", ["", [], None])
def test_an_empty_history_is_one_page_without_plays(tracks):
    ask = "POST /2.0/?method=user.getRecentTracks&user=ann&page=1&limit=3&to=1700000000&format=json"
    attr = {"page": "1", "total": "0", "totalPages": "0", "perPage": "3"}
    pages, events = read_plays(
        lastfm(Cassette("lastfm", [{"ask": ask, "body": {"recenttracks": {"track": tracks, "@attr": attr}}}]))
    )
    assert len(pages) == 1
    assert events == []
    assert [record.entity for record in pages[0].records] == ["plays"]


def test_xml_says_the_same_as_json():
    pages, events = read_plays(lastfm("xml"))
    assert [(event["item"], event["at"].timestamp() - T0) for event in events] == [("Vela+Norte/_/Lan%26terns", 900)]
    first, second = pages[0].records[0].payload["recenttracks"]["track"]
    assert first["@attr"] == {"nowplaying": "true"}
    assert second["date"] == {"uts": "1699000900", "#text": "05 Nov 2023, 12:00"}
    assert second["image"] == [{"size": "small", "#text": ""}]


# --- charts


def test_the_chart_is_read_as_far_as_asked_and_resumes():
    connector = lastfm("chart", page_limit=2, chart_tracks=4)
    pages = list(connector.pages("chart"))
    assert [page.cursor for page in pages] == ["2", None]
    assert [record.source_id for page in pages for record in page.records if record.entity == "track"] == [
        LANTERNS,
        "Vela+Norte/_/Undertow",
        "Vela+Norte/_/Old+clock",
        "Vela+Norte/_/Hem",
    ]
    assert len(list(connector.pages("chart", cursor="2"))) == 1


def test_what_has_no_pages_is_refused():
    with pytest.raises(ValueError, match="'user' has no pages"):
        lastfm("chart").pages("user")


# --- questions and candidates


def test_a_track_is_asked_for_by_its_names():
    (asked,) = lastfm("things").questions(Wanted(title="Glas/Is", creators=("Ohm & Erik", "x")))
    assert (asked.entity, asked.key) == ("track_info", "Ohm+%26+Erik/_/Glas%2FIs")
    assert lastfm("things").questions(Wanted(title="Lanterns")) == ()


def test_a_track_with_guests_is_asked_for_without_them_too():
    asked = lastfm("things").questions(Wanted(title="Lanterns (feat. Ohm)", creators=("Vela Norte ft. Sol",)))
    assert [request.key for request in asked] == ["Vela+Norte+ft.+Sol/_/Lanterns+%28feat.+Ohm%29", LANTERNS]


def test_a_candidate_has_its_path_and_its_length_in_milliseconds():
    connector = lastfm("things")
    record = connector.lookup(Request(entity="track_info", key=LANTERNS, params={"autocorrect": "1"}))
    (found,) = connector.candidates("track_info", record.payload)
    assert (found.id, found.title, found.artists, found.album) == (
        LANTERNS,
        "Lanterns",
        ("Vela Norte",),
        "Quiet Machines",
    )
    assert found.duration_ms == 201_000


@pytest.mark.parametrize("payload", [{}, {"track": ""}, {"track": {}}, {"track": {"name": "x"}}, {"track": None}])
def test_an_answer_without_names_is_drift(payload):
    with pytest.raises(SchemaDrift, match=r"no 'track\.name' or 'track\.artist'"):
        lastfm("things").candidates("track_info", payload)
    assert lastfm("things").candidates("user", payload) == []


# --- small readers


@pytest.mark.parametrize(("artist", "track"), [("AC/DC", "T.N.T."), ("Sigur Rós", "Með / _ /"), ("a+b", "c%20d")])
def test_a_path_gives_its_names_back(artist, track):
    assert names_of(track_path(artist, track)) == (artist, track)


def test_numbers_are_read_from_text():
    assert [number_of(n) for n in ("12", 7, "", None, "-1", "1e3", "x", [])] == [12, 7, 0, 0, 0, 0, 0, 0]


def test_a_text_that_is_no_answer_is_a_value_error():
    for text in ("", "null", "7", "<html/>", "<", "hello"):
        with pytest.raises(ValueError, match=r"."):
            body_of(text)


def test_settings_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("LASTFM_API_KEY", SECRET)
    settings = LastfmSettings()
    assert settings.api_key.get_secret_value() == SECRET
    assert SECRET not in repr(settings)


def test_pylast_speaks_tls_only():
    with pytest.raises(ValueError, match="endpoint"):
        LastfmSettings(endpoint="http://127.0.0.1:9/2.0/")


@pytest.mark.parametrize("said", ["ws.audioscrobbler.com", ".audioscrobbler.com", "audioscrobbler.com", "*", ""])
def test_no_proxy_leads_no_request_past_the_policy(monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    monkeypatch.setenv("NO_PROXY", said)
    with closing(connect(api_key="x")) as lastfm:
        network = lastfm._network()
        with httpx2.Client(mounts=network.proxy) as client:
            chosen = client._transport_for_url(httpx2.URL("https://ws.audioscrobbler.com/2.0/"))
    assert type(chosen).__name__ == "PolicyTransport"
