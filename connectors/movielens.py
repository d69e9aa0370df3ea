"""MovieLens, from ml-1m (`.dat`) to ml-latest (33 M ratings, `.csv`): movies, links, tags, users and ratings."""

# Annotations stay text: polars is imported at its first use.
from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar

from connectors.base import BulkConnector, Page, Part, Record, Reject
from connectors.bulk import YEAR_2100, BulkFiles, record_pages
from connectors.frames import events_table, field_frame, refuse
from connectors.lines import Block, blocks
from connectors.rows import Refused, Row, csv_rows, split_rows, too_long
from storage.lazy import pl
from storage.reasons import Reason

STEMS = {"movie": "movies", "link": "links", "tag": "tags", "user": "users", "rating": "ratings"}
REQUIRED = ("movie", "rating")
FIELDS = {
    "movie": ("movieId", "title", "genres"),
    "link": ("movieId", "imdbId", "tmdbId"),
    "tag": ("userId", "movieId", "tag", "timestamp"),
    "user": ("userId", "gender", "age", "occupation", "zipCode"),
    "rating": ("userId", "movieId", "rating", "timestamp"),
}
"""The columns of each file, in the order of a `.dat` file, which has no header."""

YEAR_1990 = 631_152_000  # unix seconds; MovieLens opened in 1997, its first ratings are of January 1995


def connect(*, path: str, ratings: str | None = None) -> BulkConnector:
    """MovieLens in a folder, or one of its files.

    Args:
        path: The unpacked folder, or one file named as in it (`movies...`, `ratings...`).
        ratings: Another file of the folder to read in the place of `ratings.csv`.
    """
    return MovieLens(path, ratings)


class MovieLens(BulkFiles):
    """Payloads are the columns as found, as strings (`FIELDS`); ratings are events of kind `rating`.

    A tag's id is `userId/movieId/line`. `.dat` files are read as UTF-8, and line by line as Latin-1 where they are not.
    """

    name: ClassVar[str] = "movielens"
    entities: ClassVar[frozenset[str]] = frozenset(FIELDS)

    def __init__(self, path: str, ratings: str | None = None) -> None:
        super().__init__(path)
        self._ratings = ratings

    def parts(self) -> list[Part]:
        """Ratings in parts of 64 MB, each other file as one part: a quoted title may hold newlines."""
        files = self._folder_files() if self.path.is_dir() else self._one_file()
        whole = [self.part(entity, file) for entity, file in files.items() if entity != "rating"]
        return whole + (self.ranges("rating", files["rating"]) if "rating" in files else [])

    def _one_file(self) -> dict[str, str]:
        for entity, stem in STEMS.items():
            if self.path.name.startswith(stem) and self.path.suffix in (".csv", ".dat"):
                return {entity: self.path.name}
        names = ", ".join(f"{stem}.csv" for stem in STEMS.values())
        raise ValueError(f"movielens: '{self.path.name}' is no file of MovieLens; expected a name like {names}")

    def _folder_files(self) -> dict[str, str]:
        files: dict[str, str] = {}
        for entity, stem in STEMS.items():
            names = [self._ratings] if entity == "rating" and self._ratings else [f"{stem}.csv", f"{stem}.dat"]
            found = [name for name in names if (self.root / name).is_file()]
            if found:
                files[entity] = found[0]
            elif entity in REQUIRED:
                raise ValueError(
                    f"movielens: no {' or '.join(names)} in '{self.path}'; "
                    "give the unpacked folder of a MovieLens release as `path`, or one of its files"
                )
        return files

    def _read(self, part: Part) -> Iterator[Page]:
        if part.entity == "rating":
            return self._read_ratings(part)
        return self._read_records(part)

    def _read_records(self, part: Part) -> Iterator[Page]:
        wanted = FIELDS[part.entity]
        if Path(part.file).suffix == ".dat":
            at = {name: place for place, name in enumerate(wanted)}
            rows = split_rows(part, self.lines(part, fallback="latin-1"), "::", len(wanted))
        else:
            header = self.header(part.file)
            at = self.columns(part.file, header, wanted)
            rows = csv_rows(part, (line for line in self.lines(part) if line.number > 1), len(header))
        yield from record_pages(part, rows, self._maker(part, at))

    def _maker(self, part: Part, at: dict[str, int]) -> Callable[[Row], Record]:
        fetched_at = self.changed_at(part.file)

        def make(row: Row) -> Record:
            payload = {name: row.fields[place] for name, place in at.items()}
            return Record(
                entity=part.entity,
                source_id=_source_id(part.entity, payload, row.line),
                payload=payload,
                url=f"{part.file}:{row.line}",
                fetched_at=fetched_at,
            )

        return make

    def _read_ratings(self, part: Part) -> Iterator[Page]:
        wanted = FIELDS["rating"]
        dat = Path(part.file).suffix == ".dat"
        header = list(wanted) if dat else self.header(part.file)
        at = self.columns(part.file, header, wanted)
        with self.open(part.file) as stream:
            for block in blocks(stream, part):
                if block.oversize:
                    yield Page(rejects=(too_long(part, block),))
                elif dat:
                    lines = field_frame(part, block, at, width=len(header), separator="::", fallback="latin-1")
                    yield _rating_page(part, block, *lines)
                else:
                    block = block.without_header()
                    yield _rating_page(part, block, *field_frame(part, block, at, width=len(header), separator=","))


