"""What Last.fm's answers look like, in XML or JSON, what of them we need, and what its error codes mean."""

import json
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import quote_plus, unquote_plus
from xml.etree import ElementTree

from pydantic import BaseModel, ConfigDict, Field

from connectors.candidates import Candidate
from connectors.errors import AuthError, ConnectorError, NotFound, PermanentError, QuotaExceeded, TransientError
from connectors.http_answers import Answer
from storage import clock

Payload = Mapping[str, Any]

# https://www.last.fm/api/errorcodes (2026-11); codes come with HTTP 200, 400, 403, 404, 429 or 503.
NOT_FOUND = frozenset({6, 7, 20, 21, 22, 23, 25})  # 6 is also "no such page"; 7 a resource; the others "not enough"
# 17: the user keeps the history private. The key is in order and other users' histories are open, so it is asked again
# when negative answers expire, not given up with the source.
PRIVATE = 17
REFUSED = frozenset({4, 9, 10, 13, 14, 15, 26})  # the key, its signature, session or token; 26 is a suspended key
DOWN = frozenset({8, 11, 16})
TOO_MANY = 29
RENEWED = timedelta(minutes=5)  # "5 requests per second, averaged over a 5 minute period" (API terms, 4.4)

_ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")  # that XML cannot hold, and Last.fm sends in names


def body_of(text: str) -> dict[str, Any]:
    """An answer as JSON: as it came, or, where it is XML, in the form that Last.fm's own JSON gives the same.

    >>> body_of('<lfm status="ok"><user><name>ann</name><registered unixtime="1">x</registered></user></lfm>')
    {'user': {'name': 'ann', 'registered': {'unixtime': '1', '#text': 'x'}}}

    Raises:
        ValueError: It is neither, or no answer of Last.fm's.
    """
    text = text.lstrip("\ufeff \t\r\n")
    if text.startswith("<"):
        return _from_xml(text)
    body = json.loads(text)
    if not isinstance(body, dict):
        raise ValueError(f"the answer is a {type(body).__name__}, not an object")
    return body


def _from_xml(text: str) -> dict[str, Any]:
    # Searches use this prefix, and some of their answers do not declare it.
    bare = text.replace("<opensearch:", "<").replace("</opensearch:", "</")
    try:
        root = ElementTree.fromstring(bare.encode())
    except ElementTree.ParseError:
        try:
            root = ElementTree.fromstring(_ILLEGAL.sub("", bare).encode())
        except ElementTree.ParseError as exc:
            raise ValueError(f"the answer is no XML: {exc}") from exc
    if root.tag != "lfm":
        raise ValueError(f"the answer is XML of another kind: <{root.tag[:40]}>")
    if root.get("status") == "failed":
        error = root.find("error")
        said = ("", "0") if error is None else ((error.text or "").strip(), error.get("code", "0"))
        return {"error": int(said[1]) if said[1].isdigit() else 0, "message": said[0]}
    return {child.tag: _as_json(child) for child in root}


def _as_json(element: ElementTree.Element) -> Any:
    """Attributes of a leaf stand beside its `#text`, those of others under `@attr`; repeated children are a list."""
    if not len(element):
        return {**element.attrib, "#text": element.text or ""} if element.attrib else element.text or ""
    found: dict[str, Any] = {}
    for child in element:
        value = _as_json(child)
        if child.tag == "image" or element.tag.endswith(f"{child.tag}s"):
            found.setdefault(child.tag, []).append(value)
        elif child.tag in found:
            before = found[child.tag]
            found[child.tag] = [*before, value] if isinstance(before, list) else [before, value]
        else:
            found[child.tag] = value
    return found | ({"@attr": dict(element.attrib)} if element.attrib else {})


def error_in(body: Payload) -> tuple[int, str] | None:
    """Code and message of an answer that is an error; None for one that is not."""
    code = body.get("error")
    if isinstance(code, bool) or not isinstance(code, int | str) or not str(code).isdigit():
        return None
    return int(code), str(body.get("message") or "no message")[:200]


def error_of(code: int, message: str, method: str, url: str = "") -> ConnectorError:
    """What an error code means."""
    text = f"lastfm: {method} answered error {code} ({message})"
    facts: dict[str, Any] = {"source": "lastfm", "url": url}
    if code in NOT_FOUND:
        return NotFound(text, **facts)
    if code == PRIVATE:
        return NotFound(f"{text}; the user keeps it private", **facts)
    if code in REFUSED:
        return AuthError(f"{text}; check LASTFM_API_KEY", **facts)
    if code == TOO_MANY:
        return QuotaExceeded(text, retry_at=clock.now() + RENEWED, **facts)
    if code in DOWN:
        return TransientError(text, **facts)
    return PermanentError(text, **facts)


def judge(answer: Answer) -> ConnectorError | None:
    """The error that Last.fm's own words stand for where asking again may help, whatever the status; else None."""
    try:  # its errors are short; whatever is longer does not parse and is none
        found = error_in(body_of(answer.body[:2_000].decode("utf-8", "replace")))
    except (ValueError, RecursionError):
        return None
    if not found or found[0] not in DOWN:
        return None
    return error_of(*found, "the service", answer.url)


# --- what the answers hold


class _Said(BaseModel):
    """Fields without a default are those that we read; the others are known, and may come or not."""

    model_config = ConfigDict(extra="allow", populate_by_name=True)


