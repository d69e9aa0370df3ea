"""No secret in an error, a chained error, a log line or a URL that is kept."""

import logging
import traceback
from base64 import b64encode
from collections.abc import Generator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests

from connectors.errors import ConnectorError
from connectors.http import Policy, PolicySettings
from connectors.http_ledger import ledger_rows
from connectors.http_redact import Redactor
from tests.connectors.web import Step, Web, hang_up, page, reply, served

KEY, OTHER = "k+y/0123456789==", "client-id-77"
SPELLINGS = (KEY, quote(KEY, safe=""), quote(KEY), b64encode(f"{OTHER}:{KEY}".encode()).decode())


@pytest.fixture
def web() -> Generator[Web]:
    with served() as server:
        yield server


@pytest.fixture
def policy(tmp_path: Path) -> Generator[Policy]:
    settings = PolicySettings(backoff_s=0.001, retries=1, timeout_s=0.3, size_bytes=5_000, hosts=("127.0.0.1",))
    made = Policy("tmdb", settings, secrets=[OTHER, KEY], ledger=tmp_path / "q.sqlite")
    yield made
    made.close()


def whole(exc: BaseException) -> str:
    """All that a person could ever see of an error: its chain too, even where it is hidden."""
    told, waiting, seen = "", [exc], set[int]()
    while waiting:
        error = waiting.pop()
        if id(error) not in seen:
            seen.add(id(error))
            told += "".join(traceback.format_exception_only(error)) + repr(error) + repr(vars(error))
            waiting += [inner for inner in (error.__cause__, error.__context__) if inner is not None]
    return told


def slow(handler: Any) -> None:
    import time

    time.sleep(0.5)


FAILURES: list[Step] = [
    *(reply(f'{{"status_message": "bad key {KEY}"}}', status) for status in (400, 401, 403, 404, 429, 500)),
    *(page(f"<html><p>captcha {KEY}", status) for status in (200, 403, 503)),
    reply("<html>no json"),
    reply("x" * 6_000),
    reply("{", length=50),
    hang_up,
    slow,
    reply(status=302, location=f"http://localhost:1/?api_key={quote(KEY, safe='')}"),
    reply(status=302, location=f"ftp://127.0.0.1/?api_key={quote(KEY, safe='')}"),
]


@pytest.mark.parametrize("step", FAILURES)
def test_no_failure_tells_the_key(
    web: Web, policy: Policy, tmp_path: Path, caplog: pytest.LogCaptureFixture, step: Step
) -> None:
    def last(handler: Any) -> None:
        step(handler)
        handler.close_connection = True

    for name in ("urllib3.connectionpool", "requests", "httpx2", "yt_dlp"):
        caplog.set_level(logging.DEBUG, logger=name)
    caplog.set_level(logging.DEBUG)
    url = web.says("/thing", last)
    basic = b64encode(f"{OTHER}:{KEY}".encode()).decode()
    told = ""
    for ask in (
        lambda: policy.get_json(url, params={"api_key": KEY, "q": "x"}, headers={"Authorization": f"Basic {basic}"}),
        lambda: policy.download(f"{url}?api_key={quote(KEY, safe='')}"),
    ):
        with pytest.raises(ConnectorError) as raised:
            ask()
        told += whole(raised.value) + raised.value.url
    told += "".join(record.getMessage() + (record.exc_text or "") for record in caplog.records)
    assert "api_key=***" in told
    assert [spelling for spelling in SPELLINGS if spelling in told] == []
    assert KEY not in str(ledger_rows(tmp_path / "q.sqlite"))
    assert KEY.encode() not in (tmp_path / "q.sqlite").read_bytes()


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/?api_key=KEY", "ftp://host/?api_key=KEY", "http://[bad/?sk=KEY"])
def test_an_address_that_cannot_be_asked_tells_no_key(policy: Policy, url: str) -> None:
    with pytest.raises(ConnectorError) as raised:
        policy.session().get(url.replace("KEY", quote(KEY, safe="")))
    assert quote(KEY, safe="") not in whole(raised.value)


def test_urls_that_are_kept_have_no_key(web: Web, policy: Policy) -> None:
    url = web.says("/thing", reply())
    assert policy.get_json(url, params={"api_key": KEY, "q": "rain"})[2] == f"{url}?api_key=***&q=rain"


def test_a_token_got_at_run_time_is_a_secret_too(web: Web, policy: Policy) -> None:
    url = web.says("/thing", reply('{"message": "bad token: tok-998877665544"}', 400))
    with pytest.raises(ConnectorError) as raised:
        policy.get_json(url, headers={"Authorization": "Bearer tok-998877665544"})
    assert "tok-9988" not in whole(raised.value)
    assert policy.redact("it was tok-998877665544") == "it was ***"


def test_debug_logs_of_the_libraries_are_masked(web: Web, policy: Policy, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="urllib3.connectionpool")
    policy.get_json(web.says("/thing", reply()), params={"api_key": KEY})
    lines = [record.getMessage() for record in caplog.records if record.name == "urllib3.connectionpool"]
    assert any("api_key=***" in line for line in lines)
    assert [line for line in lines if quote(KEY, safe="") in line] == []


def test_errors_within_logs_are_masked(policy: Policy, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="spotipy.client")
    try:
        raise requests.ConnectionError(f"https://x/?q=1&k={KEY}")
    except requests.ConnectionError:
        logging.getLogger("spotipy.client").exception("Headers: {'Authorization': 'Bearer %s'}", "abcdef123456")
    assert "Bearer ***" in caplog.text
    assert KEY not in caplog.text


def test_urls_are_not_logged_by_default(web: Web, policy: Policy, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    policy.get_json(web.says("/thing", reply()), params={"api_key": KEY})
    assert [record.name for record in caplog.records] == []


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("https://x/2.0/?method=a&api_key=abc&format=json", "https://x/2.0/?method=a&api_key=***&format=json"),
        ("https://user:pw@proxy:8080/", "https://***@proxy:8080/"),
        ('{"access_token": "abc", "expires_in": 3600}', '{"access_token": "***", "expires_in": 3600}'),
        ("{'Authorization': 'Bearer abcdef.ghi'}", "{'Authorization': 'Bearer ***'}"),
        ("https://v/videoplayback?id=7&sig=AOq0&lsig=b", "https://v/videoplayback?id=7&sig=***&lsig=***"),
        ("tokens of a basic melody; key C", "tokens of a basic melody; key C"),
        ("api_key=***", "api_key=***"),
    ],
)
def test_what_is_named_like_a_secret_is_masked(text: str, masked: str) -> None:
    assert Redactor()(text) == masked
