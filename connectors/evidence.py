"""What speaks for and against a candidate being the wanted recording, as numbers from 0 to 1.

A candidate's title is explained away: the item's name, its artists, its album, words of the lexicon. What is left over
speaks for another song; version words that the item does not have speak for another recording of it.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import exp

from connectors.base import Wanted
from connectors.candidates import Candidate
from connectors.titles import (
    Name,
    details,
    is_latin,
    is_small,
    is_year,
    joined,
    likeness,
    names,
    owned_version,
    pieces,
    read_name,
    window,
)
from connectors.versions import EDITION, NOTE, marks, words

# Raise it with every change of what the features say; the coefficients name the one they were fitted to. 3 reads the
# names of channels (`_channel_kinds`), 4 titles of signs alone and those that name only whose song it is
# (`_mention`): no row of the worlds and tables that 2 was fitted to has either.
EVIDENCE = 4
# Characters of a candidate's title that are read: YouTube takes 100, and 90,000 of them kept a core busy for 19 s.
LONGEST_TITLE = 1_000
# Version kinds as the model sees them: karaoke is a cover; the others stand for themselves.
_GROUPS = {"cover": "cover", "karaoke": "cover"} | {
    kind: kind
    for kind in (
        *("instrumental", "vocals", "live", "remix", "fast", "slow", "effect", "bulk", "talk", "acoustic", "demo"),
        *("rerecorded", "language", "edit", "extended"),
    )
}
GROUPS = tuple(dict.fromkeys(_GROUPS.values()))
# Other lengths of the same recording: what they are worth is told by the duration.
LENGTHS = ("edit", "extended")
_TOPIC = re.compile(r"\s+-\s+(?:Topic|Tema|Thema|Thème|トピック)$|\s*VEVO$", re.IGNORECASE)
# What a channel that is named for it uploads, whatever its titles say: "Sing King Karaoke", "Nightcore Zone".
# Few words: labels are called "Symphonic" and "Underground". In any script, as `words` romanises them.
_TELLING = frozenset("karaoke karafun cover covers nightcore daycore sped slowed 8d backing".split())
_CHANNEL = re.compile(
    r"\b(?:official|oficial|officiel|channel|canal|music|musique|musica|tv|band|vevo|videos?|records?|公式|공식)\b",
    re.IGNORECASE,
)
# Notes that are also words of names: beside the name itself they are not explained ("Free Bird" is not "Bird").
_WEAK = frozenset(
    "new free bass theme hit hits track song songs en ed op full release clean single intro outro original main dirty "
    "explicit bonus stereo mono opening ending trending viral album vinyl cd clip text visual en han rom eng dir sub "
    "subs cc restored deluxe expanded anniversary nuevo nueva ending captions description tiktok dub take flip cut "
    "radio session tour festival concert news status challenge collection loop faster lento reverb meaning shorts "
    "scene".split()
)
_SILENT = frozenset("by the a and x from feat with".split())


@dataclass(frozen=True, slots=True)
class Sought:
    """An item, read once for all its candidates."""

    wanted: Wanted
    name: Name
    artists: tuple[tuple[tuple[str, ...], ...], ...]  # of each artist, the ways it may be written
    album: tuple[str, ...]


@dataclass(slots=True)
class _Rest:
    """A candidate's title as tokens, with what of it is not explained yet."""

    tokens: list[str] = field(default_factory=list[str])
    piece: list[int] = field(default_factory=list[int])
    bracketed: list[bool] = field(default_factory=list[bool])
    latin: list[bool] = field(default_factory=list[bool])
    free: list[bool] = field(default_factory=list[bool])
    guests: list[tuple[str, ...]] = field(default_factory=list[tuple[str, ...]])
    name_piece: int = -1  # where the item's name was found, and where it starts
    name_start: int = 0
    artist_pieces: set[int] = field(default_factory=set[int])

    def take(self, start: int, end: int) -> None:
        self.free[start:end] = [False] * (end - start)


def sought(wanted: Wanted) -> Sought:
    """The item, read."""
    name = read_name(wanted.title, wanted.creators)
    said = [*wanted.creators, *name.guests]
    artists = tuple(dict.fromkeys(ways for artist in said if (ways := names(artist))))
    return Sought(wanted, name, artists, words(wanted.album or ""))


