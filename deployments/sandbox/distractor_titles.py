"""How shops and uploaders write the names of tracks, artists and channels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from anyascii import anyascii

from deployments.sandbox import distractor_words as words
from deployments.sandbox.dice import Dice

if TYPE_CHECKING:
    from deployments.sandbox.distractors import Track


def all_of(artists: Sequence[str]) -> str:
    """The artists in one text: "A, B & C"."""
    return " & ".join(artists) if len(artists) < 3 else ", ".join(artists[:-1]) + " & " + artists[-1]


def typo(dice: Dice, text: str) -> str:
    """The text with a letter left out or two exchanged."""
    if len(text) < 5:
        return text
    at = dice.whole(1, len(text) - 2)
    return dice.pick((text[:at] + text[at + 1 :], text[:at] + text[at + 1] + text[at] + text[at + 2 :]))


def romanised(dice: Dice, text: str) -> str:
    """Names in other scripts are often written in Latin letters, or both ways."""
    if text.isascii() or not dice.chance(0.25):
        return text
    latin = anyascii(text)
    return dice.pick((latin, latin, f"{text} ({latin})", f"{latin} ({text})"))


def song_title(dice: Dice, track: Track) -> str:
    """As a shop writes it: the name, guests, the version."""
    title = track.name
    if track.artists[1:] and dice.chance(0.45):
        title += f" (feat. {all_of(track.artists[1:])})"
    if track.mark:
        title += dice.pick((" - {}", " ({})")).format(track.mark)
    return title


def video_title(dice: Dice, track: Track, note: str = "", *, by: str | None = None) -> str:
    """As an uploader writes it: artist and name in some order, with or without guests, version and notes."""
    artist, name = by or romanised(dice, track.artists[0]), romanised(dice, track.name)
    guests = track.artists[1:]
    if guests and dice.chance(0.3):
        artist = dice.pick(("{} & {}", "{} x {}", "{}, {}", "{} feat. {}")).format(artist, all_of(guests))
    elif guests and dice.chance(0.7):
        name += dice.pick((" ft. {}", " (feat. {})", " feat. {}", " [ft. {}]")).format(all_of(guests))
    title = dice.pick(words.LAYOUTS).format(artist=artist, name=name)
    if track.mark:
        title += dice.pick((" ({})", " - {}", " [{}]", " {}")).format(track.mark)
    if note:
        title += dice.pick((" ({})", " ({})", " [{}]", " {}", " | {}", " - {}", "【{}】")).format(note)
    return title.upper() if dice.chance(0.04) else title.lower() if dice.chance(0.06) else title


def channel_of(dice: Dice, artist: str) -> str:
    """What the artist's own channel is called."""
    return dice.pick((artist, artist, artist.replace(" ", "") + "VEVO", f"{artist} Official", f"{artist} - Topic"))
