"""What sources say, in our columns; what cannot be used is a reason, and costs its own row only."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.hashing import entity_id
from storage.store import Store
from tasks.entities import DESCRIBING, film_title, namespace_of, parse, subject
from tests.tasks.shelf import Shelf, track_id

CONNECTORS = {name: name for name in DESCRIBING}


def said(source: str, source_id: str = "1", **bodies: Any) -> dict[str, Any]:
    """What becomes of one entity's raw records."""
    row = {
        "source": source,
        "source_id": source_id,
        "names": list(bodies),
        "bodies": [json.dumps(body).encode() for body in bodies.values()],
    }
    found = parse(pa.Table.from_pylist([row]), Store("unused"), connectors=CONNECTORS).to_pylist()
    assert len(found) == 1
    return found[0]


# --- titles of MovieLens


@pytest.mark.parametrize(
    ("found", "title", "year"),
    [
        ("Toy Story (1995)", "Toy Story", 1995),
        ("Matrix, The (1999)", "The Matrix", 1999),
        ("Ideal Husband, An (1999)", "An Ideal Husband", 1999),
        ("Avventura, L' (Adventure, The) (1960)", "L'Avventura", 1960),
        ("City of Lost Children, The (Cité des enfants perdus, La) (1995)", "The City of Lost Children", 1995),
        ("Good, the Bad and the Ugly, The (1966)", "The Good, the Bad and the Ugly", 1966),
        ("Rome, Open City (a.k.a. Open City) (Roma, città aperta) (1945)", "Rome, Open City", 1945),
        ("Terrorist, The (a.k.a. Malli) (Theeviravaathi) (1998)", "The Terrorist", 1998),
        ("Godzilla 1985 (Gojira) (Godzilla) (Return of Godzilla, The) (1984)", "Godzilla 1985", 1984),
        ("Léon: The Professional (a.k.a. The Professional) (Léon) (1994)", "Léon: The Professional", 1994),
        ("Vidocq: Dark Portals  (Vidocq) (2001) ", "Vidocq: Dark Portals", 2001),
        ("Some Film (One (or Two)) (2001)", "Some Film", 2001),
        ("Babylon 5", "Babylon 5", None),
        ("Moonlight", "Moonlight", None),
        ("1984 (1984)", "1984", 1984),
        ("2001: A Space Odyssey (1968)", "2001: A Space Odyssey", 1968),
        ("Fawlty Towers (1975-1979)", "Fawlty Towers", 1975),
        ("Death Note: Desu nôto (2006–2007)", "Death Note: Desu nôto", 2006),
        ("Big Bang Theory, The (2007-)", "The Big Bang Theory", 2007),
        ("(500) Days of Summer (2009)", "(500) Days of Summer", 2009),
        ("(Untitled) (2009)", "(Untitled)", 2009),
        ("Frontière(s) (2007)", "Frontière(s)", 2007),
        ("Evangelion: 1.0 You Are (Not) Alone (2007)", "Evangelion: 1.0 You Are (Not) Alone", 2007),
        ("Birdman: Or (The Virtue of Ignorance) (2014)", "Birdman: Or (The Virtue of Ignorance)", 2014),
        ("Me, Myself and I (1999)", "Me, Myself and I", 1999),
    ],
)
def test_film_titles_are_said_as_people_say_them(found: str, title: str, year: int | None) -> None:
    assert film_title(found) == (title, year)


@given(st.text(max_size=60))
def test_any_text_has_a_title_and_at_most_a_year(text: str) -> None:
    title, year = film_title(text)
    assert title == title.strip()
    assert year is None or 0 <= year <= 9999


# --- MovieLens


def test_a_film_has_its_genres_in_lower_case_and_the_ids_of_its_link() -> None:
    movie = {"movieId": "1", "title": "Toy Story (1995)", "genres": "Comedy|Adventure|Comedy"}
    row = said("movielens", movie=movie, link={"imdbId": "0114709", "tmdbId": "862"})
    assert (row["genres"], row["ids"]) == (["adventure", "comedy"], ["movielens:1", "imdb:tt0114709", "tmdb:862"])
    assert (row["kind"], row["entity_id"], row["match_key"]) == ("film", entity_id("movielens", "1"), None)