def is_recording(candidate: Candidate) -> bool:
    """Whether the source says that it is one track or video: an album or a playlist never is the item."""
    return (candidate.kind or "").lower() not in {
        "album",
        "playlist",
        "artist",
        "channel",
        "episode",
        "podcast",
        "user",
    }


def evidence(item: Sought, candidate: Candidate) -> dict[str, float]:
    """The features of one candidate; those that are 0 are left out."""
    rest = _rest(candidate.title)
    found = _title(item, rest)
    found |= _artists(item, candidate, rest)
    told = _versions(item, candidate, rest) | _leftover(item, rest)
    if words(candidate.title) == words(item.wanted.title):  # word for word: nothing is left over, whatever it means
        told = {"live_album": told["live_album"], "same_version": told.get("same_version", 0.0)}
    found |= told
    found |= _facts(item.wanted, candidate)
    found["agree"] = found.get("title", 0.0) ** 4 * found.get("artist", 0.0) * found.get("near", 0.0)
    return {name: value for name, value in found.items() if value}


def add_consensus(found: Sequence[dict[str, float]], candidates: Sequence[Candidate]) -> None:
    """Where the item's duration is not known: the share of the other clean candidates that are as long as this one.

    Clean are those with the whole name, the artist and no version word. Hardly any two versions last equally long, so
    what several uploads agree on is the recording that people mean.
    """
    clean = [place for place, features in enumerate(found) if _is_clean(features) and candidates[place].duration_ms]
    for place in clean:
        if not found[place].get("no_duration"):
            continue
        mine = candidates[place].duration_ms or 0
        others = [candidates[other].duration_ms or 0 for other in clean if other != place]
        agree = sum(abs(mine - other) <= 4000 for other in others) / len(others) if others else 0.5
        if agree:
            found[place]["consensus"] = agree


def _is_clean(features: dict[str, float]) -> bool:
    wanted = features.get("title_exact") and features.get("artist", 0.0) >= 0.75
    versions = (*GROUPS, *(f"no_{group}" for group in GROUPS))
    return bool(wanted) and not any(features.get(name) for name in (*versions, "title_extra", "live_album", "very_far"))


def _rest(title: str) -> _Rest:
    rest = _Rest()
    for place, piece in enumerate(pieces(title[:LONGEST_TITLE])):
        rest.tokens += piece.tokens
        rest.piece += [place] * len(piece.tokens)
        rest.bracketed += [piece.bracketed] * len(piece.tokens)
        rest.latin += piece.latin
        if piece.guests:
            rest.guests.append(piece.guests)
    rest.free = [True] * len(rest.tokens)
    return rest


def _title(item: Sought, rest: _Rest) -> dict[str, float]:
    """How well the name is found; its words are taken out of the rest."""
    best, way = (0.0, 0, 0), 0
    free = list(rest.free)
    if mention := _mention(item, rest):
        free[mention.start : mention.stop] = [False] * len(mention)
    for place, name in enumerate(item.name.ways):
        found = window(rest.tokens, name, free)
        # A part of the name is less than the whole: "Satisfaction" for "(I Can't Get No) Satisfaction".
        if found[0] - 0.02 * bool(place) > best[0] - 0.02 * bool(way):
            best, way = found, place
    sim, start, end = best
    at = rest.name_piece = rest.piece[start] if end > start else -1
    rest.name_start = start
    rest.take(start, end)
    for name in item.name.ways:  # said twice, or in two ways
        while (again := window(rest.tokens, name, free))[0] > 0.95:
            rest.take(again[1], again[2])
            free[again[1] : again[2]] = [False] * (again[2] - again[1])
    others = [k for k in range(len(rest.tokens)) if rest.free[k] and rest.piece[k] == at]
    wanted = sum((w for w in item.name.ways), ())
    numbers = {w for w in item.name.ways[0] if w.isdigit()} ^ {
        w for k, w in enumerate(rest.tokens) if w.isdigit() and not is_year(w) and (k in others or start <= k < end)
    }
    return {
        "title": sim,
        "title_exact": float(sim >= 0.9),
        "title_part": float(way > 0),
        "number_clash": float(any(number in rest.tokens or number in wanted for number in numbers)),
    }


