"""Films and credits of TMDb from files: JSON lines with credits in Parquet, or Kaggle's CSV tables."""

# Annotations stay text: numpy is imported at its first use.
from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from connectors.base import BulkConnector, Page, Part, Record
from connectors.bulk import BulkFiles, record_pages
from connectors.rows import (
    Refused,
    Row,
    as_list,
    as_object,
    csv_rows,
    parse_json,
    reject,
    text_rows,
)
from storage.lazy import np, pa, pc, pq
from storage.reasons import Reason

if TYPE_CHECKING:
    from numpy.typing import NDArray


JSON_COLUMNS = frozenset("genres keywords production_companies production_countries spoken_languages cast crew".split())
FILM_COLUMNS = frozenset(
    "id title original_title original_language overview genres keywords budget revenue runtime release_date "
    "vote_average vote_count".split()
)
CREDITS_A_PAGE = 100_000  # rows of the Parquet file
PYTHON_LIST_LIMIT = 1_000_000  # characters; the parser of Python needs a hundred times as many bytes


PARQUET_NAMES = {"credits": "credits", "films": None, "persons": None}
"""What Parquet files of these names hold; None: nothing that is read here."""


def connect(*, path: str) -> BulkConnector:
    """Files of TMDb in a folder, or one of them."""
    return TmdbFiles(path)


class TmdbFiles(BulkFiles):
    """Records `film` and `credits`; which file holds what is told by its columns, not by its name.

    - `*.jsonl`: `film`, the payload is the object of a line; `id` and `title` are needed.
    - `*.parquet` with the columns `movie_id, person_id, job ...`: `credits`, one record per movie, the payload is
      `{"id": ..., "credits": [{"person_id", "name", "job", "department", "cast_order", "character"}, ...]}`.
    - `*.csv` with three or more columns of Kaggle's film tables: `film`, the payload is the row, strings as found,
      the JSON columns (`genres`, `keywords` ...) parsed to lists, an empty one to an empty list.
    - `*.csv` with `cast` and `crew`: `credits`, the payload is the row, `cast` and `crew` parsed to lists.

    "The Movies Dataset" of Kaggle writes its lists as Python does (single quotes, None); they are read too.
    """

    name: ClassVar[str] = "tmdb_files"
    entities: ClassVar[frozenset[str]] = frozenset({"film", "credits"})

    def parts(self) -> list[Part]:
        """JSON lines in parts of 64 MB, other files whole; of CSV and Parquet files the header alone is read."""
        files = [self.path] if self.path.is_file() else sorted(file for file in self.path.iterdir() if file.is_file())
        parts: list[Part] = []
        for file in files:
            if file.suffix == ".jsonl":
                parts += self.ranges("film", file.name)
            elif entity := self._entity(file):
                parts.append(self.part(entity, file.name))
        if not parts:
            raise ValueError(
                f"tmdb_files: no file of films or credits in '{self.path}'; expected *.jsonl with id and title, "
                "credits.parquet, or Kaggle's tmdb_5000_movies.csv; give their folder, or one of them, as `path`"
            )
        return parts

    def _entity(self, file: Path) -> str | None:
        if file.suffix == ".csv":
            header = self.column_names(file.name)
            if "cast" in header or "crew" in header:
                return "credits"
            return "film" if len(FILM_COLUMNS.intersection(header)) >= 3 else None
        if file.suffix != ".parquet":
            return None
        # By name where it says enough: opening a Parquet file costs a plan a third of its second.
        if file.stem in PARQUET_NAMES:
            return PARQUET_NAMES[file.stem]
        try:
            found: list[str] = pq.read_schema(file).names
        except (pa.ArrowException, OSError):
            return "credits" if "credits" in file.name else None
        return "credits" if {"movie_id", "person_id"} <= set(found) else None

    def _read(self, part: Part) -> Iterator[Page]:
        if part.file.endswith(".parquet"):
            return self._read_parquet(part)
        return self._read_json_lines(part) if part.file.endswith(".jsonl") else self._read_csv(part)

    def _read_json_lines(self, part: Part) -> Iterator[Page]:
        fetched_at = self.changed_at(part.file)

        def make(row: Row) -> Record:
            film = as_object(parse_json(row.fields[0]))
            if film is None:
                raise Refused("the line is not a JSON object")
            return _record(part, "id", film, row.line, fetched_at)

        return record_pages(part, text_rows(part, self.lines(part)), make)

    def _read_csv(self, part: Part) -> Iterator[Page]:
        header = self.header(part.file)
        key = "movie_id" if part.entity == "credits" and "movie_id" in header else "id"
        self.columns(part.file, header, (key, "cast", "crew") if part.entity == "credits" else (key, "title"))
        fetched_at = self.changed_at(part.file)

        def make(row: Row) -> Record:
            found = {name: text for name, text in zip(header, row.fields, strict=True) if name}
            payload = {name: _list(name, text) if name in JSON_COLUMNS else text for name, text in found.items()}
            return _record(part, key, payload, row.line, fetched_at)

        rows = csv_rows(part, (line for line in self.lines(part) if line.number > 1), len(header))
        return record_pages(part, rows, make)

    def _read_parquet(self, part: Part) -> Iterator[Page]:
        """Pages of whole movies: the file may be sorted by person, so it is scanned once per page of movie ids."""
        with self.open(part.file) as stream:
            try:
                file = pq.ParquetFile(stream)
                self.columns(part.file, file.schema_arrow.names, _credit_schema().names)
                yield from self._parquet_pages(part, file)
            except (pa.ArrowException, OSError) as exc:
                detail = f"not a Parquet file that can be read: {exc}"[:200]
                yield Page(rejects=(reject(part, 0, Reason.DECODE_ERROR, detail, ""),))

    def _parquet_pages(self, part: Part, file: Any) -> Iterator[Page]:
        ids = _ids(file)
        missing = [int(at) + 1 for at in np.flatnonzero(ids < 0)]
        if missing:
            bad = [reject(part, line, Reason.BAD_VALUE, "movie_id is missing or negative", "") for line in missing]
            yield Page(rejects=tuple(bad))
        for low, high in _id_ranges(ids):
            yield self._credits_page(part, _movies(file, low, high))

    def _credits_page(self, part: Part, movies: dict[int, list[dict[str, Any]]]) -> Page:
        fetched_at = self.changed_at(part.file)
        return Page(
            records=tuple(
                Record(
                    entity="credits",
                    source_id=str(movie),
                    payload={"id": movie, "credits": found},
                    url=f"{part.file}#movie_id={movie}",
                    fetched_at=fetched_at,
                )
                for movie, found in movies.items()
            )
        )


