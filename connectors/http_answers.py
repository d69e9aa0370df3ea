"""What an answer means: which error a status is, how long to wait, and what the source said of it."""

import json
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from connectors.errors import AuthError, BlockedPage, ConnectorError, NotFound, PermanentError, TransientError
from connectors.http_pages import block_of

_NEVER_LATER = (501, 505)  # not implemented, version not supported: no other answer tomorrow
LONGEST_WAIT_S = 7 * 86_400.0
_SOON = (408, 425)  # the server asks for the same request again
# MusicBrainz says "exceeding the allowable rate limit" under 503 (its documentation on rate limiting, 2026-11).
_TOO_MANY = re.compile(r"(?i)\brate.?limit|\btoo many requests")
_KEY_WORDS = re.compile(
    r"(?i)\b(api.?key|keys?|token|credentials?|unauthori[sz]ed|authenti\w+|authori[sz]\w+|scope|suspended|dashboard)\b"
)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One response, read to its end and decompressed."""

    method: str
    url: str  # as asked, secrets and all: for `redact` before anybody sees it
    status: int
    headers: Mapping[str, str]  # names in lower case
    body: bytes


class Later(TransientError):
    """The source asks for a pause: a 429, a 503 that speaks of a rate limit, or any failure with a Retry-After."""

    wait_s: float | None = None  # None where it does not say how long
    too_many: bool = False  # it is about our requests, not about its own state


def error_of(source: str, answer: Answer, redact: Callable[[str], str]) -> ConnectorError | None:
    """The error that an answer stands for; None for an answer to be used, redirects too."""
    status, url = answer.status, redact(answer.url)

    def made(kind: type[ConnectorError], what: str, todo: str) -> Any:
        message = f"{source}: {answer.method} {url} returned {status} ({redact(what)}); {todo}"
        return kind(message, source=source, url=url, status=status)

    if block := block_of(answer.url, answer.headers, answer.body):
        return made(BlockedPage, f"a block page: {block}", "try again tomorrow, or more slowly")
    if status < 400:
        return None
    said = words_of(answer.body) or "no message"
    if status == 401 or (status == 403 and _KEY_WORDS.search(said)):
        return made(AuthError, said, f"check the key of {source}")
    if status in (404, 410):
        return made(NotFound, said, "nothing to do")
    wait_s = retry_after(answer.headers, datetime.now(UTC))
    too_many = status == 429 or (status == 503 and _TOO_MANY.search(said) is not None)
    if too_many or status in _SOON or (status >= 500 and status not in _NEVER_LATER):
        error = made(Later if too_many or wait_s is not None else TransientError, said, "try again later")
        if isinstance(error, Later):
            error.wait_s, error.too_many = wait_s, too_many
        return error
    return made(PermanentError, said, "the same request will fail again")


def retry_after(headers: Mapping[str, str], moment: datetime) -> float | None:
    """Seconds to wait by the header Retry-After, given in seconds or as a date; None without one that can be read.

    At most a week: the wait is kept in the ledger for all processes, and one header must not end a source for good.
    """
    said = headers.get("retry-after", "").strip()
    try:
        wait_s = max(float(said), 0.0) if re.fullmatch(r"\d+(\.\d+)?", said) else _until(said, moment)
        return None if wait_s is None else min(wait_s, LONGEST_WAIT_S)
    except (ValueError, TypeError, OverflowError):
        return None


def _until(said: str, moment: datetime) -> float | None:
    if not said:
        return None
    until = parsedate_to_datetime(said)
    until = until if until.tzinfo else until.replace(tzinfo=UTC)
    return max((until - moment).total_seconds(), 0.0)


def words_of(body: bytes) -> str:
    """The source's own words on a failure, at most 160 characters; empty where the body holds none."""
    try:
        said = _message(json.loads(body))
    except (ValueError, RecursionError):
        found = re.search(rb"(?s)<error[^>]*>(.*?)</error>", body[:10_000])  # Last.fm's XML
        said = found.group(1).decode("utf-8", "replace") if found else ""
    return " ".join(said.split())[:160]


def _message(said: Any) -> str:
    if isinstance(said, str):
        return said
    if not isinstance(said, dict):
        return ""
    names = ("message", "status_message", "error_description", "error", "meta", "errors", "detail")
    return next((text for name in names if (text := _message(said.get(name)))), "")


def inflated(chunks: Iterable[bytes], encoding: str, limit: int) -> Iterator[bytes]:
    """The chunks without their compression.

    Raises:
        EOFError: The compressed data ends too early.
        zlib.error: It is not what the header says.
        OverflowError: More than `limit` bytes come out: a small answer may unpack to gigabytes.
        ValueError: The compression is unknown.
    """
    encoding, size = encoding.strip().lower(), 0
    if encoding not in ("", "identity", "gzip", "x-gzip", "deflate"):
        raise ValueError(encoding)
    # 47: gzip or zlib, whichever the first bytes say.
    unpack, started = None if encoding in ("", "identity") else zlib.decompressobj(wbits=47), False
    for chunk in chunks:
        while chunk:
            piece, chunk = (unpack.decompress(chunk, 1 << 20), unpack.unconsumed_tail) if unpack else (chunk, b"")
            size += len(piece)
            if size > limit:
                raise OverflowError(size)
            if piece:
                yield piece
            if unpack and unpack.eof and unpack.unused_data[:2] == b"\x1f\x8b":  # gzip may come in several members
                chunk, unpack = unpack.unused_data, zlib.decompressobj(wbits=47)
        started = True
    if unpack and started and not unpack.eof:
        raise EOFError
