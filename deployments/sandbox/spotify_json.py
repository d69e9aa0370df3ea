"""Spotify's objects as its Web API writes them, with full and simplified forms."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from deployments.sandbox.tables import AlbumRow, ArtistRow, PlaylistRow, TrackRow, read_table

IMAGE_SIZES = {640: "ab67616d0000b273", 300: "ab67616d00001e02", 64: "ab67616d00004851"}
"""Width of covers in pixels, and how their names begin."""

ARTIST_SIZES = {640: "ab6761610000e5eb", 320: "ab67616100005174", 160: "ab6761610000f178"}
REMOVED = {
    "track": ("available_markets", "external_ids", "linked_from", "popularity"),
    "album": ("album_group", "available_markets", "external_ids", "label", "popularity"),
    "artist": ("followers", "popularity"),
}
"""Fields that development-mode apps no longer get (Web API changes of February 2026)."""

_MARKETS = ["AR", "AU", "BR", "CA", "DE", "ES", "FR", "GB", "JP", "KR", "MX", "PL", "SE", "TR", "US"]


class SpotifyCatalogue:
    """The tables of Spotify by id, and their JSON."""

    def __init__(self, world: Path) -> None:
        self.artists = {row.id: row for row in read_table(world, "artists", ArtistRow)}
        self.artist_ids = {row.spotify: row.id for row in self.artists.values()}
        self.albums = {row.spotify: row for row in read_table(world, "albums", AlbumRow)}
        self.tracks = {row.spotify: row for row in read_table(world, "tracks", TrackRow)}
        self.playlists = {row.id: row for row in read_table(world, "playlists", PlaylistRow)}
        self.on_album: dict[str, list[TrackRow]] = {}
        for track in self.tracks.values():
            self.on_album.setdefault(track.album, []).append(track)

    def track(self, row: TrackRow, root: str, *, album: bool = True) -> dict[str, Any]:
        """A track; without its album it is simplified, as on an album."""
        said: dict[str, Any] = {
            "artists": [self.artist_short(self.artists[artist], root) for artist in row.artists],
            "available_markets": _MARKETS,
            "disc_number": 1,
            "duration_ms": row.duration_ms,
            "explicit": row.explicit,
            "external_urls": _page("track", row.spotify),
            "href": f"{root}/spotify/v1/tracks/{row.spotify}",
            "id": row.spotify,
            "is_local": False,
            "name": row.title,
            "preview_url": None,
            "track_number": row.number,
            "type": "track",
            "uri": f"spotify:track:{row.spotify}",
        }
        if not album:
            return said
        said["album"] = self.album_short(self.albums[row.album], root)
        said["external_ids"] = {"isrc": row.isrc} if row.isrc else {}
        said["popularity"] = row.popularity
        return said

    def album_short(self, row: AlbumRow, root: str) -> dict[str, Any]:
        """An album as searches and tracks name it."""
        return {
            "album_type": row.kind,
            "artists": [self.artist_short(self.artists[artist], root) for artist in row.artists],
            "available_markets": _MARKETS,
            "external_urls": _page("album", row.spotify),
            "href": f"{root}/spotify/v1/albums/{row.spotify}",
            "id": row.spotify,
            "images": images(row.picture, root, IMAGE_SIZES),
            "name": row.name,
            "release_date": row.released,
            "release_date_precision": "year" if len(row.released) == 4 else "day",
            "total_tracks": len(self.on_album.get(row.spotify, ())),
            "type": "album",
            "uri": f"spotify:album:{row.spotify}",
        }

    def album(self, row: AlbumRow, root: str) -> dict[str, Any]:
        """A whole album with its first 50 tracks."""
        tracks = self.on_album.get(row.spotify, [])
        href = f"{root}/spotify/v1/albums/{row.spotify}/tracks"
        items = [self.track(track, root, album=False) for track in tracks]
        return {
            **self.album_short(row, root),
            "copyrights": [
                {"text": f"{row.released[:4]} {row.label}", "type": "C"},
                {"text": f"{row.released[:4]} {row.label}", "type": "P"},
            ],
            "external_ids": {"upc": row.upc},
            "genres": [],
            "label": row.label,
            "popularity": row.popularity,
            "tracks": paged(items, href, {}, 50, 0),
        }

    def artist_short(self, row: ArtistRow, root: str) -> dict[str, Any]:
        """An artist as tracks and albums name them."""
        return {
            "external_urls": _page("artist", row.spotify),
            "href": f"{root}/spotify/v1/artists/{row.spotify}",
            "id": row.spotify,
            "name": row.name,
            "type": "artist",
            "uri": f"spotify:artist:{row.spotify}",
        }

    def artist(self, row: ArtistRow, root: str) -> dict[str, Any]:
        """A whole artist."""
        return {
            **self.artist_short(row, root),
            "followers": {"href": None, "total": row.followers},
            "genres": list(row.genres),
            "images": images(row.picture, root, ARTIST_SIZES),
            "popularity": row.popularity,
        }

    def playlist_short(self, row: PlaylistRow, root: str) -> dict[str, Any]:
        """A playlist as searches name it."""
        href = f"{root}/spotify/v1/playlists/{row.id}"
        tracks = {"href": f"{href}/tracks", "total": len(row.tracks)}
        return {
            "collaborative": False,
            "description": row.description,
            "external_urls": _page("playlist", row.id),
            "href": href,
            "id": row.id,
            "images": [{"height": None, "url": self._mosaic(row, root), "width": None}],
            "name": row.name,
            "owner": {**_user(row.owner, root), "display_name": row.owner},
            "primary_color": None,
            "public": True,
            "snapshot_id": f"AAAA{row.modified_at:x}",
            "tracks": tracks,
            "type": "playlist",
            "uri": f"spotify:playlist:{row.id}",
        }

    def _mosaic(self, row: PlaylistRow, root: str) -> str:
        """The picture of a playlist: the first cover."""
        cover = self.albums[self.tracks[row.tracks[0]].album].picture if row.tracks else "0" * 32
        return images(cover, root, IMAGE_SIZES)[0]["url"]

    def playlist(self, row: PlaylistRow, root: str, *, renamed: bool) -> dict[str, Any]:
        """A whole playlist with its first 100 tracks; renamed: with `items` beside `tracks`, as since 2026-02."""
        pages = self.playlist_items(row, root, 100, 0, "items" if renamed else "tracks", renamed=renamed)
        said = {**self.playlist_short(row, root), "followers": {"href": None, "total": row.followers}}
        return {**said, "tracks": pages, **({"items": pages} if renamed else {})}

    def playlist_items(
        self, row: PlaylistRow, root: str, limit: int, offset: int, name: str, *, renamed: bool
    ) -> dict[str, Any]:
        """A page of a playlist's tracks."""
        href = f"{root}/spotify/v1/playlists/{row.id}/{name}"
        page = paged(list(row.tracks), href, {}, limit, offset)
        return {**page, "items": [self._entry(row, place, root, renamed=renamed) for place in page["items"]]}

    def _entry(self, row: PlaylistRow, spotify: str, root: str, *, renamed: bool) -> dict[str, Any]:
        track = self.tracks.get(spotify)
        # A track that was taken off Spotify stays in playlists as null.
        full = None if track is None else {**self.track(track, root), "episode": False, "track": True}
        return {
            "added_at": f"{datetime.fromtimestamp(row.modified_at, UTC):%Y-%m-%dT%H:%M:%SZ}",
            "added_by": _user(row.owner, root),
            "is_local": False,
            "primary_color": None,
            "track": full,
            **({"item": full} if renamed else {}),
            "video_thumbnail": {"url": None},
        }


