"""The sandbox's Spotify, asked by spotipy itself."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
import spotipy
from spotipy.oauth2 import SpotifyClientCredentials

from deployments.sandbox.faults import PRESETS
from deployments.sandbox.serve import serve
from deployments.sandbox.server import Sandbox
from deployments.sandbox.tables import AlbumRow, PlaylistRow, TrackRow, TrackTruth, read_table


@pytest.fixture(scope="module")
def running(small_world: Path) -> Iterator[Sandbox]:
    with serve(small_world) as sandbox:
        yield sandbox


def client(sandbox: Sandbox, secret: str = "sandbox") -> spotipy.Spotify:
    auth = SpotifyClientCredentials(
        client_id="sandbox", client_secret=secret, cache_handler=spotipy.cache_handler.MemoryCacheHandler()
    )
    auth.OAUTH_TOKEN_URL = f"{sandbox.url}/spotify/accounts/api/token"
    spotify = spotipy.Spotify(auth_manager=auth, retries=0, status_retries=0)
    spotify.prefix = f"{sandbox.url}/spotify/v1/"
    return spotify


def truth(world: Path) -> list[TrackTruth]:
    return read_table(world, "truth_tracks", TrackTruth)


def test_search_by_isrc_finds_the_recording(running: Sandbox, small_world: Path) -> None:
    tracks = {row.spotify: row for row in read_table(small_world, "tracks", TrackRow)}
    for true in truth(small_world)[:20]:
        if true.isrc is None or any(tracks[name].wrong for name in true.spotify):
            continue
        found = client(running).search(f"isrc:{true.isrc}", limit=10)["tracks"]["items"]
        assert {item["id"] for item in found} & set(true.spotify)


def test_search_by_words_finds_most_recordings_among_the_first_ten(running: Sandbox, small_world: Path) -> None:
    asked = truth(small_world)[:40]
    hits = 0
    for true in asked:
        found = client(running).search(f'track:"{true.title}" artist:"{true.artist}"', limit=10)["tracks"]["items"]
        hits += bool({item["id"] for item in found} & set(true.spotify))
    assert hits >= 36


def test_covers_come_in_three_sizes(running: Sandbox, small_world: Path) -> None:
    track = client(running).track(truth(small_world)[0].spotify[0])
    sizes = [image["width"] for image in track["album"]["images"]]
    pictures = [requests.get(image["url"], timeout=5) for image in track["album"]["images"]]
    assert sizes == [640, 300, 64]
    assert all(picture.content[:2] == b"\xff\xd8" for picture in pictures)
    assert len({len(picture.content) for picture in pictures}) == 3


def test_playlists_are_walked_to_their_end(running: Sandbox, small_world: Path) -> None:
    spotify = client(running)
    row = max(read_table(small_world, "playlists", PlaylistRow), key=lambda row: len(row.tracks))
    page = spotify._get(f"playlists/{row.id}/tracks", limit=4)
    found = [entry["track"]["id"] for entry in page["items"]]
    while page["next"]:
        page = spotify.next(page)
        found += [entry["track"]["id"] for entry in page["items"]]
    assert tuple(found) == row.tracks


def test_batches_answer_in_order_with_null_for_the_unknown(running: Sandbox, small_world: Path) -> None:
    album = read_table(small_world, "albums", AlbumRow)[0]
    albums = client(running).albums([album.spotify, "0" * 22])["albums"]
    assert albums[0]["name"] == album.name
    assert albums[1] is None


def test_a_rejected_secret_gives_no_token(running: Sandbox) -> None:
    with pytest.raises(spotipy.oauth2.SpotifyOauthError, match="invalid_client"):
        client(running, secret="invalid-secret").track("0" * 22)


def test_what_is_not_there_is_404_and_what_is_no_id_400(running: Sandbox) -> None:
    with pytest.raises(spotipy.SpotifyException) as missing:
        client(running).track("0" * 22)
    with pytest.raises(spotipy.SpotifyException) as malformed:
        client(running)._get("tracks/short")
    assert (missing.value.http_status, malformed.value.http_status) == (404, 400)


def test_development_mode_refuses_batches_and_more_than_ten_results(small_world: Path) -> None:
    name = truth(small_world)[0].spotify[0]
    with serve(small_world, PRESETS["development"]) as sandbox:
        spotify = client(sandbox)
        with pytest.raises(spotipy.SpotifyException) as batch:
            spotify.tracks([name])
        with pytest.raises(spotipy.SpotifyException, match="Invalid limit") as search:
            spotify.search("the", limit=50)
        track = spotify.track(name)
        playlist = read_table(small_world, "playlists", PlaylistRow)[0].id
        with pytest.raises(spotipy.SpotifyException) as listed:
            spotify._get(f"playlists/{playlist}/tracks")
        items = spotify._get(f"playlists/{playlist}/items")
    assert (batch.value.http_status, search.value.http_status, listed.value.http_status) == (403, 400, 403)
    assert not {"popularity", "external_ids", "available_markets"} & track.keys()
    assert items["items"][0]["item"]["id"]
