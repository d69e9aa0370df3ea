"""What TMDb's answers mean: errors by its own codes, where a poster lies, which video is the trailer."""

import re
from collections.abc import Mapping
from typing import Any

from connectors.errors import (
    AuthError,
    ConnectorError,
    NotFound,
    PermanentError,
    QuotaExceeded,
    SchemaDrift,
    TransientError,
)

POSTER_WIDTH = 342  # pixels: the smallest of their sizes above the 300 of a cover
_VIDEO_ID = re.compile(r"^[\w-]{11}$")
# https://developer.themoviedb.org/docs/errors (2026-11); 6 is what movie/0 gives, 34 what an unknown path or id gives.
_NOT_FOUND = frozenset({6, 34, 37})
_NO_ACCESS = frozenset({3, 7, 10, 14, 16, 17, 26, 30, 31, 32, 33, 35, 36, 45})
_LATER = frozenset({9, 11, 15, 24, 43, 46})
_QUOTA = 25


def error_of(status: int, body: Any, url: str = "") -> ConnectorError | None:
    """What an answer that is none means, by its own code and then by its status; None: it is an answer.

    TMDb writes `{"success": false, "status_code": 34, "status_message": ...}`, mostly beside a fitting HTTP status.
    """
    failed = isinstance(body, Mapping) and isinstance(body.get("status_code"), int) and "id" not in body
    if status < 400 and not failed:
        return None
    code = body.get("status_code") if failed else None
    said = f"tmdb: HTTP {status}" + (f", code {code}" if code is not None else "")
    if code in _NOT_FOUND or (code is None and status in (404, 410)):
        return NotFound(f"{said}: no such thing", source="tmdb", url=url, status=status)
    if code in _NO_ACCESS or (code is None and status in (401, 403)):
        return AuthError(f"{said}: the key was refused; set TMDB_API_KEY", source="tmdb", url=url, status=status)
    if code == _QUOTA or (code is None and status == 429):
        return QuotaExceeded(f"{said}: too many requests", source="tmdb", url=url, status=status)
    if code in _LATER or status >= 500:
        return TransientError(f"{said}: it may work later", source="tmdb", url=url, status=status)
    return PermanentError(said, source="tmdb", url=url, status=status)


def poster_of(film: Mapping[str, Any], configuration: Mapping[str, Any], *, width: int = POSTER_WIDTH) -> str | None:
    """Where the film's poster lies, at least `width` pixels wide where there is such a size; None: it has none.

    Raises:
        SchemaDrift: The configuration does not say where posters lie.
    """
    path, images = film.get("poster_path"), configuration.get("images")
    if not isinstance(path, str) or not path:
        return None
    base = images.get("secure_base_url") or images.get("base_url") if isinstance(images, Mapping) else None
    if not isinstance(images, Mapping) or not isinstance(base, str) or not base:
        raise SchemaDrift("tmdb: a configuration without `images.secure_base_url`", source="tmdb")
    named = re.findall(r"\bw(\d+)\b", " ".join(map(str, images.get("poster_sizes") or [])))
    sizes = {int(pixels): f"w{pixels}" for pixels in named}
    size = next((sizes[pixels] for pixels in sorted(sizes) if pixels >= width), "original")
    return f"{base}{size}{path}"


def trailer_of(film: Mapping[str, Any]) -> str | None:
    """The YouTube id of the film's trailer: official ones first, teasers only where there is no trailer."""
    videos = film.get("videos")
    listed = videos.get("results") if isinstance(videos, Mapping) else None
    known = [
        video
        for video in (listed if isinstance(listed, list) else [])
        if isinstance(video, Mapping)
        and video.get("site") == "YouTube"
        and video.get("type") in ("Trailer", "Teaser")
        and _VIDEO_ID.match(str(video.get("key")))
    ]
    best = min(known, key=lambda video: (video["type"] != "Trailer", not video.get("official")), default=None)
    return best["key"] if best else None
