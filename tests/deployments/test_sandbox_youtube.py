"""The sandbox's YouTube, asked by yt-dlp itself and by our connector."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from yt_dlp import YoutubeDL
from yt_dlp.utils import DownloadError

from connectors.base import Request, Wanted
from connectors.errors import BlockedPage, NotFound
from connectors.youtube import Youtube, connect
from deployments.sandbox import sounds
from deployments.sandbox.dice import Dice
from deployments.sandbox.faults import Faults, ServiceFaults
from deployments.sandbox.serve import endpoints, serve
from deployments.sandbox.server import Sandbox
from deployments.sandbox.sounds import FORMATS, encode
from deployments.sandbox.tables import SoundRow, TrackTruth, VideoRow, read_table
from deployments.sandbox.youtube_extractor import SandboxYoutubeIE, SandboxYoutubeSearchIE
from deployments.sandbox.youtube_service import GONE

MODULE = "deployments.sandbox.youtube_extractor"
POLICY = {"requests_per_second": None, "hosts": ("127.0.0.1",), "retries": 0}


@pytest.fixture(scope="module")
def running(small_world: Path) -> Iterator[Sandbox]:
    with serve(small_world) as sandbox:
        yield sandbox


def ytdlp(sandbox: Sandbox, **options: Any) -> YoutubeDL:
    said = {"quiet": True, "noprogress": True, "extractor_args": {"mediateca": {"endpoint": [_youtube(sandbox)]}}}
    client = YoutubeDL({**said, **options}, auto_init=False)
    client.add_info_extractor(SandboxYoutubeSearchIE())
    client.add_info_extractor(SandboxYoutubeIE())
    return client


def _youtube(sandbox: Sandbox) -> str:
    return endpoints(sandbox)["SANDBOX_YOUTUBE"]


def connector(sandbox: Sandbox) -> Youtube:
    extractors = (f"{MODULE}:SandboxYoutubeSearchIE", f"{MODULE}:SandboxYoutubeIE")
    return connect(endpoint=_youtube(sandbox), extractors=extractors, pause_s=0, policy=POLICY)


def seen(row: VideoRow) -> bool:
    return not Dice("youtube state", row.id).chance(GONE)


def test_a_search_names_as_many_videos_as_asked_for_without_opening_them(running: Sandbox) -> None:
    with ytdlp(running, extract_flat=True) as client:
        said: Any = client.extract_info("ytsearch7:the official video", download=False)
    assert len(said["entries"]) == 7
    assert all(entry["channel"] and entry["duration"] for entry in said["entries"])
    assert "formats" not in said["entries"][0]


def test_the_right_video_is_among_the_first_ten_for_most_recordings(running: Sandbox, small_world: Path) -> None:
    asked = [true for true in read_table(small_world, "truth_tracks", TrackTruth) if true.youtube][:40]
    hits = 0
    with closing(connector(running)) as youtube:
        for true in asked:
            (question,) = youtube.questions(Wanted(title=true.title, creators=(true.artist,)))
            found = youtube.candidates("search", youtube.lookup(question).payload)
            hits += bool({candidate.id for candidate in found} & set(true.youtube))
    assert hits >= 36


def test_the_connector_hears_the_smallest_format_as_long_as_the_video(
    running: Sandbox, small_world: Path, tmp_path: Path
) -> None:
    row = next(row for row in read_table(small_world, "videos", VideoRow) if row.kind == "topic" and seen(row))
    with closing(connector(running)) as youtube:
        path = youtube.fetch_audio(row.id, tmp_path)
    assert path.suffix == ".webm"
    with av.open(str(path)) as container:
        heard = sum(frame.samples / frame.sample_rate for frame in container.decode(audio=0))
    assert heard == pytest.approx(row.duration_s, abs=0.1)


def test_a_video_that_nobody_knows_is_not_found(running: Sandbox) -> None:
    with ytdlp(running) as client, pytest.raises(DownloadError, match="Video unavailable"):
        client.extract_info("https://www.youtube.com/watch?v=AAAAAAAAAAA", download=False)
    with closing(connector(running)) as youtube, pytest.raises(NotFound):
        youtube.lookup(Request(entity="video", key="AAAAAAAAAAA"))


def test_a_page_about_unusual_traffic_is_a_block_page_and_no_answer(small_world: Path) -> None:
    row = read_table(small_world, "videos", VideoRow)[0]
    with serve(small_world, Faults(all=ServiceFaults(blocked=1.0))) as sandbox, closing(connector(sandbox)) as youtube:
        with pytest.raises(BlockedPage):
            youtube.lookup(Request(entity="video", key=row.id))


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_decodes_to_the_length_that_was_asked_for(small_world: Path, tmp_path: Path, form: str) -> None:
    row = read_table(small_world, "sounds", SoundRow)[0]
    path = tmp_path / f"sound.{FORMATS[form].ext}"
    path.write_bytes(encode(row, FORMATS[form]))
    with av.open(str(path)) as container:
        assert container.streams.audio[0].codec_context.name in ("opus", "aac", "libopus")
        wave = np.concatenate([frame.to_ndarray().ravel() for frame in container.decode(audio=0)])
        rate = container.streams.audio[0].codec_context.sample_rate
    assert len(wave) / rate == pytest.approx(row.seconds, abs=0.1)
    assert float(np.abs(wave).mean()) > 0.01


def test_bars_are_resampled_the_same_every_time() -> None:
    bars, held = np.random.default_rng(0).integers(-9_000, 9_000, 264_724).astype(np.int16), []
    made = set()
    for turn in range(20):
        held.append(np.ones(1_000 * turn))  # soxr's dither follows the place of its state in memory
        made.add(sounds._fitted(bars, FORMATS["249"]).tobytes())
    assert len(made) == 1


def test_right_videos_sound_alike_and_covers_in_another_key(small_world: Path) -> None:
    rows = {row.id: row for row in read_table(small_world, "sounds", SoundRow)}
    videos = read_table(small_world, "videos", VideoRow)
    topic = next(row for row in videos if row.kind == "topic")
    same = [row for row in videos if row.recording == topic.recording and row.kind in ("official", "lyrics", "audio")]
    cover = next(row for row in videos if row.kind == "cover")
    own = next(
        row for row in videos if row.recording == cover.recording and row.kind in ("topic", "official", "lyrics")
    )
    heard = (rows[topic.sound].seed, rows[topic.sound].key)
    assert all((rows[row.sound].seed, rows[row.sound].key) == heard for row in same)
    assert rows[cover.sound].key != rows[own.sound].key
