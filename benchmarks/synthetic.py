"""Large invented inputs for benchmarks of scale: as many films as one likes, quickly, in MovieLens' format.

python -m benchmarks.synthetic FOLDER --films 1000000 --ratings-per-film 20
"""

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

BLOCK = 250_000  # films at a time, about 150 MB of memory
RATING_BLOCK = 4_000_000  # ratings at a time, about 200 MB
FIRST_YEAR, LAST_YEAR = 1920, 2023
FIRST_RATING, RATING_SPAN_S = 946_684_800, 24 * 365 * 86_400  # from 2000 on, unix seconds
STRIDE = 15_485_863  # a prime that divides no number of titles: neighbours by number are not neighbours by name

ADJECTIVES = tuple(
    "Amber Ancient Borrowed Broken Burning Careless Cobalt Crooked Distant Drowsy Electric Empty Endless Faithful "
    "Feral Forgotten Frozen Gilded Golden Hidden Hollow Hungry Invisible Iron Ivory Last Lonely Lost Midnight Nameless "
    "Northern Paper Patient Quiet Reckless Restless Savage Second Silent Silver Sleepless Sunken Tender Thirsty "
    "Uncharted Velvet Wandering Winter".split()
)
NOUNS = tuple(
    "Anchor Archive Balcony Battalion Bridge Caravan Castle Cellar Chorus Clockmaker Colony Compass Crown Daughter "
    "Engine Expedition Father Forest Garden Getaway Harbour Harvest Heist Horizon Island Kingdom Ladder Lantern Letter "
    "Lighthouse Lullaby Marsh Mirror Mountain Orchard Outlaw Portrait Prophecy Rider River Robot Sheriff Signal "
    "Stranger Telegram Tower Train Treasure Violin Witness".split()
)
PATTERNS = ("{} {} of the {} {}, The", "{} {} and the {} {}", "{} {}: {} {}", "No {} {}, No {} {}")
GENRES = tuple(
    "Action Adventure Animation|Children Comedy Comedy|Drama Comedy|Romance Crime|Drama Crime|Thriller Documentary "
    "Drama Drama|Romance Drama|War Fantasy Horror Horror|Thriller Musical Mystery|Thriller Romance Sci-Fi Sci-Fi "
    "Sci-Fi|Thriller Thriller War Western".split()
)
TITLES = len(PATTERNS) * (len(ADJECTIVES) * len(NOUNS)) ** 2
"""How many different titles there are: 23 million."""


def movielens_folder(folder: Path, *, films: int, ratings_per_film: int = 0, users: int = 1000, seed: int = 0) -> Path:
    """A folder with `movies.csv`, `links.csv` and `ratings.csv` of that many films with distinct titles; it is made.

    Ratings come by film, not by user as in the original, so that memory does not grow with their number; every film
    has the same number of them, each by another user. One link in a thousand has no TMDb id.

    Raises:
        ValueError: More films than there are titles, or more ratings of a film than users.
    """
    if not 0 <= films <= TITLES:
        raise ValueError(f"synthetic: films is {films}, expected 0 to {TITLES:,}")
    if not 0 <= ratings_per_film <= users:
        raise ValueError(f"synthetic: {ratings_per_film} ratings per film by {users} users, expected at most one each")
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / "movies.csv", _movies(films, seed), "movieId,title,genres")
    _write(folder / "links.csv", _links(films), "movieId,imdbId,tmdbId")
    _write(folder / "ratings.csv", _ratings(films, ratings_per_film, users, seed), "userId,movieId,rating,timestamp")
    return folder


def _write(path: Path, frames: Iterator[pl.DataFrame], header: str) -> None:
    with path.open("wb") as stream:
        stream.write(f"{header}\r\n".encode())
        for frame in frames:
            frame.write_csv(stream, include_header=False, line_terminator="\r\n", float_precision=1)


def _blocks(films: int, size: int) -> Iterator[NDArray[np.int64]]:
    """The numbers of the films, from 0, a block at a time."""
    for start in range(0, films, size):
        yield np.arange(start, min(start + size, films), dtype=np.int64)


