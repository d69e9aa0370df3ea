"""What Spotify's answers look like, what of them we need, and what an error means."""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

from connectors.candidates import Candidate
from connectors.errors import AuthError, BlockedPage, ConnectorError, NotFound, PermanentError, TransientError
from connectors.http_answers import Answer
from connectors.http_pages import is_html

Payload = Mapping[str, Any]

COVER_PX = (300, 640, 64)
LONGEST_MS = 7 * 86_400_000  # what is longer is a slip
_ISRC = re.compile("[A-Z]{2}[A-Z0-9]{3}[0-9]{7}")
_FIRST_ADDED = datetime(2006, 4, 23, tzinfo=UTC)  # the company's founding


class _Said(BaseModel):
    """Fields without a default are those that we read; the others are known, and may come or not."""

    model_config = ConfigDict(extra="allow")


class Named(_Said):
    """An artist or owner as others name them."""

    id: str | None  # null for local files
    name: str
    external_urls: Any = None
    href: Any = None
    type: Any = None
    uri: Any = None


class Image(_Said):
    """One size of a picture."""

    url: str
    width: int | None
    height: int | None


class AlbumInTrack(_Said):
    """An album as its tracks carry it."""

    id: str | None
    name: str
    images: list[Image]
    release_date: str | None
    album_group: Any = None
    album_type: Any = None
    artists: Any = None
    available_markets: Any = None
    external_urls: Any = None
    href: Any = None
    is_playable: Any = None
    release_date_precision: Any = None
    restrictions: Any = None
    total_tracks: Any = None
    type: Any = None
    uri: Any = None


class Track(_Said):
    """A whole track. Apps in development mode get no `popularity` and `available_markets` since February 2026."""

    id: str | None
    name: str
    artists: list[Named]
    album: AlbumInTrack
    duration_ms: int
    explicit: bool
    external_ids: dict[str, Any]
    available_markets: Any = None
    disc_number: Any = None
    episode: Any = None
    external_urls: Any = None
    href: Any = None
    is_local: Any = None
    is_playable: Any = None
    linked_from: Any = None
    popularity: Any = None
    preview_url: Any = None
    restrictions: Any = None
    track: Any = None
    track_number: Any = None
    type: Any = None
    uri: Any = None


class Tracks(_Said):
    """A page of tracks; a search may have null among them."""

    items: list[Track | None]
    href: Any = None
    limit: Any = None
    next: Any = None
    offset: Any = None
    previous: Any = None
    total: Any = None


class Search(_Said):
    """The answer to a search for tracks; other kinds come beside when they are asked for."""

    tracks: Tracks
    albums: Any = None
    artists: Any = None
    audiobooks: Any = None
    episodes: Any = None
    playlists: Any = None
    shows: Any = None


class Album(AlbumInTrack):
    """A whole album."""

    tracks: Any = None
    copyrights: Any = None
    external_ids: Any = None
    genres: Any = None
    label: Any = None
    popularity: Any = None


class Artist(Named):
    """A whole artist."""

    images: list[Image]
    followers: Any = None
    genres: Any = None
    popularity: Any = None


class PlaylistRows(_Said):
    """More rows of a playlist, whose tracks are looked at one by one."""

    items: list[Any]
    next: str | None
    href: Any = None
    limit: Any = None
    offset: Any = None
    previous: Any = None
    total: Any = None


class Playlist(_Said):
    """A playlist with its first rows, under `items` since February 2026 and under `tracks` before."""

    id: str
    name: str
    collaborative: Any = None
    description: Any = None
    external_urls: Any = None
    followers: Any = None
    href: Any = None
    images: Any = None
    items: Any = None
    owner: Any = None
    primary_color: Any = None
    public: Any = None
    snapshot_id: Any = None
    tracks: Any = None
    type: Any = None
    uri: Any = None


ANSWERS: dict[str, type[BaseModel]] = {
    "search": Search,
    "track": Track,
    "album": Album,
    "artist": Artist,
    "playlist": Playlist,
    "playlist_rows": PlaylistRows,
}


def cover_of(payload: Payload) -> str | None:
    """URL of the cover of a track or album; None where there is none.

    300 px wide, else 640, else 64; of other sizes the least above 300, else the largest, else one without a size.
    """
    album = payload.get("album")
    images = objects_of((album if isinstance(album, Mapping) else payload).get("images"))
    found: dict[int | None, str] = {}
    for image in images:
        url, width = image.get("url"), image.get("width")
        if isinstance(url, str) and url:
            found.setdefault(width if isinstance(width, int) else None, url)
    others = sorted((w for w in found if w is not None), key=lambda width: (width < 300, abs(width - 300)))
    return next((found[width] for width in (*COVER_PX, *others, None) if width in found), None)


def isrc_of(payload: Payload) -> str | None:
    """The recording's ISRC as twelve letters and digits; None where none is given, or what is given is no ISRC."""
    ids = payload.get("external_ids")
    return plain_isrc(ids.get("isrc")) if isinstance(ids, Mapping) else None


