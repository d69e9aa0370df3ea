"""What the live services know: rows of the tables in a world's `services/` folder, one JSON object a line."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

FOLDER = "services"


@dataclass(frozen=True, kw_only=True, slots=True)
class ArtistRow:
    """Somebody who makes music."""

    id: int  # of Genius, and what other tables refer to
    name: str
    spotify: str
    mbid: str  # empty where Last.fm has none
    genres: tuple[str, ...]
    language: str
    popularity: int  # 0 to 100
    followers: int
    picture: str


@dataclass(frozen=True, kw_only=True, slots=True)
class AlbumRow:
    """A release of Spotify's catalogue."""

    spotify: str
    name: str
    artists: tuple[int, ...]
    kind: str  # album, single, compilation
    released: str  # "2019-06-14", or "2019"
    label: str
    upc: str
    popularity: int
    picture: str


@dataclass(frozen=True, kw_only=True, slots=True)
class TrackRow:
    """A track of Spotify's catalogue; what it says may be wrong, what it IS, `kind` and `recording` say."""

    spotify: str
    title: str
    artists: tuple[int, ...]
    album: str
    number: int
    duration_ms: int
    isrc: str | None
    explicit: bool
    popularity: int
    kind: str  # song, or in which way it is not: live, remix, cover, karaoke, sped_up, instrumental
    recording: int | None  # the recording it is, or is made from
    wrong: str | None = None  # which field says something wrong


@dataclass(frozen=True, kw_only=True, slots=True)
class PlaylistRow:
    """A playlist of Spotify."""

    id: str
    name: str
    description: str
    owner: str
    followers: int
    modified_at: int  # unix seconds
    tracks: tuple[str, ...]  # Spotify ids, in order


@dataclass(frozen=True, kw_only=True, slots=True)
class LastfmTrackRow:
    """A track as Last.fm writes it."""

    title: str
    artist: str
    artist_mbid: str
    mbid: str
    album: str
    duration_ms: int  # 0 where Last.fm does not know it
    tags: tuple[tuple[str, int], ...]  # name, count out of 100
    listeners: int
    playcount: int
    picture: str
    recording: int


@dataclass(frozen=True, kw_only=True, slots=True)
class FanRow:
    """A listener of Last.fm."""

    name: str
    realname: str
    gender: str  # m, f or n
    country: str  # "None" where it is hidden, as Last.fm writes it
    age: int  # 0 where it is hidden
    registered: int  # unix seconds
    private: bool  # hides the recent tracks
    playing: int | None  # row of `lastfm_tracks` that is playing now
    plays: tuple[tuple[int, int], ...]  # unix seconds and row of `lastfm_tracks`, newest first


@dataclass(frozen=True, kw_only=True, slots=True)
class SongRow:
    """A song page of Genius."""

    id: int
    title: str
    artist: int
    guests: tuple[int, ...]
    album: str | None
    released: str
    path: str  # "/Artist-title-lyrics"
    language: str
    state: str  # complete, instrumental, untranscribed, unreleased
    lyrics: str
    layout: str  # which layout the web page has
    pageviews: int
    picture: str
    kind: str  # song, or translation, remix, live, cover
    recording: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class VideoRow:
    """A video of YouTube."""

    id: str
    title: str
    channel: str
    channel_id: str
    duration_s: int
    views: int
    uploaded: str  # "20190614"
    description: str
    kind: (
        str  # topic, official, audio, lyrics; or live, cover, remix, karaoke, sped_up, slowed, reaction, loop, trailer
    )
    sound: str  # row of `sounds`
    picture: str
    recording: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class SoundRow:
    """How a recording sounds: a file of the world, or what it is synthesised from."""

    id: str
    file: str | None = None  # relative to the world
    seed: str = ""  # of notes and drums: the same seed is the same piece
    genre: str = ""
    key: int = 0
    mode: int = 1
    tempo_bpm: float = 0.0
    energy: float = 0.0
    part: str = "all"  # all, or notes: without drums
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class PictureRow:
    """How a picture looks: a file of the world, or what it is drawn from."""

    id: str
    file: str | None = None  # relative to the world
    seed: str = ""
    genre: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class FilmRow:
    """A film of TMDb."""

    id: int
    imdb: str | None
    movielens: int | None
    title: str
    original_title: str
    language: str  # ISO 639-1
    country: str  # ISO 3166-1
    released: str  # "1999-10-15" or empty
    runtime: int  # minutes
    overview: str
    tagline: str
    genres: tuple[str, ...]  # TMDb names
    keywords: tuple[str, ...]
    vote_average: float
    vote_count: int
    popularity: float
    poster: str | None  # row of `pictures`
    backdrop: str | None
    cast: tuple[tuple[int, str, str], ...]  # person, name, character; in order of billing
    crew: tuple[tuple[int, str, str, str], ...]  # person, name, job, department
    trailer: str | None  # id of the YouTube video
    collection: tuple[int, str] | None
    kind: str = "film"  # or remake, making_of, short: not the film that MovieLens means


@dataclass(frozen=True, kw_only=True, slots=True)
class TrackTruth:
    """Which entity of each service is a recording; lists hold all that are right."""

    recording: int
    artist: str
    title: str
    isrc: str | None
    duration_ms: int
    spotify: tuple[str, ...]
    youtube: tuple[str, ...]
    genius: tuple[int, ...]
    lastfm: tuple[tuple[str, str], ...]  # artist and title, as spelled there
    lyrics: str  # complete, instrumental, untranscribed, unreleased or absent


@dataclass(frozen=True, kw_only=True, slots=True)
class FilmTruth:
    """Which entity of each service is a film."""

    movielens: int
    imdb: str
    tmdb: int | None  # None: TMDb does not have it
    trailer: str | None


TABLES: dict[str, type[Any]] = {
    "artists": ArtistRow,
    "albums": AlbumRow,
    "tracks": TrackRow,
    "playlists": PlaylistRow,
    "lastfm_tracks": LastfmTrackRow,
    "fans": FanRow,
    "songs": SongRow,
    "videos": VideoRow,
    "sounds": SoundRow,
    "pictures": PictureRow,
    "films": FilmRow,
    "truth_tracks": TrackTruth,
    "truth_films": FilmTruth,
}

Row = TypeVar("Row")


def write_table(world: Path, name: str, rows: Iterable[Any]) -> None:
    """Write one of `TABLES` into the world."""
    path = world / FOLDER / f"{name}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="\n") as out:
        for row in rows:
            out.write(json.dumps(asdict(row), ensure_ascii=False, separators=(",", ":")) + "\n")


def read_table(world: Path, name: str, row: type[Row]) -> list[Row]:
    """The rows of one of `TABLES`; none where the world has no such table.

    Raises:
        ValueError: A line is not a row of that table.
    """
    path = world / FOLDER / f"{name}.jsonl"
    if not path.is_file():
        return []
    rows: list[Row] = []
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            try:
                rows.append(row(**{key: _frozen(value) for key, value in json.loads(line).items()}))
            except (TypeError, ValueError, AttributeError) as bad:
                raise ValueError(f"sandbox world: {path}, line {number}: not a row of '{name}' ({bad})") from bad
    return rows


def _frozen(value: Any) -> Any:
    return tuple(_frozen(inner) for inner in value) if isinstance(value, list) else value
