"""Whether the sandbox answers as the real services do: field by field, against responses that others recorded."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import requests
import yaml
from yt_dlp import YoutubeDL

from deployments.sandbox.serve import endpoints, serve
from deployments.sandbox.server import Sandbox
from deployments.sandbox.spotify_service import TOKEN, error
from deployments.sandbox.tables import (
    ArtistRow,
    FanRow,
    FilmRow,
    LastfmTrackRow,
    PlaylistRow,
    SongRow,
    TrackRow,
    VideoRow,
    read_table,
)
from deployments.sandbox.youtube_extractor import SandboxYoutubeIE, SandboxYoutubeSearchIE
from tests.deployments.shapes import differences, of_xml, shape_of, unexplained

pytestmark = pytest.mark.real_data


@pytest.fixture(scope="module")
def running(small_world: Path) -> Iterator[Sandbox]:
    with serve(small_world) as sandbox:
        yield sandbox


@pytest.fixture
def recorded(real_data: Path) -> Path:
    return real_data / "api-responses"


def read(*paths: Path) -> list[Any]:
    return [json.loads(path.read_bytes()) for path in paths]


# --- Spotify


def spotify(sandbox: Sandbox, path: str, **query: str) -> Any:
    said = requests.get(
        f"{sandbox.url}/spotify/v1/{path}", params=query, headers={"Authorization": f"Bearer {TOKEN}x"}, timeout=5
    )
    return said.json()


def spotify_files(recorded: Path, *names: str) -> list[Any]:
    """The fixtures of those names, before and after February 2026."""
    folders = [recorded / "spotify" / name for name in ("beets-json", *AGES)]
    return read(
        *(folder / f"{name}.json" for name in names for folder in folders if (folder / f"{name}.json").exists())
    )


LAST_PAGE = "null on the last page, which no recorded search of that kind reached"
AGES = ("python-spotify-json", "python-spotify-json-before-2026-03")


def test_spotify_tracks(running: Sandbox, recorded: Path, small_world: Path) -> None:
    ours = [spotify(running, f"tracks/{row.spotify}") for row in read_table(small_world, "tracks", TrackRow)[:60]]
    assert unexplained(ours, spotify_files(recorded, "track_info", "multiartist_track"), {}) == {}


def test_spotify_albums(running: Sandbox, recorded: Path, small_world: Path) -> None:
    ours = [spotify(running, f"albums/{row.album}") for row in read_table(small_world, "tracks", TrackRow)[:60]]
    assert unexplained(ours, spotify_files(recorded, "album_info", "multiartist_album", "get_album"), {}) == {}


def test_spotify_artists(running: Sandbox, recorded: Path, small_world: Path) -> None:
    ours = [spotify(running, f"artists/{row.spotify}") for row in read_table(small_world, "artists", ArtistRow)[:40]]
    assert unexplained(ours, spotify_files(recorded, "artist"), {}) == {}


def test_spotify_searches(running: Sandbox, recorded: Path) -> None:
    ours = [spotify(running, "search", q=word, type="track,album,artist,playlist") for word in ("the", "love", "live")]
    real = spotify_files(recorded, "search", "track_request", "japanese_track_request", "missing_request")
    reasons = dict.fromkeys(("albums.next", "artists.next", "playlists.next"), LAST_PAGE)
    assert unexplained(ours, real, reasons) == {}


def test_spotify_playlists(running: Sandbox, recorded: Path, small_world: Path) -> None:
    rows = read_table(small_world, "playlists", PlaylistRow)
    ours = [spotify(running, f"playlists/{row.id}") for row in rows]
    items = [spotify(running, f"playlists/{row.id}/tracks", limit="5") for row in rows]
    assert unexplained(ours, spotify_files(recorded, "playlist_1", "playlist_2", "playlist_3"), {}) == {}
    assert unexplained(items, spotify_files(recorded, "playlist_items"), {}) == {}


def test_spotify_errors(running: Sandbox, recorded: Path) -> None:
    ours = [spotify(running, f"playlists/{'0' * 22}")]
    assert ours == spotify_files(recorded, "playlist_not_found")[:1]
    assert [error(429, "API rate limit exceeded").payload] == spotify_files(recorded, "rate_limit")[:1]


# --- TMDb


def tmdb(sandbox: Sandbox, path: str, **query: str) -> Any:
    return requests.get(f"{sandbox.url}/tmdb/3/{path}", params={"api_key": "x", **query}, timeout=5).json()


def vcr(path: Path) -> list[Any]:
    return [json.loads(each["response"]["body"]) for each in yaml.safe_load(path.read_text())["interactions"]]


def test_tmdb_films(running: Sandbox, recorded: Path, small_world: Path) -> None:
    append = "credits,release_dates,external_ids,keywords,images"
    rows = read_table(small_world, "films", FilmRow)
    ours = [tmdb(running, f"movie/{row.id}", append_to_response=append) for row in rows]
    real = vcr(recorded / "tmdb/go-tmdb-vcr-2025/TestGetMovie.yaml")
    unknown = "null where TMDb knows none, as in recorded searches; both recorded films are famous"
    links = ("imdb_id", "external_ids.imdb_id", "external_ids.facebook_id", "external_ids.wikidata_id")
    reasons = dict.fromkeys(("backdrop_path", "poster_path", *links), unknown)
    assert unexplained(ours, real, reasons) == {}


def test_tmdb_searches(running: Sandbox, recorded: Path) -> None:
    ours = [tmdb(running, "search/movie", query=word) for word in ("the", "a", "night")]
    assert unexplained(ours, vcr(recorded / "tmdb/go-tmdb-vcr-2025/TestSearchMovie.yaml"), {}) == {}


def test_tmdb_configuration(running: Sandbox, recorded: Path) -> None:
    ours = [tmdb(running, "configuration")]
    assert unexplained(ours, vcr(recorded / "tmdb/go-tmdb-vcr-2025/TestGetConfigDetails.yaml"), {}) == {}


# --- Last.fm


def lastfm_files(recorded: Path, method: str) -> list[Any]:
    rows = [json.loads(line) for line in (recorded / "lastfm/lastfm-docs-examples/examples.jsonl").open()]
    real = [row["body"] for row in rows if row["method"] == method and row["valid_json"] and "error" not in row["body"]]
    folder = recorded / "lastfm/LastFM.swift-json"
    invented = (folder / "synthetic.txt").read_text().split()
    file = folder / "LastFMTests" / f"{method}.json"
    return real + (read(file) if file.exists() and file.name not in invented else [])


def lastfm(sandbox: Sandbox, **query: str) -> requests.Response:
    return requests.get(f"{sandbox.url}/lastfm/2.0/", params={"api_key": "x", **query}, timeout=5)


def lastfm_questions(world: Path, method: str) -> list[dict[str, str]]:
    rows = read_table(world, "lastfm_tracks", LastfmTrackRow)[:40]
    if method.startswith("user."):
        fans = [fan for fan in read_table(world, "fans", FanRow) if not fan.private]
        return [{"method": method, "user": fan.name, "limit": "20"} for fan in fans]
    if method.startswith("chart."):
        return [{"method": method, "limit": "20"}]
    return [{"method": method, "artist": row.artist, "track": row.title} for row in rows]


LASTFM: dict[str, dict[str, str]] = {
    "user.getInfo": dict.fromkeys(
        ("user.album_count", "user.artist_count", "user.track_count"),
        "newer than the example; the XML recordings have them",
    ),
    "user.getRecentTracks": {},
    "track.getInfo": dict.fromkeys(
        ("track.album.@attr", "track.album.mbid"), "left out where unknown, as the XML recordings do"
    ),
    "track.getTopTags": {},
    "track.search": {},
    "artist.getInfo": {},
    "artist.getTopTags": {},
    "chart.getTopTracks": {},
    "chart.getTopArtists": {},
}


@pytest.mark.parametrize("method", LASTFM)
def test_lastfm_json(running: Sandbox, recorded: Path, small_world: Path, method: str) -> None:
    ours = [lastfm(running, format="json", **asked).json() for asked in lastfm_questions(small_world, method)]
    assert unexplained(ours, lastfm_files(recorded, method), LASTFM[method]) == {}


def lastfm_xml(recorded: Path) -> dict[str, list[Any]]:
    """Recorded answers of pylast, by method."""
    found: dict[str, list[Any]] = {}
    for path in sorted((recorded / "lastfm/pylast-xml-vcr").rglob("*.yaml")):
        for each in yaml.safe_load(path.read_text(encoding="utf-8"))["interactions"]:
            asked = dict(pair.split("=", 1) for pair in each["request"]["body"].split("&") if "=" in pair)
            # Searches name a namespace that they never declare, which XML does not allow.
            text = each["response"]["body"]["string"].replace("opensearch:", "opensearch_")
            answer = of_xml(ElementTree.fromstring(text.encode()))
            if answer["@status"] == "ok":
                found.setdefault(asked["method"], []).append(answer)
    return found


LASTFM_XML: dict[str, dict[str, str]] = {
    "user.getInfo": {},
    "user.getRecentTracks": {
        "recenttracks[].track[].@nowplaying": "nobody listened while it was recorded; the JSON recordings have it"
    },
    "track.getInfo": {},
    "artist.getInfo": {},
    "chart.getTopArtists": {},
}


@pytest.mark.parametrize("method", LASTFM_XML)
def test_lastfm_xml(running: Sandbox, recorded: Path, small_world: Path, method: str) -> None:
    asked = [{**question, "username": "somebody"} for question in lastfm_questions(small_world, method)]
    ours = [of_xml(ElementTree.fromstring(lastfm(running, **each).content)) for each in asked]
    assert unexplained(ours, lastfm_xml(recorded)[method], LASTFM_XML[method]) == {}


# --- Genius


def genius(sandbox: Sandbox, path: str, **query: str) -> Any:
    headers = {"Authorization": "Bearer x"}
    return requests.get(f"{sandbox.url}/genius/api/{path}", params=query, headers=headers, timeout=5).json()


NEWER = "newer than the recording; lyricsgenius 3.15 reads it"
YEAR_ONLY = "null where Genius knows the year alone"
GENIUS_SEARCH = {
    **{f"response.hits[].result.{name}": NEWER for name in ("instrumental", "primary_artist_names", "primary_artists")},
    **{f"response.hits[].result.release_date_components.{name}": YEAR_ONLY for name in ("day", "month")},
}
_SONG_NEWER = (
    "artist_names instrumental language lyrics_placeholder_reason primary_artist_names primary_artists "
    "release_date_components release_date_with_abbreviated_month_for_display"
)
GENIUS_SONG = {
    **{f"response.song.{name}": NEWER for name in _SONG_NEWER.split()},
    "response.song.apple_music_id": "null where the song is not sold there",
    "response.song.description_annotation": "null where nobody described the song",
    "response.song.release_date": YEAR_ONLY,
}


def test_genius_searches(running: Sandbox, recorded: Path) -> None:
    ours = [genius(running, "search", q=word) for word in ("the", "love", "me")]
    real = read(recorded / "genius/js-mock-dumps/search_kendrick_lamar.json")
    assert unexplained(ours, real, GENIUS_SEARCH) == {}


def test_genius_songs(running: Sandbox, recorded: Path, small_world: Path) -> None:
    ours = [genius(running, f"songs/{row.id}", text_format="dom") for row in read_table(small_world, "songs", SongRow)]
    assert unexplained(ours, read(recorded / "genius/js-mock-dumps/song_2872960.json"), GENIUS_SONG) == {}


# --- YouTube


def test_youtube_videos_are_what_youtube_dl_read_of_real_ones(
    running: Sandbox, recorded: Path, small_world: Path
) -> None:
    with gzip.open(recorded / "youtube/youtube-dl-ytsearch-dump-2020/ytsearch_sample_output.json.gz") as file:
        real = [entry for search in json.load(file) for entry in search["entries"]]
    options: Any = {
        "quiet": True,
        "extractor_args": {"mediateca": {"endpoint": [endpoints(running)["SANDBOX_YOUTUBE"]]}},
    }
    with YoutubeDL(options, auto_init=False) as client:  # type: ignore[arg-type]
        client.add_info_extractor(SandboxYoutubeSearchIE())
        client.add_info_extractor(SandboxYoutubeIE())
        rows = read_table(small_world, "videos", VideoRow)[:6]
        urls = [f"https://www.youtube.com/watch?v={row.id}" for row in rows]
        ours = [client.sanitize_info(client.extract_info(url, download=False)) for url in urls]
    found = differences(shape_of(ours), shape_of(real))
    wanted = (
        "id",
        "title",
        "duration",
        "channel_id",
        "channel_url",
        "uploader",
        "view_count",
        "upload_date",
        "description",
    )
    assert {place: found[place] for place in wanted if place in found} == {}
