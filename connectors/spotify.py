"""Spotify's Web API through spotipy: search, tracks, albums, artists and playlists, without a user's login."""

# Annotations stay text: spotipy and pyarrow are imported at their first use.
from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlencode

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from connectors.base import Page, Record, Reject, Request, Wanted, event_schema
from connectors.candidates import Candidate
from connectors.errors import (
    NotFound,
    PermanentError,
    SchemaDrift,
)
from connectors.http import Policy, PolicySettings
from connectors.live import secret_from, settled
from connectors.matching import without_guests
from connectors.spotify_answers import (
    ANSWERS,
    Payload,
    candidate_of,
    cover_of,
    id_of,
    judge,
    name_of,
    objects_of,
    plain_isrc,
    rows_of,
    time_of,
    track_of,
    words_of,
)
from connectors.spotify_client import Client
from storage import clock
from storage.lazy import pa
from storage.reasons import Reason

if TYPE_CHECKING:
    from connectors.base import LiveConnector

BATCHES = {"track": 50, "artist": 50, "album": 20}  # ids per call (Web API reference, 2026-11)
LONGEST_QUERY = 250  # characters; a longer `q` is refused with 400

_ID = re.compile("[0-9A-Za-z]{1,64}")
_KEY = re.compile(f"({_ID.pattern})(?:/([0-9]{{1,7}}))?")  # an id, for rows with their offset


