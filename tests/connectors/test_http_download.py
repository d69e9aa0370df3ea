"""Media: only from allowed hosts, whole or not at all."""

from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from connectors import http_hosts
from connectors.errors import BlockedPage, ConnectorError, NotFound, PermanentError, TooLarge, TransientError
from connectors.http import Policy, PolicySettings
from connectors.http_hosts import named, refusal
from connectors.http_ledger import ledger_rows
from tests.connectors.web import Step, Web, page, reply, served

PICTURE = b"\xff\xd8\xff" + bytes(range(256)) * 400


@pytest.fixture
def web() -> Generator[Web]:
    with served() as server:
        yield server


def made(tmp_path: Path, **settings: Any) -> Policy:
    given: dict[str, Any] = {"backoff_s": 0.001, "hosts": ("127.0.0.1",), "retries": 2} | settings
    return Policy("spotify", PolicySettings(**given), ledger=tmp_path / "q.sqlite")


def test_a_file_comes_whole(web: Web, tmp_path: Path) -> None:
    policy = made(tmp_path, requests_per_day=0)
    assert policy.download(web.says("/a.jpg", reply(PICTURE, content_type="image/jpeg; q=1"))) == PICTURE
    # Covers are no part of the API's quota, but they are counted.
    assert [(row["credential"], row["requests"]) for row in ledger_rows(tmp_path / "q.sqlite")] == [("media", 1)]


def test_all_files_are_counted_in_the_end(web: Web, tmp_path: Path) -> None:
    policy, url = made(tmp_path), web.says("/a.jpg", reply(PICTURE))
    for _ in range(7):
        policy.download(url)
    policy.close()
    assert [row["requests"] for row in ledger_rows(tmp_path / "q.sqlite")] == [7]


@pytest.mark.parametrize(
    ("step", "kind", "asked"),
    [
        (reply(status=404), NotFound, 1),
        (reply(status=503), TransientError, 3),
        (reply(PICTURE[:1_000], length=2_000), TransientError, 3),
        (reply(b"", content_type="image/jpeg"), TransientError, 3),
        (reply(PICTURE * 3), TooLarge, 1),
        (page("<!DOCTYPE html><title>Just a moment...</title>", 403), BlockedPage, 1),
        (page("<!DOCTYPE html><title>Robot check</title><form action=captcha>"), BlockedPage, 1),
        (page("<html>welcome"), BlockedPage, 1),
        (reply("<html>captcha", content_type="image/jpeg"), BlockedPage, 1),
    ],
)
def test_what_is_no_whole_file_is_an_error(
    web: Web, tmp_path: Path, step: Step, kind: type[ConnectorError], asked: int
) -> None:
    def last(handler: Any) -> None:
        step(handler)
        handler.close_connection = True

    with pytest.raises(kind):
        made(tmp_path, size_bytes=200_000).download(web.says("/a.jpg", last))
    assert web.times("/a.jpg") == asked


def test_a_cut_file_is_fetched_again(web: Web, tmp_path: Path) -> None:
    def cut(handler: Any) -> None:
        reply(PICTURE[:1_000], length=len(PICTURE))(handler)
        handler.close_connection = True

    assert made(tmp_path).download(web.says("/a.jpg", cut, reply(PICTURE))) == PICTURE


def test_other_hosts_are_not_asked(web: Web, tmp_path: Path) -> None:
    url = web.says("/a.jpg", reply(PICTURE))
    with pytest.raises(PermanentError, match=r"host '127.0.0.1' is not allowed; allowed: .scdn.co"):
        made(tmp_path, hosts=(".scdn.co",)).download(url)
    with pytest.raises(PermanentError, match=r"host '127.0.0.1' has the private address"):
        made(tmp_path, hosts=()).download(url)
    with pytest.raises(PermanentError, match="'file' is no address of the web"):
        made(tmp_path).download("file:///etc/passwd")
    assert web.asked == []


def test_each_redirect_is_checked(web: Web, tmp_path: Path) -> None:
    there = web.url.replace("127.0.0.1", "localhost") + "/there.jpg"
    url = web.says("/a.jpg", reply(status=302, location=there))
    web.says("/there.jpg", reply(PICTURE))
    with pytest.raises(PermanentError, match="host 'localhost' is not allowed"):
        made(tmp_path).download(url)
    assert web.times("/there.jpg") == 0
    assert made(tmp_path, hosts=("127.0.0.1", "localhost")).download(url) == PICTURE


def test_a_circle_of_redirects_ends(web: Web, tmp_path: Path) -> None:
    url = web.says("/a.jpg", reply(status=302, location="/a.jpg"))
    with pytest.raises(PermanentError, match="redirects more than 5 times"):
        made(tmp_path).download(url)


@pytest.mark.parametrize(
    ("host", "allowed"),
    [("i.scdn.co", True), ("scdn.co", True), ("I.SCDN.CO.", True), ("evilscdn.co", False), ("scdn.co.evil.org", False)],
)
def test_a_leading_dot_means_all_below(host: str, allowed: bool) -> None:
    assert named(host, (".scdn.co",)) is allowed


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "10.1.2.3", "192.168.0.1", "169.254.169.254", "0.0.0.0", "[::1]", "[::ffff:10.0.0.1]", "[fe80::1]"],
)
def test_private_addresses_are_private(host: str) -> None:
    assert refusal(f"http://{host}/x", (), any_public=True)


def test_a_public_name_with_a_private_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(*_: Any, **__: Any) -> list[Any]:
        return [(0, 0, 0, "", ("93.184.216.34", 0)), (0, 0, 0, "", ("10.0.0.1", 0))]

    monkeypatch.setattr(http_hosts.socket, "getaddrinfo", answer)
    assert refusal("https://cdn.example.com/x", (), any_public=True) == (
        "host 'cdn.example.com' has the private address 10.0.0.1"
    )
