"""The connectors of Spotify and Last.fm against the sandbox, with and without faults: what is read is what is there."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from connectors import lastfm, spotify
from connectors.base import Page, Request, Wanted
from connectors.drift import drift_of
from connectors.errors import NotFound, TransientError
from connectors.lastfm_answers import track_path
from deployments.sandbox.faults import Faults, ServiceFaults
from deployments.sandbox.serve import endpoints, serve
from deployments.sandbox.server import Sandbox
from deployments.sandbox.tables import FanRow, LastfmTrackRow, PlaylistRow, TrackTruth, read_table
from tasks.entities_live import from_lastfm_api, from_spotify_api, profile_of

ROUGH = ServiceFaults(error=0.1, limited=0.03, limited_bare=0.03, truncated=0.05, blocked=0.03)


@pytest.fixture(scope="module")
def running(small_world: Path) -> Iterator[Sandbox]:
    with serve(small_world) as sandbox:
        yield sandbox


def lastfm_of(sandbox: Sandbox, **policy: Any) -> Any:
    where = endpoints(sandbox)
    endpoint = f"https://{where['SANDBOX_LASTFM_HOST']}{where['SANDBOX_LASTFM_PATH']}"
    limits = {"requests_per_second": None, "ca_file": where["SANDBOX_CA_FILE"], "backoff_s": 0.0, **policy}
    return lastfm.connect(endpoint=endpoint, api_key="sandbox", page_limit=50, policy=limits)


def spotify_of(sandbox: Sandbox, **settings: Any) -> Any:
    where = endpoints(sandbox)
    places = {"endpoint": where["SANDBOX_SPOTIFY_API"], "token_url": where["SANDBOX_SPOTIFY_TOKEN"]}
    limits = {"requests_per_second": None, "backoff_s": 0.0, "hosts": ("127.0.0.1",)}
    return spotify.connect(client_id="sandbox", client_secret="sandbox", policy=limits, **places, **settings)


def plays_of(world: Path) -> dict[str, list[tuple[int, str]]]:
    """What each listener who is not private played: seconds and path, newest first."""
    tracks = read_table(world, "lastfm_tracks", LastfmTrackRow)
    paths = [track_path(row.artist, row.title) for row in tracks]
    return {
        fan.name: [(at, paths[track]) for at, track in fan.plays]
        for fan in read_table(world, "fans", FanRow)
        if not fan.private
    }


def plays_in(pages: list[Page]) -> dict[str, list[tuple[int, str]]]:
    found: dict[str, list[tuple[int, str]]] = {}
    for page in pages:
        for event in page.events.to_pylist():
            found.setdefault(event["user"], []).append((int(event["at"].timestamp()), event["item"]))
    return found


def to_the_end(connector: Any, entity: str, keys: list[Any]) -> tuple[list[Page], int]:
    """All pages, started again at the cursor after each error that may pass; how often that was."""
    pages: list[Page] = []
    cursor, starts = None, 0
    while True:
        starts += 1
        assert starts < 200
        try:
            for page in connector.pages(entity, keys=keys, cursor=cursor):
                pages.append(page)
                cursor = page.cursor
            return pages, starts
        except TransientError:
            continue


# --- Last.fm


def test_every_history_is_read_whole_and_private_ones_are_rejects(running: Sandbox, small_world: Path) -> None:
    fans = read_table(small_world, "fans", FanRow)
    pages = list(lastfm_of(running).pages("plays", keys=[fan.name for fan in fans]))
    there = plays_of(small_world)
    assert sum(map(len, there.values())) > 500
    assert plays_in(pages) == {user: plays for user, plays in there.items() if plays}
    rejects = {(reject.file, reject.reason) for page in pages for reject in page.rejects}
    assert rejects == {(fan.name, "not_found") for fan in fans if fan.private}
    profiles = [record for page in pages for record in page.records if record.entity == "user"]
    assert {record.source_id: profile_of(record.payload)["country"] for record in profiles} == {
        fan.name: None if fan.country == "None" else fan.country for fan in fans
    }


def test_two_readings_take_each_play_once(running: Sandbox, small_world: Path) -> None:
    connector = lastfm_of(running)
    user, plays = max(plays_of(small_world).items(), key=lambda item: len(item[1]))
    middle = plays[len(plays) // 2][0]
    older = list(connector.pages("plays", keys=[user], cursor=f"0/{middle}/1"))
    newer = list(connector.pages("plays", keys=[Request(entity="plays", key=user, params={"from": str(middle)})]))
    assert plays_in([*newer, *older])[user] == plays
    lines = [event["line"] for page in (*newer, *older) for event in page.events.to_pylist()]
    assert len(set(lines)) == len(lines)


def test_with_faults_a_history_comes_out_the_same(small_world: Path) -> None:
    there = {user: plays for user, plays in plays_of(small_world).items() if plays}
    with serve(small_world, Faults(seed=3, all=ROUGH, retry_after_s=0)) as sandbox:
        pages, starts = to_the_end(lastfm_of(sandbox, retries=1), "plays", list(there))
    assert starts > 1
    assert plays_in(pages) == there


def test_tracks_tags_and_profiles_have_no_drift_and_become_rows(running: Sandbox, small_world: Path) -> None:
    connector = lastfm_of(running)
    for row in read_table(small_world, "lastfm_tracks", LastfmTrackRow)[:30]:
        asked, *_ = connector.questions(Wanted(title=row.title, creators=(row.artist,)))
        info = connector.lookup(asked)
        (candidate,) = connector.candidates("track_info", info.payload)
        tags = connector.lookup(Request(entity="track_tags", key=candidate.id))
        for record in (info, tags):
            assert not drift_of(connector.models[record.entity], record.payload)
        said = from_lastfm_api(candidate.id, {"track_info": info.payload, "track_tags": tags.payload})
        # Some tracks are there in two spellings, of which either may answer.
        assert (said["title"].lower(), said["creators"][0].lower()) == (row.title.lower(), row.artist.lower())
    user = connector.lookup(Request(entity="user", key=next(iter(plays_of(small_world)))))
    assert not drift_of(connector.models["user"], user.payload)


def test_the_chart_is_read_by_pages(running: Sandbox, small_world: Path) -> None:
    tracks = read_table(small_world, "lastfm_tracks", LastfmTrackRow)
    pages = list(lastfm_of(running).pages("chart"))
    found = [record.source_id for page in pages for record in page.records if record.entity == "track"]
    assert set(found) == {track_path(row.artist, row.title) for row in tracks}


# --- Spotify


@pytest.mark.parametrize("development", [False, True])
def test_questions_find_most_recordings_also_in_development_mode(small_world: Path, development: bool) -> None:
    truth = read_table(small_world, "truth_tracks", TrackTruth)[:40]
    with serve(small_world, Faults(spotify_development_mode=development)) as sandbox:
        connector = spotify_of(sandbox, search_limit=50)
        found = 0
        for true in truth:
            wanted = Wanted(title=true.title, creators=(true.artist,), isrc=true.isrc)
            answers = [connector.lookup(request) for request in connector.questions(wanted)]
            ids = {c.id for answer in answers for c in connector.candidates("search", answer.payload)}
            found += bool(ids & set(true.spotify))
        assert found >= 36
        assert connector._client.app.limits == ({"search": 10} if development else {})


@pytest.mark.parametrize("development", [False, True])
def test_tracks_are_read_by_batches_or_one_by_one(small_world: Path, development: bool) -> None:
    truth = read_table(small_world, "truth_tracks", TrackTruth)
    ids = sorted({id_ for true in truth for id_ in true.spotify})[:60]
    with serve(small_world, Faults(spotify_development_mode=development)) as sandbox:
        connector = spotify_of(sandbox)
        pages = list(connector.pages("track", keys=[*ids, "0" * 22]))
    records = [record for page in pages for record in page.records]
    assert [record.source_id for record in records] == ids
    assert [reject.file for page in pages for reject in page.rejects] == ["0" * 22]
    assert len(pages) == (61 if development else 2)
    for record in records:
        assert drift_of(connector.models["track"], record.payload).unknown == ()
        said = from_spotify_api(record.source_id, {"track": record.payload})
        assert all(said[name] for name in ("title", "creators", "album", "year", "duration_ms"))
        assert spotify.cover_of(record.payload)


@pytest.mark.parametrize("development", [False, True])
def test_playlists_are_read_whole(small_world: Path, development: bool) -> None:
    playlists = read_table(small_world, "playlists", PlaylistRow)
    with serve(small_world, Faults(spotify_development_mode=development)) as sandbox:
        pages = list(spotify_of(sandbox).pages("playlist", keys=[row.id for row in playlists]))
    found: dict[str, list[str]] = {row.id: [] for row in playlists}
    for page in pages:
        for event in page.events.to_pylist():
            assert event["position"] == len(found[event["user"]])
            found[event["user"]].append(event["item"])
    assert found == {row.id: list(row.tracks) for row in playlists}


def test_with_faults_the_same_tracks_are_read(small_world: Path) -> None:
    truth = read_table(small_world, "truth_tracks", TrackTruth)
    ids = sorted({id_ for true in truth for id_ in true.spotify})[:60]
    faults = Faults(seed=5, all=ROUGH, retry_after_s=0, spotify_development_mode=True)
    with serve(small_world, faults) as sandbox:
        pages, starts = to_the_end(spotify_of(sandbox), "track", ids)
    assert starts > 1
    assert [record.source_id for page in pages for record in page.records] == ids


def test_covers_are_fetched_at_300_pixels(running: Sandbox, small_world: Path, tmp_path: Path) -> None:
    connector = spotify_of(running)
    (id_, *_) = read_table(small_world, "truth_tracks", TrackTruth)[0].spotify
    track = connector.lookup(Request(entity="track", key=id_)).payload
    assert [image["width"] for image in track["album"]["images"] if image["url"] == spotify.cover_of(track)] == [300]
    with Image.open(io.BytesIO(connector.fetch_picture(track))) as picture:
        assert picture.size == (300, 300)
    with pytest.raises(NotFound, match="no cover"):
        connector.fetch_picture({"album": {"images": []}})
