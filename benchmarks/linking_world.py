"""Tracks and searches with known truth, for fitting and measuring the matching."""

import csv
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from connectors.base import Wanted
from deployments.sandbox import distractor_words as words
from deployments.sandbox.dice import Dice
from deployments.sandbox.distractors import Offer, Track, as_known, offers
from deployments.sandbox.songs import Recording, make_songs

_FEAT = re.compile(r" \((?:feat\.|with) ([^)]*)\)")
AS_VERSION = 0.12  # share of tracks that are a live recording, a remix ... themselves


class Search(NamedTuple):
    """One item, what a search for it offers, and the truth."""

    wanted: Wanted
    offers: list[Offer]

    @property
    def right(self) -> set[str]:
        """Ids of the candidates that are the recording; empty where none is."""
        return {offer.candidate.id for offer in self.offers if offer.same}


def invented_tracks(seed: int, count: int) -> list[Track]:
    """Tracks of a sandbox world of that seed."""
    songs = make_songs(seed, count)
    found = [_track(Dice(seed, "isrc", place), song, songs) for place, song in enumerate(songs)]
    return [_maybe_version(Dice(seed, "version", place), track, found) for place, track in enumerate(found)]


def _track(dice: Dice, song: Recording, songs: list[Recording]) -> Track:
    base = song.title if song.version_of is None else songs[song.version_of].title
    guests = _FEAT.findall(base)
    mark = song.title[len(base) :].strip(" -()")
    kind = {"Live": "live", "Acoustic": "acoustic", "Midnight Remix": "remix"}.get(mark, "")
    return Track(
        name=_FEAT.sub("", base),
        version=kind,
        mark=mark if kind else "",
        artists=(song.artist.name, *guests),
        album=song.album.name.removeprefix("Live at the "),  # what is on a live album is live, in truth
        year=int(song.album.released[:4]),
        duration_ms=song.duration_ms,
        isrc=f"QZ{dice.base62(3).upper()}{dice.whole(10, 25)}{dice.whole(10_000, 99_999)}",
        language=song.artist.language,
    )


def real_tracks(table: Path, seed: int, count: int) -> list[Track]:
    """Tracks with the names and durations of a TidyTuesday Spotify table; everything else is invented."""
    found: dict[str, Track] = {}
    with table.open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            title = row["track_name"]
            # Names with a version or in brackets would need a truth that the table does not tell.
            if not title or re.search(r"[(\[]|\s-\s", title):
                continue
            year = int(row["track_album_release_date"][:4])
            found[row["track_id"]] = Track(
                name=title,
                artists=(row["track_artist"],),
                album=row["track_album_name"],
                year=year,
                duration_ms=int(float(row["duration_ms"])),
                isrc=f"US{row['track_id'][:3].upper()}{year % 100:02}{len(found):05}",
            )
    chosen = Dice(seed, "real").some(list(found.values()), count)
    return [_maybe_version(Dice(seed, "real version", place), track, chosen) for place, track in enumerate(chosen)]


def _maybe_version(dice: Dice, track: Track, others: list[Track]) -> Track:
    """Some of the items are versions themselves, so that a version word is not always wrong."""
    if track.version or not dice.chance(AS_VERSION):
        return track
    kind = dice.pick(("live", "live", "remix", "remix", "acoustic", "fast", "slow", "instrumental", "demo"))
    spec = words.VERSIONS[kind]
    mark = dice.pick(spec.marks).format(
        other=dice.pick(others).artists[0],
        hall=dice.pick(words.HALLS),
        year=dice.whole(1975, 2024),
        artist=track.artists[0],
    )
    return replace(track, version=kind, mark=mark, duration_ms=int(track.duration_ms * dice.between(*spec.stretch)))


def searches(tracks: list[Track], seed: int, source: str) -> Iterator[Search]:
    """One search for each track, in order."""
    by_artist: dict[str, list[Track]] = {}
    for track in tracks:
        by_artist.setdefault(track.artists[0], []).append(track)
    for place, track in enumerate(tracks):
        dice = Dice(seed, source, place)
        wanted = as_known(dice, track)
        others = [dice.pick(tracks) for _ in range(6)] + by_artist[track.artists[0]][:30]
        if all(other.artists[0] in track.artists for other in others):
            others += [other for other in tracks if other.artists[0] not in track.artists][:1]
        yield Search(wanted, offers(dice, track, others, source))
