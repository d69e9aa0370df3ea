"""Genius, YouTube and TMDb against the sandbox, with and without faults: what is read is what is there."""

import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import pytest

from connectors import genius, tmdb, youtube
from connectors.base import Record, Request, Wanted
from connectors.drift import drift_of
from connectors.errors import BlockedPage, NotFound, TransientError
from connectors.genius import lyrics_of, placeholder_of
from connectors.tmdb_answers import trailer_of
from deployments.sandbox.faults import Faults, ServiceFaults
from deployments.sandbox.serve import endpoints, serve
from deployments.sandbox.server import Sandbox
from deployments.sandbox.tables import FilmRow, SongRow, VideoRow, read_table

ROUGH = ServiceFaults(error=0.1, limited=0.03, limited_bare=0.03, truncated=0.05, blocked=0.03)
LIMITS: dict[str, Any] = {"requests_per_second": None, "backoff_s": 0.0, "hosts": ("127.0.0.1", "localhost")}
EXTRACTORS = ("SandboxYoutubeSearchIE", "SandboxYoutubeIE")
_T = TypeVar("_T")


@pytest.fixture(scope="module")
def running(small_world: Path) -> Iterator[Sandbox]:
    with serve(small_world) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def rough(small_world: Path) -> Iterator[Sandbox]:
    with serve(small_world, Faults(seed=5, all=ROUGH, retry_after_s=0)) as sandbox:
        yield sandbox


def genius_of(sandbox: Sandbox) -> genius.Genius:
    where = endpoints(sandbox)
    roots = {"api_root": where["SANDBOX_GENIUS_API"], "web_root": where["SANDBOX_GENIUS_WEB"]}
    return genius.connect(access_token="sandbox", policy=LIMITS, **roots)


def tmdb_of(sandbox: Sandbox) -> tmdb.Tmdb:
    return tmdb.connect(api_key="sandbox", policy=LIMITS, api_root=endpoints(sandbox)["SANDBOX_TMDB_API"])


def youtube_of(sandbox: Sandbox) -> youtube.Youtube:
    own = tuple(f"deployments.sandbox.youtube_extractor:{name}" for name in EXTRACTORS)
    where = endpoints(sandbox)["SANDBOX_YOUTUBE"]
    return youtube.connect(policy=LIMITS, endpoint=where, extractors=own, pause_s=0)


def in_the_end(ask: Callable[[], _T]) -> _T:
    """The answer, asked for again after what may pass, as the nights' runs do."""
    for _ in range(50):
        try:
            return ask()
        except TransientError:
            continue
    raise AssertionError("no answer in 50 tries")


def sung(row: SongRow) -> str | None:
    """The song's words as our parser gives them: without headers."""
    words = re.sub(r"\n{3,}", "\n\n", re.sub(r"\[[^\]]*\]", "", row.lyrics)).strip("\n")
    return words if row.state == "complete" else None


# --- Genius


def test_every_page_gives_its_words_and_no_others(running: Sandbox, small_world: Path) -> None:
    songs, source = read_table(small_world, "songs", SongRow), genius_of(running)
    states = {"complete": "lyrics", "instrumental": "instrumental"}
    for row in songs[:60]:
        song = source.lookup(Request(entity="song", key=str(row.id))).payload
        page = source.lookup(source.request_from("page", song))
        found = lyrics_of(page.payload["html"])
        assert (found.text, found.state) == (sung(row), states.get(row.state, "untranscribed"))
        assert placeholder_of(song) in (None, found.state)
        assert not drift_of(source.models["song"], song).missing
    assert len({row.state for row in songs[:60]}) > 2
    source.close()


def test_a_search_finds_the_song_first_and_a_song_that_is_not_there_is_not_found(
    running: Sandbox, small_world: Path
) -> None:
    songs, source = read_table(small_world, "songs", SongRow), genius_of(running)
    row = next(row for row in songs if row.kind == "song")
    page = source.lookup(Request(entity="song", key=str(row.id))).payload
    artist = source.candidates("song", page)[0].artists[0]
    (first, *_) = source.questions(Wanted(title=row.title, creators=(artist,)))
    answer = source.lookup(first)
    assert str(row.id) in [candidate.id for candidate in source.candidates("search", answer.payload)]
    assert not drift_of(source.models["search"], answer.payload)
    for key, entity in (("Nobody-nothing-lyrics", "page"), ("1", "song")):
        with pytest.raises(NotFound):
            source.lookup(Request(entity=entity, key=key))
    source.close()


