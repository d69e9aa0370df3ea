"""Every table's columns, types, units, key and null rules; nothing else in the project defines a column.

Three kinds of table:

- `KEYED`: a row per attempted key, a value or a `reason`. Rows are only appended; the newest row per key counts and a
  row with reason `removed` hides its key.
- `LOADED`: rows read from input files. A row counts while its `load_id` is the current one of its part in `inputs`, so
  that a part becomes visible, or is replaced, by one commit to `inputs`. `load_id` is null for rows of live sources.
- `LOG`: what ran and what was published; keyed, without attempt columns.
"""

from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

SCHEMA_VERSION = 1
"""Raised when a store written by the former code can no longer be read or written by this one."""

UTC = pa.timestamp("us", tz="UTC")
STRINGS = pa.list_(pa.string())


def _required(name: str, type_: pa.DataType) -> pa.Field:
    return pa.field(name, type_, nullable=False)


ATTEMPT = [
    _required("input_hash", pa.int64()),  # digest of what the row was computed from
    _required("value_hash", pa.int64()),  # digest of the row's value: what downstream stages compare
    _required("version", pa.string()),  # version of the stage that computed it
    _required("attempt", pa.int32()),  # 1 for the first
    pa.field("reason", pa.string()),  # null: there is a value; else a `storage.reasons.Reason`
    pa.field("detail", pa.string()),  # free text for people; never a secret
    pa.field("retry_at", UTC),  # null: do not try again before the input or the version changes
    _required("computed_at", UTC),
]
ATTEMPT_COLUMNS = tuple(field.name for field in ATTEMPT)


@dataclass(frozen=True, kw_only=True)
class Table:
    """One table's contract."""

    name: str  # folder under tables/; "features/minilm"
    kind: Literal["keyed", "loaded", "log"]
    key: tuple[str, ...]
    schema: pa.Schema
    about: str

    @property
    def view(self) -> str:
        """Name of the table in SQL."""
        return self.name.replace("/", "_").replace("-", "_")


def _table(kind: Literal["keyed", "loaded", "log"], name: str, key: str, about: str, *fields: pa.Field) -> Table:
    extra = {"keyed": ATTEMPT, "loaded": [pa.field("load_id", pa.string())], "log": [_required("computed_at", UTC)]}
    return Table(name=name, kind=kind, key=tuple(key.split()), schema=pa.schema([*fields, *extra[kind]]), about=about)


