"""Spotify's catalogue of a world: the recordings, their re-releases, and what is easily taken for them."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from deployments.sandbox import song_words as words
from deployments.sandbox.dice import Dice
from deployments.sandbox.songs import Album, Artist, Recording
from deployments.sandbox.tables import AlbumRow, ArtistRow, PictureRow, TrackRow

WRONG = 0.02  # share of recordings of which the catalogue says something wrong
AGAIN = 0.06  # share of recordings that were released once more, on a deluxe edition
DISTRACTORS = ("live", "remix", "cover", "karaoke", "sped_up", "instrumental")
VARIOUS = "Various Artists"
COPIERS = {
    "karaoke": ("Karaoke Lantern Band", "Sing Along Cellar", "Party Tyme Moles"),
    "instrumental": ("Quiet Lobby Ensemble", "Piano for Elevators"),
    "cover": ("The Borrowed Hats", "Tribute to Everybody", "Tamsin at the Kitchen Table", "Soft Copy Choir"),
    "sped_up": ("speedy hedgehog", "nightcore lighthouse"),
}
"""Artists who live from other people's songs."""

_GUEST = re.compile(r" \(feat\. ([^)]*)\)")


@dataclass
class MusicRows:
    """The rows of one world's music, while they are made."""

    artists: list[ArtistRow] = field(default_factory=list[ArtistRow])
    albums: dict[str, AlbumRow] = field(default_factory=dict[str, AlbumRow])
    tracks: list[TrackRow] = field(default_factory=list[TrackRow])
    pictures: list[PictureRow] = field(default_factory=list[PictureRow])
    isrcs: list[str | None] = field(default_factory=list[str | None])  # of each recording, in truth
    ids: dict[str, int] = field(default_factory=dict[str, int])  # name of each artist to its id

    def picture(self, dice: Dice, genre: str) -> str:
        """A new picture of that genre."""
        name = "".join(dice.pick("0123456789abcdef") for _ in range(32))
        self.pictures.append(PictureRow(id=name, seed=f"picture/{name}", genre=genre))
        return name

    def artist(self, dice: Dice, artist: Artist, fame: float) -> int:
        """The id of the artist, who is added where nobody has met them before."""
        if artist.name not in self.ids:
            self.ids[artist.name] = 1_000 + len(self.artists)
            row = ArtistRow(
                id=self.ids[artist.name],
                name=artist.name,
                spotify=artist.spotify,
                mbid=artist.mbid,
                genres=(artist.genre,) if dice.chance(0.7) else (),
                language=artist.language,
                popularity=int(100 * fame),
                followers=int(4_000_000 * fame * fame) + dice.whole(1, 900),
                picture=self.picture(dice, artist.genre),
            )
            self.artists.append(row)
        return self.ids[artist.name]


def make_music(seed: int, songs: Sequence[Recording]) -> MusicRows:
    """Artists, albums and tracks of Spotify; tracks that are no recording of `songs` lie among them."""
    rows = MusicRows()
    various = Artist(name=VARIOUS, genre="pop", language="en", spotify=Dice(seed, VARIOUS).base62(), mbid="")
    rows.artist(Dice(seed, VARIOUS, "row"), various, 0.5)
    for song in songs:  # first, so that a guest named in a title is an artist too
        rows.artist(Dice(seed, "artist row", song.artist.spotify), song.artist, _fame(song))
    for place, song in enumerate(songs):
        dice = Dice(seed, "tracks", place)
        rows.isrcs.append(_isrc(dice, song.album) if dice.chance(0.97) else None)
        first = len(rows.tracks)
        rows.tracks.extend(_right(dice, rows, place, song))
        if dice.chance(WRONG):
            rows.tracks[first] = _wrong(dice, rows, rows.tracks[first])
        rows.tracks.extend(_others(dice, rows, place, song))
    return rows


def _fame(song: Recording) -> float:
    """Popularity out of 1 as Spotify spreads it: most tracks are not unknown."""
    return min(1.0, 1.6 * song.popularity / (song.popularity + 0.5))


def _isrc(dice: Dice, album: Album) -> str:
    registrant = "".join(dice.pick("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") for _ in range(3))
    country = dice.pick("US US GB DE FR SE BR ES JP KR TR PL QM".split())
    return f"{country}{registrant}{album.released[2:4]}{dice.whole(0, 99_999):05d}"


def _album(dice: Dice, rows: MusicRows, album: Album, artists: tuple[int, ...], genre: str) -> str:
    """Id of the album, which is added where it is new."""
    if album.spotify not in rows.albums:
        kind = "compilation" if artists == (rows.ids[VARIOUS],) else dice.pick(("album", "album", "single"))
        rows.albums[album.spotify] = AlbumRow(
            spotify=album.spotify,
            name=album.name,
            artists=artists,
            kind=kind,
            released=album.released,
            label=dice.pick(("Moth Records", "Salt & Sons", "Paper Moon", "Independent")),
            upc=f"{dice.whole(10**11, 10**12 - 1)}",
            popularity=dice.whole(0, 80),
            picture=rows.picture(dice, genre),
        )
    return album.spotify


def track_artists(rows: MusicRows, song: Recording) -> tuple[int, ...]:
    """Who plays: the artist, and the guests that the title names."""
    guests = _GUEST.findall(song.title)
    return (rows.ids[song.artist.name], *(rows.ids[guest] for guest in guests if guest in rows.ids))


