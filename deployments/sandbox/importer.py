"""Worlds from real files: films with what TMDb says of them, their posters, and real recordings.

What the files do not tell (ids of Spotify, listeners, wrong videos beside the right ones) is made up around them.
"""

import csv
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from deployments.sandbox import song_words as words
from deployments.sandbox.dice import Dice, popularity
from deployments.sandbox.listeners import make_listeners, make_playlists, make_plays, make_spellings
from deployments.sandbox.service_films import film_of
from deployments.sandbox.service_videos import RIGHT, VideoRows, make_videos
from deployments.sandbox.services import Tables, music_tables, write_tables
from deployments.sandbox.songs import Album, Artist, Recording
from deployments.sandbox.tables import FilmRow, FilmTruth, PictureRow, SoundRow

AUDIO, POSTERS = "files/audio", "files/posters"
ENDINGS = (".ogg", ".mp3", ".flac", ".m4a", ".opus", ".wav")


@dataclass(frozen=True, kw_only=True)
class Heard:
    """A recording that lies there as a file."""

    path: Path
    title: str
    artist: str
    seconds: float


def import_world(
    folder: Path,
    *,
    movielens: Path | None = None,
    tmdb: Path | None = None,
    posters: Path | None = None,
    music: Path | None = None,
    listeners: int = 20,
    films: int | None = None,
    seed: int = 7,
) -> dict[str, int]:
    """Make a world of real files; return how many rows its tables have.

    Args:
        folder: Must not be there.
        movielens: Folder with MovieLens' `links.csv`; needs `tmdb`.
        tmdb: Folder with `films_overview_poster.jsonl` and `credits.parquet`. Films that MovieLens does not have stand
            among the others, as on TMDb.
        posters: Folder with `<movieId>.jpg`; films without one have a drawn poster.
        music: Folder of recordings, with a `manifest.csv` (file, title, artist, seconds) or tags in the files.
        listeners: How many people are made up who play the recordings.
        films: At most so many films of MovieLens, in the order of `links.csv`.
        seed: Of what is made up.

    Raises:
        ValueError: The folder is there, nothing is to be imported, or a file that is needed is not there.
    """
    if folder.exists():
        raise ValueError(f"sandbox import: '{folder}' is there already; give a new folder, or delete it yourself")
    if (movielens is None) != (tmdb is None):
        raise ValueError("sandbox import: films need both the folder of MovieLens and that of the TMDb files")
    if movielens is None and music is None:
        raise ValueError("sandbox import: give films (MovieLens and TMDb), music, or both")
    folder.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        tables: dict[str, list[Any]] = {}
        if music is not None:
            _extend(tables, _music(beside, seed, list(heard(music)), listeners))
        if movielens is not None and tmdb is not None:
            _extend(tables, _films(beside, seed, movielens, tmdb, posters, films))
        write_tables(beside, dict(tables))
        beside.rename(folder)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise
    return {name: len(rows) for name, rows in tables.items()}


def _extend(tables: dict[str, list[Any]], more: Tables) -> None:
    for name, rows in more.items():
        tables.setdefault(name, []).extend(rows)


def _keep(world: Path, source: Path, name: str) -> str:
    """Put a file into the world, without a second copy of its bytes where the disk allows."""
    target = world / name
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
    return name


# --- films


def _films(
    world: Path, seed: int, movielens: Path, tmdb: Path, posters: Path | None, most: int | None
) -> dict[str, list[Any]]:
    """Films, posters and truth."""
    links = list(_links(_needed(movielens / "links.csv")))[:most]
    known = {number: movie for movie, _, number in links}
    people = _people(_needed(tmdb / "credits.parquet"))
    rows: list[FilmRow] = []
    pictures: list[PictureRow] = []
    with _needed(tmdb / "films_overview_poster.jsonl").open(encoding="utf-8") as lines:
        for record in map(json.loads, lines):
            movie = known.get(record["id"])
            film = _film(Dice(seed, "imported film", record["id"]), record, movie, people)
            rows.append(film)
            if film.poster is not None:
                pictures.append(_poster(world, film, posters))
    here = {row.id for row in rows}
    truth = [
        FilmTruth(movielens=movie, imdb=imdb, tmdb=number if number in here else None, trailer=None)
        for movie, imdb, number in links
    ]
    return {"films": rows, "pictures": pictures, "truth_films": truth}


def _needed(path: Path) -> Path:
    if not path.is_file():
        raise ValueError(f"sandbox import: '{path}' is not there")
    return path


def _links(path: Path) -> Iterator[tuple[int, str, int | None]]:
    """MovieLens' id, IMDb's and TMDb's of each film."""
    with path.open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            yield int(row["movieId"]), f"tt{row['imdbId']}", int(row["tmdbId"]) if row["tmdbId"] else None


def _people(path: Path) -> dict[int, list[dict[str, Any]]]:
    """Rows of the credits by film."""
    import polars as pl

    found: dict[int, list[dict[str, Any]]] = {}
    for row in pl.read_parquet(path).iter_rows(named=True):
        found.setdefault(row["movie_id"], []).append(row)
    return found


