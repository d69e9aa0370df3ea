"""Invented songs as the files of TidyTuesday's Spotify table, the Million Playlist Dataset and Last.fm 1K."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from deployments.sandbox import song_words as words
from deployments.sandbox.bad_rows import BadRow, Spoiler, spoil
from deployments.sandbox.dice import Dice
from deployments.sandbox.film_files import csv_lines, write_lines
from deployments.sandbox.listeners import Listener, Play, Playlist, Spelling
from deployments.sandbox.songs import Album, Recording

SPOTIFY_COLUMNS = (
    "track_id track_name track_artist track_popularity track_album_id track_album_name track_album_release_date "
    "playlist_name playlist_id playlist_genre playlist_subgenre danceability energy key loudness mode speechiness "
    "acousticness instrumentalness liveness valence tempo duration_ms"
).split()
MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
SLICE = 1000  # playlists


class _Editorial(NamedTuple):
    """A playlist of the Spotify table."""

    name: str
    id: str
    genre: str
    subgenre: str


def album_of(song: Recording, spotify: str) -> Album:
    """The album of one of the recording's Spotify ids."""
    return song.album if spotify == song.spotify[0] else song.compilation


def write_spotify(folder: Path, seed: int, songs: Sequence[Recording]) -> list[BadRow]:
    """`spotify/spotify_songs.csv`: a row per track and playlist, by playlist; one track has no name."""
    shelves = _editorial_playlists(seed)
    every = [shelf for subgenre in shelves for shelf in shelves[subgenre]]
    rows: dict[str, list[tuple[object, ...]]] = {shelf.id: [] for shelf in every}
    for place, song in enumerate(songs):
        if not song.in_table:
            continue
        dice = Dice(seed, "shelves", place)
        for spotify in song.spotify:
            chosen = dice.some(shelves[song.subgenre], 2 if dice.chance(0.25) else 1)
            if dice.chance(0.08):
                chosen.append(dice.pick([shelf for shelf in every if shelf.genre != song.genre]))
            for shelf in chosen:
                rows[shelf.id].append(_spotify_row(song, spotify, shelf))
    file = "spotify/spotify_songs.csv"
    lines = csv_lines([SPOTIFY_COLUMNS, *(row for shelf in every for row in rows[shelf.id])], "\n")
    nameless = lines[-1].split(",")[-16:]  # from playlist_name on, for what comes before may hold commas
    text = ",".join((Dice(seed, "nameless").base62(), "NA", "NA", "0", every[-1].id, "NA", "2017-12-01", *nameless))
    spoiler = Spoiler(place=0.6, text=text.rstrip("\n"), reason="bad_value", what="a track without a name")
    bad = spoil(file, lines, [spoiler], end="\n")
    write_lines(folder / file, lines)
    return bad


def _editorial_playlists(seed: int) -> dict[str, list[_Editorial]]:
    """Two or three playlists for each subgenre."""
    shelves: dict[str, list[_Editorial]] = {}
    for genre, vocabulary in words.GENRES.items():
        for subgenre in vocabulary.subgenres:
            dice = Dice(seed, "editorial", subgenre)
            names = [pattern.format(subgenre.title()) for pattern in vocabulary.playlists]
            chosen = dice.some(names, dice.whole(2, 3))
            shelves[subgenre] = [_Editorial(name, dice.base62(), genre, subgenre) for name in chosen]
    return shelves


def _spotify_row(song: Recording, spotify: str, shelf: _Editorial) -> tuple[object, ...]:
    album, sound = album_of(song, spotify), song.sound
    return (
        *(spotify, song.title, song.artist.name, int(100 * min(1.0, 1.6 * song.popularity / (song.popularity + 0.5)))),
        *(album.spotify, album.name, album.released, shelf.name, shelf.id, shelf.genre, shelf.subgenre),
        *(sound.danceability, sound.energy, song.key, sound.loudness_db, song.mode, sound.speechiness),
        *(sound.acousticness, sound.instrumentalness, song.liveness, sound.valence, sound.tempo_bpm, song.duration_ms),
    )