def test_with_faults_the_pages_come_out_the_same_and_no_block_page_among_them(
    running: Sandbox, rough: Sandbox, small_world: Path
) -> None:
    songs, calm, source = read_table(small_world, "songs", SongRow)[:40], genius_of(running), genius_of(rough)
    for row in songs:
        request = Request(entity="page", key=row.path.lstrip("/"))
        assert in_the_end(partial(source.lookup, request)).payload == calm.lookup(request).payload
    source.close()
    calm.close()


def test_a_service_that_only_blocks_gives_no_page(small_world: Path) -> None:
    row = read_table(small_world, "songs", SongRow)[0]
    with serve(small_world, Faults(all=ServiceFaults(blocked=1.0))) as sandbox:
        source, videos, films = genius_of(sandbox), youtube_of(sandbox), tmdb_of(sandbox)
        for ask in (
            lambda: source.lookup(Request(entity="page", key=row.path.lstrip("/"))),
            lambda: source.lookup(Request(entity="search", key=row.title)),
            lambda: videos.lookup(Request(entity="search", key=row.title)),
            lambda: films.lookup(Request(entity="configuration", key="configuration")),
        ):
            with pytest.raises(BlockedPage):
                ask()


# --- TMDb and the trailers


def test_films_are_found_by_imdb_id_with_poster_and_trailer(
    running: Sandbox, small_world: Path, tmp_path: Path
) -> None:
    films, source = read_table(small_world, "films", FilmRow), tmdb_of(running)
    known = [row for row in films if row.imdb and row.poster][:10]
    assert len(known) == 10
    for row in known:
        found = source.lookup(Request(entity="find", key=row.imdb or ""))
        film = source.lookup(source.request_from("film", found.payload))
        assert film.payload["id"] == row.id
        assert trailer_of(film.payload) == row.trailer
        assert not drift_of(source.models["film"], film.payload).missing
        assert source.fetch_picture(film.payload)[:2] == b"\xff\xd8"
    source.close()


# --- YouTube


def test_a_search_offers_what_youtube_knows_of_each_video(running: Sandbox, small_world: Path) -> None:
    videos, source = read_table(small_world, "videos", VideoRow), youtube_of(running)
    by_id = {row.id: row for row in videos}
    answer = source.lookup(Request(entity="search", key=f"{videos[0].channel} {videos[0].title}"))
    offered = source.candidates("search", answer.payload)
    assert len(offered) == 10
    for one in offered:
        row = by_id[one.id]
        assert (one.title, one.channel, one.views) == (row.title, row.channel, row.views)
        assert one.duration_ms == row.duration_s * 1000
    assert not drift_of(source.models["search"], answer.payload)
    source.close()


def test_the_sound_of_a_video_is_fetched_also_with_faults(
    running: Sandbox, rough: Sandbox, small_world: Path, tmp_path: Path
) -> None:
    rows = sorted(read_table(small_world, "videos", VideoRow), key=lambda row: row.duration_s)
    calm, source = youtube_of(running), youtube_of(rough)
    seen = 0
    for row in rows[:8]:
        try:
            there = calm.fetch_audio(row.id, tmp_path / "calm")
        except NotFound:
            continue
        came = in_the_end(partial(source.fetch_audio, row.id, tmp_path / "rough"))
        # Not the bytes: each sandbox encodes for itself, and a container holds a random number.
        assert came.stat().st_size == there.stat().st_size > 1_000
        seen += 1
    assert seen >= 4
    assert {path.suffix for path in (tmp_path / "rough").iterdir()} <= {".ogg", ".webm", ".m4a", ".opus"}
    calm.close()
    source.close()


def test_a_video_that_is_gone_is_not_found(running: Sandbox, tmp_path: Path) -> None:
    source = youtube_of(running)
    with pytest.raises(NotFound, match="unavailable"):
        source.fetch_audio("zzzzzzzzzzz", tmp_path)
    record: Record = source.lookup(Request(entity="search", key="qqq zzz"))
    assert isinstance(source.candidates("search", record.payload), list)
    source.close()