def plain_isrc(isrc: Any) -> str | None:
    """The ISRC in its written form.

    >>> plain_isrc("gb-arl-93-00135")
    'GBARL9300135'
    """
    plain = re.sub(r"[\s-]", "", str(isrc or "")).upper()
    return plain if _ISRC.fullmatch(plain) else None


def judge(answer: Answer) -> ConnectorError | None:
    """The error that an answer stands for, by what Spotify says; None where its status says all, and for what is good.

    A body that does not parse counts as cut, so that it is asked for again: spotipy 2.26 gives None for it.
    """
    if 300 <= answer.status < 400 or answer.status in (408, 425, 429) or answer.status >= 500:
        return None
    facts: dict[str, Any] = {"source": "spotify", "url": answer.url, "status": answer.status}
    if is_html(answer.headers.get("content-type", ""), answer.body):
        text = f"spotify: status {answer.status} with a web page in place of JSON; try again tomorrow"
        return BlockedPage(text, **facts) if answer.status < 400 else None
    try:
        body = json.loads(answer.body)
    except (ValueError, RecursionError):
        body = None
    if answer.status >= 400:
        return error_of(answer.status, body, answer.url)
    if body is None:
        text = f"spotify: status {answer.status} with a body that is no JSON; it was cut, or a proxy answered"
        return TransientError(text, **facts)
    return None


def error_of(status: int, body: Any, url: str = "") -> PermanentError:
    """What an answer with a status of 400 to 499 means; `body` is the parsed JSON, None for anything else."""
    said = body.get("error") if isinstance(body, Mapping) else None
    message = said.get("message") if isinstance(said, Mapping) else said
    message = str(message or "no message")[:200]
    text = f"spotify: status {status} ({message})"
    facts: dict[str, Any] = {"source": "spotify", "url": url, "status": status}
    if status in (404, 410):
        return NotFound(text, **facts)
    if status == 401 or message in ("invalid_client", "invalid_grant", "unauthorized_client"):
        return AuthError(f"{text}; check SPOTIFY_CLIENT_ID and SPOTIFY_CLIENT_SECRET", **facts)
    if status == 403:
        return AuthError(f"{text}; this endpoint is closed to the app, or its owner lacks Premium", **facts)
    if status == 400 and "id" in message.lower().split():
        return NotFound(text, **facts)  # "Invalid base62 id"
    return PermanentError(text, **facts)


def is_of_limit(exc: ConnectorError) -> bool:
    """Whether a page of this size is not allowed to this app."""
    return exc.status == 400 and "invalid limit" in str(exc).lower()


# --- small readers of what came


def objects_of(found: Any) -> list[Payload]:
    """The objects of a list; Spotify puts null where it has nothing to say."""
    return [entry for entry in found if isinstance(entry, Mapping)] if isinstance(found, list) else []


def words_of(text: str) -> str:
    """Without what has a meaning in a query: quotes, colons, wildcards."""
    return " ".join(re.sub(r'["“”:*]', " ", text).split())


def id_of(track: Payload) -> str | None:
    """The track's id; None for a local file of somebody's."""
    id_ = track.get("id")
    return id_ if isinstance(id_, str) and id_ else None


def name_of(thing: Payload) -> str | None:
    """The name of a track, album or artist; None for one that was taken out of the catalogue, whose name is empty."""
    name = thing.get("name")
    return name if isinstance(name, str) and name.strip() else None


def candidate_of(track: Payload) -> Candidate:
    """A track that has an id and a name, as a candidate."""
    album = track.get("album")
    album = album if isinstance(album, Mapping) else {}
    urls, length = track.get("external_urls"), track.get("duration_ms")
    return Candidate(
        id=track["id"],
        title=track["name"],
        artists=tuple(name for artist in objects_of(track.get("artists")) if (name := name_of(artist))),
        album=name_of(album),
        duration_ms=round(length) if isinstance(length, int | float) and 0 < length < LONGEST_MS else None,
        year=year_of(album),
        isrc=isrc_of(track),
        kind=str(track.get("type") or "track"),
        url=str(urls["spotify"]) if isinstance(urls, Mapping) and urls.get("spotify") else None,
    )


def year_of(album: Payload) -> int | None:
    """The year of an album's release, whose date may be a year, a month or a day; "0000" is unknown."""
    found = re.match(r"[0-9]{4}(?![0-9])", str(album.get("release_date") or ""))
    return int(found[0]) or None if found else None


def rows_of(payload: Payload) -> Payload:
    """The paged list of a playlist: `items` since February 2026, `tracks` before, or the page itself."""
    for name in ("items", "tracks"):
        if isinstance(payload.get(name), Mapping):
            return payload[name]
    return payload if isinstance(payload.get("items"), list) else {}


def track_of(row: Any) -> dict[str, Any] | None:
    """The track of a playlist's row: under `item` since February 2026, under `track` before."""
    if not isinstance(row, Mapping):
        return None
    track = row["item"] if isinstance(row.get("item"), Mapping) else row.get("track")
    return track if isinstance(track, dict) and id_of(track) and track.get("type", "track") == "track" else None


def time_of(text: Any) -> datetime | None:
    """When a row was added, UTC; None where Spotify does not say, as for the oldest ones (1970-01-01)."""
    try:
        at = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return at if at >= _FIRST_ADDED else None
