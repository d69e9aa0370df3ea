"""Invented films as the files of MovieLens and of TMDb."""

import csv
import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from deployments.sandbox.bad_rows import BadRow, Spoiler, spoil
from deployments.sandbox.dice import Dice
from deployments.sandbox.film_words import TMDB_GENRE_IDS
from deployments.sandbox.films import Film
from deployments.sandbox.viewers import Rating, Tag

CRLF = "\r\n"  # as in the originals of MovieLens


def csv_lines(rows: Iterable[Sequence[object]], end: str) -> list[str]:
    """Each row as a line of CSV with its end; no value may hold a line end."""
    lines: list[str] = []
    for row in rows:
        buffer = io.StringIO()
        csv.writer(buffer, lineterminator=end).writerow(row)
        lines.append(buffer.getvalue())
    return lines


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """The lines as a UTF-8 file, the same bytes on every system."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes("".join(lines).encode())


def write_movielens(
    folder: Path, films: Sequence[Film], ratings: Sequence[Rating], tags: Sequence[Tag]
) -> list[BadRow]:
    """`movies.csv`, `links.csv`, `ratings.csv` and `tags.csv` in `folder/movielens`; three rows of them are bad."""
    movies = [(film.movielens, movielens_title(film), _movielens_genres(film)) for film in films]
    links = [(film.movielens, film.imdb, "" if film.tmdb is None else film.tmdb) for film in films]
    stars = [(rating.viewer, films[rating.film].movielens, f"{rating.stars:.1f}", rating.at) for rating in ratings]
    words = [(tag.viewer, films[tag.film].movielens, tag.text, tag.at) for tag in tags]
    tables: dict[str, list[str]] = {
        "movies": csv_lines([("movieId", "title", "genres"), *movies], CRLF),
        "links": csv_lines([("movieId", "imdbId", "tmdbId"), *links], CRLF),
        "ratings": csv_lines([("userId", "movieId", "rating", "timestamp"), *stars], CRLF),
        "tags": csv_lines([("userId", "movieId", "tag", "timestamp"), *words], CRLF),
    }
    viewer, movie, _, at = stars[len(stars) // 2]
    spoilers = {
        "ratings": [
            Spoiler(place=0.3, text=f"{viewer},{movie}", reason="bad_row", what="a rating cut short after movieId"),
            Spoiler(place=0.7, text=f"{viewer},{movie},9.9,{at + 7}", reason="bad_value", what="a rating of 9.9 stars"),
        ],
        "movies": [
            Spoiler(place=0.5, text="tt0042,Nobody's Film (1999),Drama", reason="bad_value", what="movieId no number"),
        ],
    }
    bad: list[BadRow] = []
    for name, lines in tables.items():
        bad.extend(spoil(f"movielens/{name}.csv", lines, spoilers.get(name, ()), end=CRLF))
        write_lines(folder / "movielens" / f"{name}.csv", lines)
    return bad


def movielens_title(film: Film) -> str:
    """The title as MovieLens writes it: article last, the original in brackets, the year.

    The Last Orchard becomes `Last Orchard, The (Le dernier verger) (2001)`.
    """
    title = film.title
    for article in ("The", "A", "An"):
        if title.startswith(f"{article} "):
            title = f"{title.removeprefix(article + ' ')}, {article}"
            break
    original = f" ({film.original})" if film.original else ""
    return f"{title}{original} ({film.year})"


def _movielens_genres(film: Film) -> str:
    return "|".join(sorted(film.genres)) if film.listed else "(no genres listed)"


def write_tmdb(folder: Path, seed: int, films: Sequence[Film]) -> list[BadRow]:
    """`films_overview_poster.jsonl` and `credits.parquet` in `folder/tmdb`, for the films TMDb covers; one bad line."""
    file = "tmdb/films_overview_poster.jsonl"
    known = sorted((film for film in films if is_known(film)), key=lambda film: film.tmdb or 0)
    records = [tmdb_record(seed, film) for film in known]
    lines = [json.dumps(record, ensure_ascii=False) + "\n" for record in records]
    cut = '{"id": 199, "title": "The Film That Was Cut Sh'
    spoiler = Spoiler(place=0.4, text=cut, reason="bad_row", what="a line of JSON cut short")
    bad = spoil(file, lines, [spoiler], end="\n")
    write_lines(folder / file, lines)
    _write_credits(folder / "tmdb" / "credits.parquet", known)
    return bad


def is_known(film: Film) -> bool:
    """Whether the TMDb files have the film, and MovieLens says under which id."""
    return film.covered and film.tmdb is not None


def tmdb_record(seed: int, film: Film) -> dict[str, Any]:
    """What the TMDb files say of a film; the services say the same."""
    dice = Dice(seed, "tmdb", film.movielens)
    year, month, day = film.released
    mean = min(9.2, max(3.1, dice.bell(6.4 + 1.5 * film.quality, 0.3)))
    record: dict[str, Any] = {
        "id": film.tmdb,
        "title": film.title,
        "vote_average": round(mean, 3),
        "vote_count": int(30 + 24_000 * film.popularity * film.popularity),
        "release_date": f"{year}-{month:02d}-{day:02d}",
        "poster_path": f"/{dice.base62(27)}.jpg",
        "genre_ids": [TMDB_GENRE_IDS[genre] for genre in film.genres],
        "overview": film.overview,
        "imdb_id": f"tt{film.imdb}",
        "imdb_rating": round(min(9.5, mean + dice.between(-0.4, 0.4)), 1),
    }
    if dice.chance(0.66):
        record["metacritic_score"] = min(99, max(5, int(dice.bell(10 * mean - 6, 8))))
    if dice.chance(0.8):
        record["rotten_tomatoes_score"] = min(100, max(2, int(dice.bell(10 * mean, 12))))
    return record


def _write_credits(path: Path, films: Sequence[Film]) -> None:
    import polars as pl  # here, for importing it takes longer than finding that a world is there

    rows: list[tuple[int | None, int, str, str, str, int | None, str | None]] = []
    for film in films:
        director = film.director
        rows.append((film.tmdb, director.id, director.name, "Director", "Directing", None, None))
        if film.movielens % 3 == 0:
            rows.append((film.tmdb, director.id, director.name, "Screenplay", "Writing", None, None))
        rows.extend(
            (film.tmdb, actor.id, actor.name, "Actor", "Acting", order, character)
            for order, (actor, character) in enumerate(film.cast)
        )
    schema = {"movie_id": pl.Int64, "person_id": pl.Int64, "name": pl.String, "job": pl.String}
    schema |= {"department": pl.String, "cast_order": pl.Int64, "character": pl.String}
    pl.DataFrame(rows, schema=schema, orient="row").write_parquet(path)
