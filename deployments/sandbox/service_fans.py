"""Last.fm's side of a world: listeners with their plays, and the tracks as they are spelled there."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from deployments.sandbox.dice import Dice
from deployments.sandbox.listeners import Listener, Play, Playlist, Spelling
from deployments.sandbox.service_music import MusicRows
from deployments.sandbox.song_files import mbids
from deployments.sandbox.songs import Recording
from deployments.sandbox.tables import FanRow, LastfmTrackRow, PlaylistRow

PRIVATE = 0.02  # share of listeners who hide what they play
PLAYING = 0.1  # share of listeners who are listening right now
_COMMON_TAGS = ("seen live", "favourites", "2020s", "chill", "party", "sad", "driving")


def make_lastfm(
    seed: int,
    songs: Sequence[Recording],
    spellings: Sequence[Sequence[Spelling]],
    listeners: Sequence[Listener],
    plays: Sequence[Play],
    music: MusicRows,
) -> tuple[list[LastfmTrackRow], list[FanRow]]:
    """Tracks that anybody played, in each spelling, and the listeners."""
    heard = Counter((play.song, play.spelling) for play in plays)
    people: dict[tuple[int, int], set[int]] = {}
    for play in plays:
        people.setdefault((play.song, play.spelling), set()).add(play.listener)
    rows = {key: place for place, key in enumerate(sorted(heard))}
    tracks = [_track(seed, songs, spellings, music, key, heard[key], len(people[key])) for key in rows]
    own: list[list[tuple[int, int]]] = [[] for _ in listeners]
    for play in plays:
        own[play.listener].append((play.at, rows[play.song, play.spelling]))
    return tracks, [_fan(seed, place, listener, own[place]) for place, listener in enumerate(listeners)]


def _track(
    seed: int,
    songs: Sequence[Recording],
    spellings: Sequence[Sequence[Spelling]],
    music: MusicRows,
    key: tuple[int, int],
    playcount: int,
    listeners: int,
) -> LastfmTrackRow:
    song, spelling = songs[key[0]], spellings[key[0]][key[1]]
    dice = Dice(seed, "lastfm track", *key)
    artist, track = mbids(seed, song)
    extra = dice.some(_COMMON_TAGS, dice.whole(0, 2))
    return LastfmTrackRow(
        title=spelling.title,
        artist=spelling.artist,
        artist_mbid=artist,
        mbid=track,
        album=song.album.name if dice.chance(0.85) else "",
        duration_ms=song.duration_ms // 1000 * 1000 if dice.chance(0.8) else 0,
        tags=tuple(
            (name, max(1, 100 - 19 * place - dice.whole(0, 9)))
            for place, name in enumerate((song.genre, song.subgenre, *extra))
        )
        if dice.chance(0.85)
        else (),
        listeners=listeners,
        playcount=playcount,
        picture=music.albums[song.album.spotify].picture,
        recording=key[0],
    )


def _fan(seed: int, place: int, listener: Listener, plays: Sequence[tuple[int, int]]) -> FanRow:
    dice = Dice(seed, "fan", place)
    year, month, day = listener.registered
    return FanRow(
        name=listener.id,
        realname="",
        gender=listener.gender or "n",
        country=listener.country or "None",
        age=int(listener.age or 0),
        registered=int(datetime(year, month, day, tzinfo=UTC).timestamp()),
        private=place > 0 and dice.chance(PRIVATE),
        playing=dice.pick(plays)[1] if plays and dice.chance(PLAYING) else None,
        plays=tuple(sorted(plays, reverse=True)),
    )


def make_spotify_playlists(seed: int, songs: Sequence[Recording], playlists: Sequence[Playlist]) -> list[PlaylistRow]:
    """The playlists as Spotify serves them."""
    rows: list[PlaylistRow] = []
    for place, playlist in enumerate(playlists):
        dice = Dice(seed, "spotify playlist", place)
        rows.append(
            PlaylistRow(
                id=dice.base62(),
                name=playlist.name,
                description=playlist.description or "",
                owner=f"owner{dice.whole(1, 999_999)}",
                followers=playlist.followers,
                modified_at=playlist.modified_at,
                tracks=tuple(songs[song].spotify[0] for song in playlist.songs),
            )
        )
    return rows


def spelled(tracks: Sequence[LastfmTrackRow]) -> Mapping[int, tuple[tuple[str, str], ...]]:
    """Artist and title of each recording as Last.fm has them, by recording."""
    found: dict[int, list[tuple[str, str]]] = {}
    for track in tracks:
        found.setdefault(track.recording, []).append((track.artist, track.title))
    return {recording: tuple(ways) for recording, ways in found.items()}