_INPUTS = _table(
    "keyed",
    "inputs",
    "source entity part",
    "the ledger of input files: one row per part that was read",
    _required("source", pa.string()),
    _required("entity", pa.string()),
    _required("part", pa.string()),  # file@first byte
    pa.field("file", pa.string()),  # relative to the source's path
    pa.field("size_bytes", pa.int64()),
    pa.field("stat", pa.string()),  # size-mtime_ns; equal means unchanged, without reading
    pa.field("load_id", pa.string()),  # the rows of `raw`, `interactions`, `quarantine` that count
    pa.field("records", pa.int64()),
    pa.field("events", pa.int64()),
    pa.field("rejects", pa.int64()),
)
_RAW = _table(
    "loaded",
    "raw",
    "source entity request_key",
    "every record as the source gave it; negative answers too, with expiry",
    _required("source", pa.string()),
    _required("entity", pa.string()),
    _required("request_key", pa.string()),  # the source's own id
    pa.field("body", pa.binary()),  # JSON as received; the shard is zstd
    pa.field("status", pa.int32()),  # HTTP status; null for files
    pa.field("url", pa.string()),  # secrets removed; for files the name and line
    _required("fetched_at", UTC),
    pa.field("expires_at", UTC),  # null: never
    _required("value_hash", pa.int64()),
)
_QUARANTINE = _table(
    "loaded",
    "quarantine",
    "source file line",
    "rows of input files that were refused",
    _required("source", pa.string()),
    _required("file", pa.string()),
    _required("line", pa.int64()),  # 1-based; 0 is the whole file
    _required("reason", pa.string()),
    pa.field("detail", pa.string()),
    pa.field("text", pa.string()),  # as found, at most 500 characters
)
_INTERACTIONS = _table(
    "loaded",
    "interactions",
    "source file line",
    "plays, ratings, playlist positions; sort stably by (user_id, time, file, line)",
    _required("user_id", pa.string()),  # source:its user or playlist id
    _required("entity_id", pa.string()),  # digest of the source's own key; the view adds item_id, aliases resolved
    _required("source", pa.string()),
    _required("kind", pa.string()),  # rating, play, playlist
    pa.field("value", pa.float32()),  # the rating; null where the source gives none
    pa.field("time", UTC),  # null where the source gives no time
    pa.field("position", pa.int32()),  # 0-based place in a playlist
    _required("file", pa.string()),
    _required("line", pa.int64()),  # file order
)
_DESCRIBED = (
    pa.field("kind", pa.string()),  # track, film
    pa.field("title", pa.string()),
    pa.field("creators", STRINGS),  # artists of a track, directors of a film
    pa.field("album", pa.string()),
    pa.field("year", pa.int32()),
    pa.field("duration_ms", pa.int64()),
    pa.field("isrc", pa.string()),
    pa.field("mbid", pa.string()),
    pa.field("genres", STRINGS),  # lower case, sorted
    pa.field("language", pa.string()),  # ISO 639-1
    pa.field("explicit", pa.bool_()),
    pa.field("attributes", pa.map_(pa.string(), pa.float64())),  # the source's own numbers, under its own names
)
_ENTITIES = _table(
    "keyed",
    "entities",
    "source source_id",
    "what each source says of a track or film, in our words",
    _required("source", pa.string()),
    _required("source_id", pa.string()),
    pa.field("entity_id", pa.string()),  # digest of namespace and source_id
    pa.field("ids", STRINGS),  # "imdb:tt0114709", "tmdb:862", "isrc:..."
    pa.field("match_key", pa.string()),  # normalised creator and title; null where it would not identify
    *_DESCRIBED,
    pa.field("overview", pa.string()),
    pa.field("keywords", STRINGS),
    pa.field("actors", STRINGS),  # in order of billing
    pa.field("adult", pa.bool_()),
)
_LINKS = _table(
    "keyed",
    "links",
    "item_id source source_id",
    "the claim that an item is this entity of that source; an item_id that was merged away is an entity_id here",
    _required("item_id", pa.string()),
    _required("source", pa.string()),
    _required("source_id", pa.string()),  # "" with reason not_found
    pa.field("entity_id", pa.string()),
    pa.field("probability", pa.float64()),  # 0 to 1
    pa.field("method", pa.string()),  # own, imdb, tmdb, spotify, isrc, mbid, title_creator
    pa.field("evidence", pa.string()),  # what matched
    pa.field("state", pa.string()),  # accepted, review, rejected
)
_ITEMS = _table(
    "keyed",
    "items",
    "item_id",
    "one row per track or film",
    _required("item_id", pa.string()),  # digest of the first source key, never a counter
    *_DESCRIBED,
)
_USERS = _table(
    "keyed",
    "users",
    "user_id",
    "everyone who rated, played or made a playlist",
    _required("user_id", pa.string()),
    pa.field("source", pa.string()),
    pa.field("gender", pa.string()),  # as the source gives it, lower case
    pa.field("age", pa.int32()),  # years
    pa.field("country", pa.string()),
    pa.field("registered", pa.string()),  # as the source gives it
)
_TEXTS = _table(
    "keyed",
    "texts",
    "item_id kind",
    "overviews and composed documents; `empty` is a value, not a gap",
    _required("item_id", pa.string()),
    _required("kind", pa.string()),  # overview, document
    pa.field("value", pa.string()),
    pa.field("language", pa.string()),  # ISO 639-1
)
_RUNS = _table(
    "log",
    "runs",
    "run_id",
    "one row per stage and build that did something",
    _required("run_id", pa.string()),
    _required("build_id", pa.string()),
    _required("stage", pa.string()),
    _required("version", pa.string()),
    _required("fingerprint", pa.string()),  # JSON: what the stage read, by version
    _required("status", pa.string()),  # completed, partial
    _required("done", pa.int64()),
    _required("skipped", pa.int64()),
    _required("failed", pa.int64()),
    _required("removed", pa.int64()),
    _required("seconds", pa.float64()),
    pa.field("retry_at", UTC),  # earliest retry among the failures
)
_RELEASES = _table(
    "log",
    "releases",
    "release_id",
    "what was published, from which table versions, code, catalogue, libraries and weights",
    _required("release_id", pa.string()),  # v1, v2, ...
    _required("number", pa.int64()),
    _required("state", pa.string()),  # published, retired
    _required("partial", pa.bool_()),  # a stage ended at a quota
    _required("tables", pa.string()),  # JSON: table -> Delta version
    _required("counts", pa.string()),  # JSON: table -> live rows
    _required("stages", pa.string()),  # JSON: stage -> version
    _required("code_version", pa.string()),
    _required("catalogue", pa.string()),  # the YAML as resolved, JSON; secrets never belong in it
    _required("catalogue_hash", pa.string()),
    _required("libraries", pa.string()),  # JSON: distribution -> version
    _required("weights", pa.string()),  # JSON: encoder -> revision or checksum
    _required("created_at", UTC),
    pa.field("current_since", UTC),  # the published release with the latest one is current
    pa.field("note", pa.string()),
)
_MODELS = _table(
    "log",
    "models",
    "model_id",
    "fitted parameters and trained models",
    _required("model_id", pa.string()),
    _required("kind", pa.string()),  # fit, recommender
    _required("name", pa.string()),
    _required("config", pa.string()),  # JSON
    _required("parameters", pa.string()),  # JSON of a small fit, or where the weights lie
    pa.field("release_id", pa.string()),  # what it was trained on
)
_TAKEDOWNS = _table(
    "log",
    "takedowns",
    "entity_id",
    "entities that were taken down on request, and are kept out",
    _required("entity_id", pa.string()),
    _required("item_id", pa.string()),
    pa.field("note", pa.string()),
)

TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        _INPUTS,
        _RAW,
        _QUARANTINE,
        _INTERACTIONS,
        _ENTITIES,
        _LINKS,
        _ITEMS,
        _USERS,
        _TEXTS,
        _RUNS,
        _RELEASES,
        _MODELS,
        _TAKEDOWNS,
    )
}
LOGS = tuple(name for name, table in TABLES.items() if table.kind == "log")


def feature_table(name: str) -> Table:
    """The table of one feature: a vector per item, or a reason."""
    return _table(
        "keyed",
        f"features/{name}",
        "item_id",
        f"the feature {name}",
        _required("item_id", pa.string()),
        pa.field("value", pa.list_(pa.float32())),
        pa.field("mask", pa.list_(pa.bool_())),  # true: observed; null where every cell is
    )


def table_of(name: str) -> Table:
    """The contract of a table by its name.

    Raises:
        ValueError: No table has that name.
    """
    if name.startswith("features/"):
        return feature_table(name.removeprefix("features/"))
    if name not in TABLES:
        raise ValueError(f"unknown table '{name}'; known: {', '.join(TABLES)}, features/<name>")
    return TABLES[name]
