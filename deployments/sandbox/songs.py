"""Invented artists and their recordings, in many languages."""

from dataclasses import dataclass, replace

from deployments.sandbox import song_words as words
from deployments.sandbox.dice import Dice, popularity

IN_TABLE = 0.96  # share of recordings in the Spotify table; the others are known from playlists and plays alone
TWICE = 0.02  # share of recordings with a second Spotify id, on a compilation
OTHER_VERSIONS = (" - Live", " - Acoustic", " - 2019 Remaster", " (Midnight Remix)")


@dataclass(frozen=True, kw_only=True)
class Artist:
    """Somebody invented who sings in one language, mostly in one genre."""

    name: str
    genre: str
    language: str
    spotify: str  # id, 22 characters
    mbid: str


@dataclass(frozen=True, kw_only=True)
class Album:
    """Where a recording was released."""

    name: str
    spotify: str
    released: str  # "2019-06-14", or "2019"


@dataclass(frozen=True, kw_only=True)
class Recording:
    """A recording as it is in truth; the files tell parts of it, with other spellings."""

    artist: Artist
    title: str  # as Spotify writes it, guests and version included
    genre: str
    subgenre: str
    album: Album
    spotify: tuple[str, ...]  # one track id, or two of the same recording
    compilation: Album  # of the second id
    mbid: str
    duration_ms: int
    sound: words.Sound
    key: int  # 0 C to 11 B
    mode: int  # 1 major
    liveness: float
    in_table: bool
    popularity: float  # (0, 1]
    version_of: int | None  # index of the recording that it is another version of: NOT the same recording


