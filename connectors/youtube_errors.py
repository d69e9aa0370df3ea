"""What yt-dlp's errors mean to us, told by their types and, where YouTube only writes a sentence, by its words."""

import re
from collections.abc import Iterator
from datetime import timedelta

from yt_dlp.networking.exceptions import HTTPError, RequestError
from yt_dlp.utils import ContentTooShortError, ExtractorError, GeoRestrictedError, YoutubeDLError

from connectors.errors import (
    BlockedPage,
    ConnectorError,
    NotFound,
    PermanentError,
    QuotaExceeded,
    SchemaDrift,
    TransientError,
    cause_of,
)
from storage import clock

RATE_LIMIT = timedelta(hours=1)  # "rate-limited by YouTube for up to an hour" (yt-dlp's own message)
_ROBOT = re.compile(r"not a (?:bot|robot)|captcha|unusual traffic|confirm you.re human", re.IGNORECASE)
_LIMITED = re.compile(r"rate-limited|too many requests|try again later", re.IGNORECASE)
# The status lines of YouTube's player, as recorded and as yt-dlp's tests quote them; all mean: nothing to be had.
_GONE = re.compile(
    r"unavailable|private|removed|no longer|terminated|not available|isn.t available|deleted|does not exist"
    r"|confirm your age|age.restricted|inappropriate|sign in|members|join this channel|premiere|live event|live stream"
    r"|upcoming|begin in|offline|payment|premium|purchase|rental|country|copyright|blocked|playback on other"
    r"|drm|unsupported url|invalid url|is this video|watch on youtube|requested format is not available|unplayable"
    r"|this video|processing",
    re.IGNORECASE,
)
# HTTP 400 "Precondition check failed." to every client it tried; yt-dlp drops the cause.
_REFUSED = re.compile(r"failed to extract any player response", re.IGNORECASE)
_NOISE = re.compile(
    r"^ERROR:\s*|\[\S+\]\s+|\s*;?\s*please report this issue.*$|\s+\(caused by.*$|\s+Use --.*$", re.DOTALL
)


def error_of(exc: YoutubeDLError, url: str) -> ConnectorError:
    """The error of ours; `url` is what was asked for."""
    if ours := cause_of(exc):  # the policy's own, on its way through yt-dlp
        return ours
    causes = list(_causes(exc))
    words = " ".join(_NOISE.sub("", str(exc)).split())[:200]
    said = f"youtube: {words}"
    status = next((cause.status for cause in causes if isinstance(cause, HTTPError)), None)
    if _ROBOT.search(words):
        return BlockedPage(said, source="youtube", url=url, status=status)
    if status == 429 or _LIMITED.search(words):
        at = clock.now() + RATE_LIMIT
        return QuotaExceeded(said, source="youtube", url=url, status=status, retry_at=at)
    if status in (404, 410):
        return NotFound(said, source="youtube", url=url, status=status)
    if _REFUSED.search(words) or any(isinstance(cause, RequestError | ContentTooShortError) for cause in causes):
        # 403 too: an address of a stream that has died, or that this client may not use today.
        return TransientError(said, source="youtube", url=url, status=status)
    if any(isinstance(cause, GeoRestrictedError) for cause in causes) or _GONE.search(words):
        return NotFound(said, source="youtube", url=url, status=status)
    if any(isinstance(cause, ExtractorError) and not cause.expected for cause in causes):
        return SchemaDrift(said, source="youtube", url=url)  # yt-dlp calls it a bug of its own: a page it cannot read
    return PermanentError(said, source="youtube", url=url, status=status)


def _causes(exc: BaseException | None) -> Iterator[BaseException]:
    """The error and all that lie behind it."""
    seen: set[int] = set()
    waiting = [exc]
    while waiting:
        this = waiting.pop(0)
        if this is None or id(this) in seen:
            continue
        seen.add(id(this))
        yield this
        told = getattr(this, "exc_info", None)
        waiting += [told[1] if told else None, getattr(this, "cause", None), this.__cause__, this.__context__]
