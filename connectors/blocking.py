"""Linking of tables: a million candidates are never compared with every row, only those that share a blocking key.

A key is the artist with the start of the title, or the title with the start of the artist, without versions, guests,
case, accents and spaces. Candidates are read in batches, so memory does not grow with their number.
"""

from collections.abc import Iterable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any

import polars as pl
import pyarrow as pa

from connectors.base import Wanted
from connectors.candidates import Candidate
from connectors.matching import match_key
from connectors.scoring import Decision, Scored, decide, score
from connectors.titles import joined
from connectors.versions import words

TITLE_START, ARTIST_START = 5, 3  # letters of the looser half of a key
LARGEST_BLOCK = 20  # candidates a row is compared with per batch; those with the likest title and duration stay
PAIRS_PER_JOB = 20_000
_OTHER_LETTER = r"[^\x00-\x7f–—’‘´…“”]"  # what is left then is read letter by letter in Python
_SEPARATORS = r"\s(?:&|and|x|vs\.?|feat\.?|ft\.?|featuring|with)\s|[,;/+]"


@dataclass
class Links:
    """The best candidate of each row so far; grows with the rows, not with the candidates."""

    source: str | None
    pairs: int = 0
    best: dict[str, Scored] = field(default_factory=dict[str, Scored])

    def add(self, found: Iterable[tuple[str, Scored]]) -> None:
        """Keep the likelier one; of equally likely ones the one that came first."""
        for row, scored in found:
            known = self.best.get(row)
            if known is None or scored.probability > known.probability:
                self.best[row] = scored

    def decisions(self) -> Iterator[tuple[str, Decision]]:
        """What to do with each row that had a candidate at all."""
        for row, scored in self.best.items():
            yield row, decide([scored], source=self.source)


def link_tables(
    rows: pa.Table, candidates: Iterable[pa.Table], *, source: str | None, pool: Executor | None = None, jobs: int = 2
) -> Links:
    """Link rows to candidates.

    Args:
        rows: Columns `id`, `title`, `artists` (list of names) and, where known, `album`, `year`, `duration_ms`, `isrc`.
        candidates: The same columns, in batches (100,000 rows are about 60 MB).
        source: Whose scoring model is used.
        pool: Processes that score; None scores here.
        jobs: Batches of pairs that wait at the same time.

    Returns:
        The best candidate of each row; a row without any is left out.
    """
    wanted = pl.from_arrow(rows)
    assert isinstance(wanted, pl.DataFrame)
    keys, links = _keys(wanted), Links(source)
    for batch in candidates:
        offered = pl.from_arrow(batch)
        assert isinstance(offered, pl.DataFrame)
        pairs = _pairs(wanted, keys, offered)
        links.pairs += pairs.height
        _score_pairs(wanted, offered, pairs, links, pool, jobs)
    return links


def _keys(table: pl.DataFrame) -> pl.DataFrame:
    """Two keys per row: columns `id`, `key`, `title_key`."""
    first = _unaccented(pl.col("artists").list.first().fill_null(""))
    frame = table.select(
        "id", title=_plain(_bare(_unaccented(pl.col("title").fill_null("")))), artist=_plain(_first(first))
    )
    # A name that is all brackets, or in another script, is read as the scorer reads it.
    rest = table.select("id", "title", "artists").filter(
        _unaccented(pl.col("title").fill_null("")).str.contains(_OTHER_LETTER)
        | first.str.contains(_OTHER_LETTER)
        | (frame["title"] == "")
    )
    if rest.height:
        read = [_read(row["title"] or "", (row["artists"] or [""])[0] or "") for row in rest.iter_rows(named=True)]
        fresh = pl.DataFrame({"id": rest["id"], "t": [t for t, _ in read], "a": [a for _, a in read]})
        frame = frame.join(fresh, on="id", how="left").select(
            "id", title=pl.coalesce("t", "title"), artist=pl.coalesce("a", "artist")
        )
    frame = frame.filter((pl.col("title") != "") & (pl.col("artist") != ""))
    return pl.concat(
        [
            frame.select(
                "id", key=pl.col("artist") + "|" + pl.col("title").str.slice(0, TITLE_START), title_key="title"
            ),
            frame.select(
                "id", key=pl.col("artist").str.slice(0, ARTIST_START) + "#" + pl.col("title"), title_key="title"
            ),
        ]
    )


