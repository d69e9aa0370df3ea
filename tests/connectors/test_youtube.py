"""YouTube: yt-dlp reads recorded answers; what is asked, what is heard, and what its errors mean."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from yt_dlp.extractor.common import InfoExtractor, SearchInfoExtractor
from yt_dlp.networking.exceptions import TransportError
from yt_dlp.utils import DownloadError, ExtractorError

from connectors.base import Request, Wanted
from connectors.errors import (
    BlockedPage,
    NotFound,
    PermanentError,
    QuotaExceeded,
    SchemaDrift,
    TooLarge,
    TransientError,
)
from connectors.http import PolicySettings
from connectors.youtube import Youtube, YoutubeSettings, connect, javascript_runtime, trailers
from connectors.youtube_errors import error_of
from connectors.youtube_models import Search, Video
from tests.connectors.recorded import Recorded, cassette

WANTED = Wanted(title="Paper Moons", creators=("Ann Example",))
PLAYER = "https://www.youtube.com/youtubei/v1/player?asks="
WATCH = "https://www.youtube.com/watch?v={}&bpctr=9999999999&has_verified=1"
EMBED = '<script>ytcfg.set({"INNERTUBE_CONTEXT": {"client": {"clientName": "WEB_EMBEDDED_PLAYER"}}});</script>'
PAGE = '<html><script>var ytInitialData = {"contents": {"twoColumnWatchNextResults": {}}};</script></html>'


@pytest.fixture
def policy() -> Recorded:
    return cassette("youtube")


@pytest.fixture
def youtube(policy: Recorded) -> Youtube:
    return connect(policy=policy, pause_s=0)


def test_a_track_is_asked_for_by_artist_and_title_and_a_trailer_by_its_id_alone() -> None:
    def ask(**wanted: Any) -> list[tuple[str, str]]:
        return [
            (request.entity, request.key) for request in connect(policy=Recorded("youtube")).questions(Wanted(**wanted))
        ]

    assert ask(title="Paper  Moons", creators=("Ann", "Bo", "Cy")) == [("search", "Ann Bo - Paper Moons")]
    assert ask(title="Paper Moons", ids={"youtube": "ddddddddddd"}) == [("video", "ddddddddddd")]
    assert ask(title="Paper Moons") == []
    films = trailers(policy=Recorded("youtube"))
    trailer = Wanted(title="The Long Tide", creators=("Dora",), ids={"tmdb": "7", "youtube": "ddddddddddd"})
    assert films.questions(trailer) == (Request(entity="video", key="ddddddddddd"),)
    assert films.questions(Wanted(title="The Long Tide", creators=("Dora",), ids={"tmdb": "7"})) == ()


def test_a_search_gives_videos_with_channel_length_and_views(youtube: Youtube, policy: Recorded) -> None:
    (question,) = youtube.questions(WANTED)
    record = youtube.lookup(question)
    video, short = youtube.candidates("search", record.payload)  # neither the live stream nor the channel
    assert (video.id, video.title) == ("aaaaaaaaaaa", "Ann Example - Paper Moons (Official Audio)")
    assert (video.channel, video.duration_ms, video.views) == ("Ann Example - Topic", 201_000, 1_234_567)
    assert (short.kind, short.views) == ("short", 0)
    assert len(policy.asked) == 1  # one request a search
    assert json.loads(json.dumps(record.payload)) == record.payload
    Search.model_validate(record.payload)


def test_a_search_without_hits_is_an_answer(youtube: Youtube) -> None:
    record = youtube.lookup(Request(entity="search", key="Nobody - Nothing"))
    assert youtube.candidates("search", record.payload) == []


def test_a_video_alone_is_a_candidate_and_no_address_of_a_stream_is_kept(youtube: Youtube) -> None:
    payload = youtube.lookup(Request(entity="video", key="aaaaaaaaaaa")).payload
    (video,) = youtube.candidates("video", payload)
    assert (video.id, video.duration_ms, video.views) == ("aaaaaaaaaaa", 201_000, 1_234_567)
    assert "googlevideo" not in json.dumps(payload)
    assert "192.0.2.7" not in json.dumps(payload)
    Video.model_validate(payload)


def test_the_smallest_sound_in_the_original_language_is_fetched_whole(
    youtube: Youtube, policy: Recorded, tmp_path: Path
) -> None:
    path = youtube.fetch_audio("aaaaaaaaaaa", tmp_path)
    assert path == tmp_path / "aaaaaaaaaaa.webm"
    assert path.read_bytes() == b"invented bytes in place of an opus stream"
    media = [url for url in policy.asked if "googlevideo" in url]
    assert media == ["https://rr1.googlevideo.com/videoplayback?itag=249&ip=192.0.2.7"]
    assert list(tmp_path.iterdir()) == [path]


def test_a_recording_over_the_limit_is_left_where_it_is(policy: Recorded, tmp_path: Path) -> None:
    small = YoutubeSettings(policy=PolicySettings(size_bytes=20), pause_s=0)
    youtube = Youtube(small, policy)
    with pytest.raises(TooLarge, match="larger than 20 bytes"):
        youtube.fetch_audio("aaaaaaaaaaa", tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("playability", "error"),
    [
        ({"status": "ERROR", "reason": "Video unavailable"}, NotFound),
        ({"status": "LOGIN_REQUIRED", "reason": "This video is private"}, NotFound),
        ({"status": "LOGIN_REQUIRED", "reason": "Sign in to confirm your age"}, NotFound),
        ({"status": "LIVE_STREAM_OFFLINE", "reason": "This live event will begin in 3 hours."}, NotFound),
        ({"status": "LOGIN_REQUIRED", "reason": "Sign in to confirm you’re not a bot"}, BlockedPage),
        ({"status": "UNPLAYABLE", "reason": "This content isn't available, try again later."}, QuotaExceeded),
    ],
)
def test_what_the_player_says_is_the_right_error(playability: dict[str, str], error: type, tmp_path: Path) -> None:
    policy = Recorded("youtube", rest=(404, b""))  # yt-dlp may ask other clients before it gives up
    policy.answer("GET", "https://www.youtube.com/embed/zzzzzzzzzzz?html5=1", 200, EMBED)
    policy.answer("GET", WATCH.format("zzzzzzzzzzz"), 200, PAGE)
    policy.answer("POST", PLAYER + "zzzzzzzzzzz", 200, {"playabilityStatus": playability, "videoDetails": {}})
    with pytest.raises(error) as caught:
        connect(policy=policy, pause_s=0).fetch_audio("zzzzzzzzzzz", tmp_path)
    assert type(caught.value) is error
    assert caught.value.url == "https://www.youtube.com/watch?v=zzzzzzzzzzz"
    assert len(str(caught.value)) < 230


def test_a_live_stream_is_no_recording(policy: Recorded, tmp_path: Path) -> None:
    player = json.loads(policy.said["POST", PLAYER + "aaaaaaaaaaa"][0][1])
    player["videoDetails"] |= {"isLive": True, "isLiveContent": True}
    policy.said["POST", PLAYER + "aaaaaaaaaaa"] = [(200, json.dumps(player).encode())]
    with pytest.raises(NotFound, match="live stream"):
        connect(policy=policy, pause_s=0).fetch_audio("aaaaaaaaaaa", tmp_path)


def test_without_a_javascript_runtime_a_video_without_formats_is_not_given_up(
    policy: Recorded, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    player = json.loads(policy.said["POST", PLAYER + "aaaaaaaaaaa"][0][1])
    player["streamingData"]["adaptiveFormats"] = [player["streamingData"]["adaptiveFormats"][-1]]  # no sound
    policy.said["POST", PLAYER + "aaaaaaaaaaa"] = [(200, json.dumps(player).encode())]
    for runtime, error in ((None, TransientError), ("deno 2.9.0", NotFound)):
        monkeypatch.setattr("connectors.youtube.javascript_runtime", lambda runtime=runtime: runtime)
        with pytest.raises(error) as caught:
            connect(policy=policy, pause_s=0).fetch_audio("aaaaaaaaaaa", tmp_path)
        assert type(caught.value) is error


def test_a_player_that_refuses_the_client_may_answer_another_day(tmp_path: Path) -> None:
    policy = Recorded("youtube", rest=(400, b'{"error": {"code": 400, "message": "Precondition check failed."}}'))
    policy.answer("GET", WATCH.format("zzzzzzzzzzz"), 200, PAGE)
    with pytest.raises(TransientError) as caught:
        connect(policy=policy, pause_s=0).fetch_audio("zzzzzzzzzzz", tmp_path)
    assert type(caught.value) is TransientError


def test_too_many_requests_is_a_quota_that_is_renewed(youtube: Youtube) -> None:
    with pytest.raises(QuotaExceeded) as caught:
        youtube.lookup(Request(entity="search", key="Too - Fast"))
    assert caught.value.status == 429
    assert caught.value.retry_at


@pytest.mark.parametrize(
    ("cause", "error"),
    [
        (ExtractorError("Unable to extract initial data"), SchemaDrift),
        (ExtractorError("x", cause=TransportError("reset")), TransientError),
        (ExtractorError("Something nobody has read before", expected=True), PermanentError),
        (ExtractorError("Join this channel to get access to members-only content", expected=True), NotFound),
        (ExtractorError("Requested format is not available", expected=True), NotFound),
        (TransientError("policy: gone", source="youtube"), TransientError),
    ],
)
def test_an_error_of_yt_dlp_is_one_of_ours(cause: Exception, error: type) -> None:
    found = error_of(DownloadError(f"ERROR: [youtube] aaaaaaaaaaa: {cause}", (type(cause), cause, None)), "https://x")
    assert type(found) is error
    assert "report this issue" not in str(found)
    assert "ERROR" not in str(found)


def test_a_stream_that_may_not_be_read_today_may_be_read_tomorrow(policy: Recorded, tmp_path: Path) -> None:
    media = "https://rr1.googlevideo.com/videoplayback?ip=192.0.2.7&itag=249"
    policy.said["GET", media] = [(403, b"")]
    with pytest.raises(TransientError) as caught:
        connect(policy=policy, pause_s=0).fetch_audio("aaaaaaaaaaa", tmp_path)
    assert caught.value.status == 403


class EchoSearchIE(SearchInfoExtractor):
    """A search of another place, as a sandbox has one."""

    _SEARCH_KEY = "ytsearch"

    def _get_n_results(self, query: str, n: int) -> Any:
        base = self._configuration_arg("endpoint", ie_key="mediateca", casesense=True)[0]
        found = [{"_type": "url", "id": f"echo{i}", "title": query, "url": f"{base}watch?v=echo{i}"} for i in range(n)]
        return self.playlist_result(found, query, query)


class EchoVideoIE(InfoExtractor):
    _VALID_URL = r"https?://127\.0\.0\.1(?::\d+)?/watch\?v=(?P<id>\w+)"

    def _real_extract(self, url: str) -> Any:
        video_id = self._match_id(url)
        sound = {"format_id": "a", "url": f"http://127.0.0.1/{video_id}.ogg", "vcodec": "none", "acodec": "vorbis"}
        return {"id": video_id, "title": "Echo", "formats": [sound | {"ext": "ogg"}]}


def test_a_sandbox_brings_its_own_extractors(tmp_path: Path) -> None:
    policy = Recorded("youtube").answer("GET", "http://127.0.0.1/echo0.ogg", 200, b"OggS")
    names = tuple(f"{__name__}:{kind.__name__}" for kind in (EchoSearchIE, EchoVideoIE))
    youtube = connect(policy=policy, endpoint="http://127.0.0.1/", extractors=names, results=2, pause_s=0)
    record = youtube.lookup(Request(entity="search", key="ann"))
    assert [candidate.id for candidate in youtube.candidates("search", record.payload)] == ["echo0", "echo1"]
    assert youtube.fetch_audio("echo0", tmp_path).read_bytes() == b"OggS"
    assert policy.asked == ["http://127.0.0.1/echo0.ogg"]


def test_a_javascript_runtime_is_named_with_its_version_or_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert javascript_runtime() is None
    fake = tmp_path / "deno"
    fake.write_text("#!/bin/sh\necho 'deno 2.9.0 (stable)'\n")
    fake.chmod(0o755)
    assert javascript_runtime() == "deno 2.9.0"


def test_what_youtube_is_not_asked_for_is_refused(youtube: Youtube, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="unknown entity 'channel'; known: search, video"):
        youtube.lookup(Request(entity="channel", key="x"))
    with pytest.raises(ValueError, match="is no id of a video"):
        youtube.fetch_audio("../x", tmp_path)
    with pytest.raises(SchemaDrift, match="without a list"):
        youtube.candidates("search", {"id": "x"})


@pytest.mark.real_data
def test_every_recorded_search_of_youtube_dl_gives_candidates(real_data: Path) -> None:
    file = real_data / "api-responses" / "youtube" / "youtube-dl-ytsearch-dump-2020" / "ytsearch_sample_output.json.gz"
    said = json.loads(gzip.decompress(file.read_bytes()))
    youtube = connect(policy=Recorded("youtube"))
    found = [youtube.candidates("search", one) for one in said]
    assert (len(found), sum(map(len, found))) == (13, sum(len(one["entries"]) for one in said))
    assert all(one.duration_ms and one.channel and one.views is not None for videos in found for one in videos)


@pytest.mark.real_data
def test_recorded_innertube_answers_that_are_no_search_are_empty(real_data: Path) -> None:
    files = sorted((real_data / "api-responses" / "youtube" / "ytmusicapi-tests-data").glob("*.json.gz"))
    assert len(files) == 13
    found, refused = {}, []
    for file in files:  # pages of YouTube Music; yt-dlp's search finds no videos in them, and breaks on none
        policy = Recorded("youtube")
        policy.answer(
            "POST", "https://www.youtube.com/youtubei/v1/search?asks=x", 200, gzip.decompress(file.read_bytes())
        )
        youtube = connect(policy=policy)
        try:
            record = youtube.lookup(Request(entity="search", key="x"))
        except SchemaDrift:
            refused.append(file.name)
        else:
            found[file.name] = len(youtube.candidates("search", record.payload))
    assert (refused, set(found.values())) == ([], {0})
