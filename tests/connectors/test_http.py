"""The policy against a real server: what it asks again, what it waits for, and which error it gives."""

import gzip
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Generator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from connectors.errors import (
    AuthError,
    BlockedPage,
    ConnectorError,
    NotFound,
    PermanentError,
    QuotaExceeded,
    SchemaDrift,
    TooLarge,
    TransientError,
)
from connectors.http import Policy, PolicySettings
from connectors.http_answers import Answer
from connectors.http_ledger import ledger_rows
from tests.connectors.web import Step, Web, hang_up, page, reply, served

OK = reply('{"ok": true}')


@pytest.fixture
def web() -> Generator[Web]:
    with served() as server:
        yield server


Make = Callable[..., Policy]


@pytest.fixture
def policy(tmp_path: Path) -> Generator[Make]:
    made: list[Policy] = []

    def make(judge: Any = None, **settings: Any) -> Policy:
        given: dict[str, Any] = {"backoff_s": 0.001, "timeout_s": 2} | settings
        made.append(Policy("tmdb", PolicySettings(**given), ledger=tmp_path / "quota.sqlite", judge=judge))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.mark.parametrize(
    ("step", "kind", "status", "asked"),
    [
        (reply(status=400), PermanentError, 400, 1),
        (reply(status=401), AuthError, 401, 1),
        (reply('{"error": {"message": "Invalid API key"}}', 403), AuthError, 403, 1),
        (reply('{"error": {"message": "Forbidden"}}', 403), PermanentError, 403, 1),
        (reply(status=404), NotFound, 404, 1),
        (reply(status=410), NotFound, 410, 1),
        (reply(status=500), TransientError, 500, 3),
        (reply(status=501), PermanentError, 501, 1),
        (reply(status=503), TransientError, 503, 3),
        (reply(status=429), QuotaExceeded, 429, 3),
        (reply("{"), SchemaDrift, None, 1),
        (page("<!doctype html><p>Welcome to the hotel's network"), BlockedPage, None, 1),
        (reply(b"x" * 2_000), TooLarge, None, 1),
        (hang_up, TransientError, None, 3),
    ],
)
def test_each_failure_has_its_error(
    web: Web, policy: Make, step: Step, kind: type[ConnectorError], status: int | None, asked: int
) -> None:
    url = web.says("/thing", step)
    with pytest.raises(ConnectorError, match="tmdb: ") as raised:
        policy(retries=2, size_bytes=1_000).get_json(url)
    error = raised.value
    assert (type(error), error.source, error.url, error.status) == (kind, "tmdb", url, status)
    assert web.times("/thing") == asked


def test_the_source_s_own_words_are_in_the_message(web: Web, policy: Make) -> None:
    url = web.says("/search", reply('{"error": {"status": 400, "message": "Invalid limit"}}', 400))
    with pytest.raises(PermanentError, match=r"returned 400 \(Invalid limit\)"):
        policy().get_json(url)


def test_a_failure_that_passes_leaves_no_trace(web: Web, policy: Make) -> None:
    url = web.says("/thing", reply(status=500), hang_up, reply(status=429), OK)
    assert policy().get_json(url, params={"page": 2}) == (200, {"ok": True}, f"{url}?page=2")
    assert web.times("/thing") == 4


def slow(handler: BaseHTTPRequestHandler) -> None:
    time.sleep(0.3)
    OK(handler)


def dripping(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "800")
    handler.end_headers()
    for _ in range(80):
        handler.wfile.write(b"          ")
        handler.wfile.flush()
        time.sleep(0.05)


def test_an_answer_that_does_not_come_is_given_up(web: Web, policy: Make) -> None:
    url = web.says("/slow", slow)
    with pytest.raises(TransientError, match=r"did not answer within 0\.1 s"):
        policy(timeout_s=0.1, retries=1).get_json(url)
    assert web.times("/slow") == 2


def test_an_answer_that_comes_in_drops_is_given_up(web: Web, policy: Make) -> None:
    began = time.monotonic()
    with pytest.raises(TransientError, match="took too long"):
        policy(total_s=0.2, retries=0).get_json(web.says("/drip", dripping))
    assert time.monotonic() - began < 2