def _mention(item: Sought, rest: _Rest) -> range | None:
    """Where a song that is called as its artist is only the artist: "Nimbo - Tide" is not Nimbo's "Nimbo"."""
    name = item.name.ways[0]
    if not any(joined(name) == joined(way) for ways in item.artists for way in ways):
        return None
    stretches = [(place, [k for k, at in enumerate(rest.piece) if at == place]) for place in dict.fromkeys(rest.piece)]
    said = {place: [rest.tokens[k] for k in run] for place, run in stretches if not rest.bracketed[run[0]]}
    called = [place for place, tokens in said.items() if joined(tokens) == joined(name)]
    if len(called) != 1 or not any(_names_more(tokens) for place, tokens in said.items() if place != called[0]):
        return None
    return range(rest.piece.index(called[0]), rest.piece.index(called[0]) + len(said[called[0]]))


def _names_more(tokens: Sequence[str]) -> bool:
    """Whether a stretch holds a word that is neither a note nor a version nor a year."""
    told = {k for start, end, _ in marks(tokens) for k in range(start, end)}
    return any(k not in told and not is_year(word) and not is_small(word) for k, word in enumerate(tokens))


def _artists(item: Sought, candidate: Candidate, rest: _Rest) -> dict[str, float]:
    channel = _TOPIC.sub("", candidate.channel or "")
    listed = [ways for artist in candidate.artists for ways in (names(_TOPIC.sub("", artist)),) if ways]
    flat = [joined(way) for ways in listed for way in ways]
    said = [*flat, *_channel_names(channel)]
    seen: list[float] = []
    titled_main = 0.0
    for place, ways in enumerate(item.artists):
        in_list = max((likeness(joined(way), name) for way in ways for name in said), default=0.0)
        in_title = 0.0
        for way in ways:
            sim, start, end = window(rest.tokens, way, rest.free)
            if sim >= 0.85 and len(joined(way)) > 1:
                in_title = max(in_title, sim)
                rest.artist_pieces.add(rest.piece[start])
                rest.take(start, end)
        in_guests = max((likeness(joined(way), joined(guest)) for way in ways for guest in rest.guests), default=0.0)
        in_guests = max(in_guests, float(any(_within(way, guest) for way in ways for guest in rest.guests)))
        seen.append(max(x if x >= 0.75 else 0.0 for x in (in_list, in_title, in_guests)))
        titled_main = in_title if place == 0 else titled_main
    if not item.artists or candidate.kind == "movie":  # a search for films names no director
        return {"artist_unasked": 1.0}
    main = [joined(way) for way in item.artists[0]]
    listing = max((likeness(name, one) for one in main for name in said), default=0.0)
    own = [joined(w) for ways in item.artists for w in ways]
    foreign = [ways for ways in listed if max(likeness(joined(w), o) for w in ways for o in own) < 0.75]
    song = candidate.kind != "video" and bool(candidate.artists)
    return {
        "artist": max(seen[0], 0.8 * max(seen)) if listing < 0.75 else listing,
        "artist_listed": float(listing >= 0.75),
        "artist_titled": titled_main,
        "artist_other": float(song and bool(listed) and max(seen) < 0.75 and _comparable(item, candidate)),
        "artist_unseen": float(max(seen) < 0.75),
        "artists_share": sum(seen) / len(seen),
        "artists_extra": len(foreign) / len(listed) if song and listed else 0.0,
        "foreign_first": float(song and bool(foreign) and foreign[0] == listed[0] and max(seen) >= 0.75),
        "topic": float(bool(candidate.channel) and channel != candidate.channel),
    }


def _comparable(item: Sought, candidate: Candidate) -> bool:
    """Whether both name their artists in the same script: "方舟" may be the other's "The Ark"."""
    return is_latin(" ".join(item.wanted.creators)) == is_latin(" ".join(candidate.artists))


def _within(way: Sequence[str], guest: Sequence[str]) -> bool:
    return any(tuple(guest[k : k + len(way)]) == tuple(way) for k in range(len(guest) - len(way) + 1))