def images(picture: str, root: str, sizes: Mapping[int, str]) -> list[dict[str, Any]]:
    """Links to a picture in all its sizes, the largest first."""
    return [
        {"height": size, "url": f"{root}/media/i.scdn.co/image/{begin}{picture[:24]}", "width": size}
        for size, begin in sizes.items()
    ]


def paged(items: list[Any], href: str, query: Mapping[str, str], limit: int, offset: int) -> dict[str, Any]:
    """A page of a list, with links to its neighbours."""

    def at(start: int) -> str:
        said = "&".join(f"{key}={value}" for key, value in query.items())
        return f"{href}?{said}{'&' if said else ''}offset={start}&limit={limit}"

    return {
        "href": at(offset),
        "items": items[offset : offset + limit],
        "limit": limit,
        "next": at(offset + limit) if offset + limit < len(items) else None,
        "offset": offset,
        "previous": at(max(0, offset - limit)) if offset > 0 else None,
        "total": len(items),
    }


def without_removed(value: Any) -> Any:
    """A copy without the fields that development-mode apps do not get."""
    if isinstance(value, dict):
        gone = REMOVED.get(value.get("type", ""), ())
        return {key: without_removed(inner) for key, inner in value.items() if key not in gone}
    return [without_removed(inner) for inner in value] if isinstance(value, list) else value


def _page(kind: str, name: str) -> dict[str, str]:
    return {"spotify": f"https://open.spotify.com/{kind}/{name}"}


def _user(name: str, root: str) -> dict[str, Any]:
    return {
        "external_urls": _page("user", name),
        "href": f"{root}/spotify/v1/users/{name}",
        "id": name,
        "type": "user",
        "uri": f"spotify:user:{name}",
    }
