"""Real names: what real tables and recorded searches hold is told apart."""

import csv
import gzip
import json
import re
from collections import defaultdict
from pathlib import Path
from random import Random

import pytest

from connectors.base import Wanted
from connectors.candidates import Candidate
from connectors.matching import normalise
from connectors.scoring import decide, score

pytestmark = pytest.mark.real_data


def test_tracks_of_a_real_table_are_told_from_their_namesakes(real_data: Path) -> None:
    """Among all tracks with the same base title, the right one is accepted; without it nearly nothing is."""
    tracks: dict[str, Candidate] = {}
    with (real_data / "spotify-songs" / "spotify_songs.csv").open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            tracks[row["track_id"]] = Candidate(
                id=row["track_id"],
                title=row["track_name"],
                artists=(row["track_artist"],),
                album=row["track_album_name"],
                duration_ms=int(float(row["duration_ms"])),
                kind="track",
            )
    namesakes: dict[str, list[Candidate]] = defaultdict(list)
    for track in tracks.values():
        namesakes[_base(track)].append(track)
    right = accepted = mistaken = 0
    sample = Random(5).sample(sorted(tracks), 600)
    for track in map(tracks.__getitem__, sample):
        wanted = Wanted(title=track.title, creators=track.artists, duration_ms=track.duration_ms)
        found = decide(score(wanted, namesakes[_base(track)], "spotify"), source="spotify")
        accepted += found.state == "accept"
        right += found.best is not None and _same(tracks[found.best], track)
        others = [other for other in namesakes[_base(track)] if other.artists != track.artists]
        mistaken += decide(score(wanted, others, "spotify"), source="spotify").state == "accept"
    assert accepted >= 0.98 * len(sample)
    assert right >= 0.99 * accepted
    assert mistaken <= 0.005 * len(sample)


def _base(track: Candidate) -> str:
    return normalise(re.sub(r"[(\[].*|\s-\s.*", "", track.title))


def _same(one: Candidate, other: Candidate) -> bool:
    """By the table: the same track, or the same name by the same artist and as long."""
    apart = abs((one.duration_ms or 0) - (other.duration_ms or 0))
    return one.id == other.id or (one.artists == other.artists and apart < 3000)


def test_covers_in_a_recorded_spotify_search_are_not_the_song(real_data: Path) -> None:
    folder = real_data / "api-responses" / "spotify" / "python-spotify-json"
    said = json.loads((folder / "search.json").read_text(encoding="utf-8"))["tracks"]["items"]
    found = [
        Candidate(
            id=track["id"],
            title=track["name"],
            artists=tuple(artist["name"] for artist in track["artists"]),
            album=track["album"]["name"],
            duration_ms=track["duration_ms"],
            kind="track",
        )
        for track in said
    ]
    wanted = Wanted(title="Never Gonna Give You Up", creators=("Rick Astley",), duration_ms=213_000)
    assert decide(score(wanted, found, "spotify"), source="spotify").best == "4PTG3Z6ehGkBFwjybzWkR8"
    covers = [candidate for candidate in found if "Rick Astley" not in candidate.artists]
    assert len(covers) >= 3
    assert decide(score(wanted, covers, "spotify"), source="spotify").state != "accept"


def test_recorded_youtube_searches_name_what_they_play(real_data: Path) -> None:
    """YouTube's own words on the music of a video are the truth; a search's other videos are not that recording."""
    path = real_data / "api-responses" / "youtube" / "youtube-dl-ytsearch-dump-2020" / "ytsearch_sample_output.json.gz"
    with gzip.open(path, "rt", encoding="utf-8") as file:
        searches = [search["entries"] for search in json.load(file)]
    right = wrong = 0
    for entries in searches:
        found = [
            Candidate(
                id=entry["id"],
                title=entry["title"],
                channel=entry["uploader"],
                duration_ms=entry["duration"] * 1000,
                kind="video",
            )
            for entry in entries
        ]
        for entry in entries:
            # Words like "(LIVE) In Concert 1979" there are YouTube's guess at the sound, not the name.
            if not entry.get("track") or "(" in entry["track"]:
                continue
            wanted = Wanted(
                title=entry["track"], creators=tuple(entry["artist"].split(", ")), duration_ms=entry["duration"] * 1000
            )
            best = decide(score(wanted, found, "youtube"), source="youtube")
            right += best.state == "accept" and best.best == entry["id"]
            wrong += best.state == "accept" and best.best != entry["id"]
    assert wrong == 0
    assert right >= 15