def _channel_names(channel: str) -> list[str]:
    if not channel:
        return []
    bare = _CHANNEL.sub(" ", channel)
    found = [name for name in (joined(words(channel)), joined(words(bare))) if name]
    return [*found, *(name[3:] for name in found if name.startswith("the") and len(name) > 5)]  # "TheWeekndVEVO"


def _versions(item: Sought, candidate: Candidate, rest: _Rest) -> dict[str, float]:
    """Version words of one side only; lexicon words are taken out of the rest."""
    kinds, which = set[str](), set[str]()
    if (at := owned_version(rest.tokens, _own_words(item))) is not None and rest.free[at + 1]:
        kinds.add("rerecorded")
        which.add(rest.tokens[at])
        rest.take(at, at + 2)
    run: list[int] = []
    for k in range(len(rest.tokens) + 1):
        if k < len(rest.tokens) and rest.free[k] and (not run or rest.piece[k] == rest.piece[run[0]]):
            run.append(k)
            continue
        if run:
            _read_run(rest, run, kinds, which)
        run = [k] if k < len(rest.tokens) and rest.free[k] else []
    kinds |= _channel_kinds(item, candidate)
    if "live" not in item.name.versions and _album_is_live(candidate.album) and not _album_is_live(item.wanted.album):
        kinds.add("live_album")
    mine = {_GROUPS[kind] for kind in item.name.versions}
    theirs = {_GROUPS[kind] for kind in kinds if kind in _GROUPS}
    if item.wanted.album and _album_is_live(item.wanted.album):
        mine |= {"live"} & theirs
    found = {group: 1.0 for group in theirs - mine}
    found |= {f"no_{group}": 1.0 for group in mine - theirs}
    apart = 1.0 - closeness(item.wanted, candidate)
    found |= {
        group: found[group] * apart for group in (*LENGTHS, *(f"no_{kind}" for kind in LENGTHS)) if group in found
    }
    found["live_album"] = float("live_album" in kinds and "live" not in theirs)
    if mine & theirs:
        ours, which = item.name.details - _own_words(item), which - _own_words(item)
        found["same_version"] = 1.0
        clash = bool(ours and which) and not (ours & which) and max(map(len, ours)) > 1
        found["detail_clash"] = float(clash or (bool(ours) != bool(which) and "remix" in mine & theirs))
    return found


def _channel_kinds(item: Sought, candidate: Candidate) -> set[str]:
    """The versions that the channel's name speaks of; none for the artist's own: a band may be "Cover Drive"."""
    channel = _TOPIC.sub("", candidate.channel or "")
    own = [joined(way) for ways in item.artists for way in ways]
    if any(likeness(name, said) >= 0.75 for name in own for said in _channel_names(channel)):
        return set()
    said = words(channel)
    return {kind for start, end, kind in marks(said) if not _TELLING.isdisjoint(said[start:end])}


def closeness(wanted: Wanted, candidate: Candidate) -> float:
    """1 where both are equally long, 0.37 at 4 s apart; 0 where a duration is not known."""
    if not wanted.duration_ms or not candidate.duration_ms:
        return 0.0
    return exp(-abs(wanted.duration_ms - candidate.duration_ms) / 4000)


def _own_words(item: Sought) -> set[str]:
    return {word for ways in item.artists for way in ways for word in way}


def _read_run(rest: _Rest, run: list[int], kinds: set[str], which: set[str]) -> None:
    """One stretch of unexplained words: marks are taken out, with what they say beside their kind."""
    if rest.piece[run[0]] == rest.name_piece and run[0] < rest.name_start:
        return  # before the name: "Live Forever" is not "Forever", live
    found = marks([rest.tokens[k] for k in run])
    if rest.piece[run[0]] == rest.name_piece:
        found = [mark for mark in found if rest.tokens[run[mark[0]]] not in _WEAK]
    for start, end, kind in found:
        kinds.add(kind)
        rest.take(run[start], run[start] + end - start)
    if any(kind == EDITION for _, _, kind in found) and rest.piece[run[0]] != rest.name_piece:
        # "2009 Digital Remaster", "Digital Single": a word or two beside an edition belong to it.
        if sum(rest.free[k] and not is_year(rest.tokens[k]) for k in run) <= 2:
            rest.take(run[0], run[0] + len(run))
    if any(kind not in (EDITION, NOTE) for _, _, kind in found):
        which |= details([rest.tokens[k] for k in run])
        # "Loud Luxury Remix", "Live at Wembley": the words beside a version word belong to it.
        if rest.bracketed[run[0]] or found[-1][1] == len(run) or found[0][0] == 0:
            rest.take(run[0], run[0] + len(run))


