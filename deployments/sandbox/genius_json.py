"""Genius' objects as its API writes them."""

import re
from pathlib import Path
from typing import Any

from deployments.sandbox.dice import Dice
from deployments.sandbox.tables import AlbumRow, ArtistRow, SongRow, read_table

WEB = "https://genius.com"
_MONTHS = "January February March April May June July August September October November December".split()
_NBSP = "\N{NO-BREAK SPACE}"


class GeniusCatalogue:
    """The songs of Genius, and their JSON."""

    def __init__(self, world: Path) -> None:
        self.artists = {row.id: row for row in read_table(world, "artists", ArtistRow)}
        self.albums = {row.spotify: row for row in read_table(world, "albums", AlbumRow)}
        self.songs = {row.id: row for row in read_table(world, "songs", SongRow)}
        self.paths = {row.path: row for row in self.songs.values()}

    def names(self, row: SongRow) -> str:
        """Who sings, as `artist_names` says."""
        guests = " & ".join(self.artists[guest].name for guest in row.guests)
        return self.artists[row.artist].name + (f" (Ft. {guests})" if guests else "")

    def hit(self, row: SongRow, root: str) -> dict[str, Any]:
        """A result of a search."""
        return {"highlights": [], "index": "song", "type": "song", "result": self.short(row, root)}

    def short(self, row: SongRow, root: str) -> dict[str, Any]:
        """A song as searches name it."""
        dice = Dice("genius", row.id)
        guests = " & ".join(self.artists[guest].name for guest in row.guests)
        featured = f" (Ft.{_NBSP}{guests.replace(' ', _NBSP)})" if guests else ""
        by = self.artists[row.artist].name.replace(" ", _NBSP)
        shown, abbreviated = _shown(row.released)
        stats: dict[str, Any] = {"unreviewed_annotations": dice.whole(0, 4), "hot": False}
        if row.pageviews > 5_000:  # Genius says nothing of songs that few have looked at
            stats["pageviews"] = row.pageviews
        artist = self.artist(self.artists[row.artist], root)
        return {
            "annotation_count": dice.whole(0, 30),
            "api_path": f"/songs/{row.id}",
            "artist_names": self.names(row),
            "full_title": f"{row.title} by{_NBSP}{by}{featured}",
            "header_image_thumbnail_url": _image(row.picture, root, 300),
            "header_image_url": _image(row.picture, root, 1000),
            "id": row.id,
            "instrumental": row.state == "instrumental",
            "language": row.language,
            "lyrics_owner_id": dice.whole(1_000, 9_000_000),
            "lyrics_state": "unreleased" if row.state == "unreleased" else "complete",
            "path": row.path,
            "primary_artist_names": self.artists[row.artist].name,
            "pyongs_count": dice.whole(1, 400),
            "relationships_index_url": f"{WEB}{row.path.removesuffix('-lyrics')}-sample",
            "release_date_components": _components(row.released),
            "release_date_for_display": shown,
            "release_date_with_abbreviated_month_for_display": abbreviated,
            "song_art_image_thumbnail_url": _image(row.picture, root, 300),
            "song_art_image_url": _image(row.picture, root, 1000),
            "stats": stats,
            "title": row.title,
            "title_with_featured": row.title + featured,
            "url": f"{WEB}{row.path}",
            "featured_artists": [self.artist(self.artists[guest], root) for guest in row.guests],
            "primary_artist": artist,
            "primary_artists": [artist],
        }

    def artist(self, row: ArtistRow, root: str) -> dict[str, Any]:
        """An artist as songs name them."""
        return {
            "api_path": f"/artists/{row.id}",
            "header_image_url": _image(row.picture, root, 1000),
            "id": row.id,
            "image_url": _image(row.picture, root, 1000),
            "is_meme_verified": False,
            "is_verified": row.popularity > 60,
            "name": row.name,
            "url": f"{WEB}/artists/{_slug(row.name)}",
            "iq": row.followers % 9_000,
        }

    def full(self, row: SongRow, root: str, text_format: str) -> dict[str, Any]:
        """A whole song; Genius' API never gives the lyrics."""
        short, dice = self.short(row, root), Dice("genius full", row.id)
        precise = len(row.released) == 10
        kept = {key: value for key, value in short.items() if not key.startswith("relationships")}
        stats = {
            **short["stats"],
            "accepted_annotations": 0,
            "concurrents": 2,
            "contributors": dice.whole(1, 90),
            "iq_earners": 1,
        }
        return {
            **kept,
            "apple_music_id": None,
            "apple_music_player_url": f"{WEB}/songs/{row.id}/apple_music_player",
            "description": _prose("", text_format),
            "embed_content": f"<div id='rg_embed_link_{row.id}' class='rg_embed_link' data-song-id='{row.id}'></div>",
            "fact_track": {
                "provider": "spotify",
                "external_url": f"https://open.spotify.com/track/{dice.base62()}",
                "button_text": "Behind the Lyrics in Spotify",
                "help_link_text": "What's a Fact Track?",
                "help_link_url": f"{WEB}/a/genius-and-spotify-together",
            },
            "featured_video": False,
            "lyrics_placeholder_reason": row.state if row.state in ("instrumental", "unreleased") else None,
            "recording_location": None,
            "release_date": row.released if precise else None,
            "stats": {**stats, "transcribers": dice.whole(0, 3), "verified_annotations": 0},
            "album": self._album(row, root),
            "current_user_metadata": {
                "permissions": ["see_pageviews", "view_apple_music_player", "view_song_stats"],
                "excluded_permissions": ["award_transcription_iq", "edit_lyrics"],
                "interactions": {"pyong": False, "following": False},
                "relationships": {},
                "iq_by_action": {},
            },
            "custom_performances": [],
            "description_annotation": None,
            "lyrics_marked_complete_by": None,
            "media": [],
            "producer_artists": [],
            "song_relationships": [],
            "verified_annotations_by": [],
            "verified_contributors": [],
            "verified_lyrics_by": [],
            "writer_artists": [],
        }

    def _album(self, row: SongRow, root: str) -> dict[str, Any] | None:
        album = self.albums.get(row.album or "")
        if album is None:
            return None
        artist = self.artists[album.artists[0]]
        number = Dice("genius album", album.spotify).whole(1_000, 999_999)
        return {
            "api_path": f"/albums/{number}",
            "cover_art_url": _image(album.picture, root, 1000),
            "full_title": f"{album.name} by {artist.name}",
            "id": number,
            "name": album.name,
            "url": f"{WEB}/albums/{_slug(artist.name)}/{_slug(album.name)}",
            "artist": self.artist(artist, root),
        }


def _prose(text: str, text_format: str) -> dict[str, Any]:
    """A text in the format that was asked for: `dom`, `plain` or `html`."""
    if text_format == "dom":
        return {"dom": {"tag": "root", "children": [{"tag": "p", "children": [text or "?"]}]}}
    return {text_format: text or "?"}


def _slug(name: str) -> str:
    return "-".join(re.findall(r"\w+", name)).capitalize() or "Unknown"


def _image(picture: str, root: str, size: int) -> str:
    return f"{root}/media/images.genius.com/{picture}.{size}x{size}x1.jpg"


def _components(released: str) -> dict[str, int | None]:
    year, *rest = (int(part) for part in released.split("-"))
    month, day = rest if len(rest) == 2 else (None, None)
    return {"year": year, "month": month, "day": day}


def _shown(released: str) -> tuple[str, str]:
    """`March 30, 2017` and `Mar. 30, 2017`; or the year alone."""
    said = _components(released)
    if said["month"] is None:
        return str(said["year"]), str(said["year"])
    month = _MONTHS[said["month"] - 1]
    short = month if len(month) < 5 else f"{month[:3]}."
    return f"{month} {said['day']}, {said['year']}", f"{short} {said['day']}, {said['year']}"
