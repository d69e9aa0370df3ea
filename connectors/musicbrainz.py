"""Recordings of MusicBrainz, found by MBID, by ISRC or by name."""

import re
from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict

from connectors.base import Request, Wanted
from connectors.candidates import Candidate, year_of
from connectors.http import Policy, PolicySettings
from connectors.json_api import ApiSettings, JsonApi, Shape, path_of, user_agent
from connectors.live import offered, settled
from connectors.matching import without_guests

_SPECIAL = re.compile(r'([+\-&|!(){}\[\]^"~*?:\\/])')  # what Lucene's query language reads as signs


class MusicbrainzSettings(ApiSettings):
    """Where MusicBrainz is; `contact`, an address or a page of yours, goes into the User-Agent that they ask for."""

    api_root: str = "https://musicbrainz.org/ws/2/"
    contact: str = ""
    # One a second and address (musicbrainz.org/doc/MusicBrainz_API/Rate_Limiting, 2026-11).
    policy: PolicySettings = PolicySettings(requests_per_second=1.0)


class Recording(Shape):
    """GET /recording/MBID, or one of those that a search found."""

    model_config = ConfigDict(alias_generator=lambda name: name.replace("_", "-"))

    id: str
    title: str
    artist_credit: list[dict[str, Any]]
    length: int | None = None
    isrcs: list[str] | None = None
    score: int | None = None
    video: bool | None = None
    artist_credit_id: str | None = None
    disambiguation: str | None = None
    first_release_date: str | None = None
    genres: list[dict[str, Any]] | None = None
    releases: list[dict[str, Any]] | None = None
    tags: list[dict[str, Any]] | None = None


class Search(Shape):
    """GET /recording?query=WORDS."""

    recordings: list[Recording]
    count: int | None = None
    created: str | None = None
    offset: int | None = None


class Musicbrainz(JsonApi[MusicbrainzSettings]):
    """Entities: `recording` (key: the MBID), `isrc` (key: the code), `search` (key: the query)."""

    name: ClassVar[str] = "musicbrainz"
    models: ClassVar[Mapping[str, type[BaseModel]]] = {"recording": Recording, "isrc": Search, "search": Search}

    def questions(self, wanted: Wanted) -> tuple[Request, ...]:
        """The MBID, then the ISRC; else the title's words in any order and the first artist."""
        asked = {"recording": wanted.ids.get("mbid"), "isrc": wanted.ids.get("isrc") or wanted.isrc}
        said = [_SPECIAL.sub(r"\\\1", without_guests(text).lower()) for text in (wanted.title, *wanted.creators[:1])]
        if len(said) == 2 and all(map(str.strip, said)):
            asked["search"] = 'recording:({}) AND artist:"{}"'.format(*said)
        return tuple(Request(entity=entity, key=key) for entity, key in asked.items() if key)

    def address(self, request: Request) -> tuple[str, dict[str, str]]:
        """A recording with all that is said of it, or a search."""
        if request.entity == "recording":
            return path_of("recording", request.key), {"inc": "artist-credits genres isrcs releases tags"}
        return "recording", {"query": f"isrc:{request.key}" if request.entity == "isrc" else request.key}

    def credentials(self) -> tuple[dict[str, str], dict[str, str]]:
        """No key, but a name: without one they refuse."""
        return {"fmt": "json"}, {"User-Agent": user_agent(self._settings.contact)}

    def candidates(self, entity: str, payload: Mapping[str, Any]) -> list[Candidate]:
        """The recordings of an answer, in the order of MusicBrainz' own score."""
        return offered(self.name, entity, [payload] if entity == "recording" else payload.get("recordings"), _candidate)

    def describe(self, payload: Mapping[str, Any]) -> dict[str, Any]:
        """What only MusicBrainz knows; its genres are those of the tags that name one."""
        named = [tag for tag in payload.get("genres") or payload.get("tags") or [] if tag["count"] > 0]
        return {
            "title": payload["title"],
            "mbid": payload["id"],
            "genres": sorted(tag["name"].lower() for tag in named),
            "ids": [f"isrc:{code}" for code in payload.get("isrcs") or []],
        }


def connect(*, policy: Policy | Mapping[str, Any] | None = None, **settings: Any) -> Musicbrainz:
    """MusicBrainz with these settings; without a policy it makes its own."""
    return Musicbrainz(*settled(MusicbrainzSettings, policy, settings))


def _candidate(recording: Any) -> Candidate:
    """Titled with what tells it from others of that name ("live, 2001-05-05: Oslo"), on its earliest release."""
    told = recording.get("disambiguation")
    return Candidate.of(
        {
            "id": recording["id"],
            "title": f"{recording['title']} ({told})" if told else recording["title"],
            "artists": [credit["name"] for credit in recording["artist-credit"]],
            "album": min(recording.get("releases") or [{}], key=lambda one: one.get("date") or "9").get("title"),
            "year": year_of(recording.get("first-release-date")),
            "duration_ms": recording.get("length"),
            "isrc": next(iter(recording.get("isrcs") or ()), None),
            "kind": "video" if recording.get("video") else "recording",
        }
    )
