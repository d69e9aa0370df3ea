"""Searches for films with known truth: MovieLens titles, TMDb films, and the ids that join them."""

import csv
import json
import re
from pathlib import Path

from benchmarks.linking_world import Search
from connectors.base import Wanted
from connectors.candidates import Candidate
from connectors.versions import words
from deployments.sandbox.dice import Dice
from deployments.sandbox.distractors import Offer

_YEAR = re.compile(r"\s*\((\d{4})\)\s*$")
_ARTICLE = re.compile(r"^(.*), (The|A|An|Le|La|Les|Il|El|Der|Die|Das)(?=$| \()")
OFFERED = 10


def film_searches(data: Path, seed: int, share: tuple[float, float]) -> list[Search]:
    """Films of `movielens-small`, with the films of `tmdb-films` that a search for their titles would offer.

    `share` is the part of the films, by chance, that is used: (0.0, 0.7) and (0.7, 1.0) have none in common.
    """
    films = _films(data / "tmdb-films" / "films_overview_poster.jsonl")
    by_word: dict[str, list[Candidate]] = {}
    for film in films.values():
        for word in set(words(film.title)):
            by_word.setdefault(word, []).append(film)
    found: list[Search] = []
    for movie, tmdb, title, year in _movies(data / "movielens-small"):
        dice = Dice(seed, "film", movie)
        if not share[0] <= Dice(0, "share", movie).random() < share[1] or tmdb not in films:
            continue
        offered = [film for film in _alike(title, by_word) if film.id != tmdb][: OFFERED - 1]
        if not dice.chance(0.15):
            offered.append(films[tmdb])
        wanted = Wanted(title=title, year=year if dice.chance(0.95) else None)
        found.append(
            Search(wanted, [Offer(candidate=c, same=c.id == tmdb, what="film") for c in dice.shuffled(offered)])
        )
    return found


def _films(path: Path) -> dict[str, Candidate]:
    found: dict[str, Candidate] = {}
    with path.open(encoding="utf-8") as lines:
        for said in map(json.loads, lines):
            year = int(said["release_date"][:4]) if said.get("release_date") else None
            found[str(said["id"])] = Candidate(id=str(said["id"]), title=said["title"], year=year, kind="movie")
    return found


def _movies(folder: Path) -> list[tuple[str, str, str, int | None]]:
    with (folder / "links.csv").open(encoding="utf-8", newline="") as lines:
        ids = {row["movieId"]: row["tmdbId"] for row in csv.DictReader(lines)}
    found: list[tuple[str, str, str, int | None]] = []
    with (folder / "movies.csv").open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            year = _YEAR.search(row["title"])
            title = _ARTICLE.sub(r"\2 \1", _YEAR.sub("", row["title"]))
            found.append((row["movieId"], ids[row["movieId"]], title, int(year[1]) if year else None))
    return found


def _alike(title: str, by_word: dict[str, list[Candidate]]) -> list[Candidate]:
    """Films that share words with the title, those that share the rarest ones first."""
    worth: dict[str, float] = {}
    known: dict[str, Candidate] = {}
    for word in words(title):
        for film in by_word.get(word, ()):
            known[film.id] = film
            worth[film.id] = worth.get(film.id, 0.0) + 1.0 / len(by_word[word])
    return sorted(known.values(), key=lambda film: -worth[film.id])
