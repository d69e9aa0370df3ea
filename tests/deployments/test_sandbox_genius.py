"""The sandbox's Genius, asked by lyricsgenius itself."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import lyricsgenius
import pytest
import requests

from deployments.sandbox.genius_pages import LAYOUTS, PLACEHOLDERS, song_page
from deployments.sandbox.serve import serve
from deployments.sandbox.server import Sandbox
from deployments.sandbox.tables import SongRow, TrackTruth, read_table


@pytest.fixture(scope="module")
def running(small_world: Path) -> Iterator[Sandbox]:
    with serve(small_world) as sandbox:
        yield sandbox


def client(sandbox: Sandbox, token: str = "sandbox") -> lyricsgenius.Genius:
    genius = lyricsgenius.Genius(token, sleep_time=0, timeout=10)
    genius.API_ROOT = f"{sandbox.url}/genius/api/"
    genius.WEB_ROOT = f"{sandbox.url}/genius/web/"
    genius.PUBLIC_API_ROOT = f"{sandbox.url}/genius/web/api/"
    return genius


def songs(world: Path) -> list[SongRow]:
    return read_table(world, "songs", SongRow)


def test_lyricsgenius_reads_the_very_lyrics_of_every_song_that_has_some(running: Sandbox, small_world: Path) -> None:
    genius, read = client(running), 0
    for row in [row for row in songs(small_world) if row.state == "complete"][:40]:
        assert genius.lyrics(song_url=f"https://genius.com{row.path}") == row.lyrics
        read += 1
    assert read == 40


@pytest.mark.parametrize("state", ["instrumental", "untranscribed", "unreleased"])
def test_songs_without_lyrics_say_why_and_hold_none(running: Sandbox, small_world: Path, state: str) -> None:
    row = next((row for row in songs(small_world) if row.state == state), None)
    row = row or replace(songs(small_world)[0], state=state, lyrics="")
    text = song_page(row, "Somebody", "headed")
    assert PLACEHOLDERS[state] in text
    assert "data-lyrics-container" not in text


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_holds_all_lines_and_what_is_no_lyrics_stands_apart(small_world: Path, layout: str) -> None:
    row = next(row for row in songs(small_world) if row.state == "complete" and row.language == "en")
    text = song_page(row, "Somebody", layout)
    shown = text.split("<script>")[0]
    assert all(line in shown for line in row.lyrics.split("\n"))
    assert ("data-lyrics-container" in text) == (layout in ("headed", "excluded", "contained"))
    assert ("LyricsHeader" in text) == (layout == "headed")
    assert ('<div class="lyrics">' in text) == (layout == "old")


def test_search_finds_most_songs_on_its_first_page(running: Sandbox, small_world: Path) -> None:
    genius = client(running)
    asked = [true for true in read_table(small_world, "truth_tracks", TrackTruth) if true.genius][:40]
    found = [{hit["result"]["id"] for hit in genius.search(f"{t.title} {t.artist}")["hits"]} for t in asked]
    assert sum(bool(ids & set(true.genius)) for ids, true in zip(found, asked, strict=True)) >= 36


def test_lyricsgenius_own_search_of_a_song_ends_in_its_lyrics(running: Sandbox, small_world: Path) -> None:
    row = next(row for row in songs(small_world) if row.kind == "song" and row.state == "complete")
    artist = client(running).song(row.id)["song"]["primary_artist"]["name"]
    song = client(running).search_song(row.title, artist)
    assert song is not None
    assert song.lyrics in {one.lyrics for one in songs(small_world)}


def test_a_song_of_the_api_has_no_lyrics_and_says_that_it_is_instrumental(running: Sandbox, small_world: Path) -> None:
    row = next(row for row in songs(small_world) if row.state == "instrumental")
    song = client(running).song(row.id)["song"]
    assert (song["instrumental"], song["lyrics_placeholder_reason"]) == (True, "instrumental")
    assert "lyrics" not in song


def test_what_is_not_there_is_404_and_a_rejected_token_401(running: Sandbox) -> None:
    web = requests.get(f"{running.url}/genius/web/Nobody-nothing-lyrics", timeout=5)
    api = requests.get(f"{running.url}/genius/api/songs/1", headers={"Authorization": "Bearer sandbox"}, timeout=5)
    rejected = requests.get(f"{running.url}/genius/api/search?q=x", timeout=5)
    assert (web.status_code, api.status_code, rejected.status_code) == (404, 404, 401)
    assert api.json()["meta"]["status"] == 404
    assert rejected.json()["error"] == "invalid_token"


def test_fifteen_percent_of_the_recordings_have_no_lyrics(small_world: Path) -> None:
    states = [true.lyrics for true in read_table(small_world, "truth_tracks", TrackTruth)]
    missing = sum(state != "complete" for state in states) / len(states)
    assert 0.07 <= missing <= 0.25  # of 120: 15 % within three standard errors
    assert len(set(states)) >= 4
