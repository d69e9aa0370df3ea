"""All five connectors ask the sandbox that stands in during a build; the truth says whether they find what is meant."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import requests
from PIL import Image

from connectors.base import LiveConnector, Request, Wanted
from connectors.drift import Drift, drift_of
from connectors.errors import ConnectorError
from connectors.registry import LIVE, connect
from connectors.spotify import cover_of
from connectors.youtube_models import Search, Video
from deployments.sandbox import stand_in
from deployments.sandbox.faults import Faults, ServiceFaults
from deployments.sandbox.serve import serve, settings_of
from deployments.sandbox.stand_in import running
from deployments.sandbox.tables import FanRow, FilmRow, FilmTruth, SongRow, TrackTruth, read_table

Settings = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def settings(small_world: Path) -> Iterator[Settings]:
    with running(small_world) as found:
        yield found


def opened(settings: Settings, name: str) -> LiveConnector:
    return connect(name, **settings[name])


def found(connector: LiveConnector, wanted: Wanted) -> set[str]:
    """Ids of all that the connector's questions offer."""
    ids: set[str] = set()
    for question in connector.questions(wanted):
        try:
            record = connector.lookup(question)
        except ConnectorError:
            continue
        ids |= {candidate.id for candidate in connector.candidates(question.entity, record.payload)}
    return ids


@pytest.mark.parametrize(("name", "field"), [("spotify", "spotify"), ("youtube", "youtube"), ("genius", "genius")])
def test_the_recording_is_among_what_is_offered(settings: Settings, small_world: Path, name: str, field: str) -> None:
    truth = [true for true in read_table(small_world, "truth_tracks", TrackTruth) if getattr(true, field)][:25]
    with closing(opened(settings, name)) as connector:
        hits = 0
        for true in truth:
            wanted = Wanted(title=true.title, creators=(true.artist,), duration_ms=true.duration_ms, isrc=true.isrc)
            hits += bool(found(connector, wanted) & {str(right) for right in getattr(true, field)})
    assert hits >= 23


def test_films_are_found_by_their_imdb_id(settings: Settings, small_world: Path) -> None:
    rows = {row.id: row for row in read_table(small_world, "films", FilmRow)}
    truth = [true for true in read_table(small_world, "truth_films", FilmTruth) if true.tmdb is not None][:15]
    with closing(opened(settings, "tmdb")) as connector:
        for true in truth:
            wanted = Wanted(title=rows[true.tmdb or 0].title, ids={"imdb": true.imdb})
            assert str(true.tmdb) in found(connector, wanted)


@pytest.mark.parametrize("unproxied", ["", "127.0.0.1", "localhost,127.0.0.1"])
def test_histories_come_whole_over_tls(
    settings: Settings, small_world: Path, monkeypatch: pytest.MonkeyPatch, unproxied: str
) -> None:
    monkeypatch.setenv("NO_PROXY", unproxied)  # as a build under Prefect sets it; httpx2 mounts a transport for that
    fan = next(fan for fan in read_table(small_world, "fans", FanRow) if not fan.private)
    with closing(opened(settings, "lastfm")) as connector:
        events = [event for page in connector.pages("plays", keys=[fan.name]) for event in page.events.to_pylist()]
    assert sorted(int(event["at"].timestamp()) for event in events) == sorted(at for at, _ in fan.plays)


def test_the_cover_that_the_connector_chooses_lies_where_it_says(settings: Settings, small_world: Path) -> None:
    true = read_table(small_world, "truth_tracks", TrackTruth)[0]
    with closing(opened(settings, "spotify")) as connector:
        track = connector.lookup(Request(entity="track", key=true.spotify[0]))
    links: Any = cover_of(track.payload["album"])
    content = requests.get(links if isinstance(links, str) else next(iter(links)), timeout=5).content
    assert Image.open(BytesIO(content)).size == (300, 300)


def test_a_video_that_is_as_it_should_be_is_no_drift(settings: Settings, small_world: Path) -> None:
    true = next(true for true in read_table(small_world, "truth_tracks", TrackTruth) if true.youtube)
    with closing(opened(settings, "youtube")) as connector:
        video = connector.lookup(Request(entity="video", key=true.youtube[0]))
        search = connector.lookup(Request(entity="search", key=f"{true.artist} - {true.title}"))
    assert drift_of(Video, video.payload) == drift_of(Search, search.payload) == Drift()


def test_lyrics_pages_are_read_by_our_own_connector(settings: Settings, small_world: Path) -> None:
    row = next(row for row in read_table(small_world, "songs", SongRow) if row.state == "complete")
    with closing(opened(settings, "genius")) as connector:
        page = connector.lookup(Request(entity="page", key=row.path))
    assert row.lyrics.split("\n")[1] in json.dumps(dict(page.payload), ensure_ascii=False)


def test_the_process_ends_with_the_one_that_started_it(small_world: Path) -> None:
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom deployments.sandbox.stand_in import running\n"
        "with running(Path(sys.argv[1])) as settings:\n"
        "    print(settings['tmdb']['api_root'], flush=True)\n    time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(small_world)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": "."},
    ) as parent:
        assert parent.stdout is not None
        root = parent.stdout.readline().strip()
        assert requests.get(f"{root}configuration?api_key=x", timeout=5).status_code == 200
        parent.kill()
    for _ in range(100):
        try:
            requests.get(f"{root}configuration?api_key=x", timeout=1)
        except requests.exceptions.ConnectionError:
            return
        time.sleep(0.1)
    pytest.fail("the sandbox outlived the build")


def test_a_world_has_one_port_so_that_addresses_in_raw_outlive_a_killed_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = stand_in.port_of(tmp_path / "w")
    assert port == stand_in.port_of(tmp_path / "w") != stand_in.port_of(tmp_path / "v")
    monkeypatch.setattr(stand_in, "_PORT_WAIT_S", 0.2)
    for taken in (port, port + 1):
        with socket.socket() as other:
            other.bind(("127.0.0.1", taken))
            other.listen()
            assert stand_in.port_of(tmp_path / "w") == 0
    assert stand_in.port_of(tmp_path / "w") == port


def test_a_folder_that_is_no_world_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot be served"), running(tmp_path):
        pass


def test_clients_keep_the_quota_and_the_day_that_the_faults_say_and_give_up_before_it_answers(
    small_world: Path,
) -> None:
    limits = ServiceFaults(per_day=40, per_second=9, timeout=0.1)
    with serve(small_world, Faults(services={"tmdb": limits}, day_s=60, timeout_s=3)) as sandbox:
        said = settings_of(sandbox)
    assert said["tmdb"]["policy"] == {
        "requests_per_second": 9,
        "hosts": ["127.0.0.1"],
        "requests_per_day": 40,
        "day_s": 60,
        "timeout_s": 2.0,
    }
    assert said.keys() == LIVE.keys() - {"musicbrainz"}  # the sandbox does not speak its protocol
    assert said["spotify"]["policy"] == {"requests_per_second": None, "hosts": ["127.0.0.1"]}