def write_mpd(folder: Path, seed: int, songs: Sequence[Recording], playlists: Sequence[Playlist]) -> None:
    """`mpd/mpd.slice.0-999.json` and on, with all original fields, laid out as the original."""
    for start in range(0, len(playlists), SLICE):
        name = f"{start}-{start + SLICE - 1}"
        found = enumerate(playlists[start : start + SLICE], start)
        document = {
            "info": {"generated_on": "2024-03-01 08:41:42.057563", "slice": name, "version": "v1"},
            "playlists": [_playlist(Dice(seed, "mpd", pid), pid, playlist, songs) for pid, playlist in found],
        }
        # The original is ASCII, with a space after each comma at the end of a line.
        text = json.dumps(document, indent=4, separators=(", ", ": "))
        write_lines(folder / "mpd" / f"mpd.slice.{name}.json", [text])


def _playlist(dice: Dice, pid: int, playlist: Playlist, songs: Sequence[Recording]) -> dict[str, Any]:
    tracks = [_mpd_track(pos, songs[song], dice.pick(songs[song].spotify)) for pos, song in enumerate(playlist.songs)]
    note = {} if playlist.description is None else {"description": playlist.description}
    return {
        "name": playlist.name,
        **note,
        "collaborative": "true" if dice.chance(0.03) else "false",
        "pid": pid,
        "modified_at": playlist.modified_at,
        "num_tracks": len(tracks),
        "num_albums": len({track["album_uri"] for track in tracks}),
        "num_followers": playlist.followers,
        "tracks": tracks,
        "num_edits": playlist.edits,
        "duration_ms": sum(songs[song].duration_ms for song in playlist.songs),
        "num_artists": len({track["artist_uri"] for track in tracks}),
    }


def _mpd_track(pos: int, song: Recording, spotify: str) -> dict[str, Any]:
    album = album_of(song, spotify)
    return {
        "pos": pos,
        "artist_name": song.artist.name,
        "track_uri": f"spotify:track:{spotify}",
        "artist_uri": f"spotify:artist:{song.artist.spotify}",
        "track_name": song.title,
        "album_uri": f"spotify:album:{album.spotify}",
        "duration_ms": song.duration_ms,
        "album_name": album.name,
    }


def write_lastfm(
    folder: Path,
    seed: int,
    songs: Sequence[Recording],
    spellings: Sequence[Sequence[Spelling]],
    listeners: Sequence[Listener],
    plays: Sequence[Play],
) -> list[BadRow]:
    """The plays, newest first, and the profiles, in `folder/lastfm`; two plays are bad."""
    known = [mbids(seed, song) for song in songs]
    lines: list[str] = []
    for play in plays:
        spelling, (artist, track) = spellings[play.song][play.spelling], known[play.song]
        cells = (listeners[play.listener].id, _iso(play.at), artist, spelling.artist, track, spelling.title)
        lines.append("\t".join(cells) + "\n")
    file = "lastfm/userid-timestamp-artid-artname-traid-traname.tsv"
    user, artist, now = listeners[0].id, songs[0].artist.name, _iso(plays[0].at)
    spoilers = [
        Spoiler(place=0.25, text=f"{user}\t{now}\t\t{artist}", reason="bad_row", what="a play of 4 fields, not 6"),
        Spoiler(place=0.8, text=f"{user}\tyesterday\t\t{artist}\t\tHum", reason="bad_value", what="no time"),
    ]
    bad = spoil(file, lines, spoilers, end="\n")
    write_lines(folder / file, lines)
    _write_profiles(folder, listeners)
    return bad


def _write_profiles(folder: Path, listeners: Sequence[Listener]) -> None:
    profiles = ["\t".join((one.id, one.gender, one.age, one.country, _day(one.registered))) for one in listeners]
    header = "#id\tgender\tage\tcountry\tregistered"
    write_lines(folder / "lastfm" / "userid-profile.tsv", [f"{line}\n" for line in (header, *profiles)])


def mbids(seed: int, song: Recording) -> tuple[str, str]:
    """MusicBrainz ids of artist and recording, as far as Last.fm knows them."""
    artist = "" if Dice(seed, "no mbid", song.artist.mbid).chance(0.08) else song.artist.mbid
    return artist, "" if Dice(seed, "no mbid", song.mbid).chance(0.28) else song.mbid


def _iso(at: int) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _day(date: tuple[int, int, int]) -> str:
    """As Last.fm writes days: `Aug 13, 2006`."""
    year, month, day = date
    return f"{MONTHS[month - 1]} {day}, {year}"
