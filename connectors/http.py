"""The one policy by which every live source is asked: quota, retries, limits, block pages, and no secret told.

Clients of the field do the talking, each through an adapter: `session()` for requests, spotipy and lyricsgenius,
`transport()` for pylast, `youtube_dl()` for yt-dlp. Beneath all three is one engine (`http_requests`): a request is
counted in the ledger before it is sent, the answer is read to its end, judged, and asked for again where that may help.
The libraries' own retries stay off. Nothing of requests, httpx2 or yt-dlp is imported before it is needed.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from math import isfinite
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from connectors.errors import BlockedPage, ConnectorError, QuotaExceeded, SchemaDrift, TransientError
from connectors.http_answers import Answer, Later, error_of
from connectors.http_ledger import ledger_path, now
from connectors.http_pages import is_html
from connectors.http_quota import Limits, Quota, credential_digest
from connectors.http_redact import Redactor, forget

if TYPE_CHECKING:
    import httpx2
    from requests import Session
    from requests.adapters import HTTPAdapter
    from yt_dlp import YoutubeDL

    from connectors.http_requests import PolicySession

_T = TypeVar("_T")
_CREDENTIAL_HEADERS = ("authorization", "x-api-key", "proxy-authorization")


def _refused(constant: str) -> float:
    raise ValueError(f"{constant} is no number of JSON")


def _finite(said: str) -> float:
    """A number of JSON; 1e999 is read as infinity, which no column and no arithmetic of ours takes."""
    return number if isfinite(number := float(said)) else _refused(said)


class PolicySettings(BaseModel):
    """What a source allows, and what we take from it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    requests_per_second: float | None = Field(default=None, gt=0)
    requests_per_day: int | None = Field(default=None, ge=0)  # from midnight to midnight UTC, retries included
    day_s: float = Field(default=86_400, gt=0)  # where the source renews its quota sooner; counted from 1970 on
    retries: int = Field(default=4, ge=0)  # after the first try
    retry_after_cap_s: float = Field(default=60, ge=0)  # a longer Retry-After is the reason `quota`
    backoff_s: float = Field(default=0.5, ge=0)  # before the first retry; doubled at each, give or take a half
    timeout_s: float = Field(default=20, gt=0)  # to connect, and between two pieces of an answer
    total_s: float = Field(default=300, gt=0)  # a whole answer
    size_bytes: int = Field(default=20 << 20, gt=0)  # of an answer, decompressed
    hosts: tuple[str, ...] = ()  # media come from these only; ".scdn.co" stands for all below; empty: any public one
    proxy: str | None = None
    ca_file: str | None = None  # PEM file of an authority trusted beside the usual ones