@pytest.mark.parametrize("genres", ["(no genres listed)", "", "|"])
def test_no_genres_listed_are_none(genres: str) -> None:
    assert said("movielens", movie={"title": "A", "genres": genres})["genres"] == []


@pytest.mark.parametrize(
    ("imdb", "tmdb", "ids"),
    [
        ("0114709", "862.0", ["imdb:tt0114709", "tmdb:862"]),
        ("tt0114709", " 862 ", ["imdb:tt0114709", "tmdb:862"]),
        ("10151854", "", ["imdb:tt10151854"]),
        ("0", "0", []),
        ("", "", []),
        ("no", "-862", []),
        ("nan", "8.5", []),
        ("1e3", "9" * 30, []),
    ],
)
def test_a_link_that_cannot_be_read_costs_the_link_and_not_the_film(imdb: str, tmdb: str, ids: list[str]) -> None:
    row = said("movielens", movie={"title": "A (1999)", "genres": ""}, link={"imdbId": imdb, "tmdbId": tmdb})
    assert (row["title"], row["ids"], row["reason"]) == ("A", ["movielens:1", *ids], None)


# --- TMDb


def test_a_film_of_the_api_has_the_names_of_its_genres_and_no_zeros() -> None:
    film = {
        "id": 5, "title": " Four Rooms ", "genre_ids": [35, 878, 1], "release_date": "1995-12-09", "runtime": 98,
        "budget": 0, "revenue": 4_257_354, "vote_average": 5.9, "vote_count": 0, "imdb_id": "tt0113101",
        "original_language": "en", "adult": False, "overview": " ", "keywords": {"keywords": [{"name": "hotel"}]},
    }  # fmt: skip
    row = said("tmdb_files", "5", film=film)
    assert (row["title"], row["year"], row["duration_ms"]) == ("Four Rooms", 1995, 5_880_000)
    assert row["genres"] == ["comedy", "science fiction"]
    assert dict(row["attributes"]) == {"revenue": 4_257_354.0, "vote_average": 5.9}
    assert (row["adult"], row["overview"], row["language"]) == (False, None, "en")
    assert (row["ids"], row["keywords"]) == (["tmdb:5", "imdb:tt0113101"], ["hotel"])


def test_a_film_asked_for_in_one_call_has_its_people_and_the_id_of_its_trailer() -> None:
    film = {
        "id": 7, "title": "The Long Tide", "release_date": "1987-05-02", "runtime": 101, "imdb_id": None,
        "genres": [{"id": 18, "name": "Drama"}], "external_ids": {"imdb_id": "tt0000001"},
        "keywords": {"keywords": [{"id": 1, "name": "sea"}]},
        "credits": {
            "cast": [{"name": "Second", "order": 1}, {"name": "First", "order": 0}],
            "crew": [{"name": "Dora", "job": "Director"}, {"name": "Ed", "job": "Editor"}],
        },
        "videos": {"results": [{"site": "YouTube", "type": "Trailer", "key": "ddddddddddd", "official": True}]},
    }  # fmt: skip
    row = said("tmdb", "7", film=film)
    assert (row["creators"], row["actors"]) == (["Dora"], ["First", "Second"])
    assert row["ids"] == ["tmdb:7", "imdb:tt0000001", "youtube:ddddddddddd"]
    assert (row["genres"], row["keywords"]) == (["drama"], ["sea"])
    assert row["entity_id"] == entity_id("tmdb", "7")  # the same film as in the files


CREDITS = [
    {"name": "Third", "job": "Actor", "cast_order": 2},
    {"name": "First", "job": "Actor", "cast_order": 0},
    {"name": "Zed", "job": "Director", "cast_order": None},
    {"name": "Ann", "job": "Director", "cast_order": None},
    {"name": "Unbilled", "job": "Actor", "cast_order": None},
    {"name": "Second", "job": "Actor", "cast_order": 1},
    {"name": "First", "job": "Actor", "cast_order": 7},
    {"name": "Eve", "job": "Producer", "cast_order": None},
    {"name": "", "job": "Actor", "cast_order": 3},
]


