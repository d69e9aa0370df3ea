"""The client libraries under the policy, against a real server: they ask through it, and tell no secret."""

import ssl
from collections.abc import Generator
from pathlib import Path
from typing import Any

import lyricsgenius
import pylast
import pytest
import spotipy
import trustme
from spotipy.oauth2 import SpotifyClientCredentials
from yt_dlp.extractor.common import InfoExtractor
from yt_dlp.networking.exceptions import HTTPError
from yt_dlp.utils import DownloadError

from connectors.errors import (
    AuthError,
    BlockedPage,
    NotFound,
    PermanentError,
    QuotaExceeded,
    TransientError,
    cause_of,
)
from connectors.http import Policy, PolicySettings
from connectors.http_ledger import ledger_rows
from tests.connectors.web import Web, hang_up, page, reply, served

KEY = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def web() -> Generator[Web]:
    with served() as server:
        yield server


def made(tmp_path: Path, **settings: Any) -> Policy:
    given: dict[str, Any] = {"backoff_s": 0.001, "retries": 2, "timeout_s": 2} | settings
    return Policy("source", PolicySettings(**given), secrets=[KEY], ledger=tmp_path / "quota.sqlite")


def requests_made(tmp_path: Path) -> int:
    return sum(row["requests"] for row in ledger_rows(tmp_path / "quota.sqlite"))


# --- pylast


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def lastfm(authority: trustme.CA) -> Generator[Web]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with served(context) as server:
        yield server


@pytest.fixture
def network(lastfm: Web, authority: trustme.CA, tmp_path: Path) -> Any:
    pem = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(pem))
    found = pylast.LastFMNetwork(api_key=KEY)
    found.ws_server = (lastfm.url.removeprefix("https://"), "/2.0/")
    found.proxy = {"https://": made(tmp_path, ca_file=str(pem), retry_after_cap_s=1).transport()}
    return found


def xml(inner: str, status: str = "ok") -> str:
    return f'<?xml version="1.0" encoding="utf-8"?><lfm status="{status}">{inner}</lfm>'


def test_pylast_asks_through_the_policy(lastfm: Web, network: Any, tmp_path: Path) -> None:
    body = xml("<track><name>Somnia</name><duration>182000</duration></track>")
    lastfm.says("/2.0/", reply(status=500), hang_up, reply(body, content_type="text/xml"))
    assert network.get_track("Ada", "Somnia").get_duration() == 182_000
    assert (lastfm.times("/2.0/"), requests_made(tmp_path)) == (3, 3)
    assert b"method=track.getInfo" in lastfm.bodies[-1]


@pytest.mark.parametrize(("status", "code"), [(200, "6"), (400, "6"), (403, "10"), (404, "6")])
def test_pylast_reads_its_error_codes_for_itself(lastfm: Web, network: Any, status: int, code: str) -> None:
    lastfm.says("/2.0/", reply(xml(f'<error code="{code}">No such page</error>', "failed"), status))
    with pytest.raises(pylast.WSError) as raised:
        network.get_track("Ada", "Somnia").get_duration()
    assert raised.value.status == code
    assert lastfm.times("/2.0/") == 1


@pytest.mark.parametrize(
    ("step", "kind"),
    [
        (reply(status=500), TransientError),
        (hang_up, TransientError),
        (reply(status=429, retry_after="900"), QuotaExceeded),
        (page("<html><title>Just a moment...</title>", 503), BlockedPage),
        (page("<html><title>Just a moment...</title>", 403), BlockedPage),
    ],
)
def test_pylast_wraps_our_error(lastfm: Web, network: Any, step: Any, kind: type[Exception]) -> None:
    lastfm.says("/2.0/", step)
    with pytest.raises(pylast.NetworkError) as raised:
        network.get_track("Ada", "Somnia").get_duration()
    assert type(cause_of(raised.value)) is kind
    assert KEY not in str(raised.value)


def test_an_unknown_authority_is_refused(lastfm: Web, tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match="has no certificate that we trust; set ca_file"):
        made(tmp_path).get_json(lastfm.says("/thing", reply()))
    with pytest.raises(PermanentError, match="has no certificate that we trust"):
        made(tmp_path).session().get(f"{lastfm.url}/thing", verify=False)
    assert lastfm.asked == []


# --- spotipy


@pytest.fixture
def spotify(web: Web, tmp_path: Path) -> Any:
    web.says("/api/token", reply('{"access_token": "tok-secret-4711", "token_type": "Bearer", "expires_in": 3600}'))
    session = made(tmp_path).session()
    manager = SpotifyClientCredentials(
        "the-client-id",
        KEY,
        requests_session=session,
        cache_handler=spotipy.cache_handler.MemoryCacheHandler(),
    )
    manager.OAUTH_TOKEN_URL = f"{web.url}/api/token"
    client = spotipy.Spotify(auth_manager=manager, requests_session=session, retries=0, status_retries=0)
    client.prefix = f"{web.url}/v1/"
    return client


def test_spotipy_asks_through_the_policy(web: Web, spotify: Any, tmp_path: Path) -> None:
    web.says("/v1/tracks/4uLU6hMCjMI75M1A2tKUQC", reply(status=503), reply(status=429), reply('{"name": "Somnia"}'))
    assert spotify.track("4uLU6hMCjMI75M1A2tKUQC")["name"] == "Somnia"
    assert requests_made(tmp_path) == 4  # the token is a request too


