"""Last.fm 1K users: 19 million plays with time, artist and track, and the users' profiles."""

# Annotations stay text: polars is imported at its first use.
from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import ClassVar
from urllib.parse import quote_plus

from connectors.base import BulkConnector, Page, Part, Record, Reject
from connectors.bulk import BulkFiles, record_pages
from connectors.frames import events_table, field_frame, refuse
from connectors.lines import Block, blocks
from connectors.rows import Refused, Row, split_rows, too_long
from storage.lazy import pl

PLAY_FIELDS = ("userid", "timestamp", "artid", "artname", "traid", "traname")
USER_FIELDS = ("#id", "gender", "age", "country", "registered")

FIRST_PLAY = datetime(2002, 1, 1, tzinfo=UTC)  # Last.fm opened in 2002; the dump has a few rows of 1970
NO_LIMIT = datetime(2100, 1, 1, tzinfo=UTC)


def connect(*, path: str) -> BulkConnector:
    """The Last.fm 1K dump in a folder, or one of its files."""
    return Lastfm1K(path)


class Lastfm1K(BulkFiles):
    """Plays (`userid-timestamp-*.tsv`) and profiles (`userid-profile*.tsv`, optional).

    Pages of `play` hold events and, once per page and track, a record `track` with `artname`, `artid`, `traname` and
    `traid` (the first MBIDs that the page gives, or ""). Its id is Last.fm's own path: `Artist+Name/_/Track+Name`.
    A file of another name is told by its first line.
    """

    name: ClassVar[str] = "lastfm_1k"
    entities: ClassVar[frozenset[str]] = frozenset({"play", "user"})

    def parts(self) -> list[Part]:
        """Plays in parts of 64 MB, profiles as one part."""
        files = [self.path] if self.path.is_file() else sorted(self.path.glob("*.tsv"))
        kinds = [(self._kind(file.name), file.name) for file in files if file.is_file()]
        plays = [part for kind, file in kinds if kind == "play" for part in self.ranges("play", file)]
        users = [self.part("user", file) for kind, file in kinds if kind == "user"]
        if not plays and not (users and self.path.is_file()):
            raise ValueError(
                f"lastfm_1k: no userid-timestamp-*.tsv with {len(PLAY_FIELDS)} columns in '{self.path}'; "
                "give the unpacked folder of the dump as `path`, or one of its files"
            )
        return users + plays

    def _kind(self, file: str) -> str | None:
        if file.startswith("userid-timestamp"):
            return "play"
        if file.startswith("userid-profile"):
            return "user"
        with self.open(file) as stream:
            first = stream.readline(10_000)
        if first.startswith(b"#id\t"):
            return "user"
        return "play" if first.count(b"\t") == len(PLAY_FIELDS) - 1 else None

    def _read(self, part: Part) -> Iterator[Page]:
        return self._read_users(part) if part.entity == "user" else self._read_plays(part)

    def _read_users(self, part: Part) -> Iterator[Page]:
        header = self.header(part.file, "\t")
        at = self.columns(part.file, header, USER_FIELDS)
        fetched_at = self.changed_at(part.file)

        def make(row: Row) -> Record:
            payload = {name: row.fields[place] for name, place in at.items()}
            user = payload.pop("#id")
            if not user.strip():
                raise Refused("#id is empty")
            url = f"{part.file}:{row.line}"
            return Record(entity="user", source_id=user, payload=payload, url=url, fetched_at=fetched_at)

        rows = split_rows(part, (line for line in self.lines(part) if line.number > 1), "\t", len(header))
        return record_pages(part, rows, make)

    def _read_plays(self, part: Part) -> Iterator[Page]:
        columns = {name: at for at, name in enumerate(PLAY_FIELDS)}
        fetched_at = self.changed_at(part.file)
        with self.open(part.file) as stream:
            for block in blocks(stream, part):
                if block.oversize:
                    yield Page(rejects=(too_long(part, block),))
                    continue
                frame, rejects = field_frame(part, block, columns, width=len(PLAY_FIELDS), separator="\t")
                yield _play_page(part, block, frame, rejects, fetched_at)


def _play_page(part: Part, block: Block, frame: pl.DataFrame, rejects: list[Reject], fetched_at: datetime) -> Page:
    time = pl.col("timestamp").str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_unit="us", time_zone="UTC", strict=False)
    frame = frame.with_columns(pl.col(PLAY_FIELDS).fill_null("")).with_columns(at=time)
    frame, bad = refuse(part, block, frame, _faults(fetched_at))
    tracks = _tracks(frame)
    events = frame.join(tracks.select("artname", "traname", "key"), on=["artname", "traname"], maintain_order="left")
    records = tuple(
        Record(
            entity="track",
            source_id=row.pop("key"),
            url=f"{part.file}:{row.pop('line')}",
            payload=row,
            fetched_at=fetched_at,
        )
        for row in tracks.iter_rows(named=True)
    )
    return Page(
        records=records,
        events=events_table(events.select("at", "line", user="userid", item="key", kind=pl.lit("play"))),
        rejects=tuple(sorted(rejects + bad, key=lambda item: item.line)),
    )


def _faults(changed_at: datetime) -> dict[str, pl.Expr]:
    """What can be wrong with a play, by the words that say so."""
    # An archive made without times unpacks to files of 1970; those say nothing of when the dump was made.
    last = changed_at + timedelta(days=1) if changed_at > FIRST_PLAY else NO_LIMIT
    time = pl.col("at")
    return {
        "userid is empty": pl.col("userid").str.strip_chars() == "",
        "timestamp is not like 2009-05-04T23:08:57Z": time.is_null(),
        "timestamp before 2002": time < FIRST_PLAY,
        "timestamp after the file was made": time > last,
        "artist name is empty": pl.col("artname").str.strip_chars() == "",
        "track name is empty": pl.col("traname").str.strip_chars() == "",
    }


def _tracks(frame: pl.DataFrame) -> pl.DataFrame:
    """Each artist and track once, with its key: quoting each row of 19 million would take minutes."""
    first = [pl.col(name).filter(pl.col(name) != "").first().fill_null("").alias(name) for name in ("artid", "traid")]
    tracks = frame.group_by("artname", "traname", maintain_order=True).agg(*first, pl.col("line").first())
    pairs = zip(tracks["artname"], tracks["traname"], strict=True)
    keys = [f"{quote_plus(artist)}/_/{quote_plus(track)}" for artist, track in pairs]
    return tracks.with_columns(pl.Series("key", keys, dtype=pl.String))
