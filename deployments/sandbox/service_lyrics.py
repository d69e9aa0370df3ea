"""Genius' songs of a world: made-up lyrics in many languages, 15 % of them missing, and pages that are not the song."""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import replace

from deployments.sandbox import song_words as words
from deployments.sandbox.dice import Dice
from deployments.sandbox.service_music import MusicRows, track_artists
from deployments.sandbox.songs import Recording
from deployments.sandbox.tables import SongRow

STATES = (("instrumental", 0.05), ("absent", 0.04), ("untranscribed", 0.04), ("unreleased", 0.02))
"""Why 15 % have no lyrics, with the share of each."""

LAYOUTS = ("headed",) * 8 + ("excluded",) + ("contained",)
"""Today's layout of the web page, and the two before it; `react` and `old` are chosen by a fault switch."""

_GUEST = re.compile(r" \(feat\. [^)]*\)")
_ENGLISH = (
    "{mood} {a} on {place}",
    "I left my {a} on {place}",
    "Somebody told the {b} to {verb} me",
    "No {a}, no {b}, no {c} tonight",
    "{verb} me, {verb2} me, all the way to {place}",
    "And the {b} keeps asking for the {c}",
    "We were {mood}, we were {mood2}",
)


def make_songs_pages(seed: int, songs: Sequence[Recording], music: MusicRows) -> tuple[list[SongRow], list[str]]:
    """Genius' songs, and for each recording the state of its lyrics (`absent`: Genius has no such song)."""
    rows: list[SongRow] = []
    states: list[str] = []
    taken = set[str]()
    for place, song in enumerate(songs):
        dice = Dice(seed, "lyrics", place)
        states.append(_state(dice, song))
        page = _page(dice, music, place, song, states[-1], 2_000_000 + 8 * place, taken)
        if states[-1] != "absent":
            rows.append(page)
        rows.extend(_others(dice, page, song, taken))
    return rows, states


def _state(dice: Dice, song: Recording) -> str:
    draw = dice.random()
    for state, share in STATES:
        if draw < share:
            return state
        draw -= share
    return "complete"


def _page(
    dice: Dice, music: MusicRows, place: int, song: Recording, state: str, number: int, taken: set[str]
) -> SongRow:
    artists = track_artists(music, song)
    lyrics = make_lyrics(dice, song) if state in ("complete", "absent") else ""
    title = _GUEST.sub("", song.title)
    return SongRow(
        id=number,
        title=title,
        artist=artists[0],
        guests=artists[1:],
        album=song.album.spotify,
        released=song.album.released,
        path=_path(song.artist.name, title, number, taken),
        language=song.artist.language,
        state=state,
        lyrics=lyrics,
        layout=dice.pick(LAYOUTS),
        pageviews=int(3_000_000 * song.popularity * dice.random()) + dice.whole(5, 400),
        picture=music.albums[song.album.spotify].picture,
        kind="song",
        recording=place,
    )


def _others(dice: Dice, page: SongRow, song: Recording, taken: set[str]) -> Iterator[SongRow]:
    """Translations, remixes and live versions: pages whose words are not those of the recording."""
    if song.version_of is not None:
        return
    kinds = [kind for kind, chance in (("translation", 0.15), ("remix", 0.08), ("live", 0.05)) if dice.chance(chance)]
    for number, kind in enumerate(kinds, 1):
        title, language = page.title, page.language
        if kind == "translation":
            language = "es" if page.language == "en" else "en"
            of = "Traducción al Español" if language == "es" else "English Translation"
            title = f"{song.artist.name} - {title} ({of})"
        else:
            title = f"{title} ({dice.pick(words.EN_MONONYMS)} Remix)" if kind == "remix" else f"{title} (Live)"
        yield replace(
            page,
            id=page.id + number,
            title=title,
            path=_path(song.artist.name, title, page.id + number, taken),
            language=language,
            state="complete",
            lyrics=make_lyrics(dice, song, language),
            pageviews=page.pageviews // 9,
            kind=kind,
        )


def _path(artist: str, title: str, number: int, taken: set[str]) -> str:
    """As Genius makes them: ASCII words with hyphens, only the first letter raised."""
    text = unicodedata.normalize("NFKD", f"{artist} {title}").encode("ascii", "ignore").decode()
    slug = "-".join(re.findall(r"[a-z0-9]+", text.lower())).capitalize() or "Song"
    path = f"/{slug}-lyrics"
    if path in taken:
        path = f"/{slug}-{number}-lyrics"
    taken.add(path)
    return path


def make_lyrics(dice: Dice, song: Recording, language: str | None = None) -> str:
    """Two verses and a chorus, with the section headers that Genius writes; four lines each."""
    language = language or song.artist.language
    chorus = "\n".join(_line(dice, song, language) for _ in range(4))
    parts: list[str] = []
    for verse in (1, 2):
        lines = "\n".join(_line(dice, song, language) for _ in range(4))
        parts += [f"[Verse {verse}]\n{lines}", f"[Chorus]\n{chorus}"]
    return "\n\n".join(parts)


def _line(dice: Dice, song: Recording, language: str) -> str:
    vocabulary = words.LANGUAGES[language]
    if language == "en":
        a, b, c = (word.lower() for word in dice.some(words.GENRES[song.genre].words, 3))
        mood, mood2 = (word.lower() for word in dice.some(words.MOODS, 2))
        verb, verb2 = (word.lower() for word in dice.some(words.VERBS, 2))
        line = dice.pick(_ENGLISH).format(
            a=a, b=b, c=c, mood=mood, mood2=mood2, verb=verb, verb2=verb2, place=dice.pick(words.PLACES)
        )
        return line[0].upper() + line[1:]
    if dice.chance(0.3):
        return dice.pick(vocabulary.phrases)
    first, second = dice.some(vocabulary.nouns, 2)
    return f"{vocabulary.both.format(first, second)}, {dice.pick(vocabulary.nouns)}"
