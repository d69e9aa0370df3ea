"""What the title of a track or a video says: its name, which version it is, who sings; the rest is unexplained."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from html import unescape
from unicodedata import category

from rapidfuzz import fuzz

from connectors.versions import EDITION, NOTE, marks, words

# Brackets set apart what is said beside the name; quotes and corner brackets set the name itself apart.
_BRACKETED = re.compile(r"[(\[{【（［〔](?P<in>[^()\[\]{}【】（）［］〔〕]*)(?:[)\]}】）］〕]|$)")
_DASH = re.compile(r"\s+[-–—―~·•]+\s*|\s*[-–—―]+\s+|\s*[|｜/／•♪★☆:：「」『』《》〈〉«»“”\"]+\s*(?=\s|\S)")
_GUESTS = re.compile(r"\b(?:feat|ft|featuring)\b\.?|^\s*(?:with|w/|con|avec|mit)\s", re.IGNORECASE)
# 'From "Frozen"', "(from the film ...)", "(Prod. Kolibri)", "[dir. by Marlowe]": where it is used, who made it.
_ORIGIN = re.compile(
    r"[-(\[]\s*(?:(?:music|songs?|theme|taken)\s+)?from\s[^)\]]*?"
    r"(?:[\"“”„]|\b(?:film|movie|motion picture|soundtrack|series|musical)\b)[^)\]]*[)\]]?"
    r"|[(\[]\s*(?:prod|produced|dir|directed|shot|video)(?:\.|\s+by)\s[^)\]]*[)\]]",
    re.IGNORECASE,
)
_TRACK_NUMBER = re.compile(r"^\s*(?:0\d|\d{1,2}[.)])\s*[-–.]?\s+(?=\S)")
_NOBODY = frozenset({"", "variousartists", "various", "va", "unknownartist", "unknown"})
_YEAR = re.compile(r"(?:19|20)\d\d$|^\d\ds$")
_SMALL = frozenset(
    "the a an and of in on by from with de la le el di da at to for my version remix x y e et und".split()
)
# What a version mark says of its kind; the other words of the mark say which one.
_HEADS = frozenset(
    "live remix mix edit radio acoustic cover karaoke instrumental demo extended version unplugged session sessions "
    "concert vivo ao en single club original official video audio music lyrics lyric performance full remaster "
    "remastered hd hq sped up slowed reverb nightcore recorded vip dub rework bootleg acustico performed".split()
)
_NAMES = re.compile(
    r"\s*(?:[,;&+×/]|\bx\b|\band\b|\bvs\.?(?=\s)|\bfeat\.?(?=\s)|\bft\.?(?=\s)|\bwith\b)\s*", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a title between dashes, quotes and brackets."""

    tokens: tuple[str, ...]
    bracketed: bool
    guests: tuple[str, ...]  # words after "feat."; they are no part of `tokens`
    latin: tuple[bool, ...] = ()  # of each token, whether it was written in Latin letters


@dataclass(frozen=True, slots=True)
class Name:
    """An item's title, read: the ways its name may be written, and which version it is."""

    ways: tuple[tuple[str, ...], ...]  # the fullest first; each in the words of `words`
    versions: frozenset[str]
    details: frozenset[str]  # who remixed it, where it was played
    guests: tuple[str, ...]  # names


@lru_cache(1 << 14)
def pieces(title: str) -> tuple[Piece, ...]:
    """The stretches of a title in order; empty ones are left out."""
    found: list[Piece] = []
    title = _TRACK_NUMBER.sub("", unescape(title) if "&" in title else title)
    at, title = 0, _ORIGIN.sub(" ", title) if _ORIGIN.sub("", title).strip() else title
    for bracket in _BRACKETED.finditer(title):
        found.extend(_stretches(title[at : bracket.start()], bracketed=False))
        found.extend(_stretches(bracket["in"], bracketed=True))
        at = bracket.end()
    found.extend(_stretches(title[at:], bracketed=False))
    # Names without a letter ("!!!", "÷") are compared as they stand.
    return tuple(found) or (Piece((title.strip().casefold(),), False, (), (True,)),) * bool(title.strip())


def _stretches(text: str, *, bracketed: bool) -> list[Piece]:
    found: list[Piece] = []
    for stretch in _DASH.split(text):
        # "ft. X" after the name, or a bracket that begins with "with"; a bare "with" is a word like any other.
        guest = _GUESTS.search(stretch)
        if guest and guest.group().strip()[:1].lower() != "f" and not bracketed:
            guest = None
        named = stretch[: guest.start()] if guest else stretch
        tokens, guests = words(named), words(stretch[guest.end() :]) if guest else ()
        # "feat. Bo Official Video": the guests end where a note or a version begins.
        end = next((start for start, _, _ in marks(guests) if start), len(guests))
        if not tokens and not guests and any(category(sign)[0] == "S" for sign in named):  # "Nimbo - 🌙", "Nimbo - ÷"
            tokens = (named.strip().replace("\ufe0f", "").casefold(),)
        if tokens or guests:
            found.append(Piece(tokens, bracketed, guests[:end], _latin(named, tokens)))
        if end < len(guests):
            found.append(Piece(guests[end:], bracketed, (), (True,) * (len(guests) - end)))
    return found


