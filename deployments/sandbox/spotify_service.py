"""Spotify: the token endpoint of its accounts service, and the Web API."""

import base64
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

from deployments.sandbox.protocol import Answer, Ask, digest, unknown_key
from deployments.sandbox.search import Index, in_all, words_of
from deployments.sandbox.spotify_json import SpotifyCatalogue, paged, without_removed

TOKEN = "BQsandbox-"
_FIELD = re.compile(r'\b(track|artist|album|year|isrc|upc|genre|tag|label):\s*("[^"]*"|.*?)(?=\s+\w+:|\s*$)')
_BATCH = {"tracks": 50, "albums": 20, "artists": 50}  # most ids of one request
_ROUTES = {
    r"/v1/search": "search",
    r"/v1/(tracks|albums|artists)": "several",
    r"/v1/(tracks|albums|artists)/([^/]+)": "one",
    r"/v1/albums/([^/]+)/tracks": "album_tracks",
    r"/v1/artists/([^/]+)/albums": "artist_albums",
    r"/v1/playlists/([^/]+)": "playlist",
    r"/v1/playlists/([^/]+)/(tracks|items)": "playlist_items",
    r"/v1/audio-features(?:/[^/]+)?": "audio_features",
    r"/v1/artists/([^/]+)/top-tracks": "top_tracks",
}


