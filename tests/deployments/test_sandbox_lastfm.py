"""The sandbox's Last.fm, asked by pylast itself over TLS, and as JSON."""

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import httpx2
import pylast
import pytest
import requests

from deployments.sandbox.serve import endpoints, serve
from deployments.sandbox.server import Sandbox
from deployments.sandbox.tables import FanRow, LastfmTrackRow, read_table


@pytest.fixture(scope="module")
def running(small_world: Path) -> Iterator[Sandbox]:
    with serve(small_world) as sandbox:
        yield sandbox


def network(sandbox: Sandbox, key: str = "sandbox") -> pylast.LastFMNetwork:
    found = pylast.LastFMNetwork(api_key=key)
    where = endpoints(sandbox)
    found.ws_server = (where["SANDBOX_LASTFM_HOST"], where["SANDBOX_LASTFM_PATH"])
    trusted = ssl.create_default_context(cafile=str(sandbox.ca_file))
    # Where NO_PROXY names the host, as a build under Prefect sets it, httpx2 mounts a transport of its own before "https://".
    host = where["SANDBOX_LASTFM_HOST"].partition(":")[0]
    found.proxy = dict.fromkeys(("https://", f"https://{host}"), httpx2.HTTPTransport(verify=trusted))
    return found


def fans(world: Path) -> list[FanRow]:
    return read_table(world, "fans", FanRow)


def ask(sandbox: Sandbox, **query: str) -> tuple[int, Any]:
    query = {"api_key": "sandbox", "format": "json", **query}
    said = requests.get(f"{sandbox.url}/lastfm/2.0/", params=query, timeout=5)
    return said.status_code, said.json()


def test_the_plays_of_a_listener_come_whole_and_newest_first(running: Sandbox, small_world: Path) -> None:
    fan = next(fan for fan in fans(small_world) if not fan.private and len(fan.plays) > 60)
    tracks = read_table(small_world, "lastfm_tracks", LastfmTrackRow)
    plays = network(running).get_user(fan.name).get_recent_tracks(limit=None)
    assert [(int(play.timestamp), str(play.track.title)) for play in plays] == [
        (at, tracks[track].title) for at, track in fan.plays
    ]


def test_pages_and_times_bound_what_is_shown(running: Sandbox, small_world: Path) -> None:
    fan = max((fan for fan in fans(small_world) if not fan.private), key=lambda fan: len(fan.plays))
    newest, oldest = fan.plays[3][0], fan.plays[-4][0]
    asked = {"method": "user.getRecentTracks", "user": fan.name, "limit": "7", "from": str(oldest), "to": str(newest)}
    found: list[int] = []
    _, first = ask(running, **asked)
    pages = int(first["recenttracks"]["@attr"]["totalPages"])
    for page in range(1, pages + 1):
        _, said = ask(running, **asked, page=str(page))
        found += [int(track["date"]["uts"]) for track in said["recenttracks"]["track"]]
    assert found == [at for at, _ in fan.plays[3:-3]]
    assert ask(running, **asked, page=str(pages + 1)) == (400, {"error": 6, "message": "no such page"})


def test_what_is_playing_now_has_no_date_and_stands_on_the_first_page_only(running: Sandbox, small_world: Path) -> None:
    listening = [fan for fan in fans(small_world) if fan.playing is not None and not fan.private]
    assert listening
    _, said = ask(running, method="user.getRecentTracks", user=listening[0].name, limit="5")
    tracks = said["recenttracks"]["track"]
    assert tracks[0]["@attr"] == {"nowplaying": "true"}
    assert "date" not in tracks[0]
    assert len(tracks) == 6
    _, said = ask(running, method="user.getRecentTracks", user=listening[0].name, limit="5", page="2")
    assert all("date" in track for track in said["recenttracks"]["track"])


def test_pylast_reads_tracks_tags_profiles_and_charts(running: Sandbox, small_world: Path) -> None:
    row = next(row for row in read_table(small_world, "lastfm_tracks", LastfmTrackRow) if row.tags and row.mbid)
    lastfm, fan = network(running), fans(small_world)[0]
    track = lastfm.get_track(row.artist, row.title)
    assert track.get_duration() == row.duration_ms
    assert track.get_mbid() == row.mbid
    assert [(str(tag.item), int(tag.weight)) for tag in track.get_top_tags()] == list(row.tags)
    assert lastfm.get_artist(row.artist).get_top_tags()
    assert lastfm.get_user(fan.name).get_playcount() == len(fan.plays)
    assert lastfm.get_user(fan.name).get_unixtime_registered() == fan.registered
    assert len(lastfm.get_top_tracks(limit=10)) == 10
    assert len(lastfm.get_top_artists(limit=3)) == 3


def test_xml_and_json_say_the_same_of_letters_that_xml_escapes(running: Sandbox, small_world: Path) -> None:
    row = next(row for row in read_table(small_world, "lastfm_tracks", LastfmTrackRow) if "&" in row.title)
    asked = {"method": "track.getInfo", "artist": row.artist, "track": row.title}
    _, said = ask(running, **asked)
    text = requests.post(f"{running.url}/lastfm/2.0/", data={**asked, "api_key": "sandbox"}, timeout=5).content
    element = ElementTree.fromstring(text).find("track")
    assert element is not None
    assert element.findtext("name") == said["track"]["name"] == row.title
    assert [tag.findtext("name") for tag in element.findall("toptags/tag")] == [name for name, _ in row.tags[:5]]


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ({"method": "user.getInfo", "user": "nobody"}, 404, 6),
        ({"method": "track.getInfo", "artist": "nobody", "track": "nothing"}, 200, 6),
        ({"method": "artist.getInfo", "artist": "nobody"}, 404, 6),
        ({"method": "artist.getTopTags", "artist": "nobody"}, 200, 6),
        ({"method": "nothing.atAll"}, 400, 3),
        ({"method": "chart.getTopTracks", "api_key": "invalid"}, 403, 10),
        ({"method": "chart.getTopTracks", "page": "0"}, 400, 6),
    ],
)
def test_errors_have_last_fm_s_codes(running: Sandbox, query: dict[str, str], status: int, code: int) -> None:
    said = ask(running, **query)
    assert (said[0], said[1]["error"]) == (status, code)


def test_pylast_raises_the_code_of_an_unknown_listener_and_of_a_rejected_key(running: Sandbox) -> None:
    with pytest.raises(pylast.WSError) as unknown:
        network(running).get_user("nobody").get_playcount()
    with pytest.raises(pylast.WSError) as rejected:
        network(running, "invalid").get_top_tracks(limit=1)
    assert (unknown.value.status, rejected.value.status) == ("6", "10")