@pytest.mark.parametrize(
    ("step", "kind"),
    [
        (reply(b"", 404), NotFound),
        (reply('{"error": {"status": 401, "message": "The access token expired"}}', 401), AuthError),
        (reply('{"error": {"status": 403, "message": "Forbidden"}}', 403), PermanentError),
        (reply(status=429, retry_after="9000"), QuotaExceeded),
        (reply(status=502), TransientError),
    ],
)
def test_spotipy_gives_our_errors(web: Web, spotify: Any, step: Any, kind: type[Exception]) -> None:
    web.says("/v1/tracks/4uLU6hMCjMI75M1A2tKUQC", step)
    with pytest.raises(kind) as raised:
        spotify.track("4uLU6hMCjMI75M1A2tKUQC")
    assert type(raised.value) is kind
    assert "tok-secret" not in str(raised.value)


# --- lyricsgenius


@pytest.fixture
def genius(web: Web, tmp_path: Path) -> Any:
    client = lyricsgenius.Genius(KEY, sleep_time=0, retries=0)
    client._session = made(tmp_path).session()
    client.API_ROOT = client.PUBLIC_API_ROOT = f"{web.url}/api/"
    client.WEB_ROOT = f"{web.url}/"
    return client


def test_lyricsgenius_asks_through_the_policy(web: Web, genius: Any) -> None:
    web.says("/api/songs/7", reply(status=504), reply('{"meta": {"status": 200}, "response": {"song": {"id": 7}}}'))
    assert genius.song(7)["song"]["id"] == 7
    assert f"Bearer {KEY}" in [headers.get("authorization") for headers in web.headers]


def test_a_block_page_never_reaches_lyricsgenius(web: Web, genius: Any) -> None:
    web.says("/Ada-somnia-lyrics", page("<!doctype html><title>Just a moment...</title>Verifying you are human"))
    with pytest.raises(BlockedPage, match="a block page: captcha"):
        genius._make_request("Ada-somnia-lyrics", web=True)


# --- yt-dlp


class SongIE(InfoExtractor):
    _VALID_URL = r"https?://127\.0\.0\.1:\d+/song/(?P<id>\w+)"

    def _real_extract(self, url: str) -> dict[str, Any]:
        root = url.split("/song/")[0]
        said = self._download_json(f"{root}/info", self._match_id(url), query={"api_key": KEY})
        return {"id": said["id"], "title": said["title"], "url": f"{root}/audio", "ext": "m4a"}


AUDIO = bytes(range(256)) * 2_000


def tube(policy: Policy, folder: Path, **options: Any) -> Any:
    found = policy.youtube_dl({"outtmpl": str(folder / "%(id)s.%(ext)s"), **options})
    found.add_info_extractor(SongIE())
    return found


def test_yt_dlp_asks_through_the_policy(web: Web, tmp_path: Path) -> None:
    web.says("/info", reply(status=500), reply('{"id": "s1", "title": "Somnia"}'))
    cut = reply(AUDIO[:5_000], length=len(AUDIO))

    def last(handler: Any) -> None:
        cut(handler)
        handler.close_connection = True

    web.says("/audio", last, reply(AUDIO, content_type="audio/mp4"))
    with tube(made(tmp_path), tmp_path) as ydl:
        assert ydl.extract_info(f"{web.url}/song/s1")["title"] == "Somnia"
    assert (tmp_path / "s1.m4a").read_bytes() == AUDIO
    assert requests_made(tmp_path) == len(web.asked) == 4


@pytest.mark.parametrize(
    ("step", "kind", "asked"),
    [
        (reply(status=500), TransientError, 3),
        (hang_up, TransientError, 3),
        (reply(status=429), QuotaExceeded, 3),
        (page("<html>Our systems have detected unusual traffic", 200), BlockedPage, 1),
    ],
)
def test_yt_dlp_s_errors_hold_ours(web: Web, tmp_path: Path, step: Any, kind: type[Exception], asked: int) -> None:
    web.says("/info", step)
    with tube(made(tmp_path), tmp_path) as ydl, pytest.raises(Exception) as raised:  # noqa: PT011 - which, is asked below
        ydl.extract_info(f"{web.url}/song/s1")
    assert type(cause_of(raised.value)) is kind
    assert KEY not in str(raised.value)
    assert web.times("/info") == asked


def test_yt_dlp_sees_what_a_status_means(web: Web, tmp_path: Path) -> None:
    web.says("/info", reply(status=403))
    with tube(made(tmp_path), tmp_path) as ydl:
        with pytest.raises(HTTPError) as raised:
            ydl.urlopen(f"{web.url}/info")
        assert raised.value.status == 403
        with pytest.raises(DownloadError, match="403"):
            ydl.extract_info(f"{web.url}/song/s1")


def test_options_cannot_go_round_the_policy(tmp_path: Path) -> None:
    with tube(made(tmp_path), tmp_path, retries=10, external_downloader="curl") as ydl:
        assert (ydl.params["retries"], ydl.params["external_downloader"]) == (0, None)