class SpotifyService:
    """The sandbox's Spotify."""

    name = "spotify"
    drifting: tuple[str, ...] = ("duration_ms", "external_ids", "images")

    def __init__(self, world: Path) -> None:
        self._all = SpotifyCatalogue(world)
        self._tracks = list(self._all.tracks.values())
        artists, albums = self._all.artists, self._all.albums
        fame = [row.popularity / 100 for row in self._tracks]
        people = [" ".join(artists[artist].name for artist in row.artists) for row in self._tracks]
        names = [albums[row.album].name for row in self._tracks]
        whole = (f"{row.title} {who} {on}" for row, who, on in zip(self._tracks, people, names, strict=True))
        self._any = Index(whole, fame)
        self._fields = {
            "track": Index((row.title for row in self._tracks), fame),
            "artist": Index(people, fame),
            "album": Index(names, fame),
        }
        self._artists = Index(
            (row.name for row in artists.values()), (row.popularity / 100 for row in artists.values())
        )
        whose = (f"{row.name} {artists[row.artists[0]].name}" for row in albums.values())
        self._albums = Index(whose, (row.popularity / 100 for row in albums.values()))
        self._playlists = Index((row.name for row in self._all.playlists.values()), [0.0] * len(self._all.playlists))

    def label(self, ask: Ask) -> str:
        """The endpoint without ids."""
        if ask.path == "/accounts/api/token":
            return "token"
        return self._route(ask.path)[0] or "unknown"

    def credential(self, ask: Ask) -> str:
        """The client id, or the token made of it."""
        return _token_of(_client(ask)) if ask.path.startswith("/accounts") else ask.bearer

    def refuse(self, ask: Ask, status: int, headers: Mapping[str, str]) -> Answer:
        """Spotify's error object."""
        words = {429: "API rate limit exceeded", 500: "Server error.", 502: "Bad gateway.", 503: "Service unavailable"}
        return error(status, words.get(status, "Error"), headers)

    def answer(self, ask: Ask) -> Answer:
        """One endpoint's answer."""
        if ask.path == "/accounts/api/token":
            return _token(ask)
        if not ask.bearer:
            return error(401, "No token provided")
        if not ask.bearer.startswith(TOKEN):
            return error(401, "Invalid access token")
        name, parts = self._route(ask.path)
        endpoints: dict[str, Callable[..., Answer]] = {
            "search": self._search,
            "several": self._several,
            "one": self._one,
            "album_tracks": self._album_tracks,
            "artist_albums": self._artist_albums,
            "playlist": self._playlist,
            "playlist_items": self._playlist_items,
            "audio_features": _audio_features,
            "top_tracks": self._top_tracks,
        }
        if name not in endpoints:
            return error(404, "Service not found")
        answer = endpoints[name](ask, *parts)
        if answer.status == 200 and _development(ask):
            return Answer(payload=without_removed(answer.payload))
        return answer

    def _route(self, path: str) -> tuple[str, tuple[str, ...]]:
        for pattern, name in _ROUTES.items():
            if found := re.fullmatch(pattern, path.rstrip("/")):
                return name, found.groups()
        return "", ()

    def _search(self, ask: Ask) -> Answer:
        most = 10 if _development(ask) else 50
        limit = ask.number("limit", 5 if _development(ask) else 20)
        offset = ask.number("offset", 0)
        query, kinds = ask.query.get("q", ""), [kind for kind in ask.query.get("type", "").split(",") if kind]
        if not query.strip():
            return error(400, "No search query")
        if not kinds:
            return error(400, "Missing parameter type")
        if set(kinds) - {"track", "album", "artist", "playlist"}:
            return error(400, f"Bad search type field {ask.query['type']}")
        if limit is None or not 1 <= limit <= most:
            return error(400, "Invalid limit")
        if offset is None or not 0 <= offset <= 1000 - limit:
            return error(400, "Invalid offset")
        said: dict[str, Any] = {}
        for kind in kinds:
            found = self._found(kind, query, ask)
            asked = {"query": quote_plus(query), "type": kind}
            page = paged(found, f"{ask.root}/spotify/v1/search", asked, limit, offset)
            said[f"{kind}s"] = {**page, "items": [self._short(kind, place, ask.root) for place in page["items"]]}
        return Answer(payload=said)

    def _short(self, kind: str, place: int, root: str) -> dict[str, Any]:
        match kind:
            case "track":
                return self._all.track(self._tracks[place], root)
            case "album":
                return self._all.album_short(list(self._all.albums.values())[place], root)
            case "artist":
                return self._all.artist(list(self._all.artists.values())[place], root)
            case _:
                return self._all.playlist_short(list(self._all.playlists.values())[place], root)

    def _found(self, kind: str, query: str, ask: Ask) -> list[int]:
        """Places of what is found; a wrong match finds what comes after it in the catalogue."""
        if kind == "track":
            found = self._find_tracks(query)
            return [(place + 7) % len(self._tracks) for place in found] if ask.wrong else found
        fields = {"album": self._albums, "artist": self._artists, "playlist": self._playlists}
        plain = " ".join(value.strip('"') for _, value in _FIELD.findall(query)) or query
        return fields[kind].find(plain, least=0.6)

    def _find_tracks(self, query: str) -> list[int]:
        asked = [(name, value.strip('"')) for name, value in _FIELD.findall(query)]
        rest = _FIELD.sub(" ", query).strip()
        found = [self._any.find(rest, least=0.55)] if words_of(rest) else []
        for name, value in asked:
            if name in self._fields:
                found.append(self._fields[name].find(value, least=0.75))
            elif name == "isrc":
                same = [place for place, row in enumerate(self._tracks) if row.isrc == value.upper()]
                found.append(same)
        years = next((value for name, value in asked if name == "year"), "")
        return [place for place in in_all(found) if self._within(place, years)]

    def _within(self, place: int, years: str) -> bool:
        first, _, last = years.partition("-")
        year = self._all.albums[self._tracks[place].album].released[:4]
        return not first or first <= year <= (last or first)

    def _several(self, ask: Ask, kind: str) -> Answer:
        if _development(ask):
            return error(403, "Forbidden")
        names = [name for name in ask.query.get("ids", "").split(",") if name]
        if not names:
            return error(400, "Missing required field: ids")
        if len(names) > _BATCH[kind]:
            return error(400, "Too many ids requested")
        return Answer(payload={kind: [self._whole(kind, name, ask.root) for name in names]})

    def _one(self, ask: Ask, kind: str, name: str) -> Answer:
        if not re.fullmatch("[0-9A-Za-z]{22}", name):
            return error(400, "Invalid base62 id")
        found = self._whole(kind, name, ask.root)
        return error(404, "Resource not found") if found is None else Answer(payload=found)

    def _whole(self, kind: str, name: str, root: str) -> dict[str, Any] | None:
        if kind == "tracks":
            return self._all.track(self._all.tracks[name], root) if name in self._all.tracks else None
        if kind == "albums":
            return self._all.album(self._all.albums[name], root) if name in self._all.albums else None
        number = self._all.artist_ids.get(name)
        return None if number is None else self._all.artist(self._all.artists[number], root)

    def _album_tracks(self, ask: Ask, name: str) -> Answer:
        if name not in self._all.albums:
            return error(404, "Resource not found")
        tracks = [self._all.track(row, ask.root, album=False) for row in self._all.on_album.get(name, [])]
        return _listed(ask, tracks, f"albums/{name}/tracks")

    def _artist_albums(self, ask: Ask, name: str) -> Answer:
        number = self._all.artist_ids.get(name)
        if number is None:
            return error(404, "Resource not found")
        albums = [row for row in self._all.albums.values() if number in row.artists]
        said = [{**self._all.album_short(row, ask.root), "album_group": row.kind} for row in albums]
        return _listed(ask, said, f"artists/{name}/albums")

    def _top_tracks(self, ask: Ask, name: str) -> Answer:
        number = self._all.artist_ids.get(name)
        if _development(ask):
            return error(403, "Forbidden")
        if number is None:
            return error(404, "Resource not found")
        own = sorted((row for row in self._tracks if number in row.artists), key=lambda row: -row.popularity)[:10]
        return Answer(payload={"tracks": [self._all.track(row, ask.root) for row in own]})

    def _playlist(self, ask: Ask, name: str) -> Answer:
        row = self._all.playlists.get(name)
        if row is None:
            return error(404, "Resource not found")
        return Answer(payload=self._all.playlist(row, ask.root, renamed=_development(ask)))

    def _playlist_items(self, ask: Ask, name: str, field: str) -> Answer:
        row = self._all.playlists.get(name)
        if field == "tracks" and _development(ask):
            return error(403, "Forbidden")
        limit, offset = ask.number("limit", 100), ask.number("offset", 0)
        if row is None:
            return error(404, "Resource not found")
        if limit is None or offset is None or not 1 <= limit <= 100 or offset < 0:
            return error(400, "Invalid limit")
        return Answer(payload=self._all.playlist_items(row, ask.root, limit, offset, field, renamed=_development(ask)))