def kaggle(people: list[dict[str, Any]]) -> dict[str, Any]:
    """The same credits as Kaggle's table keeps them."""
    actors = [p for p in people if p["job"] == "Actor"]
    return {
        "cast": [{"name": p["name"], "order": p["cast_order"]} for p in actors],
        "crew": [p for p in people if p["job"] != "Actor"],
    }


@pytest.mark.parametrize("credits", [{"credits": CREDITS}, kaggle(CREDITS)], ids=["parquet", "kaggle"])
def test_credits_give_directors_and_actors_by_billing(credits: dict[str, Any]) -> None:
    row = said("tmdb_files", "5", film={"title": "Four Rooms"}, credits=credits)
    assert row["creators"] == ["Ann", "Zed"]
    assert row["actors"] == ["First", "Second", "Third", "Unbilled"]
    assert row["match_key"] == "film|ann|four rooms"


def test_both_forms_of_credits_are_read_from_files(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, "tmdb")
    shelf.sources |= {"tmdb": shelf.sources["tmdb"] | {"items": True}, "kaggle": shelf.sources["tmdb"] | {"path": "k"}}
    shelf.tmdb({"id": 5, "title": "Four Rooms"}, {"id": 6, "title": "Judgment Night"})
    columns = {"movie_id": [5, 5], "person_id": [1, 2], "name": ["Ann", "Bob"], "job": ["Director", "Actor"]}
    more = {"department": ["", ""], "cast_order": [None, 0], "character": [None, "Ted"]}
    pq.write_table(pa.table(columns | more), tmp_path / "tmdb" / "credits.parquet")
    cast, crew = json.dumps([{"name": "Bob", "order": 0}]), json.dumps([{"name": "Ann", "job": "Director"}])
    shelf.csv("k/movies.csv", "id,title,overview,budget", [(5, "Four Rooms", "A hotel.", 0)])
    shelf.csv("k/credits.csv", "movie_id,title,cast,crew", [(5, "Four Rooms", cast, crew), (7, "Gone", cast, crew)])
    shelf.run(until="entities")
    rows = shelf.sql("select source, source_id, creators, actors, reason from entities order by source, source_id")
    assert rows == [
        ("kaggle", "5", ["Ann"], ["Bob"], None),
        ("kaggle", "7", None, None, "missing_input"),
        ("tmdb", "5", ["Ann"], ["Bob"], None),
        ("tmdb", "6", [], [], None),
    ]


# --- tracks


def test_both_spotify_tables_are_read() -> None:
    tidy = {"track_name": "Luna", "track_artist": "Bo; Al", "track_popularity": "66", "playlist_genre": ["Pop", "rock"]}
    row = said("spotify_tracks", track_id(1), track=tidy | {"track_album_release_date": "2019-06", "tempo": "NA"})
    assert (row["creators"], row["genres"], row["year"]) == (["Bo; Al"], ["pop", "rock"], 2019)
    assert dict(row["attributes"]) == {"popularity": 66.0}
    other = {"track_name": "Luna", "artists": "Bo; Al;", "popularity": "0", "track_genre": ["pop"], "explicit": "True"}
    row = said("spotify_tracks", track_id(1), track=other | {"album_name": "Moons", "duration_ms": "0"})
    assert (row["creators"], row["album"], row["explicit"]) == (["Bo", "Al"], "Moons", True)
    assert (row["duration_ms"], dict(row["attributes"]), row["year"]) == (None, {"popularity": 0.0}, None)


def test_tracks_of_one_spotify_id_are_one_entity_wherever_they_come_from() -> None:
    mpd = said("mpd", track_id(1), track={"track_name": "Luna", "artist_name": "Bo", "duration_ms": 1000})
    table = said("spotify_tracks", track_id(1), track={"track_name": "Luna", "track_artist": "Bo"})
    assert mpd["entity_id"] == table["entity_id"]
    assert mpd["match_key"] == table["match_key"] == "track|bo|luna"


def test_a_track_of_lastfm_keeps_its_mbid() -> None:
    row = said("lastfm_1k", "Bo/_/Luna", track={"artname": "Bo", "traname": "Luna", "traid": "f1b1", "artid": ""})
    assert (row["mbid"], row["ids"], row["match_key"]) == ("f1b1", ["mbid:f1b1"], "track|bo|luna")