def _album_is_live(album: str | None) -> bool:
    found = marks(words(album or ""))
    return any(kind == "live" for _, _, kind in found)


def _leftover(item: Sought, rest: _Rest) -> dict[str, float]:
    """Words that nothing explains, as a share of letters: beside the name, in other stretches, in brackets."""
    if item.album and (found := window(rest.tokens, item.album, rest.free))[0] > 0.9:
        rest.take(found[1], found[2])
    letters = {"title_extra": 0.0, "side_extra": 0.0, "bracket_extra": 0.0}
    latin = is_latin(item.wanted.title)
    for k, word in enumerate(rest.tokens):
        if rest.free[k] and word.isalnum() and not is_year(word) and word not in _SILENT:
            beside = rest.piece[k] == rest.name_piece
            where = "title_extra" if beside else "bracket_extra" if rest.bracketed[k] else "side_extra"
            # The name once more in another script is a translation or a reading of it: "봄날 (Spring Day)".
            weight = 1.0 if rest.latin[k] == latin else 0.15
            if rest.piece[k] in rest.artist_pieces and not beside:
                weight = min(weight, 0.35)  # who else sings: "Nimbo x Kolibri - Luna"
            letters[where] += weight * len(word) if beside or not is_small(word) else 0
    size = max(len(joined(item.name.ways[0])), 1)
    found = {name: count / (count + size) for name, count in letters.items()}
    if found["title_extra"]:
        found["title_extra"] = max(found["title_extra"], 0.5)  # one short word makes another song
    return found | {"lead_extra": float(_other_leads(rest, latin))}


def _other_leads(rest: _Rest, latin: bool) -> bool:
    """Whether somebody unknown stands before the name: "Kolibri - Luna (Nimbo)" is Kolibri's, not Nimbo's."""
    before = [k for k in range(len(rest.tokens)) if rest.piece[k] < rest.name_piece and not rest.bracketed[k]]
    before = [k for k in before if rest.piece[k] not in rest.artist_pieces]
    unknown = [k for k in before if rest.free[k] and rest.latin[k] == latin and not is_small(rest.tokens[k])]
    return bool(unknown) and 2 * len(unknown) >= len(before)


def _facts(wanted: Wanted, candidate: Candidate) -> dict[str, float]:
    found: dict[str, float] = {"song": float((candidate.kind or "") in ("song", "track"))}
    if wanted.duration_ms and candidate.duration_ms:
        seconds = abs(wanted.duration_ms - candidate.duration_ms) / 1000
        share = 1000 * seconds / max(wanted.duration_ms, candidate.duration_ms)
        found |= {"close": closeness(wanted, candidate), "near": exp(-seconds / 20), "far": min(seconds / 60, 1.0)}
        found["very_far"] = float(share > 0.35)
    else:
        found |= {"no_duration": 1.0, "near": 0.5}
        # No song that is known by name alone is expected to last an hour.
        found["very_far"] = float(bool(candidate.duration_ms) and not 45e3 < (candidate.duration_ms or 0) < 900e3)
    if wanted.isrc and candidate.isrc:
        found["isrc_same" if wanted.isrc.upper() == candidate.isrc.upper() else "isrc_other"] = 1.0
    if wanted.album and candidate.album:
        sim = likeness(joined(_bare(wanted.album)), joined(_bare(candidate.album)))
        found["album_same" if sim >= 0.85 else "album_other"] = 1.0
    if wanted.year and candidate.year:
        apart = abs(wanted.year - candidate.year)
        found["year_same" if apart <= 1 else "year_far"] = 1.0 if apart <= 1 else min(apart / 20, 1.0)
    return found


def _bare(album: str) -> tuple[str, ...]:
    """An album's name without editions: "Harvest (2009 Remaster)" is "Harvest"."""
    return read_name(album, ()).ways[0]
