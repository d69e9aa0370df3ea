"""RecBole's atomic files: `.inter`, `.item` and `.user` with typed headers, as in RecSysDatasets."""

# Annotations stay text: polars is imported at its first use.
from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar

from connectors.base import BulkConnector, Page, Part, Record, Reject
from connectors.bulk import YEAR_2100, BulkFiles, record_pages
from connectors.errors import SchemaDrift
from connectors.frames import events_table, field_frame, refuse
from connectors.lines import Block, blocks
from connectors.rows import Refused, Row, split_rows, too_long
from storage.lazy import pl
from storage.reasons import Reason

SUFFIXES = {".inter": "inter", ".item": "item", ".user": "user"}
TYPES = ("token", "token_seq", "float", "float_seq")
KINDS = ("film", "track", "artist", "other")
USER, ITEM, TIME = "user_id", "item_id", "timestamp"
VALUES = ("rating", "score", "weight", "count", "play_count", "listening_count", "label")
"""What an interaction's number may be called; the first that is there counts."""


def connect(*, path: str, kind: str = "other", event: str | None = None) -> BulkConnector:
    """A data set of RecBole: the folder with its `NAME.inter`, `NAME.item`, `NAME.user`, or one of them.

    Args:
        path: The folder or file.
        kind: What the items are: `film`, `track`, `artist`, `other`.
        event: What an interaction is; default: `rating` where there is a column of that name, else `play`.
    """
    return RecBole(path, kind, event)


class RecBole(BulkFiles):
    """Records `item` and `user`, events for the interactions.

    A field keeps its name without the type: a `token` is text, a `float` a number, the sequences are lists. An item's
    payload is `{"kind": ..., "fields": {...}}`. Other atomic files (`.kg`, `.link`, `.net`) are left alone.
    """

    name: ClassVar[str] = "recbole_atomic"
    entities: ClassVar[frozenset[str]] = frozenset(SUFFIXES.values())

    def __init__(self, path: str, kind: str, event: str | None) -> None:
        super().__init__(path)
        if kind not in KINDS:
            raise ValueError(f"recbole_atomic: option kind is '{kind}', expected one of {', '.join(KINDS)}")
        self._kind, self._event = kind, event

    def parts(self) -> list[Part]:
        """Interactions in parts of 64 MB, each other file as one part."""
        files = [self.path] if self.path.is_file() else sorted(self.path.iterdir())
        kinds = [(SUFFIXES[file.suffix], file.name) for file in files if file.suffix in SUFFIXES and file.is_file()]
        if not kinds:
            raise ValueError(
                f"recbole_atomic: no .inter, .item or .user file in '{self.path}'; "
                "give the unpacked folder of one data set as `path`"
            )
        whole = [self.part(kind, file) for kind, file in kinds if kind != "inter"]
        return whole + [part for kind, file in kinds if kind == "inter" for part in self.ranges(kind, file)]

    def _read(self, part: Part) -> Iterator[Page]:
        types = self._types(part.file)
        needed = {"inter": (USER, ITEM), "item": (ITEM,), "user": (USER,)}[part.entity]
        self.columns(part.file, list(types), needed)
        return self._events(part, types) if part.entity == "inter" else self._records(part, types, needed[0])

    def _types(self, file: str) -> dict[str, str]:
        """Field name to type, in the file's order.

        Raises:
            SchemaDrift: A field has no type that RecBole knows.
        """
        types: dict[str, str] = {}
        for field in self.header(file, "\t"):
            name, _, kind = field.rpartition(":")
            if kind not in TYPES or name in types:
                raise SchemaDrift(
                    f"{self.name}: '{file}' has the field '{field[:50]}', expected names like item_id:token, each "
                    f"once, of the types {', '.join(TYPES)}; mend the header or get the file again",
                    source=self.name,
                    url=file,
                )
            types[name] = kind
        return types

    def _records(self, part: Part, types: dict[str, str], key: str) -> Iterator[Page]:
        lines = (line for line in self.lines(part) if line.number > 1)
        return record_pages(part, split_rows(part, lines, "\t", len(types)), self._maker(part, types, key))

    def _maker(self, part: Part, types: dict[str, str], key: str) -> Callable[[Row], Record]:
        fetched_at = self.changed_at(part.file)

        def make(row: Row) -> Record:
            fields = {
                name: _value(name, kind, text) for (name, kind), text in zip(types.items(), row.fields, strict=True)
            }
            source_id = row.fields[list(types).index(key)].strip()
            if not source_id:
                raise Refused(f"{key} is empty")
            payload = {"kind": self._kind, "fields": fields} if part.entity == "item" else fields
            url = f"{part.file}:{row.line}"
            return Record(entity=part.entity, source_id=source_id, payload=payload, url=url, fetched_at=fetched_at)

        return make

    def _events(self, part: Part, types: dict[str, str]) -> Iterator[Page]:
        names = list(types)
        value = next((name for name in VALUES if name in types), None)
        wanted = [USER, ITEM, *([TIME] if TIME in types else []), *([value] if value else [])]
        kind = self._event or ("rating" if value == "rating" else "play")
        at = {name: names.index(name) for name in wanted}
        with self.open(part.file) as stream:
            for block in blocks(stream, part):
                if block.oversize:
                    yield Page(rejects=(too_long(part, block),))
                    continue
                block = block.without_header()
                frame, rejects = field_frame(part, block, at, width=len(names), separator="\t")
                yield _event_page(part, block, frame, rejects, kind=kind, value=value)