# --- what cannot be used

STRANGE: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["name", "job", "order"]), inner),
    max_leaves=6,
)
FIELDS = {
    "movielens": ("movie", ["genres"]),
    "tmdb_files": (
        "film",
        "imdb_id budget runtime genres genre_ids release_date keywords overview adult original_language".split(),
    ),
    "spotify_tracks": ("track", "track_artist duration_ms tempo explicit track_album_release_date".split()),
    "mpd": ("track", "artist_name duration_ms album_name".split()),
    "lastfm_1k": ("track", "artname traid".split()),
}


@pytest.mark.parametrize("connector", FIELDS)
@given(data=st.data())
def test_no_payload_stops_the_build(connector: str, data: Any) -> None:
    entity, names = FIELDS[connector]
    title = data.draw(st.text(min_size=1, max_size=5) if connector == "movielens" else STRANGE)
    payload = {name: data.draw(st.text() if connector == "movielens" else STRANGE) for name in names}
    credits = {"credits": {n: data.draw(STRANGE) for n in ("cast", "crew", "credits")}} if entity == "film" else {}
    row = said(
        connector, "1", **{entity: payload | dict.fromkeys(("title", "track_name", "traname"), title)}, **credits
    )
    assert row["reason"] in (None, "schema_drift", "internal_error")
    assert (row["title"] is None) == (row["reason"] is not None)


@pytest.mark.parametrize(
    "payload",
    [
        {"runtime": 1e300},
        {"budget": 10**400},
        {"revenue": "inf"},
        {"release_date": "0000-00-00"},
        {"keywords": 5, "genres": "Comedy"},
    ],
)
def test_numbers_out_of_bounds_are_unknown(payload: dict[str, Any]) -> None:
    row = said("tmdb_files", film={"title": "A"} | payload)
    assert (row["duration_ms"], row["year"], row["keywords"], row["genres"]) == (None, None, [], [])
    assert (row["attributes"], row["reason"]) == ([], None)


def test_people_that_are_no_people_are_passed_over() -> None:
    credits = {"cast": ["Bob", {"name": 5, "order": "x"}, None], "crew": 7}
    row = said("tmdb_files", film={"title": "A"}, credits=credits)
    assert (row["actors"], row["creators"], row["reason"]) == (["5"], [], None)


def test_without_a_title_or_a_main_record_there_is_a_reason() -> None:
    assert said("movielens", movie={"title": "(1999)", "genres": ""})["reason"] == "schema_drift"
    assert said("mpd", track={"track_name": " ", "artist_name": "Bo"})["reason"] == "schema_drift"
    row = said("movielens", link={"imdbId": "1", "tmdbId": "1"})
    assert (row["reason"], row["detail"]) == ("missing_input", "no 'movie' record for this id")


def test_one_broken_payload_leaves_its_neighbours() -> None:
    rows = [
        {"source": "mpd", "source_id": str(n), "names": ["track"], "bodies": [body]}
        for n, body in enumerate([b'{"track_name": "Luna"}', b"[]", b'{"track_name": "Sol"}'])
    ]
    found = parse(pa.Table.from_pylist(rows), Store("unused"), connectors=CONNECTORS).to_pylist()
    assert [row["title"] for row in found] == ["Luna", None, "Sol"]
    assert found[1]["reason"] == "internal_error"


def test_a_raw_record_speaks_of_an_item_or_of_none() -> None:
    assert subject("movie", "1") == subject("link", "1") == subject("tag", "15/1/7") == "1"
    assert subject("audio", "a.mp3") == subject("image", "a.mp3") == subject("artist", "a.mp3") == "a.mp3"
    assert subject("tag", "2/51/7") == "51"
    assert subject("friend", "2/275") is None
    assert subject("track", "Bo/_/Luna") == "Bo/_/Luna"
    assert subject("user", "1") is None
    assert subject("playlist", "1") is None


# --- recordings and pictures of one's own, and data sets of other fields


def recording(file: str, **tags: Any) -> dict[str, Any]:
    return said("music_folder", file, track={"file": file, "size_bytes": 1, "ids": [f"file:{file}"], **tags})