def _latin(text: str, tokens: tuple[str, ...]) -> tuple[bool, ...]:
    if is_latin(text):
        return (True,) * len(tokens)
    each = [(token, is_latin(word)) for word in text.split() for token in words(word)]
    # Where the words together are read in another way than one by one, none of them counts as Latin.
    return tuple(latin for _, latin in each) if tuple(t for t, _ in each) == tokens else (False,) * len(tokens)


def is_latin(text: str) -> bool:
    """Whether every letter is a Latin one; so is a text without letters."""
    return all(letter <= "\u024f" or not letter.isalpha() or "\u1e00" <= letter <= "\u1eff" for letter in text)


def names(artist: str) -> tuple[tuple[str, ...], ...]:
    """The artist in the words of `words`, whole, then each of several: "A & B" is also A and B; nothing for nobody.

    >>> names("Simon & Garfunkel")
    (('simon', 'and', 'garfunkel'), ('simon',), ('garfunkel',))
    """
    artist = unescape(artist) if "&" in artist else artist
    whole = words(artist)
    if joined(whole) in _NOBODY:
        return ()
    parts = [words(part) for part in _NAMES.split(artist)]
    return (whole, *(part for part in parts if part and part != whole))


@lru_cache(1 << 14)
def read_name(title: str, artists: tuple[str, ...]) -> Name:
    """An item's title, read; `artists` are left out where the title begins with them ("Artist - Title")."""
    own = {word for artist in artists for word in words(artist)}
    versions, which, guests = set[str](), set[str](), list[str]()
    kept: list[Piece] = []
    for place, piece in enumerate(pieces(title)):
        if piece.guests:
            guests.append(" ".join(piece.guests))
        if place and (at := owned_version(piece.tokens, own)) is not None:
            versions.add("rerecorded")
            which |= set(piece.tokens[at : at + 1])
        elif place and (found := marks(piece.tokens)) and _is_mark(piece, found):
            kinds = {kind for _, _, kind in found}
            versions |= kinds - {EDITION, NOTE}
            if kinds - {EDITION, NOTE}:
                which |= details(piece.tokens)
        elif piece.tokens and not (place and all(map(is_year, piece.tokens))):  # "Live / 2013"
            kept.append(piece)
    sung_by = {joined(words(artist)) for artist in artists}
    if len(kept) > 1 and joined(kept[0].tokens) in sung_by:
        kept = kept[1:]
    whole = sum((piece.tokens for piece in kept), ())
    bare = sum((piece.tokens for piece in kept if not piece.bracketed), ())
    ways = [whole, bare, *(piece.tokens for piece in kept if len(joined(piece.tokens)) > 3)]
    ways = list(dict.fromkeys(way for way in ways if way)) or [(title.strip().casefold(),)]  # "!!!", "÷"
    return Name(tuple(ways[:4]), frozenset(versions), frozenset(which), tuple(guests))


def owned_version(tokens: Sequence[str], own: set[str]) -> int | None:
    """Where "Nimbo's Version" stands, if Nimbo is one of the artists: they recorded it anew."""
    for at in range(len(tokens) - 1):
        if tokens[at + 1] == "version" and tokens[at].endswith("s") and {tokens[at], tokens[at][:-1]} & own:
            return at
    return None


def _is_mark(piece: Piece, found: list[tuple[int, int, str]]) -> bool:
    """Whether a stretch tells the version: in brackets, or a lexicon word stands at an end of it."""
    first, last = found[0], found[-1]
    if {kind for _, _, kind in found} == {NOTE} and last[1] - first[0] < len(piece.tokens):
        return False  # "(Song for Guy)": a word of the name that is also a note
    return first[0] == 0 or last[1] == len(piece.tokens) or _YEAR.match(piece.tokens[-1]) is not None


def details(tokens: Sequence[str]) -> set[str]:
    """The words of a version mark that say which one: a remixer, a place, a year; not "live" or "remix" itself."""
    return {word for word in tokens if word not in _SMALL and word not in _HEADS}


def joined(tokens: Sequence[str]) -> str:
    """The words without spaces, articles and "and": "Ice Cream" is "Icecream", "The Beatles" are "Beatles"."""
    return "".join(word for word in tokens if word not in ("the", "and")) or "".join(tokens)


@lru_cache(1 << 15)
def likeness(one: str, other: str) -> float:
    """Of two joined names, 0 to 1; below 0.6 it is 0."""
    return 1.0 if one == other else fuzz.ratio(one, other, score_cutoff=60.0) / 100.0


def window(tokens: Sequence[str], wanted: Sequence[str], free: Sequence[bool]) -> tuple[float, int, int]:
    """Where `wanted` stands among the free tokens: (likeness, start, end); (0, 0, 0) where nowhere."""
    target, best = joined(wanted), (0.0, 0, 0)
    for start in range(len(tokens)):
        if not free[start]:
            continue
        text = ""
        for end in range(start + 1, len(tokens) + 1):
            if not free[end - 1]:
                break
            text += tokens[end - 1] if tokens[end - 1] not in ("the", "and") else ""
            if len(text) > 1.5 * len(target) + 2:
                break
            if 1.5 * len(text) + 2 < len(target):
                continue
            sim = likeness(text or tokens[start], target)
            if sim > best[0]:
                best = (sim, start, end)
        if best[0] == 1.0:
            break
    return best


def is_year(word: str) -> bool:
    """Whether a word is a year or a decade: "1979", "90s"."""
    return _YEAR.match(word) is not None


def is_small(word: str) -> bool:
    """Whether a word says nothing by itself."""
    return word in _SMALL