def _listed(ask: Ask, items: list[Any], path: str) -> Answer:
    limit, offset = ask.number("limit", 20), ask.number("offset", 0)
    if limit is None or offset is None or not 1 <= limit <= 50 or offset < 0:
        return error(400, "Invalid limit")
    return Answer(payload=paged(items, f"{ask.root}/spotify/v1/{path}", {}, limit, offset))


def _development(ask: Ask) -> bool:
    return bool(ask.switches.get("spotify_development_mode"))


def _audio_features(ask: Ask) -> Answer:
    """Closed to new apps since 2024-11-27; the body has no message."""
    return Answer(status=403, payload={"error": {"status": 403}})


def error(status: int, message: str, headers: Mapping[str, str] | None = None) -> Answer:
    """An error as the Web API writes it."""
    return Answer(status=status, payload={"error": {"status": status, "message": message}}, headers=headers or {})


def _client(ask: Ask) -> tuple[str, str]:
    """Client id and secret of the Authorization header, or of the form."""
    kind, _, said = ask.headers.get("authorization", "").partition(" ")
    if kind.lower() != "basic":
        return ask.query.get("client_id", ""), ask.query.get("client_secret", "")
    try:
        name, _, secret = base64.b64decode(said).decode().partition(":")
    except ValueError:
        return "", ""
    return name, secret


def _token_of(client: tuple[str, str]) -> str:
    return TOKEN + digest(client[0])


def _token(ask: Ask) -> Answer:
    """An access token that is the same for the same client, so that it outlives the server."""
    client = _client(ask)
    if any(unknown_key(part) for part in client):
        return Answer(status=400, payload={"error": "invalid_client", "error_description": "Invalid client"})
    if ask.query.get("grant_type") != "client_credentials":
        said = {"error": "unsupported_grant_type", "error_description": "grant_type parameter is missing"}
        return Answer(status=400, payload=said)
    return Answer(payload={"access_token": _token_of(client), "token_type": "Bearer", "expires_in": 3600})
