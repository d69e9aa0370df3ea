"""All that a world holds: made, written to its files, and told in truth."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from deployments.sandbox import film_files, media_files, song_files
from deployments.sandbox.bad_rows import BadRow
from deployments.sandbox.fans import Fan
from deployments.sandbox.film_words import TMDB_GENRE_IDS
from deployments.sandbox.films import Film, make_films
from deployments.sandbox.listeners import (
    Listener,
    Playlist,
    Spelling,
    make_listeners,
    make_playlists,
    make_plays,
    make_spellings,
)
from deployments.sandbox.services import write_services
from deployments.sandbox.song_words import GENRES as SONG_GENRES
from deployments.sandbox.songs import Recording, make_songs
from deployments.sandbox.viewers import make_ratings, make_tags, make_viewers


def write_contents(folder: Path, parameters: Mapping[str, int]) -> tuple[tuple[BadRow, ...], dict[str, Any]]:
    """Write all files of the sources; return the bad rows among them, and what is true of all."""
    seed = parameters["seed"]
    films = make_films(seed, parameters["films"])
    viewers = make_viewers(seed, parameters["viewers"], len(films))
    ratings = make_ratings(seed, films, viewers)
    songs = make_songs(seed, parameters["tracks"])
    spellings = make_spellings(seed, songs)
    listeners = make_listeners(seed, parameters["listeners"])
    plays = make_plays(seed, songs, spellings, listeners)
    playlists = make_playlists(seed, songs, parameters["playlists"])
    bad = film_files.write_movielens(folder, films, ratings, make_tags(seed, films, ratings))
    bad += film_files.write_tmdb(folder, seed, films)
    bad += song_files.write_spotify(folder, seed, songs)
    song_files.write_mpd(folder, seed, songs, playlists)
    bad += song_files.write_lastfm(folder, seed, songs, spellings, listeners, plays)
    media, refused = media_files.write_audio(folder, seed, songs, parameters["clips"])
    bad += refused
    write_services(folder, seed, films, songs, spellings, listeners, plays, playlists)
    media |= media_files.write_pictures(
        folder, seed, songs, films, covers=parameters["clips"], posters=parameters["posters"]
    )
    truth = {
        "bad_rows": [asdict(row) for row in bad],
        "genres": {
            "films": TMDB_GENRE_IDS,
            "tracks": {genre: vocabulary.subgenres for genre, vocabulary in SONG_GENRES.items()},
        },
        "films": _true_films(films),
        "recordings": _true_recordings(songs, spellings, {play.song for play in plays}, _listed(playlists)),
        "media": media,
        "viewers": {str(number): _true_moods(fan) for number, fan in enumerate(viewers, 1)},
        "listeners": {listener.id: _true_listener(listener) for listener in listeners},
    }
    return tuple(bad), truth


def _listed(playlists: Iterable[Playlist]) -> set[int]:
    return {song for playlist in playlists for song in playlist.songs}


def _true_films(films: Sequence[Film]) -> list[dict[str, Any]]:
    """Each film, with the ids under which the files know it; `tmdb` is None where no file does."""
    return [
        {
            "movielens": str(film.movielens),
            "imdb": f"tt{film.imdb}",
            "tmdb": str(film.tmdb) if film_files.is_known(film) else None,
            "title": film.title,
            "year": film.year,
            "genres": film.genres,
            "sequel_of": None if film.sequel_of is None else str(films[film.sequel_of].movielens),
        }
        for film in films
    ]


def _true_recordings(
    songs: Sequence[Recording], spellings: Sequence[Sequence[Spelling]], played: set[int], listed: set[int]
) -> list[dict[str, Any]]:
    """Each recording, with all ids and spellings of it; another version is another recording."""
    return [
        {
            "recording": place,
            "artist": song.artist.name,
            "title": song.title,
            "genre": song.genre,
            "subgenre": song.subgenre,
            "language": song.artist.language,
            "version_of": song.version_of,
            "spotify": song.spotify,
            "in_spotify_table": song.in_table,
            "in_mpd": place in listed,
            "lastfm": [asdict(spelling) for spelling in spellings[place]] if place in played else [],
        }
        for place, song in enumerate(songs)
    ]


def _true_moods(fan: Fan) -> list[dict[str, Any]]:
    """Liking of each genre in [0, 1], since when (unix seconds); two entries where the taste changed."""
    return [{"since": since, "genres": dict(mood)} for since, mood in fan.moods]


def _true_listener(listener: Listener) -> dict[str, Any]:
    return {"language": listener.language, "tastes": _true_moods(listener.fan)}