@pytest.mark.parametrize(
    ("file", "title", "creators"),
    [
        ("Ann - Blue.mp3", "Blue", ["Ann"]),
        ("sub - x/Ann - Blue.mp3", "Blue", ["Ann"]),
        ("01 - Ann - Blue.mp3", "01 - Ann - Blue", []),
        ("Ann-Blue.mp3", "Ann-Blue", []),
        (" - Blue.mp3", "- Blue", []),
        ("two%0Alines%09here.mp3", "two lines here", []),
        ("50%25 off.mp3", "50% off", []),
        ("not utf-8 %FF.mp3", "not utf-8 \ufffd", []),
        (" .mp3", " .mp3", []),
    ],
)
def test_a_recording_without_tags_is_called_by_its_name(file: str, title: str, creators: list[str]) -> None:
    row = recording(file)
    assert (row["title"], row["creators"], row["kind"], row["reason"]) == (title, creators, "track", None)


def test_tags_count_before_the_name_and_what_is_no_id_is_none() -> None:
    mbid = "0b5e4c4e-6f1a-4c0f-8a3b-3f2a1d9c7e55"
    tags = {
        "title": [" ", "Luna\nNova"],
        "artist": ["Bo", "Al"],
        "album": ["A"],
        "date": ["2001-05-04"],
        "genre": ["Pop"],
    }
    row = recording("Ann - Blue.mp3", duration_s=1.5, isrc=["gb-aye-06-01498"], musicbrainz_trackid=[mbid], **tags)
    assert (row["title"], row["creators"], row["album"], row["year"]) == ("Luna Nova", ["Bo", "Al"], "A", 2001)
    assert (row["duration_ms"], row["genres"], row["match_key"]) == (1_500, ["pop"], "track|bo|luna nova")
    assert row["ids"] == ["file:Ann - Blue.mp3", "isrc:GBAYE0601498", f"mbid:{mbid}"]
    junk = recording("a.mp3", isrc=["0"], musicbrainz_trackid=["none"], duration_s=0, date=["soon"])
    assert (junk["isrc"], junk["mbid"], junk["duration_ms"], junk["year"]) == (None, None, None, None)
    assert junk["ids"] == ["file:a.mp3"]


def test_a_title_without_an_artist_takes_none_from_the_name() -> None:
    assert recording("Ann - Blue.mp3", title=["Luna"])["creators"] == []


def test_a_picture_is_called_by_its_name_and_matches_no_other_by_it() -> None:
    row = said("image_folder", "x/862.jpg", image={"file": "x/862.jpg", "ids": ["movielens:862"]})
    assert (row["kind"], row["title"], row["ids"], row["match_key"]) == ("picture", "862", ["movielens:862"], None)


def test_an_item_of_recbole_is_read_by_common_names() -> None:
    fields = {"movie_title": ["Toy", "Story"], "release_year": "1995", "class": ["Comedy", "Animation"], "price": 1.5}
    row = said("recbole_atomic", item={"kind": "film", "fields": fields})
    assert (row["kind"], row["title"], row["year"], row["genres"]) == (
        "film",
        "Toy Story",
        1995,
        ["animation", "comedy"],
    )
    assert (row["attributes"], row["ids"]) == ([("price", 1.5)], ["recbole_atomic.recbole_atomic:1"])
    artist = said("recbole_atomic", item={"kind": "artist", "fields": {"artist_name": "Ann", "price": None}})
    assert (artist["title"], artist["creators"]) == ("Ann", [])
    assert said("recbole_atomic", item={"kind": "film", "fields": {}})["reason"] == "schema_drift"


def test_an_artist_of_hetrec_is_called_by_its_name() -> None:
    row = said("hetrec", "51", artist={"id": "51", "name": "Duran Duran"})
    assert (row["kind"], row["title"], row["entity_id"]) == ("artist", "Duran Duran", entity_id("hetrec", "51"))


def test_ids_of_folders_and_of_recbole_count_in_their_source_alone() -> None:
    assert namespace_of("a", "mpd") == namespace_of("b", "spotify_tracks") == "spotify"
    assert namespace_of("a", "music_folder") != namespace_of("b", "music_folder")
    assert namespace_of("a", "recbole_atomic") != namespace_of("b", "recbole_atomic")