class Text(_Said):
    """A text with attributes."""

    text: str = Field(alias="#text")
    mbid: Any = None
    uts: Any = None
    size: Any = None


class Tag(_Said):
    """A tag; `count` is 0 to 100, of the tag given most often."""

    name: str
    count: Any = None
    url: Any = None


class Tags(_Said):
    """The tags of a track or artist."""

    tag: list[Tag]
    attr: Any = Field(default=None, alias="@attr")


class TopTags(_Said):
    """The answer to track.getTopTags and artist.getTopTags."""

    toptags: Tags


class ArtistInTrack(_Said):
    """An artist as tracks name it."""

    name: str
    mbid: Any = None
    url: Any = None


class InfoTrack(_Said):
    """A track of track.getInfo; its `duration` is in milliseconds, 0 where it is not known."""

    name: str
    artist: ArtistInTrack
    duration: str | int
    toptags: Any
    url: str
    album: Any = None
    listeners: Any = None
    mbid: Any = None
    playcount: Any = None
    streamable: Any = None
    userloved: Any = None
    userplaycount: Any = None
    wiki: Any = None


class Info(_Said):
    """The answer to track.getInfo."""

    track: InfoTrack


class ListedTrack(_Said):
    """A track of a history or a chart; a chart's `duration` is in seconds."""

    name: str
    artist: Any
    album: Any = None
    attr: Any = Field(default=None, alias="@attr")
    date: Any = None  # missing while it plays
    duration: Any = None
    image: Any = None
    listeners: Any = None
    loved: Any = None
    mbid: Any = None
    playcount: Any = None
    streamable: Any = None
    url: Any = None


class Totals(_Said):
    """Where a page stands; numbers as text."""

    page: str | int
    total: str | int
    total_pages: str | int = Field(alias="totalPages")
    per_page: str | int = Field(alias="perPage")
    user: Any = None


class ListedTracks(_Said):
    """A page of tracks, newest or most played first."""

    track: list[ListedTrack]
    attr: Totals = Field(alias="@attr")


class Plays(_Said):
    """The answer to user.getRecentTracks."""

    recenttracks: ListedTracks


class Chart(_Said):
    """The answer to chart.getTopTracks."""

    tracks: ListedTracks


class Profile(_Said):
    """A user of user.getInfo; `country` is "None" and `gender` "n" where they are not given."""

    name: str
    country: Any
    registered: Any
    age: Any = None
    album_count: Any = None
    artist_count: Any = None
    bootstrap: Any = None
    gender: Any = None
    image: Any = None
    playcount: Any = None
    playlists: Any = None
    realname: Any = None
    subscriber: Any = None
    track_count: Any = None
    type: Any = None
    url: Any = None


class User(_Said):
    """The answer to user.getInfo."""

    user: Profile


ANSWERS: dict[str, type[BaseModel]] = {
    "track_info": Info,
    "track_tags": TopTags,
    "artist_tags": TopTags,
    "user": User,
    "plays": Plays,
    "chart": Chart,
}


# --- small readers of what came


def track_path(artist: str, track: str) -> str:
    """Last.fm's own path of a track, which serves as its id.

    >>> track_path("Sigur Rós", "Hoppípolla / Með blóðnasir")
    'Sigur+R%C3%B3s/_/Hopp%C3%ADpolla+%2F+Me%C3%B0+bl%C3%B3%C3%B0nasir'
    """
    # Half of a character that JSON may escape ("\ud800") becomes a question mark, as in `raw`.
    return f"{quote_plus(artist, errors='replace')}/_/{quote_plus(track, errors='replace')}"


def names_of(path: str) -> tuple[str, str]:
    """Artist and track of a path.

    Raises:
        ValueError: It is no path of a track.
    """
    artist, between, track = path.partition("/_/")
    if not (artist and between and track):
        raise ValueError(f"'{path[:80]}' is no path of a track; expected artist/_/track")
    return unquote_plus(artist), unquote_plus(track)


def object_of(found: Any) -> Payload:
    """The object that was found; empty where there is something else: Last.fm writes "" for nothing."""
    return found if isinstance(found, Mapping) else {}


def listed(found: Any) -> list[Payload]:
    """The objects of a list, of which Last.fm gives one alone as itself, and none as ""."""
    entries = found if isinstance(found, list) else [found]
    return [entry for entry in entries if isinstance(entry, Mapping)]


def name_of(found: Any) -> str:
    """A name that stands for itself, or under `name`, `title` or `#text`."""
    if isinstance(found, Mapping):
        found = found.get("name") or found.get("title") or found.get("#text")
    return str(found).strip() if isinstance(found, str | int | float) else ""


def number_of(found: Any) -> int:
    """A whole number written as text; 0 where there is none."""
    return int(found) if isinstance(found, str | int) and re.fullmatch("[0-9]{1,15}", str(found)) else 0


def candidate_of(track: Payload) -> Candidate | None:
    """A track of track.getInfo as a candidate; None without names."""
    artist, title = name_of(track.get("artist")), name_of(track)
    if not artist or not title:
        return None
    url = track.get("url")
    return Candidate(
        id=track_path(artist, title),
        title=title,
        artists=(artist,),
        album=name_of(track.get("album")) or None,
        duration_ms=number_of(track.get("duration")) or None,
        kind="track",
        url=url if isinstance(url, str) else None,
    )
