"""Secrets never leave: they are masked in URLs, messages and the client libraries' own log lines."""

import base64
import logging
import re
import threading
from collections.abc import Iterable
from itertools import pairwise
from urllib.parse import quote, quote_plus

MASK = "***"

# Parameters whose value is a secret whatever the source: Last.fm and TMDb v3 carry their keys in the query.
_NAMED = re.compile(
    r"""(?ix) \b( api_?key | apikey | api_sig | (?:access_|refresh_|id_)?token | client_secret | secret | password | sk
    | sig | signature | lsig ) (["']?\s*[=:]\s*["']?) (?!\*\*\*) ([^\s&"'<>,;)}\]]+)"""
)
_CREDENTIALS = re.compile(r"(?i)\b(bearer|authorization\W+basic)\s+(?!\*\*\*)([A-Za-z0-9\-._~+/]{6,}=*)")
_USERINFO = re.compile(r"(://)[^/\s@:]*:[^/\s@]*@")
# Who logs URLs, headers or bodies; a filter sees only what is logged under its own logger's name, not below it.
_LOGGERS = (
    *("urllib3", "urllib3.connectionpool", "urllib3.connection", "urllib3.util.retry", "requests", "httpx2"),
    *("httpcore2", "httpcore2.connection", "httpcore2.http11", "httpcore2.http2", "httpcore2.proxy"),
    *("spotipy", "spotipy.client", "spotipy.oauth2", "spotipy.cache_handler", "spotipy.util", "spotipy.exceptions"),
    *("pylast", "lyricsgenius", "yt_dlp"),
)


class Redactor:
    """Masks known secrets, in every spelling they take on the wire, and whatever is named like one."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._spellings: tuple[str, ...] = ()
        given = tuple(secret for secret in secrets if secret)
        for secret in given:
            self.learn(secret)
        for first, second in pairwise(given):  # "id:secret", as Basic credentials carry it
            self.learn(base64.b64encode(f"{first}:{second}".encode()).decode())
        _FILTER.add(self)

    def learn(self, secret: str) -> None:
        """Mask this one too; shorter than 6 characters it would mask words."""
        if len(secret) >= 6 and secret not in self._spellings:
            new = {secret, quote(secret, safe=""), quote_plus(secret), quote(secret)}
            self._spellings = tuple(sorted({*self._spellings, *new}, key=len, reverse=True))

    def __call__(self, text: str) -> str:
        """The text with each secret replaced by three asterisks."""
        for spelling in self._spellings:
            text = text.replace(spelling, MASK)
        text = _NAMED.sub(rf"\1\2{MASK}", text)
        return _USERINFO.sub(rf"\1{MASK}@", _CREDENTIALS.sub(rf"\1 {MASK}", text))


class _LogFilter(logging.Filter):
    """Rewrites the records of the client libraries before any handler sees them."""

    def __init__(self) -> None:
        super().__init__()
        self._redactors: list[Redactor] = []
        self._lock = threading.Lock()

    def add(self, redactor: Redactor) -> None:
        with self._lock:
            self._redactors.append(redactor)
            for name in _LOGGERS:
                logger = logging.getLogger(name)
                if self not in logger.filters:
                    logger.addFilter(self)
                    # httpx2 prints each URL at INFO; whoever wants that asks for it after the first policy is made.
                    if logger.level == logging.NOTSET:
                        logger.setLevel(logging.WARNING)

    def discard(self, redactor: Redactor) -> None:
        with self._lock:
            self._redactors = [other for other in self._redactors if other is not redactor]

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = self._masked(record.getMessage()), ()
        if record.exc_info:
            record.exc_text = self._masked(logging.Formatter().formatException(record.exc_info))
            record.exc_info = None
        return True

    def _masked(self, text: str) -> str:
        for redactor in tuple(self._redactors) or (_NAMES_ONLY,):
            text = redactor(text)
        return text


_FILTER = _LogFilter()
_NAMES_ONLY = Redactor()
_FILTER.discard(_NAMES_ONLY)


def forget(redactor: Redactor) -> None:
    """Stop masking this one's secrets in logs."""
    _FILTER.discard(redactor)
