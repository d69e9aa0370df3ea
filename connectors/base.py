"""What every connector yields: pages of records and events, as the source said them."""

# Annotations stay text: pyarrow is imported at its first use.
from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from storage.lazy import pa

if TYPE_CHECKING:
    from pydantic import BaseModel

    from connectors.candidates import Candidate


@cache
def event_schema() -> pa.Schema:
    """Columns of `Page.events`.

    Events are many and small, so they travel as columns: an object per rating would cost a minute per 33 M.
    """
    return pa.schema(
        [
            pa.field("user", pa.string(), nullable=False),  # the source's own user or playlist id
            pa.field("item", pa.string(), nullable=False),  # the `source_id` of the record it points to
            pa.field("kind", pa.string(), nullable=False),  # rating, play, playlist
            pa.field("value", pa.float32()),  # the rating; null where the source gives none
            pa.field("at", pa.timestamp("us", tz="UTC")),  # null where the source gives no time
            pa.field("position", pa.int32()),  # 0-based place in a playlist
            pa.field("line", pa.int64(), nullable=False),  # file order: 1-based line, or event number in the file
        ]
    )


@cache
def _no_events() -> pa.Table:
    return event_schema().empty_table()


@dataclass(frozen=True, kw_only=True)
class Record:
    """One thing a source said: parsed, not renamed, not cleaned."""

    entity: str  # "movie", "track", "credits"
    source_id: str  # the source's own id, never ours
    payload: Mapping[str, Any]  # JSON-able
    url: str  # file name with line, or request URL with secrets removed
    fetched_at: datetime  # UTC, timezone-aware; for a file, when the file was last changed


@dataclass(frozen=True, kw_only=True)
class Reject:
    """A row of an input file that was refused; it goes to `quarantine`, its neighbours go on."""

    file: str  # as in `Part.file`
    line: int  # 1-based; 0 when the whole file is meant
    reason: str  # a `storage.reasons.Reason`
    detail: str  # what was expected, in a few words
    text: str  # the row as found, cut at 500 characters


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """A piece of one input file that is read, committed and resumed as a whole."""

    entity: str
    file: str  # relative to the source's path, "/" between folders; an archive's name for all its members
    start: int = 0  # byte range: lines that START in [start, end)
    end: int | None = None  # None: to the end of the file
    stat: str = ""  # "size-mtime_ns": equal means unchanged, and nothing is read
    size_bytes: int = 0  # what reading it takes

    @property
    def key(self) -> str:
        """The part's name in the ledger: the file, and where it starts."""
        return f"{self.file}@{self.start}"


@dataclass(frozen=True, kw_only=True)
class Page:
    """What one step of reading gave; bounded in size (about 16 MB of input)."""

    part: Part | None = None  # bulk files only
    records: tuple[Record, ...] = ()
    events: pa.Table = field(default_factory=_no_events)
    rejects: tuple[Reject, ...] = ()
    cursor: str | None = None  # hand back to resume after this page; None is the end


class Connector(Protocol):
    """A source that is asked page by page."""

    name: ClassVar[str]  # registry key and cassette folder
    entities: ClassVar[frozenset[str]]

    def pages(self, entity: str, *, keys: Sequence[Any] | None = None, cursor: str | None = None) -> Iterator[Page]:
        """Pages of one entity, lazily, from `cursor` on."""
        ...

    def close(self) -> None:
        """Give back what the connector holds open."""
        ...


@dataclass(frozen=True, kw_only=True)
class Request:
    """One question to a live source; what was answered lies in `raw` under (source, entity, key)."""

    entity: str  # what is asked for: "search", "track", "page", ...
    key: str  # the source's own id, or the question itself; never a secret
    params: Mapping[str, str] = field(default_factory=dict[str, str])  # what asking takes beside the key


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """An item that a live source is searched for; what is not known is empty or None."""

    title: str
    creators: tuple[str, ...] = ()  # artists of a track, directors of a film
    album: str | None = None
    year: int | None = None
    duration_ms: int | None = None
    isrc: str | None = None
    ids: Mapping[str, str] = field(default_factory=dict[str, str])  # "imdb" -> "tt0114709", "spotify" -> ...


class LiveConnector(Connector, Protocol):
    """A source that is asked over the network, one question at a time; `pages` serves histories and charts."""

    models: ClassVar[Mapping[str, type[BaseModel]]]  # entity -> the shape of its answers, as far as it is read

    def questions(self, wanted: Wanted) -> tuple[Request, ...]:
        """How to find the item: the cascade of searches, exact ids first; empty where it cannot be asked for."""
        ...

    def lookup(self, request: Request) -> Record:
        """The answer as received.

        Raises:
            ConnectorError: `NotFound`, `AuthError`, `QuotaExceeded`, `BlockedPage`, `TransientError`, `SchemaDrift`.
        """
        ...

    def request_from(self, entity: str, payload: Mapping[str, Any]) -> Request:
        """How to ask for a detail that another answer points to; for those that `Live.by_way_of` names."""
        ...

    def candidates(self, entity: str, payload: Mapping[str, Any]) -> list[Candidate]:
        """What an answer to one of `questions` offers, in the source's order; asks nothing."""
        ...


class BulkConnector(Connector, Protocol):
    """A source that is a folder of files.

    `pages(entity, keys=parts, cursor=c)` reads the parts in order; every page names its part, and its cursor is the
    index, in `keys`, of the first part that is not finished after this page.
    """

    def parts(self) -> list[Part]:
        """What there is to read, known from names and sizes alone: no file's content is read."""
        ...

    def digest(self, part: Part) -> str:
        """Hash of the bytes that the part's lines come from: the same digest means nothing to read again."""
        ...