def _right(dice: Dice, rows: MusicRows, place: int, song: Recording) -> Iterator[TrackRow]:
    """Every release of the recording."""
    artists = track_artists(rows, song)
    own = _album(dice, rows, song.album, artists[:1], song.genre)
    track = TrackRow(
        spotify=song.spotify[0],
        title=song.title,
        artists=artists,
        album=own,
        number=dice.whole(1, 12),
        duration_ms=song.duration_ms,
        isrc=rows.isrcs[place],
        explicit=dice.chance(0.4 if song.genre == "rap" else 0.08),
        popularity=int(100 * _fame(song)),
        kind="song",
        recording=place,
    )
    yield track
    for second in song.spotify[1:]:
        various = (rows.ids[VARIOUS],)
        yield replace(track, spotify=second, album=_album(dice, rows, song.compilation, various, song.genre))
    if dice.chance(AGAIN):
        edition = Album(name=f"{song.album.name} (Deluxe Edition)", spotify=dice.base62(), released=_later(dice, song))
        again = _album(dice, rows, edition, artists[:1], song.genre)
        isrc = track.isrc if dice.chance(0.7) else _isrc(dice, edition)
        longer = song.duration_ms + dice.whole(-900, 900)
        yield replace(track, spotify=dice.base62(), album=again, isrc=isrc, duration_ms=longer)


def _later(dice: Dice, song: Recording) -> str:
    return str(min(2024, int(song.album.released[:4]) + dice.whole(1, 12)))


def _wrong(dice: Dice, rows: MusicRows, track: TrackRow) -> TrackRow:
    """The track with one field that is not true."""
    what = dice.pick(("duration_ms", "isrc", "title", "artists", "released"))
    if what == "duration_ms":
        return replace(
            track, wrong=what, duration_ms=track.duration_ms + dice.pick((-1, 1)) * dice.whole(15, 55) * 1000
        )
    if what == "isrc":
        return replace(track, wrong=what, isrc=dice.pick([isrc for isrc in rows.isrcs if isrc] or ["USAAA1900001"]))
    if what == "title" and len(track.title) > 4:
        cut = dice.whole(1, len(track.title) - 2)
        return replace(track, wrong=what, title=track.title[:cut] + track.title[cut + 1 :])
    if what == "artists":
        return replace(track, wrong=what, artists=(rows.ids[VARIOUS],))
    album = rows.albums[track.album]
    rows.albums[track.album] = replace(album, released=str(int(album.released[:4]) - dice.whole(5, 20)))
    return replace(track, wrong="released")


def _others(dice: Dice, rows: MusicRows, place: int, song: Recording) -> Iterator[TrackRow]:
    """Tracks that look like the recording and are none; the more famous, the more of them."""
    if song.version_of is not None:
        return
    for kind in dice.some(DISTRACTORS, 1 + int(3 * _fame(song) * dice.random() + 0.5) if dice.chance(0.5) else 0):
        yield _other(dice, rows, place, song, kind)


def _other(dice: Dice, rows: MusicRows, place: int, song: Recording, kind: str) -> TrackRow:
    title, stretch = other_title(dice, song, kind)
    copier = dice.pick(COPIERS.get(kind, ("",)))
    fake = Artist(name=copier, genre=song.genre, language=song.artist.language, spotify=dice.base62(), mbid=dice.uuid())
    own = rows.ids[song.artist.name]
    artists = (rows.artist(dice, fake, 0.1),) if copier and not (kind == "sped_up" and dice.chance(0.5)) else (own,)
    album = Album(name=title, spotify=dice.base62(), released=_later(dice, song))
    return TrackRow(
        spotify=dice.base62(),
        title=title,
        artists=artists,
        album=_album(dice, rows, album, artists[:1], song.genre),
        number=1,
        duration_ms=int(song.duration_ms * stretch),
        isrc=_isrc(dice, album),
        explicit=False,
        popularity=int(60 * _fame(song) * dice.random()),
        kind=kind,
        recording=place,
    )


def other_title(dice: Dice, song: Recording, kind: str) -> tuple[str, float]:
    """How Spotify calls another version of a song, and how much longer it is."""
    plain = _GUEST.sub("", song.title)
    match kind:
        case "live":
            ways = (f"{plain} - Live at {dice.pick(words.HALLS)}", f"{plain} (Live)", f"{plain} - Live")
            return dice.pick(ways), dice.between(1.03, 1.35)
        case "remix":
            name = dice.pick(words.EN_MONONYMS)
            return dice.pick((f"{plain} - {name} Remix", f"{plain} ({name} Extended Mix)")), dice.between(0.85, 1.5)
        case "karaoke":
            by = f"(Originally Performed by {song.artist.name}) [Karaoke Version]"
            return dice.pick((f"{plain} - Karaoke Version", f"{plain} {by}")), dice.between(0.99, 1.01)
        case "sped_up":
            return dice.pick((f"{plain} - Sped Up", f"{plain} (sped up)")), dice.between(0.78, 0.86)
        case "instrumental":
            return dice.pick((f"{plain} - Instrumental", f"{plain} (Piano Version)")), dice.between(0.97, 1.03)
        case _:  # a cover has nobody else's name in its title
            return plain, dice.between(0.85, 1.18)