def chunked(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    handler.wfile.write(b'9\r\n{"ok": tr\r\n')
    hang_up(handler)


BODY = b'{"ok": true, "more": "' + b"x" * 5_000 + b'"}'
PACKED = gzip.compress(BODY, mtime=0)


@pytest.mark.parametrize(
    "cut",
    [
        reply('{"ok": tr', length=12),
        chunked,
        reply(PACKED[: len(PACKED) // 2], content_encoding="gzip"),
        reply(b"no gzip at all", content_encoding="gzip"),
        reply(PACKED[:-4], length=len(PACKED), content_encoding="gzip"),
    ],
)
def test_a_body_that_is_cut_or_broken_is_asked_for_again(web: Web, policy: Make, cut: Step) -> None:
    def last(handler: BaseHTTPRequestHandler) -> None:
        cut(handler)
        handler.close_connection = True

    url = web.says("/cut", last, reply(PACKED, content_encoding="gzip"))
    assert policy().get_json(url)[1]["ok"] is True
    assert web.times("/cut") == 2


@pytest.mark.parametrize(
    ("name", "packed"), [("gzip", PACKED), ("deflate", zlib.compress(BODY))], ids=["gzip", "deflate"]
)
def test_compressed_answers_are_read(web: Web, policy: Make, name: str, packed: bytes) -> None:
    session = policy().session()
    response = session.get(web.says("/packed", reply(packed, content_encoding=name)))
    assert response.content == BODY
    assert (response.headers.get("Content-Encoding"), response.headers["Content-Length"]) == (None, str(len(BODY)))


@pytest.mark.parametrize(
    "huge",
    [
        reply(b"[" + b"1," * 10_000 + b"1]"),
        reply(b"", length=10_000_000),
        reply(gzip.compress(b"1" * 10_000_000), content_encoding="gzip"),  # 10 kB on the wire
    ],
)
def test_no_more_is_taken_than_the_limit(web: Web, policy: Make, huge: Step) -> None:
    with pytest.raises(TooLarge, match="larger than 15,000 bytes"):
        policy(size_bytes=15_000).get_json(web.says("/huge", huge))
    assert web.times("/huge") == 1


def test_a_short_retry_after_is_waited_for(web: Web, policy: Make) -> None:
    url = web.says("/thing", reply(status=429, retry_after="0.3"), OK)
    began = time.monotonic()
    assert policy().get_json(url)[0] == 200
    assert 0.3 <= time.monotonic() - began < 2


def test_a_retry_after_of_nothing_is_no_leave_to_hammer(web: Web, policy: Make) -> None:
    url = web.says("/thing", reply(status=429, retry_after="0"))
    began = time.monotonic()
    with pytest.raises(QuotaExceeded):
        policy(backoff_s=0.1, retries=2).get_json(url)
    assert time.monotonic() - began >= 0.15  # (0.1 + 0.2) give or take a half


def test_a_retry_after_can_be_a_date(web: Web, policy: Make) -> None:
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)
    began = time.monotonic()
    assert policy().get_json(web.says("/thing", reply(status=503, retry_after=soon), OK))[0] == 200
    assert 0.5 < time.monotonic() - began < 3


@pytest.mark.parametrize("kind", ["seconds", "date"])
def test_a_long_retry_after_ends_it_for_everybody(web: Web, policy: Make, kind: str) -> None:
    said = "3600" if kind == "seconds" else format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    url, other = web.says("/thing", reply(status=429, retry_after=said)), web.says("/other", OK)
    began = datetime.now(UTC)
    with pytest.raises(QuotaExceeded) as raised:
        policy(retry_after_cap_s=5).get_json(url)
    assert raised.value.retry_at is not None
    assert timedelta(minutes=58) < raised.value.retry_at - began < timedelta(minutes=61)
    with pytest.raises(QuotaExceeded, match="asked to wait until") as later:  # as another process would
        policy(retry_after_cap_s=5).get_json(other)
    assert abs(later.value.retry_at - raised.value.retry_at) < timedelta(seconds=1)  # type: ignore[operator]
    assert (web.times("/thing"), web.times("/other")) == (1, 0)


@pytest.mark.parametrize("said", ["99999999999999", "9" * 400, "Wed, 21 Oct 9999 07:28:00 GMT"])
def test_no_retry_after_holds_a_source_for_more_than_a_week(web: Web, policy: Make, said: str) -> None:
    with pytest.raises(QuotaExceeded) as raised:
        policy().get_json(web.says("/thing", reply(status=429, retry_after=said)))
    assert raised.value.retry_at is not None
    assert timedelta(days=6) < raised.value.retry_at - datetime.now(UTC) <= timedelta(days=7)


@pytest.mark.parametrize("body", ['{"a": NaN}', '{"a": -Infinity}', '{"a": 1e999}'])
def test_numbers_that_are_none_are_no_json(web: Web, policy: Make, body: str) -> None:
    with pytest.raises(SchemaDrift, match="gave no JSON"):
        policy().get_json(web.says("/thing", reply(body)))


def test_a_redirect_to_no_address_is_told(web: Web, policy: Make) -> None:
    url = web.says("/thing", reply(status=302, location="http://[nowhere"))
    with pytest.raises(PermanentError, match="redirects to no address"):
        policy().get_json(url)
    for media in (url, "http://[nowhere/cover.jpg"):
        with pytest.raises(PermanentError, match="it is no address"):
            policy(hosts=("127.0.0.1",)).download(media)


def test_gzip_in_several_members_is_read_to_its_end(web: Web, policy: Make) -> None:
    packed = gzip.compress(b'{"ok":') + gzip.compress(b" true}")
    assert policy().get_json(web.says("/thing", reply(packed, content_encoding="gzip")))[1] == {"ok": True}


@pytest.mark.parametrize("said", ["soon", "-5", "", "Wed, 99 Foo"])
def test_a_retry_after_that_says_nothing_is_none(web: Web, policy: Make, said: str) -> None:
    assert policy().get_json(web.says("/thing", reply(status=429, retry_after=said), OK))[0] == 200


def test_every_try_is_counted(web: Web, policy: Make, tmp_path: Path) -> None:
    policy().get_json(web.says("/thing", reply(status=500), hang_up, OK))
    assert [row["requests"] for row in ledger_rows(tmp_path / "quota.sqlite")] == [3]


def test_the_day_s_quota_is_never_passed(web: Web, policy: Make) -> None:
    url = web.says("/thing", OK, reply(status=500))
    asking = policy(requests_per_day=3, retries=10)
    asking.get_json(url)
    with pytest.raises(QuotaExceeded, match="the quota of 3 requests a day is used up") as raised:
        asking.get_json(url)
    assert raised.value.retry_at is not None
    assert raised.value.retry_at - datetime.now(UTC) < timedelta(days=1, seconds=6)
    assert web.times("/thing") == 3


def test_a_put_is_not_asked_twice(web: Web, policy: Make) -> None:
    web.says("/thing", reply(status=500))
    with pytest.raises(PermanentError):
        policy().session().put(f"{web.url}/thing", data=b"{}")


def test_a_source_may_read_its_answers_first(web: Web, policy: Make) -> None:
    def judge(answer: Answer) -> ConnectorError | None:
        if b'"error": 29' in answer.body:
            return TransientError("lastfm: too fast", source="lastfm", status=answer.status)
        return None

    url = web.says("/thing", reply('{"error": 29}'), OK)
    assert policy(judge=judge).get_json(url)[1] == {"ok": True}


def test_a_redirect_to_a_private_address_is_refused(web: Web, policy: Make) -> None:
    url = web.says("/thing", reply(status=302, location="http://localhost:9/metadata"))
    with pytest.raises(PermanentError, match="redirects: host 'localhost' has the private address"):
        policy().get_json(url)
    other = web.url.replace("127.0.0.1", "localhost")
    web.says("/thing", reply(status=302, location=f"{other}/there"))
    web.says("/there", OK)
    assert policy(hosts=("localhost",)).get_json(f"{web.url}/thing")[0] == 200


def test_a_redirect_within_the_host_is_followed_and_counted(web: Web, policy: Make, tmp_path: Path) -> None:
    web.says("/there", OK)
    assert policy().get_json(web.says("/thing", reply(status=301, location="/there")))[2] == f"{web.url}/there"
    assert ledger_rows(tmp_path / "quota.sqlite")[0]["requests"] == 2


def test_nobody_there_is_transient(policy: Make) -> None:
    with pytest.raises(TransientError, match=r"could not be reached \(\w+Error\)"):
        policy(retries=1).get_json("http://127.0.0.1:9/")


def test_settings_are_checked() -> None:
    with pytest.raises(ValueError, match="requests_per_minute"):
        PolicySettings(requests_per_minute=3)  # type: ignore[call-arg]


def test_a_proxy_is_asked_in_place_of_the_host(web: Web, policy: Make) -> None:
    web.says("/thing", OK)
    assert policy(proxy=web.url).get_json("http://no-such-host.example/thing")[0] == 200
    assert web.asked == ["http://no-such-host.example/thing"]


def test_the_environment_s_proxy_is_asked(web: Web, policy: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", web.url)
    web.says("/thing", OK)
    asking = policy()
    asking.get_json("http://no-such-host.example/thing")
    asking.session().get("http://no-such-host.example/thing")
    assert web.asked == ["http://no-such-host.example/thing"] * 2


def test_the_policy_loads_no_client_before_it_is_asked() -> None:
    heavy = ("requests", "urllib3", "httpx2", "yt_dlp", "pyrate_limiter", "filelock")
    code = f"import sys, connectors.http; print([name for name in {heavy!r} if name in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
