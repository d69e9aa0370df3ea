"""What can go wrong at a source.

- `ConnectorError`: anything a source did wrong; carries `source`, `url`, `status`.
    - `TransientError`: may work later; the policy object retries it.
        - `QuotaExceeded`: the credential's quota is used up; `retry_at` says when it is renewed.
        - `BlockedPage`: a captcha, consent or "are you a robot" page in place of the answer.
    - `PermanentError`: will not work by itself.
        - `AuthError`: a key is missing or was rejected.
        - `NotFound`: the source has no such thing.
        - `SchemaDrift`: a response or a file lacks a field that we need.
        - `TooLarge`: the answer is larger than we take.
"""

from datetime import datetime
from functools import partial
from typing import Any


class ConnectorError(Exception):
    """A source could not give what was asked; `url` (or a file's name) never holds a secret."""

    def __init__(self, message: str, *, source: str, url: str = "", status: int | None = None) -> None:
        super().__init__(message)
        self.source = source
        self.url = url
        self.status = status

    def __reduce__(self) -> Any:
        # Errors cross processes; without it one raised in a worker breaks the pool in place of being told.
        return _made_again, (type(self), str(self), self.source, self.url, self.status)


def _made_again(kind: type[ConnectorError], message: str, source: str, url: str, status: int | None) -> ConnectorError:
    return kind(message, source=source, url=url, status=status)


class TransientError(ConnectorError):
    """A time-out, a 5xx or a 429: the same request may work later."""


class QuotaExceeded(TransientError):
    """The credential's quota is used up, or a Retry-After is longer than we wait."""

    def __init__(
        self, message: str, *, source: str, url: str = "", status: int | None = None, retry_at: datetime | None = None
    ) -> None:
        super().__init__(message, source=source, url=url, status=status)
        self.retry_at = retry_at  # UTC; None where nobody says

    def __reduce__(self) -> Any:
        _, (kind, *said) = super().__reduce__()
        return partial(_renewed, self.retry_at), (kind, *said)


def _renewed(retry_at: datetime | None, kind: type[QuotaExceeded], *said: Any) -> QuotaExceeded:
    message, source, url, status = said
    return kind(message, source=source, url=url, status=status, retry_at=retry_at)


class BlockedPage(TransientError):
    """A captcha, consent or block page came in place of the answer; never data."""


class PermanentError(ConnectorError):
    """The same request will fail again."""


class AuthError(PermanentError):
    """A key is missing or was rejected."""


class NotFound(PermanentError):
    """The source has no such thing."""


class SchemaDrift(PermanentError):
    """A response, or a file's header, lacks a field that we need."""


class TooLarge(PermanentError):
    """The answer is larger than the limit of its source."""


def cause_of(exc: BaseException) -> ConnectorError | None:
    """Our error within a client library's (pylast's NetworkError, yt-dlp's DownloadError); None where there is none."""
    seen: list[BaseException] = []
    waiting = [exc]
    while waiting:
        error = waiting.pop(0)
        if isinstance(error, ConnectorError):
            return error
        if any(error is other for other in seen):
            continue
        seen.append(error)
        info = getattr(error, "exc_info", None) or ()
        inner = (error.__cause__, error.__context__, getattr(error, "underlying_error", None))
        near = (*inner, getattr(error, "cause", None), getattr(error, "orig_msg", None), *info, *error.args)
        waiting += [other for other in near if isinstance(other, BaseException)]
    return None
