"""Listeners who play invented songs by taste, how they spell them, and playlists."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from deployments.sandbox import song_words as words
from deployments.sandbox.dice import Dice, Wheel
from deployments.sandbox.fans import DAY_S, START, Fan, make_fan
from deployments.sandbox.songs import Recording

AGAIN = 0.3  # how likely the next play is one of the listener's own earlier ones
# Accents may be dropped and letters raised; not in Turkish, where I has two lower cases.
LATIN = frozenset("en es pt fr de sv is pl".split())


@dataclass(frozen=True, kw_only=True)
class Listener:
    """A person of the Last.fm files."""

    id: str  # "user_000001"
    gender: str  # m, f or empty
    age: str
    country: str
    registered: tuple[int, int, int]
    language: str | None  # a language whose songs they favour
    fan: Fan


@dataclass(frozen=True, kw_only=True)
class Play:
    """One listener played one recording."""

    listener: int  # index
    song: int  # index
    spelling: int  # index among the recording's spellings
    at: int  # unix seconds


@dataclass(frozen=True, kw_only=True)
class Spelling:
    """How a recording is written by the people who play it."""

    artist: str
    title: str
    how: str  # same, case, accents, guests, and, the, typo


@dataclass(frozen=True, kw_only=True)
class Playlist:
    """A playlist of the Million Playlist Dataset."""

    name: str
    description: str | None
    songs: tuple[int, ...]  # indices, in order, no song twice
    modified_at: int  # unix seconds at midnight
    followers: int
    edits: int


def make_listeners(seed: int, count: int) -> list[Listener]:
    """Listeners with 15 to 400 plays each; some hide their gender, age or country."""
    listeners: list[Listener] = []
    for number in range(1, count + 1):
        dice = Dice(seed, "listener", number)
        country = dice.pick(words.COUNTRIES)
        events = 15 + int(385 * dice.random() * dice.random())
        listeners.append(
            Listener(
                id=f"user_{number:06d}",
                gender=dice.pick(("m", "f", "m", "f", "")),
                age=str(dice.whole(16, 62)) if dice.chance(0.7) else "",
                country=country if dice.chance(0.9) else "",
                registered=(dice.whole(2016, 2020), dice.whole(1, 12), dice.whole(1, 28)),
                language=words.HOME_LANGUAGE.get(country),
                fan=make_fan(dice, tuple(words.GENRES), events=events, pause_s=(150, 330), sitting=20),
            )
        )
    return listeners


def make_plays(
    seed: int, songs: Sequence[Recording], spellings: Sequence[Sequence[Spelling]], listeners: Sequence[Listener]
) -> list[Play]:
    """What they played, by listener, newest first."""
    plays: list[Play] = []
    for place, listener in enumerate(listeners):
        dice = Dice(seed, "plays", place)
        own: list[Play] = []
        wheel, mood = None, None
        for at in listener.fan.times:
            if listener.fan.tastes(at) is not mood or wheel is None:
                mood = listener.fan.tastes(at)
                wheel = _wheel(songs, mood, listener.language)
            song = dice.pick(own).song if own and dice.chance(AGAIN) else wheel.draw(dice)
            spelling = 0 if dice.chance(0.4) else dice.whole(0, len(spellings[song]) - 1)
            own.append(Play(listener=place, song=song, spelling=spelling, at=at))
        plays.extend(reversed(own))
    return plays


def _wheel(songs: Sequence[Recording], mood: Mapping[str, float], language: str | None) -> Wheel[int]:
    """The songs in proportion to fame, the square of taste, and whether the words are understood."""
    weights: list[float] = []
    for song in songs:
        like = 0.04 + mood[song.genre]
        home = 3.0 if song.artist.language == language else 1.0
        weights.append(song.popularity * like * like * home)
    return Wheel(range(len(songs)), weights)


def make_spellings(seed: int, songs: Sequence[Recording]) -> list[tuple[Spelling, ...]]:
    """One to three ways to write each recording; the first is the usual one, mostly Spotify's own."""
    everything: list[tuple[Spelling, ...]] = []
    for place, song in enumerate(songs):
        dice = Dice(seed, "spelling", place)
        same = Spelling(artist=song.artist.name, title=song.title, how="same")
        ways = [same] if dice.chance(0.75) else []
        others = [way for way in _variants(dice, song) if (way.artist, way.title) != (same.artist, same.title)]
        ways.extend(dice.some(others, dice.pick((0, 0, 1, 1, 2))))
        everything.append(tuple(ways or [same]))
    return everything


def _variants(dice: Dice, song: Recording) -> list[Spelling]:
    """All other spellings of a recording; only a typo is not undone by normalising artist and title."""
    artist, title = song.artist.name, song.title
    ways = [Spelling(artist=artist.lower(), title=title.lower(), how="case")]
    if song.artist.language in LATIN:
        ways.append(Spelling(artist=_plain(artist), title=_plain(title), how="accents"))
        ways.append(Spelling(artist=artist.upper(), title=title, how="case"))
    if " (feat. " in title:
        ways.append(Spelling(artist=artist, title=re.sub(r" \(feat\. [^)]*\)", "", title), how="guests"))
        ways.append(Spelling(artist=artist, title=re.sub(r"\(feat\. ([^)]*)\)", r"[ft. \1]", title), how="guests"))
    if " & " in title:
        ways.append(Spelling(artist=artist, title=title.replace(" & ", " and "), how="and"))
    if artist.startswith("The "):
        ways.append(Spelling(artist=artist.removeprefix("The "), title=title, how="the"))
    if "'" in title:
        ways.append(Spelling(artist=artist, title=title.replace("'", "\N{RIGHT SINGLE QUOTATION MARK}"), how="case"))
    if len(title) > 5 and dice.chance(0.2):
        cut = dice.whole(1, 3)
        ways.append(Spelling(artist=artist, title=title[:cut] + title[cut + 1 :], how="typo"))
    return ways


def _plain(text: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))


def make_playlists(seed: int, songs: Sequence[Recording], count: int) -> list[Playlist]:
    """Playlists of 5 to 60 songs, mostly of one genre, now and then of one language."""
    playlists: list[Playlist] = []
    genres = tuple(words.GENRES)
    for place in range(count):
        dice = Dice(seed, "playlist", place)
        genre = dice.pick(genres)
        mood = {name: 1.0 if name == genre else 0.05 for name in genres}
        wheel = _wheel(songs, mood, dice.pick(tuple(words.LANGUAGES)))
        size = min(5 + int(55 * dice.random() * dice.random()), len(songs) // 3)
        members: dict[int, None] = {}
        while len(members) < size:
            members[wheel.draw(dice)] = None
        playlists.append(
            Playlist(
                name=dice.pick(words.PLAYLIST_NAMES[genre]),
                description=dice.pick(words.PLAYLIST_NOTES) if dice.chance(0.05) else None,
                songs=tuple(members),
                modified_at=START + dice.whole(0, 1000) * DAY_S,
                followers=1 + int(dice.random() * dice.random() * dice.random() * 12),
                edits=dice.whole(1, 40),
            )
        )
    return playlists