def _unaccented(text: pl.Expr) -> pl.Expr:
    return text.str.normalize("NFKD").str.replace_all(r"\p{M}", "")


def _bare(title: pl.Expr) -> pl.Expr:
    """Without brackets, what stands after a dash, and guests; a bracket that the name begins with is part of it."""
    title = title.str.replace(r"^\s*[(\[]([^)\]]*)[)\]]", "$1 ")
    title = title.str.replace_all(r"\s*[(\[][^)\]]*[)\]]", "").str.replace(r"\s[-–—]\s.*$", "")
    return title.str.replace(r"(?i)\s(?:feat\.?|ft\.?|featuring)\s.*$", "")


def _first(artist: pl.Expr) -> pl.Expr:
    return artist.str.replace(rf"(?i)(?:{_SEPARATORS}).*$", "").str.replace(r"(?i)^the\s+", "")


def _plain(text: pl.Expr) -> pl.Expr:
    return text.str.to_lowercase().str.replace_all("&", "and").str.replace_all(r"[^a-z0-9]", "")


def _read(title: str, artist: str) -> tuple[str, str]:
    key = match_key([artist], title)
    bare = (key or "|").split("|")[1]
    return joined(words(bare)), joined(words(artist))


def _pairs(wanted: pl.DataFrame, keys: pl.DataFrame, offered: pl.DataFrame) -> pl.DataFrame:
    """Columns `id`, `other`: which candidates each row is compared with."""
    met = keys.join(_keys(offered).rename({"id": "other", "title_key": "other_title"}), on="key").unique(
        ["id", "other"]
    )
    length = wanted.select("id", length="duration_ms") if "duration_ms" in wanted.columns else None
    if length is not None and "duration_ms" in offered.columns:
        met = met.join(length, on="id").join(offered.select(other="id", other_length="duration_ms"), on="other")
        apart = (pl.col("length") - pl.col("other_length")).abs().fill_null(0)
    else:
        apart = pl.lit(0)
    met = met.with_columns(unlike=pl.col("title_key") != pl.col("other_title"), apart=apart)
    return (
        met.sort("id", "unlike", "apart", "other")
        .group_by("id", maintain_order=True)
        .head(LARGEST_BLOCK)[["id", "other"]]
    )


def _score_pairs(
    wanted: pl.DataFrame, offered: pl.DataFrame, pairs: pl.DataFrame, links: Links, pool: Executor | None, jobs: int
) -> None:
    waiting: list[Any] = []
    for start in range(0, pairs.height, PAIRS_PER_JOB):
        part = pairs.slice(start, PAIRS_PER_JOB)
        left = part.join(wanted, on="id", how="left", maintain_order="left").to_dict(as_series=False)
        right = (
            part.select(id="other").join(offered, on="id", how="left", maintain_order="left").to_dict(as_series=False)
        )
        if pool is None:
            links.add(score_columns(left, right, links.source))
            continue
        waiting.append(pool.submit(score_columns, left, right, links.source))
        if len(waiting) > jobs:
            links.add(waiting.pop(0).result())
    for job in waiting:
        links.add(job.result())


def score_columns(
    left: dict[str, list[Any]], right: dict[str, list[Any]], source: str | None
) -> list[tuple[str, Scored]]:
    """The best candidate of each row, without its evidence; pairs stand side by side in two tables of columns.

    Pairs of one row stand together, so that its candidates are scored as one list.
    """
    found: list[tuple[str, Scored]] = []
    at, ids = 0, left["id"]
    while at < len(ids):
        end = at
        while end < len(ids) and ids[end] == ids[at]:
            end += 1
        wanted = Wanted(
            title=left["title"][at] or "",
            creators=tuple(left["artists"][at] or ()),
            **{name: left[name][at] for name in ("album", "year", "duration_ms", "isrc") if name in left},
        )
        said = [{name: right[name][k] for name in right if right[name][k] is not None} for k in range(at, end)]
        scored = score(wanted, [Candidate.of({"title": ""} | one) for one in said], source)
        found.append((ids[at], Scored(scored[0].id, scored[0].probability, {})))
        at = end
    return found
