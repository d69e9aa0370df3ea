"""The tables that the sandbox's servers answer from, made for a whole world at once."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from deployments.sandbox.film_files import is_known
from deployments.sandbox.films import Film
from deployments.sandbox.gold import write_gold
from deployments.sandbox.listeners import Listener, Play, Playlist, Spelling
from deployments.sandbox.service_fans import make_lastfm, make_spotify_playlists, spelled
from deployments.sandbox.service_films import make_films_rows
from deployments.sandbox.service_lyrics import make_songs_pages
from deployments.sandbox.service_music import MusicRows, make_music
from deployments.sandbox.service_videos import RIGHT, VideoRows, make_trailers, make_videos
from deployments.sandbox.songs import Recording
from deployments.sandbox.tables import (
    FilmTruth,
    LastfmTrackRow,
    SongRow,
    TrackTruth,
    VideoRow,
    write_table,
)

Tables = Mapping[str, Iterable[Any]]
"""Rows by the name of their table."""


def write_services(
    folder: Path,
    seed: int,
    films: Sequence[Film],
    songs: Sequence[Recording],
    spellings: Sequence[Sequence[Spelling]],
    listeners: Sequence[Listener],
    plays: Sequence[Play],
    playlists: Sequence[Playlist],
) -> None:
    """Write every table of `deployments.sandbox.tables` for these people, films and recordings."""
    videos = make_videos(seed, songs)
    trailers = tuple(make_trailers(seed, films, videos))
    rows, posters = make_films_rows(seed, films, trailers)
    truth = (
        FilmTruth(
            movielens=film.movielens,
            imdb=f"tt{film.imdb}",
            tmdb=film.tmdb if is_known(film) else None,
            trailer=trailer,
        )
        for film, trailer in zip(films, trailers, strict=True)
    )
    music = music_tables(seed, songs, spellings, listeners, plays, playlists, videos)
    write_tables(folder, {**music, "films": rows, "truth_films": truth, "pictures": (*music["pictures"], *posters)})


def music_tables(
    seed: int,
    songs: Sequence[Recording],
    spellings: Sequence[Sequence[Spelling]],
    listeners: Sequence[Listener],
    plays: Sequence[Play],
    playlists: Sequence[Playlist],
    videos: VideoRows,
) -> Tables:
    """All tables but those of films."""
    music = make_music(seed, songs)
    pages, states = make_songs_pages(seed, songs, music)
    lastfm, fans = make_lastfm(seed, songs, spellings, listeners, plays, music)
    return {
        "artists": music.artists,
        "albums": music.albums.values(),
        "tracks": music.tracks,
        "playlists": make_spotify_playlists(seed, songs, playlists),
        "lastfm_tracks": lastfm,
        "fans": fans,
        "songs": pages,
        "videos": videos.videos,
        "sounds": videos.sounds,
        "pictures": (*music.pictures, *videos.pictures),
        "truth_tracks": _true_tracks(songs, music, videos.videos, pages, lastfm, states),
    }


def write_tables(folder: Path, tables: Tables) -> None:
    """Write the tables, and their truth as a gold set; sounds and pictures that are named twice are written once."""
    for name, rows in tables.items():
        write_table(folder, name, _once(rows) if name in ("sounds", "pictures") else rows)
    write_gold(folder)


def _once(rows: Iterable[Any]) -> Iterable[Any]:
    return {row.id: row for row in rows}.values()


def _true_tracks(
    songs: Sequence[Recording],
    music: MusicRows,
    videos: Iterable[VideoRow],
    pages: Iterable[SongRow],
    lastfm: Sequence[LastfmTrackRow],
    states: Sequence[str],
) -> Iterable[TrackTruth]:
    """Which rows of the services are which recording: another version of it is another recording, or none."""
    tracks: list[list[str]] = [[] for _ in songs]
    clips: list[list[str]] = [[] for _ in songs]
    texts: list[list[int]] = [[] for _ in songs]
    for track in music.tracks:
        if track.kind == "song" and track.recording is not None:
            tracks[track.recording].append(track.spotify)
    for video in videos:
        if video.kind in RIGHT and video.recording is not None:
            clips[video.recording].append(video.id)
    for page in pages:
        if page.kind == "song" and page.recording is not None:
            texts[page.recording].append(page.id)
    ways = spelled(lastfm)
    for place, song in enumerate(songs):
        yield TrackTruth(
            recording=place,
            artist=song.artist.name,
            title=song.title,
            isrc=music.isrcs[place],
            duration_ms=song.duration_ms,
            spotify=tuple(tracks[place]),
            youtube=tuple(clips[place]),
            genius=tuple(texts[place]),
            lastfm=ways.get(place, ()),
            lyrics=states[place],
        )