def _movies(films: int, seed: int) -> Iterator[pl.DataFrame]:
    dice = np.random.default_rng([seed, 1])
    for numbers in _blocks(films, BLOCK):
        years = dice.triangular(FIRST_YEAR, LAST_YEAR, LAST_YEAR + 1, len(numbers)).astype(np.int64)
        genres = _words(GENRES, dice.integers(len(GENRES), size=len(numbers)))
        frame = pl.DataFrame({"movieId": numbers + 1, "title": _titles(numbers, seed), "year": years, "genres": genres})
        yield frame.select("movieId", pl.format("{} ({})", "title", "year"), "genres")


def _titles(numbers: NDArray[np.int64], seed: int) -> pl.Series:
    """A title for each number below `TITLES`, no two alike: its digits choose the pattern and the words."""
    rest, pattern = np.divmod(((numbers + 80) * STRIDE + seed * 7919) % TITLES, len(PATTERNS))
    columns: dict[str, pl.Series] = {}
    for name, words in (("a", ADJECTIVES), ("b", NOUNS), ("c", ADJECTIVES), ("d", NOUNS)):
        rest, place = np.divmod(rest, len(words))
        columns[name] = _words(words, place)
    frame = pl.DataFrame({**columns, "pattern": pattern})
    title = pl.coalesce(
        pl.when(pl.col("pattern") == place).then(pl.format(text, "a", "b", "c", "d"))
        for place, text in enumerate(PATTERNS)
    )
    return frame.select(title=title)["title"]


def _words(words: tuple[str, ...], places: NDArray[np.int64]) -> pl.Series:
    return pl.Series(words).gather(places)


def _links(films: int) -> Iterator[pl.DataFrame]:
    for numbers in _blocks(films, BLOCK):
        frame = pl.DataFrame({"movieId": numbers + 1})
        yield frame.with_columns(
            imdbId=(pl.col("movieId") + 100_000).cast(pl.String).str.zfill(7),
            tmdbId=pl.when(pl.col("movieId") % 1000 != 0).then(pl.col("movieId") * 3 + 10),
        )


def _ratings(films: int, per_film: int, users: int, seed: int) -> Iterator[pl.DataFrame]:
    dice = np.random.default_rng([seed, 2])
    for numbers in _blocks(films if per_film else 0, max(1, RATING_BLOCK // max(1, per_film))):
        movies = np.repeat(numbers + 1, per_film)
        # Users that follow each other from a random one on, so that none rates a film twice.
        first = np.repeat(dice.integers(users, size=len(numbers)), per_film)
        turn = np.tile(np.arange(per_film), len(numbers))
        quality = np.repeat(dice.normal(3.4, 0.5, len(numbers)), per_film)
        stars = np.clip(np.rint(2 * (quality + dice.normal(0, 0.8, len(movies)))), 1, 10) / 2
        at = FIRST_RATING + dice.integers(RATING_SPAN_S, size=len(movies))
        user = (first + turn) % users + 1
        yield pl.DataFrame({"userId": user, "movieId": movies, "rating": stars, "timestamp": at})


def main() -> None:
    """Write a folder from the command line, and say how long it took."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.synthetic", description="Write a large MovieLens.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--films", type=int, default=1_000_000, help="default 1000000")
    parser.add_argument("--ratings-per-film", type=int, default=0, help="default 0")
    parser.add_argument("--users", type=int, default=1000, help="default 1000")
    parser.add_argument("--seed", type=int, default=0, help="default 0")
    started, chosen = time.perf_counter(), parser.parse_args()
    movielens_folder(
        chosen.folder,
        films=chosen.films,
        ratings_per_film=chosen.ratings_per_film,
        users=chosen.users,
        seed=chosen.seed,
    )
    print(f"{chosen.folder}: {chosen.films:,} films in {time.perf_counter() - started:.1f} s")


if __name__ == "__main__":
    main()
