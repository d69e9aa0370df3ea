"""Genius, YouTube and TMDb under the real policy, against a server on loopback."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from yt_dlp.extractor.common import InfoExtractor, SearchInfoExtractor

from connectors import genius, tmdb, youtube
from connectors.base import Request
from connectors.errors import AuthError, BlockedPage, NotFound, QuotaExceeded, TransientError
from connectors.genius import lyrics_of
from connectors.http_ledger import ledger_rows
from connectors.http_pages import block_of

TOKEN = "t0ken-never-told-to-anybody"
PAGE = """<!doctype html><html><head><title>Ann – Moons Lyrics | Genius Lyrics</title>
<meta content="Genius" property="og:site_name"/><script src="https://www.google.com/recaptcha/api.js"></script></head>
<body>{}</body></html>"""
WORDS = '<div data-lyrics-container="true" class="Lyrics__Container-sc-1">Paper moons<br/>over the bay</div>'
NONE = '<div class="LyricsPlaceholder__Message-sc-2">This song is an instrumental</div>'


class Server:
    """Answers by path: a list of (status, headers, body), the last one stays."""

    def __init__(self) -> None:
        self.said: dict[str, list[tuple[int, dict[str, str], bytes]]] = {}
        self.asked: list[tuple[str, dict[str, str]]] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                server.asked.append((self.path, dict(self.headers)))
                answers = server.said.get(self.path.split("?")[0], [(404, {}, b"{}")])
                status, headers, body = answers.pop(0) if len(answers) > 1 else answers[0]
                self.send_response(status)
                for name, value in ({"Content-Length": str(len(body))} | headers).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)
                if "Connection" in headers:
                    self.close_connection = True

            def log_message(self, *_: Any) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_port}/"
        threading.Thread(target=self._http.serve_forever, daemon=True).start()

    def answer(self, path: str, body: Any, status: int = 200, **headers: str) -> None:
        raw = body if isinstance(body, bytes) else (body if isinstance(body, str) else json.dumps(body)).encode()
        kind = "text/html; charset=utf-8" if raw[:1] == b"<" else "application/json"
        told = {"Content-Type": kind} | {name.replace("_", "-"): value for name, value in headers.items()}
        self.said.setdefault(f"/{path}", []).append((status, told, raw))

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    here = Server()
    yield here
    here.close()


POLICY = {"requests_per_second": None, "backoff_s": 0.0, "hosts": ("127.0.0.1",), "retries": 2}


@pytest.fixture
def songs(server: Server) -> Iterator[genius.Genius]:
    roots = {"api_root": f"{server.url}api/", "web_root": server.url}
    connector = genius.connect(policy=POLICY, access_token=TOKEN, **roots)
    yield connector
    connector.close()


def test_a_page_is_read_through_the_policy_and_a_failure_is_asked_again(songs: genius.Genius, server: Server) -> None:
    server.answer("Ann-moons-lyrics", "", 503)
    server.answer("Ann-moons-lyrics", PAGE.format(WORDS))
    record = songs.lookup(Request(entity="page", key="Ann-moons-lyrics"))
    assert lyrics_of(record.payload["html"]).text == "Paper moons\nover the bay"
    assert len(server.asked) == 2
    assert "Authorization" not in server.asked[0][1]  # the token is the API's, not the web's


def test_a_page_with_few_words_is_still_a_page(songs: genius.Genius, server: Server) -> None:
    server.answer("Ann-silence-lyrics", PAGE.format(NONE))
    record = songs.lookup(Request(entity="page", key="Ann-silence-lyrics"))
    assert lyrics_of(record.payload["html"]).state == "instrumental"


def test_youtubes_page_of_a_video_shows_no_words_and_is_no_block_page() -> None:
    page = b"<!doctype html><html><script>var ytInitialData = {}; // captcha, unusual traffic</script></html>"
    said = {"content-type": "text/html"}
    assert block_of("https://www.youtube.com/watch?v=x", said, page) is None
    assert block_of("https://www.youtube.com/watch?v=x", said, page.replace(b"ytInitialData", b"x")) is not None
    assert block_of("https://consent.youtube.com/m?continue=x", said, page) == "consent"


def test_a_block_page_is_none_whatever_its_status(songs: genius.Genius, server: Server) -> None:
    block = "<!doctype html><html><head><title>Just a moment...</title></head><body>cf-chl</body></html>"
    server.answer("A-lyrics", block, 403)
    server.answer("B-lyrics", block, 200)
    for key in ("A-lyrics", "B-lyrics"):
        with pytest.raises(BlockedPage):
            songs.lookup(Request(entity="page", key=key))
    assert len(server.asked) == 2  # and is not asked for again at once


def test_no_secret_is_in_any_error_or_address(songs: genius.Genius, server: Server) -> None:
    server.answer("api/search", {"meta": {"status": 401, "message": f"bad token {TOKEN}"}}, 401)
    with pytest.raises(AuthError) as caught:
        songs.lookup(Request(entity="search", key="moons"))
    assert TOKEN not in f"{caught.value!r} {caught.value.url} {caught.value.__cause__!r} {caught.value.__context__!r}"
    films = tmdb.connect(policy=POLICY, api_key="0123456789abcdef", api_root=f"{server.url}3/")
    server.answer("3/find/tt1", {"success": False, "status_code": 7, "status_message": "Invalid key"}, 401)
    server.answer("3/configuration", {"images": {}})
    with pytest.raises(AuthError) as caught:
        films.lookup(Request(entity="find", key="tt1"))
    record = films.lookup(Request(entity="configuration", key="configuration"))
    assert "0123456789abcdef" not in f"{caught.value!r} {caught.value.url} {record.url}"
    assert "api_key=0123456789abcdef" in server.asked[-1][0]
    films.close()


def test_a_poster_comes_from_the_host_that_is_allowed(server: Server) -> None:
    films = tmdb.connect(policy=POLICY, api_key="0123456789abcdef", api_root=f"{server.url}3/")
    images = {"secure_base_url": f"{server.url}t/p/", "poster_sizes": ["w92", "w342", "original"]}
    server.answer("3/configuration", {"images": images})
    server.answer("t/p/w342/p7.jpg", b"\xff\xd8 a picture")
    assert films.fetch_picture({"id": 7, "poster_path": "/p7.jpg"}) == b"\xff\xd8 a picture"
    with pytest.raises(NotFound):
        films.fetch_picture({"id": 8, "poster_path": "/p8.jpg"})
    films.close()


class LocalSearchIE(SearchInfoExtractor):
    _SEARCH_KEY = "ytsearch"

    def _get_n_results(self, query: str, n: int) -> Any:
        base = self._configuration_arg("endpoint", ie_key="mediateca", casesense=True)[0]
        found = self._download_json(f"{base}search", query, query={"q": query})
        return self.playlist_result(found["videos"][:n], query, query)


class LocalVideoIE(InfoExtractor):
    _VALID_URL = r"(?P<base>http://127\.0\.0\.1:\d+/)watch\?v=(?P<id>\w+)"

    def _real_extract(self, url: str) -> Any:
        base, video_id = self._match_valid_url(url).group("base", "id")
        said = self._download_json(f"{base}video/{video_id}", video_id)
        forms = [
            {"format_id": f"{size}", "filesize": size, "vcodec": "none", "acodec": "opus"} for size in said["sizes"]
        ]
        formats = [form | {"url": f"{base}sound/{form['format_id']}.webm", "ext": "webm"} for form in forms]
        return {"id": video_id, "title": said["title"], "formats": formats}


@pytest.fixture
def videos(server: Server) -> Iterator[youtube.Youtube]:
    names = tuple(f"{__name__}:{kind.__name__}" for kind in (LocalSearchIE, LocalVideoIE))
    connector = youtube.connect(policy=POLICY, endpoint=server.url, extractors=names, pause_s=0)
    yield connector
    connector.close()


def test_the_smallest_sound_is_fetched_and_a_cut_one_again(
    videos: youtube.Youtube, server: Server, tmp_path: Path, home: Path
) -> None:
    server.answer(
        "search", {"videos": [{"_type": "url", "id": "v1", "title": "Moons", "url": f"{server.url}watch?v=v1"}]}
    )
    server.answer("video/v1", {"title": "Moons", "sizes": [900, 10, 300]})
    server.answer("sound/10.webm", b"01234", Content_Length="10", Connection="close")
    server.answer("sound/10.webm", b"0123456789")
    record = videos.lookup(Request(entity="search", key="moons"))
    assert [one.id for one in videos.candidates("search", record.payload)] == ["v1"]
    assert videos.fetch_audio("v1", tmp_path).read_bytes() == b"0123456789"
    assert [path.split("?")[0] for path, _ in server.asked] == [
        "/search",
        "/video/v1",
        "/sound/10.webm",
        "/sound/10.webm",
    ]
    assert [file.name for file in tmp_path.iterdir()] == ["v1.webm"]


@pytest.mark.parametrize(
    ("status", "headers", "error"),
    [
        (404, {}, NotFound),
        (429, {"Retry_After": "86400"}, QuotaExceeded),
        (500, {}, TransientError),
    ],
)
def test_errors_of_a_search_are_ours(
    videos: youtube.Youtube, server: Server, status: int, headers: dict[str, str], error: type
) -> None:
    server.answer("search", {}, status, **headers)
    with pytest.raises(error) as caught:
        videos.lookup(Request(entity="search", key="moons"))
    assert type(caught.value) is error


def test_a_block_page_ends_a_search(videos: youtube.Youtube, server: Server) -> None:
    server.answer(
        "search", "<!doctype html><html><title>x</title><body>unusual traffic from your network</body></html>"
    )
    with pytest.raises(BlockedPage):
        videos.lookup(Request(entity="search", key="moons"))


def test_every_request_is_counted(videos: youtube.Youtube, server: Server) -> None:
    server.answer("search", {"videos": []})
    for _ in range(3):
        videos.lookup(Request(entity="search", key="moons"))
    videos.close()
    assert sum(row["requests"] for row in ledger_rows() if row["source"] == "youtube") == 3
