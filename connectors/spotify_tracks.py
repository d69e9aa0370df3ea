"""Tables of Spotify tracks with audio features, as Kaggle and TidyTuesday give them."""

# Annotations stay text: polars is imported at its first use.
from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, ClassVar

from connectors import lines
from connectors.base import BulkConnector, Page, Part, Record, Reject
from connectors.bulk import PAGE_RECORDS, BulkFiles
from connectors.frames import events_table
from connectors.rows import Refused, Row, csv_rows, reject
from storage.lazy import pl
from storage.reasons import Reason

LISTS = ("playlist_genre", "playlist_subgenre", "track_genre")
NUMBERS = (
    "popularity track_popularity danceability energy key loudness mode speechiness acousticness instrumentalness "
    "liveness valence tempo duration_ms time_signature"
).split()
ARTISTS = ("track_artist", "artists")  # TidyTuesday's name, Kaggle's name
MISSING = ("", "NA")
HELD_BYTES = 512 << 20

_ID = re.compile("[0-9A-Za-z]{22}")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")


def connect(*, path: str) -> BulkConnector:
    """A CSV table of Spotify tracks, or a folder with one."""
    return SpotifyTracks(path)


class SpotifyTracks(BulkFiles):
    """One record `track` per id, from one or more rows.

    The payload is the first row of the id, strings as found, but for `playlist_genre`, `playlist_subgenre` and
    `track_genre`: lists of the distinct values of all its rows, in their order. A column without a name (Kaggle's row
    number) is left out. A number may be missing ("" or "NA"), a name may not.

    A row with a `playlist_id` is also an event of kind `playlist`, without position or time: the table gives none. The
    same track and playlist come twice where the playlist is filed under two genres.

    A track's rows can lie far apart, so the tracks of a part are held until its end, or until 512 MB have been read.
    """

    name: ClassVar[str] = "spotify_tracks"
    entities: ClassVar[frozenset[str]] = frozenset({"track"})

    def parts(self) -> list[Part]:
        """Each table as one part; where there are several CSV files, their headers tell which are tables of tracks."""
        files = [self.path.name] if self.path.is_file() else sorted(file.name for file in self.path.glob("*.csv"))
        if len(files) > 1:
            files = [file for file in files if "track_id" in self.column_names(file)]
        if not files:
            raise ValueError(
                f"spotify_tracks: no CSV file with a column 'track_id' in '{self.path}'; give the table as `path`"
            )
        return [self.part("track", file) for file in files]

    def _read(self, part: Part) -> Iterator[Page]:
        header = self.header(part.file)
        artist = next((name for name in ARTISTS if name in header), ARTISTS[0])
        self.columns(part.file, header, ("track_id", "track_name", artist))
        table = _Table(part, header)
        rows = csv_rows(part, (line for line in self.lines(part) if line.number > 1), len(header))
        for row in rows:
            table.add(row)
            if table.page_bytes >= lines.PAGE_BYTES:
                yield table.page()
            if table.held_bytes >= HELD_BYTES:
                yield from self._record_pages(part, table)
        yield table.page()
        yield from self._record_pages(part, table)

    def _record_pages(self, part: Part, table: _Table) -> Iterator[Page]:
        fetched_at = self.changed_at(part.file)
        tracks = iter(table.release().items())
        while chunk := list(islice(tracks, PAGE_RECORDS)):
            yield Page(
                records=tuple(
                    Record(
                        entity="track",
                        source_id=track,
                        payload=table.payload(held),
                        url=f"{part.file}:{held.line}",
                        fetched_at=fetched_at,
                    )
                    for track, held in chunk
                )
            )


@dataclass
class _Held:
    """A track so far: its first row, and the lists."""

    line: int
    fields: list[str]
    lists: list[list[str]]


@dataclass
class _Table:
    """What has been read of a part and not been given on yet."""

    part: Part
    header: list[str]
    page_bytes: int = 0
    held_bytes: int = 0
    _tracks: dict[str, _Held] = field(default_factory=dict[str, _Held])
    _events: list[tuple[str, str, int]] = field(default_factory=list[tuple[str, str, int]])
    _rejects: list[Reject] = field(default_factory=list[Reject])

    def __post_init__(self) -> None:
        at = {name: place for place, name in reversed(list(enumerate(self.header)))}
        self._id, self._name, self._playlist = at["track_id"], at["track_name"], at.get("playlist_id")
        self._numbers = [(name, at[name]) for name in NUMBERS if name in at]
        self._lists = [(name, at[name]) for name in LISTS if name in at]

    def add(self, row: Row | Reject) -> None:
        self.page_bytes += len(row.text)
        if isinstance(row, Reject):
            self._rejects.append(row)
            return
        try:
            self._check(row.fields)
        except Refused as bad:
            self._rejects.append(reject(self.part, row.line, Reason.BAD_VALUE, bad.detail, row.text))
            return
        track = row.fields[self._id]
        if track not in self._tracks:
            self._tracks[track] = _Held(row.line, row.fields, [[] for _ in self._lists])
            self.held_bytes += len(row.text)
        for values, (_, place) in zip(self._tracks[track].lists, self._lists, strict=True):
            if row.fields[place] not in (*values, *MISSING):
                values.append(row.fields[place])
        if self._playlist is not None and row.fields[self._playlist] not in MISSING:
            self._events.append((row.fields[self._playlist], track, row.line))

    def _check(self, fields: list[str]) -> None:
        if not _ID.fullmatch(fields[self._id]):
            raise Refused("track_id is not 22 letters and digits")
        if fields[self._name].strip() in MISSING:
            raise Refused("track_name is missing")
        for name, place in self._numbers:
            if fields[place] not in MISSING and not _NUMBER.fullmatch(fields[place]):
                raise Refused(f"{name} is not a number")

    def page(self) -> Page:
        """The events and refusals so far; they are then forgotten."""
        frame = pl.DataFrame(self._events, schema=["user", "item", "line"], orient="row")
        events = events_table(frame.with_columns(kind=pl.lit("playlist")))
        page = Page(events=events, rejects=tuple(self._rejects))
        self._events, self._rejects, self.page_bytes = [], [], 0
        return page

    def release(self) -> dict[str, _Held]:
        """The tracks so far; they are then forgotten."""
        tracks, self._tracks, self.held_bytes = self._tracks, {}, 0
        return tracks

    def payload(self, held: _Held) -> dict[str, Any]:
        found: dict[str, Any] = {name: text for name, text in zip(self.header, held.fields, strict=True) if name}
        lists = {name: values for (name, _), values in zip(self._lists, held.lists, strict=True)}
        return found | lists