class SpotifySettings(BaseModel):
    """How Spotify is asked; keys that are not given come from SPOTIFY_CLIENT_ID and SPOTIFY_CLIENT_SECRET."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    endpoint: str = "https://api.spotify.com/v1/"
    token_url: str = "https://accounts.spotify.com/api/token"
    client_id: SecretStr | None = secret_from("SPOTIFY_CLIENT_ID")
    client_secret: SecretStr | None = secret_from("SPOTIFY_CLIENT_SECRET")
    market: str | None = Field(default=None, pattern="^[A-Z]{2}$")  # ISO 3166-1; None: as in no country
    search_limit: int = Field(default=10, ge=1, le=50)  # candidates per search
    playlist_limit: int = Field(default=50, ge=1, le=50)  # rows per page of a playlist after its first
    batch: bool = True  # ask for many ids at once where the app may
    policy: PolicySettings = PolicySettings(
        requests_per_second=3,  # a guess: Spotify counts over 30 seconds and does not say how many are allowed
        hosts=("i.scdn.co", ".scdn.co", ".spotifycdn.com"),
    )


__all__ = ["BATCHES", "Spotify", "SpotifySettings", "connect", "cover_of"]


def connect(*, policy: Policy | Mapping[str, Any] | None = None, **settings: Any) -> LiveConnector:
    """Spotify as the settings say.

    Raises:
        ValueError: A setting is unknown or out of range.
    """
    return Spotify(*settled(SpotifySettings, policy, settings))


class Spotify:
    """Answers of the Web API.

    `lookup` knows `search` (the key is the query), `track`, `album`, `artist`, `playlist` with its first rows (the key
    is the id), and `playlist_rows` (the key is `id/offset`). `pages` reads `track`, `album` and `artist` by ids,
    many at once where the app may, and `playlist` by pages: events of kind `playlist` with the tracks they name.
    """

    name: ClassVar[str] = "spotify"
    entities: ClassVar[frozenset[str]] = frozenset(ANSWERS)
    models: ClassVar[Mapping[str, type[BaseModel]]] = ANSWERS

    def __init__(self, settings: SpotifySettings, policy: Policy | None = None) -> None:
        """Nothing is asked, and no key is needed, before the first look-up."""
        self.settings = settings
        secrets = [s.get_secret_value() for s in (settings.client_id, settings.client_secret) if s]
        self.policy = policy or Policy(self.name, settings.policy, secrets=secrets, judge=judge)
        self._client = Client(settings, self.policy)

    def questions(self, wanted: Wanted) -> tuple[Request, ...]:
        """Its id, its ISRC, then a search with field filters and one in free text."""
        asked: list[Request] = []
        if known := wanted.ids.get("spotify"):
            asked.append(Request(entity="track", key=known))
        if isrc := plain_isrc(wanted.isrc):
            asked.append(Request(entity="search", key=f"isrc:{isrc}"))
        title = words_of(without_guests(wanted.title))
        if title and wanted.creators and (artist := words_of(without_guests(wanted.creators[0]))):
            asked.append(Request(entity="search", key=f"track:{title} artist:{artist}"[:LONGEST_QUERY]))
            asked.append(Request(entity="search", key=f"{artist} {title}"[:LONGEST_QUERY]))
        return tuple(asked)

    def lookup(self, request: Request) -> Record:
        """The answer as received; see `LiveConnector`."""
        if request.entity not in self.entities:
            raise ValueError(f"spotify: unknown entity '{request.entity}'; known: {', '.join(sorted(self.entities))}")
        if request.entity == "search":
            return self._search(request)
        found = _KEY.fullmatch(request.key)
        if not found or (found[2] is not None) != (request.entity == "playlist_rows"):
            # Else spotipy would ask for whatever a URL of this form names.
            raise NotFound(f"spotify: '{request.key[:80]}' is no id of Spotify's", source=self.name)
        if request.entity == "playlist_rows":
            return self._playlist_rows(found[1], int(found[2]))
        if request.entity == "playlist":
            body = self._client.ask(lambda client: client.playlist(request.key, market=self.settings.market))
            return self._record("playlist", request.key, body, f"playlists/{request.key}")
        return self._one(request.entity, request.key)

    def candidates(self, entity: str, payload: Payload) -> list[Candidate]:
        """Tracks of a search, or the track itself; entries without id or name are left out.

        Raises:
            SchemaDrift: A search's answer has no list of tracks, or none of them can be read.
        """
        if entity == "track":
            found = [payload]
        elif entity == "search":
            tracks = payload.get("tracks")
            if not isinstance(tracks, Mapping) or not isinstance(tracks.get("items"), list):
                raise SchemaDrift("spotify: a search's answer has no 'tracks.items'", source=self.name)
            found = objects_of(tracks["items"])
        else:
            found = []
        offered = [candidate_of(track) for track in found if id_of(track) and name_of(track)]
        if found and not offered:
            raise SchemaDrift("spotify: no track of the answer has 'id' and 'name'", source=self.name)
        return offered

    def part_of(self, entity: str, key: str, payload: Payload) -> Payload | None:
        """The track of that id among those of a search, which are as a look-up gives them; None without it."""
        tracks = payload.get("tracks")
        found = objects_of(tracks.get("items")) if entity == "track" and isinstance(tracks, Mapping) else []
        whole = ("name", "artists", "album", "duration_ms")
        return next((said for said in found if said.get("id") == key and all(said.get(n) for n in whole)), None)

    def request_from(self, entity: str, payload: Payload) -> Request:
        """Nothing is asked by way of another answer."""
        raise ValueError(f"spotify: '{entity}' is asked for by its id")

    def fetch_picture(self, track: Payload) -> bytes:
        """The cover of a track's album, a file about 300 pixels wide.

        Raises:
            NotFound: The album has none.
            ConnectorError: As `Policy.download`.
        """
        if (url := cover_of(track)) is None:
            raise NotFound("spotify: the album has no cover", source=self.name)
        return self.policy.download(url)

    def pages(self, entity: str, *, keys: Sequence[str] | None = None, cursor: str | None = None) -> Iterator[Page]:
        """Pages of the entities with these ids, from `cursor` on; an id that is not there is a reject.

        Raises:
            ValueError: `entity` cannot be read by pages.
        """
        if entity == "playlist":
            return self._playlists(keys or (), cursor)
        if entity in BATCHES:
            return self._many(entity, keys or (), int(cursor or 0))
        raise ValueError(f"spotify: '{entity}' has no pages; known: {', '.join(sorted(BATCHES))}, playlist")

    def close(self) -> None:
        """Give back the connections."""
        self.policy.close()

    # --- one answer

    def _search(self, request: Request) -> Record:
        kind = request.params.get("type", "track")

        def ask(client: Any, limit: int) -> Any:
            return client.search(q=request.key, limit=limit, type=kind, market=self.settings.market)

        body, limit = self._client.ask_adapting("search", self.settings.search_limit, ask)
        return self._record("search", request.key, body, "search", q=request.key, limit=limit, type=kind)

    def _one(self, entity: str, id_: str) -> Record:
        market = {"market": self.settings.market} if self.settings.market and entity != "artist" else {}
        body = self._client.ask(lambda client: getattr(client, entity)(id_, **market))
        return self._record(entity, id_, body, f"{entity}s/{id_}", **market)

    def _playlist_rows(self, id_: str, offset: int) -> Record:
        def ask(client: Any, limit: int) -> Any:
            return client.playlist_items(
                id_, limit=limit, offset=offset, market=self.settings.market, additional_types=("track",)
            )

        body, limit = self._client.ask_adapting("playlist", self.settings.playlist_limit, ask)
        path = f"playlists/{id_}/items"
        return self._record("playlist_rows", f"{id_}/{offset}", body, path, offset=offset, limit=limit)

    # --- many answers

    def _many(self, entity: str, ids: Sequence[str], start: int) -> Iterator[Page]:
        while start < len(ids):
            end = min(start + BATCHES[entity], len(ids))
            found = self._batch(entity, ids[start:end])
            if found is None:  # one by one, a page each: an answer that was paid for is handed on at once
                end = start + 1
                found = self._if_there(Request(entity=entity, key=ids[start]))
            missing = tuple(map(_missing, sorted({*ids[start:end]} - {record.source_id for record in found})))
            yield Page(records=tuple(found), rejects=missing, cursor=str(end) if end < len(ids) else None)
            start = end

    def _batch(self, entity: str, ids: Sequence[str]) -> list[Record] | None:
        """The entities with these ids in one answer; None where this app may not ask so."""
        if not self.settings.batch or entity in self._client.app.no_batch:
            return None
        ids = [id_ for id_ in ids if _ID.fullmatch(id_)]
        market = {"market": self.settings.market} if self.settings.market and entity != "artist" else {}
        try:
            body = self._client.ask(lambda client: getattr(client, f"{entity}s")(ids, **market)) if ids else {}
        except PermanentError as exc:
            if exc.status not in (403, 404, 410):
                raise
            # Closed to apps in development mode since February 2026, while the single endpoint answers.
            self._client.app.no_batch.add(entity)
            return None
        found = objects_of(body.get(f"{entity}s"))  # null for an id that is not there
        return [
            self._record(entity, said["id"], said, f"{entity}s", ids=",".join(ids))
            for said in found
            if said.get("id") in ids
        ]

    def _if_there(self, request: Request) -> list[Record]:
        try:
            return [self.lookup(request)]
        except NotFound:
            return []

    def _playlists(self, ids: Sequence[str], cursor: str | None) -> Iterator[Page]:
        """The cursor is `index in ids/offset in that playlist`."""
        index, offset = map(int, (cursor or "0/0").split("/"))
        while index < len(ids):
            more_of = Request(entity="playlist_rows", key=f"{ids[index]}/{offset}")
            found = self._if_there(more_of if offset else Request(entity="playlist", key=ids[index]))
            page, more, count = Page(rejects=() if found or offset else (_missing(ids[index]),)), False, 0
            if found:
                page = self._rows(ids[index], offset, found[0])
                rows = rows_of(found[0].payload)
                items: Any = rows.get("items")
                count = len(items) if isinstance(items, list) else 0
                more = bool(rows.get("next")) and count > 0
            index, offset = (index, offset + count) if more else (index + 1, 0)
            yield replace(page, cursor=f"{index}/{offset}" if index < len(ids) else None)

    def _rows(self, id_: str, offset: int, page: Record) -> Page:
        """Events and tracks of a playlist's page, without local files, episodes and what was removed."""
        events: list[dict[str, Any]] = []
        tracks: dict[str, Record] = {}
        rejects: list[Reject] = []
        found: Any = rows_of(page.payload).get("items")
        rows: list[Any] = found if isinstance(found, list) else []
        if found is not rows:
            # So it is since February 2026 in development mode, for playlists of others than the app's owner.
            rejects.append(_refused(id_, 0, Reason.SCHEMA_DRIFT, "the playlist comes without its rows"))
        for position, row in enumerate(rows, start=offset):
            if not isinstance(row, Mapping) or not {"item", "track"} & set(row):
                rejects.append(_refused(id_, position + 1, Reason.SCHEMA_DRIFT, "neither 'item' nor 'track' in a row"))
            if (track := track_of(row)) is None:
                continue
            at = {"at": time_of(row.get("added_at")), "position": position, "line": position + 1}
            events.append({"user": id_, "item": track["id"], "kind": "playlist", **at})
            tracks.setdefault(track["id"], replace(page, entity="track", source_id=track["id"], payload=track))
        table = pa.Table.from_pylist(events, schema=event_schema())
        return Page(records=(page, *tracks.values()), events=table, rejects=tuple(rejects))

    # --- asking

    def _record(self, entity: str, key: str, body: Payload, path: str, **query: Any) -> Record:
        url = f"{self._client.endpoint}{path}{'?' if query else ''}{urlencode(query)}"
        return Record(entity=entity, source_id=key, payload=body, url=self.policy.redact(url), fetched_at=clock.now())


def _missing(id_: str) -> Reject:
    return _refused(id_, 0, Reason.NOT_FOUND, "Spotify has nothing with this id")


def _refused(id_: str, line: int, reason: Reason, detail: str) -> Reject:
    return Reject(file=id_, line=line, reason=reason, detail=detail, text="")