def _value(name: str, kind: str, text: str) -> Any:
    """A field by its type; an empty one is None, or an empty list.

    Raises:
        Refused: A number is none.
    """
    if kind == "token":
        return text.strip() or None
    words = text.split()
    if kind == "token_seq":
        return words
    numbers = [_number(name, word) for word in words]
    return numbers if kind == "float_seq" else _only(name, numbers)


def _number(name: str, text: str) -> float:
    # Not by float() alone, which also takes "1_000", "nan" and digits of other scripts.
    number = float(text) if re.fullmatch(r"[+-]?[0-9]*\.?[0-9]+([eE][+-]?[0-9]{1,3})?\.?", text) else math.nan
    if not math.isfinite(number):
        raise Refused(f"{name} is not a number")
    return number


def _only(name: str, numbers: Sequence[float]) -> float | None:
    if len(numbers) > 1:
        raise Refused(f"{name} is more than one number")
    return numbers[0] if numbers else None


def _event_page(
    part: Part, block: Block, frame: pl.DataFrame, rejects: list[Reject], *, kind: str, value: str | None
) -> Page:
    number = pl.col(value).cast(pl.Float64, strict=False) if value else pl.lit(None, pl.Float64)
    seconds = pl.col(TIME).cast(pl.Float64, strict=False) if TIME in frame.columns else pl.lit(None, pl.Float64)
    frame = frame.with_columns(
        user=pl.col(USER).str.strip_chars(), item=pl.col(ITEM).str.strip_chars(), value=number, seconds=seconds
    )
    given = {name: pl.col(name).is_not_null() for name in (value, TIME) if name and name in frame.columns}
    faults = {
        "user_id is empty": pl.col("user").is_null() | (pl.col("user") == ""),
        "item_id is empty": pl.col("item").is_null() | (pl.col("item") == ""),
    }
    if value:
        faults[f"{value} is not a number"] = given[value] & ~pl.col("value").is_finite().fill_null(False)
    if TIME in given:
        known = (pl.col("seconds") >= 0) & (pl.col("seconds") < YEAR_2100)
        faults["timestamp is not unix seconds between 1970 and 2100"] = given[TIME] & ~known.fill_null(False)
    frame, bad = refuse(part, block, frame, faults)
    doubles: list[Reject] = []
    if TIME in given:  # without times, the same line twice is somebody who came back
        again = {
            "the same user, item and time were given before": ~pl.struct("user", "item", "seconds").is_first_distinct()
        }
        frame, doubles = refuse(part, block, frame, again, Reason.DUPLICATE)
    at = (pl.col("seconds") * 1e6).cast(pl.Int64).cast(pl.Datetime("us", "UTC"))
    events = frame.select("user", "item", "value", "line", kind=pl.lit(kind), at=at)
    return Page(events=events_table(events), rejects=tuple(sorted(rejects + bad + doubles, key=lambda each: each.line)))