def _record(part: Part, key: str, payload: dict[str, Any], line: int, fetched_at: datetime) -> Record:
    source_id = str(payload.get(key))
    if not re.fullmatch("[0-9]{1,18}", source_id):
        raise Refused(f"{key} is not a whole number")
    if part.entity == "film" and not str(payload.get("title") or "").strip():
        raise Refused("title is missing")
    url = f"{part.file}:{line}"
    return Record(entity=part.entity, source_id=source_id, payload=payload, url=url, fetched_at=fetched_at)


def _list(name: str, text: str) -> list[Any]:
    """The list in a cell, in JSON or in Python's notation."""
    if not text.strip():
        return []
    try:
        value = as_list(parse_json(text))
    except Refused:
        value = as_list(_python_list(text))
    if value is None:
        raise Refused(f"{name} is not a list in JSON")
    return value


def _python_list(text: str) -> Any:
    if len(text) > PYTHON_LIST_LIMIT:
        return None
    try:
        # Through JSON once more: a Python literal may hold tuples, bytes or sets.
        return parse_json(json.dumps(ast.literal_eval(text.strip())))
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError, Refused):
        return None


@cache
def _credit_schema() -> pa.Schema:
    return pa.schema(
        [
            pa.field("movie_id", pa.int64()),
            pa.field("person_id", pa.int64()),
            pa.field("name", pa.string()),
            pa.field("job", pa.string()),
            pa.field("department", pa.string()),
            pa.field("cast_order", pa.int64()),  # null for the crew
            pa.field("character", pa.string()),  # null for the crew
        ]
    )


def _plain(table: Any) -> Any:
    """The credits' columns in `_credit_schema`; pandas writes whole numbers with gaps as floats with NaN."""
    columns = [table[name] for name in table.column_names]
    without_nan = [
        pc.if_else(pc.is_nan(column), None, column) if pa.types.is_floating(column.type) else column
        for column in columns
    ]
    plain = pa.table(without_nan, names=table.column_names)
    plain.validate(full=True)
    return plain.cast(pa.schema([_credit_schema().field(name) for name in plain.column_names]))


def _batches(file: Any, columns: list[str]) -> Iterator[Any]:
    for batch in file.iter_batches(columns=columns):
        yield _plain(pa.table(batch).select(columns))


def _ids(file: Any) -> NDArray[np.int64]:
    """The movie of each row, -1 where it is missing."""
    found = [batch["movie_id"].fill_null(-1).to_numpy() for batch in _batches(file, ["movie_id"])]
    return np.concatenate(found) if found else np.empty(0, np.int64)


def _id_ranges(ids: NDArray[np.int64]) -> list[tuple[int, int]]:
    """First and last id of each page: whole movies, about `CREDITS_A_PAGE` rows."""
    movies, rows = np.unique(ids[ids >= 0], return_counts=True)
    pages = np.cumsum(rows) // CREDITS_A_PAGE
    return [(int(movies[pages == page][0]), int(movies[pages == page][-1])) for page in np.unique(pages)]


def _movies(file: Any, low: int, high: int) -> dict[int, list[dict[str, Any]]]:
    """The credits of the movies from `low` to `high`, in the file's order."""
    movies: dict[int, list[dict[str, Any]]] = {}
    for batch in _batches(file, _credit_schema().names):
        ids = batch["movie_id"]
        rows: list[dict[str, Any]] = batch.filter(
            pc.and_(pc.greater_equal(ids, low), pc.less_equal(ids, high))
        ).to_pylist()
        for row in rows:
            movies.setdefault(row.pop("movie_id"), []).append(row)
    return movies