def make_songs(seed: int, count: int) -> list[Recording]:
    """That many recordings; artist and title together are distinct."""
    dice = Dice(seed, "songs")
    artists = _artists(seed, max(8, count // 5))
    albums = [_albums(Dice(seed, "albums", place), artist) for place, artist in enumerate(artists)]
    fame = popularity(dice, count)
    taken: dict[str, list[str]] = {}  # titles of each artist
    songs: list[Recording] = []
    for place in range(count):
        dice = Dice(seed, "song", place)
        other = _other_version(dice, songs, taken)
        home = dice.whole(0, len(artists) - 1) if dice.chance(0.3) else place % len(artists)
        artist = artists[home]
        if other is not None:
            song = replace(other, popularity=other.popularity * 0.3)
        else:
            title = _new_title(dice, artist, taken) + _guest(dice, artist, artists)
            song = _recording(dice, artist, dice.pick(albums[home]), title, fame[place])
        taken.setdefault(song.artist.name, []).append(song.title)
        songs.append(song)
    return songs


def _other_version(dice: Dice, songs: list[Recording], taken: dict[str, list[str]]) -> Recording | None:
    """Now and then: an earlier song once more, live or remastered."""
    if len(songs) < 10 or not dice.chance(0.05):
        return None
    place = dice.whole(0, len(songs) - 1)
    song = songs[place]
    title = song.title + dice.pick(OTHER_VERSIONS)
    if song.version_of is not None or title in taken[song.artist.name]:
        return None
    fresh = _recording(dice, song.artist, song.album, title, song.popularity)
    live = title.endswith("Live")
    return replace(
        fresh,
        genre=song.genre,
        subgenre=song.subgenre,
        sound=song.sound,
        key=song.key,
        mode=song.mode,
        liveness=round(dice.between(0.6, 0.95), 3) if live else song.liveness,
        version_of=place,
    )


def _artists(seed: int, count: int) -> list[Artist]:
    taken = set[str]()
    artists: list[Artist] = []
    genres = tuple(words.GENRES)
    for place in range(count):
        dice = Dice(seed, "artist", place)
        genre = genres[place % len(genres)]
        language = dice.pick(words.GENRES[genre].languages)
        names = (_artist_name(dice, language) for _ in range(40))
        name = next((name for name in names if name not in taken), f"{_artist_name(dice, language)} {place}")
        taken.add(name)
        artists.append(Artist(name=name, genre=genre, language=language, spotify=dice.base62(), mbid=dice.uuid()))
    return artists


def _artist_name(dice: Dice, language: str) -> str:
    vocabulary = words.LANGUAGES[language]
    if language == "en" and dice.chance(0.6):
        noun, adjective = dice.pick(words.EN_BAND_NOUNS), dice.pick(words.EN_BAND_ADJECTIVES)
        return dice.pick((f"The {adjective} {noun}", f"{adjective} {noun}", dice.pick(words.EN_MONONYMS)))
    if vocabulary.bands and dice.chance(0.4):
        return dice.pick(vocabulary.bands)
    first, last = dice.pick(vocabulary.first), dice.pick(vocabulary.last)
    if vocabulary.family_first is not None:
        return f"{last}{vocabulary.family_first}{first}"
    return f"{first} {last}"


def _albums(dice: Dice, artist: Artist) -> list[Album]:
    """One to three albums of an artist."""
    albums: list[Album] = []
    for _ in range(dice.whole(1, 3)):
        pattern = dice.pick(words.ALBUM_PATTERNS)
        name = pattern.format(title=_title(dice, artist), artist=artist.name, hall=dice.pick(words.HALLS))
        albums.append(Album(name=name, spotify=dice.base62(), released=_released(dice)))
    return albums


def _released(dice: Dice) -> str:
    year = 2020 - int(dice.random() * dice.random() * 46)
    return str(year) if dice.chance(0.06) else f"{year}-{dice.whole(1, 12):02d}-{dice.whole(1, 28):02d}"


def _new_title(dice: Dice, artist: Artist, taken: dict[str, list[str]]) -> str:
    for _ in range(60):
        title = _title(dice, artist)
        # Not even with guests or a version: "Luna" and "Luna (feat. X)" are one song by their normalised titles.
        if not any(known.startswith(title) for known in taken.get(artist.name, ())):
            return title
    return f"{_title(dice, artist)}, Pt. {len(taken.get(artist.name, ()))}"


def _title(dice: Dice, artist: Artist) -> str:
    vocabulary = words.LANGUAGES[artist.language]
    if artist.language == "en":
        a, b, c = dice.some(words.GENRES[artist.genre].words, 3)
        return dice.pick(words.ENGLISH_PATTERNS).format(
            a=a, b=b, c=c, mood=dice.pick(words.MOODS), verb=dice.pick(words.VERBS), place=dice.pick(words.PLACES)
        )
    if dice.chance(0.25):
        return dice.pick(vocabulary.phrases)
    first, second = dice.some(vocabulary.nouns, 2)
    return first if dice.chance(0.3) else vocabulary.both.format(first, second)


def _guest(dice: Dice, artist: Artist, artists: list[Artist]) -> str:
    """Who else sings, as Spotify writes it; mostly nobody."""
    guest = dice.pick(artists)
    if guest is artist or not dice.chance(0.3 if artist.genre in ("rap", "latin") else 0.08):
        return ""
    return f" (feat. {guest.name})"


def _recording(dice: Dice, artist: Artist, album: Album, title: str, fame: float) -> Recording:
    genre = artist.genre if dice.chance(0.88) else dice.pick(tuple(words.GENRES))
    subgenre = dice.pick(words.GENRES[genre].subgenres)
    compiled = Album(name=f"{subgenre.title()} Essentials", spotify=dice.base62(), released=_released(dice))
    second = dice.base62()
    return Recording(
        artist=artist,
        title=title,
        genre=genre,
        subgenre=subgenre,
        album=album,
        spotify=(dice.base62(), second) if dice.chance(TWICE) else (second,),
        compilation=compiled,
        mbid=dice.uuid(),
        duration_ms=int(max(62_000, dice.bell(205_000, 38_000))),
        sound=_sound(dice, words.GENRES[genre].sound),
        key=dice.whole(0, 11),
        mode=int(dice.chance(0.57)),
        liveness=round(dice.between(0.04, 0.36), 3),
        in_table=dice.chance(IN_TABLE),
        popularity=fame,
        version_of=None,
    )


def _sound(dice: Dice, mean: words.Sound) -> words.Sound:
    """Audio features near their genre's means, within the ranges of Spotify's table."""

    def share(middle: float, spread: float) -> float:
        return round(min(0.99, max(0.001, dice.bell(middle, spread))), 3)

    return words.Sound(
        danceability=share(mean.danceability, 0.09),
        energy=share(mean.energy, 0.1),
        loudness_db=round(min(-0.5, dice.bell(mean.loudness_db, 1.6)), 3),
        speechiness=share(mean.speechiness, 0.04),
        acousticness=share(mean.acousticness, 0.1),
        instrumentalness=share(mean.instrumentalness, 0.1),
        valence=share(mean.valence, 0.14),
        tempo_bpm=round(max(58.0, dice.bell(mean.tempo_bpm, 11.0)), 3),
    )
