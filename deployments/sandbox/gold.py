"""A world's truth as a gold set: which ids of which sources are the same, as `expectations.gold` reads it."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from connectors.lastfm_answers import track_path
from deployments.sandbox.tables import FilmTruth, TrackTruth, read_table

GOLD = "gold.jsonl"


def write_gold(world: Path) -> None:
    """Write `gold.jsonl` of a world whose tables of truth are written: a line per recording and film.

    The sources have the names of the shipped catalogue `demo`.
    """
    with (world / GOLD).open("w", encoding="utf-8", newline="\n") as out:
        for line in _lines(world):
            out.write(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n")


def _lines(world: Path) -> Iterator[Mapping[str, list[str]]]:
    for track in read_table(world, "truth_tracks", TrackTruth):
        yield {
            "lastfm": [track_path(artist, title) for artist, title in track.lastfm],
            "spotify": list(track.spotify),
            "youtube": list(track.youtube),
            "genius": [str(page) for page in track.genius],
        }
    for film in read_table(world, "truth_films", FilmTruth):
        yield {
            "movielens": [str(film.movielens)],
            "tmdb": [] if film.tmdb is None else [str(film.tmdb)],
            "trailers": [] if film.trailer is None else [film.trailer],
        }