def _source_id(entity: str, payload: dict[str, str], line: int) -> str:
    for name in ("userId", "movieId"):
        if name in payload and not re.fullmatch("[0-9]{1,18}", payload[name]):
            raise Refused(f"{name} is not a whole number")
    if entity == "user":
        return str(int(payload["userId"]))
    if entity != "tag":
        return str(int(payload["movieId"]))
    if not re.fullmatch("[0-9]{1,10}", payload["timestamp"]) or not 0 < int(payload["timestamp"]) < YEAR_2100:
        raise Refused("timestamp is not unix seconds")
    return f"{payload['userId']}/{payload['movieId']}/{line}"


def _rating_page(part: Part, block: Block, frame: pl.DataFrame, rejects: list[Reject]) -> Page:
    if b'"' in block.data:
        frame = frame.with_columns(pl.col(FIELDS["rating"]).str.replace('^"(.*)"$', "$1"))
    frame = frame.with_columns(
        user=pl.col("userId").cast(pl.Int64, strict=False),
        item=pl.col("movieId").cast(pl.Int64, strict=False),
        value=pl.col("rating").cast(pl.Float64, strict=False),
        seconds=pl.col("timestamp").cast(pl.Int64, strict=False),
    )
    frame, bad = refuse(part, block, frame, _faults(block))
    frame, again = _without_duplicates(part, block, frame)
    events = frame.select(
        "value",
        "line",
        user=pl.col("user").cast(pl.String),  # the number, not its spelling: 01 and 1 are one user
        item=pl.col("item").cast(pl.String),
        kind=pl.lit("rating"),
        at=pl.from_epoch("seconds", time_unit="s").dt.replace_time_zone("UTC"),
    )
    rejects = sorted(rejects + bad + again, key=lambda item: item.line)
    return Page(events=events_table(events), rejects=tuple(rejects))


def _faults(block: Block) -> dict[str, pl.Expr]:
    """What can be wrong with a rating, by the words that say so."""
    user, item, value, seconds = pl.col("user"), pl.col("item"), pl.col("value"), pl.col("seconds")
    cut = (pl.col("line") == (block.unfinished_line or 0)) & (seconds < YEAR_1990)
    return {
        "userId is not a whole number": user.is_null() | (user < 0),
        "movieId is not a whole number": item.is_null() | (item < 0),
        "rating is not a number above 0 and up to 5": value.is_null() | value.is_nan() | (value <= 0) | (value > 5),
        "timestamp is not unix seconds between 1970 and 2100": (
            seconds.is_null() | (seconds <= 0) | (seconds >= YEAR_2100)
        ),
        "timestamp before 1990 on a last line without newline: the line was cut": cut,
    }


def _without_duplicates(part: Part, block: Block, frame: pl.DataFrame) -> tuple[pl.DataFrame, list[Reject]]:
    """The first of rows with the same user, movie and time, the others refused."""
    # Comparing 64-bit hashes first costs a tenth of comparing the three columns (measured 2026-11), and finds all.
    mixed = (pl.col("user") * 2_654_435_761) ^ (pl.col("item") * 40_503_000_001) ^ (pl.col("seconds") * 7_919)
    if frame.select(mixed.n_unique()).item() == frame.height:
        return frame, []
    again = ~pl.struct("user", "item", "seconds").is_first_distinct()
    return refuse(part, block, frame, {"the same user, movie and time were given before": again}, Reason.DUPLICATE)
