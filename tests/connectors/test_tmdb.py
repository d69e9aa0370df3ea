"""TMDb: what is asked, what comes back, and what its errors mean."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from connectors.base import Request, Wanted
from connectors.drift import Drift, drift_of
from connectors.errors import AuthError, NotFound, PermanentError, QuotaExceeded, SchemaDrift, TransientError
from connectors.tmdb import Tmdb, connect, search_request
from connectors.tmdb_answers import error_of, poster_of, trailer_of
from connectors.tmdb_models import Configuration, Film, Found, Search
from tests.connectors.recorded import Recorded, cassette

KEY = "0123456789abcdef0123456789abcdef"
TOKEN = "eyJhbGciOi.eyJhdWQiOi.c2lnbmF0dXJl"


@pytest.fixture
def policy() -> Recorded:
    return cassette("tmdb")


@pytest.fixture
def tmdb(policy: Recorded) -> Tmdb:
    return connect(policy=policy, api_key=KEY)


def test_the_exact_id_is_asked_first_and_names_only_where_there_is_none() -> None:
    def ask(**ids: str) -> list[tuple[str, str]]:
        wanted = Wanted(title="The  Long Tide", year=1987, ids=ids)
        return [
            (request.entity, request.key) for request in connect(policy=Recorded("tmdb"), api_key=KEY).questions(wanted)
        ]

    named = [("search", "The Long Tide (1987)"), ("search", "The Long Tide")]
    assert ask(tmdb="7", imdb="tt0000001") == [("film", "7")]
    assert ask(imdb="tt0000001") == [("find", "tt0000001"), *named]
    assert ask() == named
    assert connect(policy=Recorded("tmdb"), api_key=KEY).questions(Wanted(title="")) == ()


def test_an_imdb_id_finds_one_film_and_a_series_is_none(tmdb: Tmdb, policy: Recorded) -> None:
    record = tmdb.lookup(Request(entity="find", key="tt0000001"))
    (film,) = tmdb.candidates("find", record.payload)
    assert (film.id, film.title, film.year, film.kind) == ("7", "The Long Tide", 1987, "movie")
    series = tmdb.lookup(Request(entity="find", key="tt0000002"))
    assert tmdb.candidates("find", series.payload) == []
    assert "api_key=REDACTED" in record.url
    assert KEY in policy.asked[0]
    assert KEY not in record.url
    Found.model_validate(record.payload)


def test_a_v4_token_travels_in_the_header_not_in_the_address(policy: Recorded) -> None:
    record = connect(policy=policy, api_key=TOKEN).lookup(Request(entity="find", key="tt0000001"))
    assert policy.headers == [{"Authorization": f"Bearer {TOKEN}"}]
    assert TOKEN not in policy.asked[0]
    assert "api_key" not in record.url


def test_a_search_names_the_year_and_a_film_without_a_date_has_none(tmdb: Tmdb) -> None:
    record = tmdb.lookup(search_request("The Long Tide", 1987))
    assert [(film.id, film.year) for film in tmdb.candidates("search", record.payload)] == [("7", 1987), ("9", None)]
    assert record.source_id == "The Long Tide (1987)"
    Search.model_validate(record.payload)


def test_a_film_comes_in_one_call_with_director_length_poster_and_trailer(tmdb: Tmdb, policy: Recorded) -> None:
    film = tmdb.lookup(Request(entity="film", key="7")).payload
    (candidate,) = tmdb.candidates("film", film)
    assert (candidate.artists, candidate.duration_ms) == (("Dora Director",), 101 * 60_000)
    assert trailer_of(film) == "ddddddddddd"
    configuration = tmdb.lookup(Request(entity="configuration", key="configuration")).payload
    assert poster_of(film, configuration) == "https://image.tmdb.org/t/p/w342/p7.jpg"
    assert poster_of(film, configuration, width=300) == "https://image.tmdb.org/t/p/w342/p7.jpg"
    assert poster_of(film, configuration, width=2_000) == "https://image.tmdb.org/t/p/original/p7.jpg"
    assert poster_of({"poster_path": None}, configuration) is None
    with pytest.raises(SchemaDrift, match="secure_base_url"):
        poster_of(film, {"images": {}})
    assert len(policy.asked) == 2
    Film.model_validate(film)
    Configuration.model_validate(configuration)


def test_the_poster_is_fetched_and_the_configuration_once(tmdb: Tmdb, policy: Recorded) -> None:
    policy.answer("GET", "https://image.tmdb.org/t/p/w342/p7.jpg", 200, b"\xff\xd8 a picture")
    for _ in range(2):
        picture = tmdb.fetch_picture({"id": 7, "poster_path": "/p7.jpg"})
    assert picture == b"\xff\xd8 a picture"
    assert sum("configuration" in url for url in policy.asked) == 1
    with pytest.raises(NotFound, match="no poster"):
        tmdb.fetch_picture({"id": 8, "poster_path": None})


def test_what_find_gave_says_which_film_to_ask_for(tmdb: Tmdb) -> None:
    found = {"movie_results": [{"id": 7, "title": "The Long Tide"}]}
    assert tmdb.request_from("film", found) == Request(entity="film", key="7")
    with pytest.raises(NotFound, match="no film"):
        tmdb.request_from("film", {"movie_results": []})
    with pytest.raises(ValueError, match="by way of another"):
        tmdb.request_from("search", found)


@pytest.mark.parametrize(
    ("videos", "found"),
    [
        ([], None),
        ([{"key": "aaaaaaaaaaa", "site": "YouTube", "type": "Clip", "official": True}], None),
        ([{"key": "no-id", "site": "YouTube", "type": "Trailer"}], None),
        ([{"key": "aaaaaaaaaaa", "site": "YouTube", "type": "Teaser"}], "aaaaaaaaaaa"),
        (
            [
                {"key": "aaaaaaaaaaa", "site": "YouTube", "type": "Teaser", "official": True},
                {"key": "bbbbbbbbbbb", "site": "YouTube", "type": "Trailer"},
            ],
            "bbbbbbbbbbb",
        ),
    ],
)
def test_a_trailer_is_one_that_youtube_can_play(videos: list[dict[str, Any]], found: str | None) -> None:
    assert trailer_of({"videos": {"results": videos}}) == found


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (404, {"success": False, "status_code": 6, "status_message": "x"}, NotFound),
        (404, {"success": False, "status_code": 34, "status_message": "x"}, NotFound),
        (200, {"success": False, "status_code": 34, "status_message": "x"}, NotFound),
        (401, {"success": False, "status_code": 7, "status_message": "x"}, AuthError),
        (429, {"status_code": 25, "status_message": "x"}, QuotaExceeded),
        (503, {"success": False, "status_code": 9, "status_message": "x"}, TransientError),
        (422, {"success": False, "status_code": 20, "status_message": "x"}, PermanentError),
        (502, None, TransientError),
        (404, None, NotFound),
    ],
)
def test_a_status_code_of_tmdb_is_the_right_error(status: int, body: Any, error: type) -> None:
    found = error_of(status, body, "https://x")
    assert type(found) is error
    assert (found.status, found.url) == (status, "https://x")
    assert "x" not in str(found).replace("exc", "").split("code")[-1].split(":")[0]


def test_an_answer_is_no_error() -> None:
    assert error_of(200, {"id": 1, "title": "A", "status": "Released"}) is None


def test_errors_come_out_of_a_lookup(tmdb: Tmdb, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotFound, match="HTTP 404, code 6"):
        tmdb.lookup(Request(entity="film", key="0"))
    with pytest.raises(QuotaExceeded, match="code 25"):
        tmdb.lookup(Request(entity="film", key="25"))
    with pytest.raises(ValueError, match="unknown entity 'tv'; known: configuration, film, find, search"):
        tmdb.lookup(Request(entity="tv", key="1"))
    with pytest.raises(SchemaDrift, match="without a list"):
        tmdb.candidates("search", {"page": 1})
    monkeypatch.delenv("TMDB_API_KEY", raising=False)
    with pytest.raises(AuthError, match="set TMDB_API_KEY"):
        connect(policy=Recorded("tmdb")).lookup(Request(entity="film", key="1"))


def _recordings(folder: Path) -> list[tuple[str, int, Any]]:
    said = []
    for file in sorted(folder.glob("*.yaml")):
        for one in yaml.load(file.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)["interactions"]:
            response = one["response"]
            said.append((one["request"]["url"], response["code"], json.loads(response["body"])))
    return said


@pytest.mark.real_data
def test_every_recorded_answer_of_tmdb_parses_or_is_no_film(real_data: Path) -> None:
    recorded = _recordings(real_data / "api-responses" / "tmdb" / "go-tmdb-vcr-2025")
    assert len(recorded) == 14
    tmdb = connect(policy=Recorded("tmdb"), api_key=KEY)
    films, searches = 0, 0
    for url, status, body in recorded:
        assert error_of(status, body) is None, url
        if "/movie/" in url and "/genre/" not in url:
            (film,) = tmdb.candidates("film", body)
            assert film.year
            assert film.duration_ms
            drift = drift_of(Film, body)  # its recorder asked for more than we do
            assert (set(drift.unknown) - {"images", "release_dates"}, drift.missing) == (set(), ())
            films += 1
        elif "/search/movie" in url:
            found = tmdb.candidates("search", body)
            assert len(found) == len(body["results"])
            assert drift_of(Search, body) == Drift()
            searches += 1
        elif url.endswith("/configuration"):
            assert drift_of(Configuration, body) == Drift()
            assert (poster_of({"poster_path": "/x.jpg"}, body) or "").endswith("/t/p/w342/x.jpg")
    assert (films, searches) == (2, 1)


@pytest.mark.real_data
def test_every_quoted_error_of_tmdb_is_a_quota(real_data: Path) -> None:
    quoted = json.loads((real_data / "api-responses" / "tmdb" / "errors_quoted.json").read_text(encoding="utf-8"))
    assert [type(error_of(one["http_status"], one["body"])) for one in quoted] == [QuotaExceeded] * 2
