"""Last.fm of HetRec 2011: how often 1,892 users played each of their top artists, their friends and tags."""

# Annotations stay text: polars is imported at its first use.
from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import ClassVar

from connectors.base import BulkConnector, Page, Part, Record, Reject
from connectors.bulk import BulkFiles, record_pages
from connectors.frames import events_table, field_frame, refuse
from connectors.lines import Block, blocks
from connectors.rows import Refused, Row, split_rows, too_long
from storage.lazy import pl
from storage.reasons import Reason

FILES = {
    "artist": ("artists.dat",),
    "play": ("user_artists.dat",),
    "tag": ("user_taggedartists-timestamps.dat", "user_taggedartists.dat"),  # the same rows, by second or by day
    "tag_name": ("tags.dat",),
    "friend": ("user_friends.dat",),
}
FIELDS = {
    "artists.dat": ("id", "name", "url", "pictureURL"),
    "user_artists.dat": ("userID", "artistID", "weight"),
    "user_taggedartists-timestamps.dat": ("userID", "artistID", "tagID", "timestamp"),
    "user_taggedartists.dat": ("userID", "artistID", "tagID", "day", "month", "year"),
    "tags.dat": ("tagID", "tagValue"),
    "user_friends.dat": ("userID", "friendID"),
}
"""The columns of each file, in the order of the originals; copies without a header are about."""

KEYS = {"artist": ("id",), "tag": ("userID", "artistID"), "tag_name": ("tagID",), "friend": ("userID", "friendID")}


def connect(*, path: str) -> BulkConnector:
    """The unpacked folder `hetrec2011-lastfm-2k`."""
    return HetRec(path)


class HetRec(BulkFiles):
    """Records `artist`, `tag` (its id is `user/artist/line`), `tag_name`, `friend`; events of kind `play`.

    The value of an event is how often the user played the artist; there are no times. Lines that are not UTF-8 are read
    as Latin-1 (`tags.dat` is), and blanks around a number are not part of it: one copy has an artist "65  ".
    """

    name: ClassVar[str] = "hetrec"
    entities: ClassVar[frozenset[str]] = frozenset(FILES)

    def parts(self) -> list[Part]:
        """Play counts in parts of 64 MB, each other file as one part; all but plays and artists may be missing."""
        there = {e: [n for n in names if (self.root / n).is_file()] for e, names in FILES.items()}
        if self.path.is_file():
            there = {e: [self.path.name] if self.path.name in names else [] for e, names in FILES.items()}
            if not any(there.values()):
                raise ValueError(f"hetrec: '{self.path.name}' is none of its files, expected {', '.join(FIELDS)}")
        elif not there["play"] or not there["artist"]:
            raise ValueError(
                f"hetrec: no user_artists.dat or no artists.dat in '{self.path}'; "
                "give the unpacked folder hetrec2011-lastfm-2k as `path`"
            )
        whole = [self.part(entity, names[0]) for entity, names in there.items() if names and entity != "play"]
        return whole + (self.ranges("play", there["play"][0]) if there["play"] else [])

    def _read(self, part: Part) -> Iterator[Page]:
        names = FIELDS[part.file]
        header = self._header(part.file)
        at = self.columns(part.file, header or names, names)
        return self._plays(part, at, header) if part.entity == "play" else self._records(part, at, header)

    def _header(self, file: str) -> list[str]:
        """The column names; none where the first line is a row, which starts with a number."""
        found = self.header(file, "\t")
        return [] if not found or re.fullmatch("[0-9 ]+", found[0]) else found

    def _records(self, part: Part, at: dict[str, int], header: list[str]) -> Iterator[Page]:
        lines = (line for line in self.lines(part, fallback="latin-1") if line.number > bool(header))
        return record_pages(part, split_rows(part, lines, "\t", len(header) or len(at)), self._maker(part, at))

    def _maker(self, part: Part, at: dict[str, int]) -> Callable[[Row], Record]:
        fetched_at = self.changed_at(part.file)

        def make(row: Row) -> Record:
            payload = {name: row.fields[place] for name, place in at.items()}
            keys = [_whole(name, payload[name]) for name in KEYS[part.entity]]
            source_id = "/".join([*keys, str(row.line)] if part.entity == "tag" else keys)
            url = f"{part.file}:{row.line}"
            return Record(entity=part.entity, source_id=source_id, payload=payload, url=url, fetched_at=fetched_at)

        return make

    def _plays(self, part: Part, at: dict[str, int], header: list[str]) -> Iterator[Page]:
        with self.open(part.file) as stream:
            for block in blocks(stream, part):
                if block.oversize:
                    yield Page(rejects=(too_long(part, block),))
                    continue
                block = block.without_header() if header else block
                width = len(header) or len(at)
                yield _play_page(part, block, *field_frame(part, block, at, width=width, separator="\t"))


def _whole(name: str, text: str) -> str:
    """A whole number without blanks and leading zeros."""
    if not re.fullmatch("[0-9]{1,18}", text.strip()):
        raise Refused(f"{name} is not a whole number")
    return str(int(text))


def _play_page(part: Part, block: Block, frame: pl.DataFrame, rejects: list[Reject]) -> Page:
    frame = frame.with_columns(
        pl.col(FIELDS["user_artists.dat"]).str.strip_chars().cast(pl.Int64, strict=False),
    )
    user, item, count = pl.col("userID"), pl.col("artistID"), pl.col("weight")
    cut = pl.col("line") == (block.unfinished_line or 0)
    faults = {
        "userID is not a whole number": user.is_null() | (user < 0),
        "artistID is not a whole number": item.is_null() | (item < 0),
        "weight is not a count above 0": count.is_null() | (count <= 0),
        "a last line without newline: its count may have been cut": cut,
    }
    frame, bad = refuse(part, block, frame, faults)
    again = {"the same user and artist were given before": ~pl.struct("userID", "artistID").is_first_distinct()}
    frame, doubles = refuse(part, block, frame, again, Reason.DUPLICATE)
    events = frame.select(
        "line",
        user=user.cast(pl.String),
        item=item.cast(pl.String),
        kind=pl.lit("play"),
        value=count,
    )
    rejects = sorted(rejects + bad + doubles, key=lambda each: each.line)
    return Page(events=events_table(events), rejects=tuple(rejects))