def _film(
    dice: Dice, record: Mapping[str, Any], movie: int | None, people: Mapping[int, list[dict[str, Any]]]
) -> FilmRow:
    credits_ = people.get(record["id"], [])
    cast = sorted((row for row in credits_ if row["job"] == "Actor"), key=lambda row: row["cast_order"] or 0)
    crew = [row for row in credits_ if row["job"] != "Actor"]
    return film_of(
        record,
        dice,
        movielens=movie,
        cast=tuple((row["person_id"], row["name"], row["character"] or "") for row in cast),
        crew=tuple((row["person_id"], row["name"], row["job"], row["department"] or "") for row in crew),
        kind="film" if movie is not None else "other",
    )


def _poster(world: Path, film: FilmRow, posters: Path | None) -> PictureRow:
    """The film's own poster where there is one, else a drawn one."""
    path = None if posters is None or film.movielens is None else posters / f"{film.movielens}.jpg"
    if path is not None and path.is_file():
        return PictureRow(id=film.poster or "", file=_keep(world, path, f"{POSTERS}/{path.name}"))
    genre = film.genres[0] if film.genres else "Drama"
    return PictureRow(id=film.poster or "", seed=f"poster/{film.id}", genre=genre)


# --- music


def heard(folder: Path) -> Iterator[Heard]:
    """The recordings of a folder: by its manifest, speech and the like left out; else by the tags of its files.

    Raises:
        ValueError: There is no recording in it.
    """
    manifest, found = folder / "manifest.csv", 0
    said = _listed(folder, manifest) if manifest.is_file() else _tagged(folder)
    for one in said:
        found += 1
        yield one
    if not found:
        raise ValueError(f"sandbox import: no recording in '{folder}' ({', '.join(ENDINGS)})")


def _listed(folder: Path, manifest: Path) -> Iterator[Heard]:
    with manifest.open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            path = folder / row["file"]
            if row.get("kind", "music") == "music" and path.suffix.lower() in ENDINGS and path.is_file():
                yield Heard(path=path, title=row["title"], artist=row["artist"], seconds=float(row["seconds"]))


def _tagged(folder: Path) -> Iterator[Heard]:
    import mutagen

    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() not in ENDINGS:
            continue
        read: Any = mutagen.File(path, easy=True)  # pyright: ignore[reportPrivateImportUsage]
        if read is not None and read.info.length > 0:
            tags = read.tags or {}
            title, artist = (str((tags.get(name) or [""])[0]) for name in ("title", "artist"))
            yield Heard(path=path, title=title or path.stem, artist=artist or "Unknown", seconds=read.info.length)


def _music(world: Path, seed: int, recordings: list[Heard], listeners: int) -> Tables:
    """All tables of music: the right videos play the files, the wrong ones are synthesised."""
    songs = _songs(seed, recordings)
    videos = make_videos(seed, songs)
    files = [
        _keep(world, one.path, f"{AUDIO}/{place}{one.path.suffix.lower()}") for place, one in enumerate(recordings)
    ]
    real = VideoRows(videos=[], sounds=list(videos.sounds), pictures=videos.pictures)
    for video in videos.videos:
        if video.kind in RIGHT and video.recording is not None:
            seconds = recordings[video.recording].seconds  # no intro: the file is all there is
            sound = SoundRow(id=f"f{video.recording}", file=files[video.recording], seconds=seconds)
            real.sounds.append(sound)
            real.videos.append(replace(video, sound=sound.id, duration_s=round(seconds)))
        else:
            real.videos.append(video)
    spellings, people = make_spellings(seed, songs), make_listeners(seed, listeners)
    plays = make_plays(seed, songs, spellings, people)
    return music_tables(seed, songs, spellings, people, plays, make_playlists(seed, songs, 6), real)


def _songs(seed: int, recordings: list[Heard]) -> list[Recording]:
    """The recordings with made-up ids; the genre, which nobody says, falls by artist."""
    fame = popularity(Dice(seed, "fame"), len(recordings))
    songs: list[Recording] = []
    for place, one in enumerate(recordings):
        dice, own = Dice(seed, "imported song", place), Dice(seed, "imported artist", one.artist)
        genre = own.pick(tuple(words.GENRES))
        artist = Artist(name=one.artist, genre=genre, language="en", spotify=own.base62(), mbid=own.uuid())
        album = Album(name=f"{one.artist} Collected", spotify=own.base62(), released=str(own.whole(1998, 2022)))
        songs.append(
            Recording(
                artist=artist,
                title=one.title,
                genre=genre,
                subgenre=own.pick(words.GENRES[genre].subgenres),
                album=album,
                spotify=(dice.base62(),),
                compilation=album,
                mbid=dice.uuid(),
                duration_ms=round(one.seconds * 1000),
                sound=words.GENRES[genre].sound,
                key=dice.whole(0, 11),
                mode=int(dice.chance(0.5)),
                liveness=0.1,
                in_table=True,
                popularity=fame[place],
                version_of=None,
            )
        )
    return songs
