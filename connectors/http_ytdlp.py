"""yt-dlp under the policy: a `YoutubeDL` that sends nothing by itself."""

import io
import logging
from typing import TYPE_CHECKING, Any
from urllib.request import Request as UrllibRequest

from yt_dlp import YoutubeDL
from yt_dlp.networking.common import Request, Response
from yt_dlp.networking.exceptions import HTTPError, TransportError
from yt_dlp.utils.networking import HTTPHeaderDict, clean_headers

from connectors.errors import BlockedPage, ConnectorError, PermanentError, QuotaExceeded
from connectors.http_requests import PolicySession

if TYPE_CHECKING:
    from connectors.http import Policy

# yt-dlp's own retries are off, its cache and files of the user's are left alone, and it asks the policy for everything.
_FIXED: dict[str, Any] = {
    "retries": 0,
    "fragment_retries": 0,
    "extractor_retries": 0,
    "file_access_retries": 0,
    "external_downloader": None,
    "hls_prefer_native": True,
    "updatetime": False,
}
_QUIET: dict[str, Any] = {"quiet": True, "no_warnings": True, "noprogress": True, "cachedir": False}


def policy_youtube_dl(policy: "Policy", options: dict[str, Any]) -> YoutubeDL:
    """A `YoutubeDL` with the options, less those that would go round the policy."""
    return _PolicyYoutubeDL(policy, {"logger": _Log(policy), **_QUIET, **options, **_FIXED})


class _PolicyYoutubeDL(YoutubeDL):
    def __init__(self, policy: "Policy", options: dict[str, Any]) -> None:
        self._policy = policy
        self._policy_session = PolicySession(policy, passes=lambda status: 400 <= status < 500 and status != 429)
        settings = policy.settings
        params: Any = {"max_filesize": settings.size_bytes, "socket_timeout": settings.timeout_s, **options}
        super().__init__(params, auto_init=False)

    def urlopen(self, req: Any) -> Response:
        """Send one request.

        Raises:
            ConnectorError: The quota is used up, or a block page came: yt-dlp shall not go on to its next client.
            HTTPError: As yt-dlp raises it, for failures by status that extractors look at.
            TransportError: Its `cause` is the policy's error.
        """
        if isinstance(req, str | UrllibRequest):
            req = Request(req if isinstance(req, str) else req.full_url)
        headers = HTTPHeaderDict(self.params.get("http_headers") or {}, req.headers)
        clean_headers(headers)
        self._policy_session.cookies = self.cookiejar  # type: ignore[assignment]
        try:
            came = self._policy_session.request(req.method, req.url, data=req.data, headers=dict(headers))
        except (QuotaExceeded, BlockedPage, PermanentError):
            raise
        except ConnectorError as exc:
            raise TransportError(str(exc), cause=exc) from exc
        answer = Response(
            io.BytesIO(came.content), came.url, dict(came.headers), status=came.status_code, reason=came.reason
        )
        if not 200 <= answer.status < 300:
            raise HTTPError(answer)
        return answer

    def close(self) -> None:
        """Close the connections too."""
        self._policy_session.close()
        super().close()


class _Log:
    """Where yt-dlp's words go: the logger `yt_dlp`, secrets masked."""

    def __init__(self, policy: "Policy") -> None:
        self._policy, self._logger = policy, logging.getLogger("yt_dlp")

    def debug(self, message: str) -> None:
        self._logger.debug("%s", self._policy.redact(message))

    info = debug

    def warning(self, message: str, **_: Any) -> None:
        self._logger.info("%s", self._policy.redact(message))

    def error(self, message: str, **_: Any) -> None:
        self._logger.info("%s", self._policy.redact(message))  # it is raised as well