class Policy:
    """The rules of one source with one credential; usable from several threads.

    All that it gives out raises `connectors.errors` only: `NotFound` (404, 410), `AuthError` (401, and 403 where the
    source speaks of a key), `QuotaExceeded` (its `retry_at` says when), `BlockedPage`, `TransientError` (5xx,
    time-outs, cut answers, after the retries), `TooLarge`, `PermanentError` (all else), `SchemaDrift` (a body that is
    not the JSON it should be).

    Args:
        source: The connector's name, as in the ledger.
        settings: Limits.
        secrets: Masked wherever they would show; the ledger's key is a digest of them.
        ledger: The file of the ledger; default: `quota.sqlite` in MEDIATECA_HOME.
        judge: Reads an answer first: the error it stands for in this source's own words (Last.fm's code 29 under status
            200), or None to judge by the status alone.
    """

    def __init__(
        self,
        source: str,
        settings: PolicySettings,
        *,
        secrets: Sequence[str] = (),
        ledger: Path | None = None,
        judge: Callable[[Answer], ConnectorError | None] | None = None,
    ) -> None:
        self.source, self.settings = source, settings
        self.redact = Redactor([*secrets, settings.proxy or ""])
        self.user_agent = "mediateca"
        self._judge, self._lock = judge, RLock()
        self._session: PolicySession | None = None
        path, wait_s = ledger or ledger_path(), settings.retry_after_cap_s
        limits = Limits(
            per_second=settings.requests_per_second,
            per_day=settings.requests_per_day,
            day_s=settings.day_s,
            wait_s=wait_s,
        )
        self._quota = Quota(source, credential_digest(secrets), limits, path)
        self._media = Quota(source, "media", Limits(wait_s=wait_s, exact=False), path)  # no part of the API's quota

    # --- adapters

    def session(self) -> Session:
        """A `requests.Session` under this policy."""
        from connectors.http_requests import PolicySession

        return PolicySession(self)

    def adapter(self) -> HTTPAdapter:
        """A requests adapter under this policy, to mount on a session of one's own."""
        from connectors.http_requests import PolicyAdapter

        return PolicyAdapter(self)

    def transport(self) -> httpx2.BaseTransport:
        """An httpx2 transport under this policy, for pylast: `network.proxy = {"https://": policy.transport()}`."""
        from connectors.http_httpx2 import PolicyTransport

        return PolicyTransport(self)

    def youtube_dl(self, options: dict[str, Any] | None = None) -> YoutubeDL:
        """A `YoutubeDL` whose every request goes through this policy; extractors are yours to add."""
        from connectors.http_ytdlp import policy_youtube_dl

        return policy_youtube_dl(self, options or {})

    # --- asking

    def get_json(
        self, url: str, *, params: Mapping[str, Any] | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Any, str]:
        """Ask for JSON: the status, the parsed body, the URL without secrets.

        Raises:
            ConnectorError: As the class says.
        """
        asked = {"Accept": "application/json", "User-Agent": self.user_agent, **(headers or {})}
        response = self._own().get(url, params=dict(params or {}), headers=asked)
        told = self.redact(response.url)
        try:
            body = json.loads(response.content, parse_constant=_refused, parse_float=_finite)
            return response.status_code, body, told
        except (ValueError, RecursionError):
            web_page = is_html(response.headers.get("Content-Type", ""), response.content)
        if web_page:
            raise self.error(BlockedPage, f"GET {told} gave a web page in place of JSON; try again tomorrow", told)
        raise self.error(SchemaDrift, f"GET {told} gave no JSON; look whether the API has changed", told)

    def download(self, url: str) -> bytes:
        """Fetch media, whole and in memory: a picture, of at most `size_bytes`.

        Raises:
            PermanentError: Its host, or one that it redirects to, is not allowed.
            ConnectorError: As the class says.
        """
        from connectors.http_download import download

        session = self._own()
        return self.persist(lambda: download(self, session, url), safe=True, media=True)

    def close(self) -> None:
        """Close connections and the ledger; the secrets are no longer looked for in logs."""
        with self._lock:
            if self._session is not None:
                self._session.close()
            self._session = None
        self._quota.close()
        self._media.close()
        forget(self.redact)

    def _own(self) -> PolicySession:
        from connectors.http_requests import PolicySession

        with self._lock:
            if self._session is None:
                self._session = PolicySession(self)
            return self._session

    # --- what the adapters share

    def count(self, url: str, *, media: bool = False) -> None:
        """Count a request that is about to be sent; waits for its turn.

        Raises:
            QuotaExceeded: It would be one too many.
        """
        try:
            (self._media if media else self._quota).take()
        except QuotaExceeded as exc:
            exc.url = self.redact(url)
            raise

    def judge(self, answer: Answer) -> ConnectorError | None:
        """The error that an answer stands for, None for one to be used."""
        error = self._judge(answer) if self._judge else None
        return error or error_of(self.source, answer, self.redact)

    def learn(self, headers: Mapping[str, Any]) -> None:
        """Mask the credentials that a request carries: tokens are got at run time."""
        for name, value in headers.items():
            if name.lower() in _CREDENTIAL_HEADERS:
                text = value.decode("latin-1") if isinstance(value, bytes) else str(value)
                self.redact.learn(text.split(" ")[-1])

    def error(self, kind: type[ConnectorError], what: str, url: str) -> ConnectorError:
        """An error of this source, its secrets masked."""
        return kind(self.redact(f"{self.source}: {what}"), source=self.source, url=self.redact(url))

    def persist(self, once: Callable[[], _T], *, safe: bool, media: bool = False) -> _T:
        """Do it until it works, the retries are used up, or waiting longer makes no sense.

        Args:
            once: Counts, sends and judges one request.
            safe: Whether it may be done twice.
            media: Whose pause a Retry-After is.

        Raises:
            QuotaExceeded: Told to wait longer than we do, or told `too many requests` to the end.
            ConnectorError: What the last try raised.
        """
        attempt = 0
        while True:
            try:
                return once()
            except (QuotaExceeded, BlockedPage):
                raise
            except TransientError as exc:
                error = exc
            self._pause(error, attempt, last=not safe or attempt >= self.settings.retries, media=media)
            attempt += 1

    def _pause(self, error: TransientError, attempt: int, *, last: bool, media: bool) -> None:
        wait_s = error.wait_s if isinstance(error, Later) else None
        until = now() + timedelta(seconds=wait_s) if wait_s is not None else None
        if until is not None:
            (self._media if media else self._quota).hold(until)  # the other processes wait too
        too_long = wait_s is not None and wait_s > self.settings.retry_after_cap_s
        refused = error.status == 429 or (isinstance(error, Later) and error.too_many)
        if too_long or (last and refused):
            raise QuotaExceeded(str(error), source=error.source, url=error.url, status=error.status, retry_at=until)
        if last:
            raise error
        # Some say `Retry-After: 0` with every refusal: our own pause is the least.
        pause_s = self.settings.backoff_s * 2**attempt * random.uniform(0.5, 1.5)
        if wait_s is None or wait_s < pause_s:
            time.sleep(pause_s)
