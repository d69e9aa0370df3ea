"""Every table's columns, types, units, key and null rules; nothing else in the project defines a column.

Three kinds of table:

- `KEYED`: a row per attempted key, a value or a `reason`. Rows are only appended; the newest row per key counts and a
  row with reason `removed` hides its key. A reason that will pass hides no value of the same input. Of a feature the
  rows of one version count, the served one: another is built beside it.
- `LOADED`: rows read from input files. A row counts while its `load_id` is the current one of its part in `inputs`, so
  that a part becomes visible, or is replaced, by one commit to `inputs`. `load_id` is null for rows of live sources.
- `LOG`: what ran and what was published; keyed, without attempt columns.
"""

# Annotations stay text: pyarrow is imported at its first use.
from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal

from storage.lazy import pa

SCHEMA_VERSION = 1
"""Raised when a store written by the former code can no longer be read or written by this one."""

Type = Literal[
    "string",
    "strings",
    "int32",
    "int64",
    "float32",
    "float64",
    "bool",
    "binary",
    "time",
    "floats",
    "bools",
    "integers",
    "numbers",
]
SQL_TYPES: dict[Type, str] = {
    "string": "varchar",
    "strings": "varchar[]",
    "int32": "integer",
    "int64": "bigint",
    "float32": "float",
    "float64": "double",
    "bool": "boolean",
    "binary": "blob",
    "time": "timestamptz",  # UTC, microseconds
    "floats": "float[]",
    "bools": "boolean[]",
    "integers": "bigint[]",
    "numbers": "map(varchar, double)",
}


@cache
def _arrow_types() -> dict[Type, pa.DataType]:
    return {
        "string": pa.string(),
        "strings": pa.list_(pa.string()),
        "int32": pa.int32(),
        "int64": pa.int64(),
        "float32": pa.float32(),
        "float64": pa.float64(),
        "bool": pa.bool_(),
        "binary": pa.binary(),
        "time": pa.timestamp("us", tz="UTC"),
        "floats": pa.list_(pa.float32()),
        "bools": pa.list_(pa.bool_()),
        "integers": pa.list_(pa.int64()),
        "numbers": pa.map_(pa.string(), pa.float64()),
    }


@dataclass(frozen=True)
class Column:
    """One column; its unit and null rule stand beside it, as `about` where others read it in an export."""

    name: str
    type: Type
    required: bool = False
    about: str = ""


def _required(name: str, type_: Type, about: str = "") -> Column:
    return Column(name, type_, required=True, about=about)


ATTEMPT = [
    _required("input_hash", "int64"),  # digest of what the row was computed from
    _required("value_hash", "int64"),  # digest of the row's value: what downstream stages compare
    _required("version", "string"),  # version of the stage that computed it
    _required("attempt", "int32"),  # 1 for the first
    Column("reason", "string", about="why there is no value; null where there is one"),
    Column("detail", "string", about="free text for people; never a secret"),
    Column("retry_at", "time"),  # null: do not try again before the input or the version changes
    _required("computed_at", "time"),
]
ATTEMPT_COLUMNS = tuple(column.name for column in ATTEMPT)


@dataclass(frozen=True, kw_only=True)
class Table:
    """One table's contract."""

    name: str  # folder under tables/; "features/minilm"
    kind: Literal["keyed", "loaded", "log"]
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    about: str

    @property
    def has_generations(self) -> bool:
        """Whether rows of several versions stand side by side, of which readers see the served one."""
        return self.name.startswith("features/")

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns, in order."""
        return tuple(column.name for column in self.columns)

    @property
    def schema(self) -> pa.Schema:
        """The columns for Arrow."""
        types = _arrow_types()
        return pa.schema([pa.field(c.name, types[c.type], nullable=not c.required) for c in self.columns])

    @property
    def empty_sql(self) -> str:
        """A DuckDB query with these columns and no row."""
        cells = ", ".join(f'null::{SQL_TYPES[c.type]} as "{c.name}"' for c in self.columns)
        return f"select {cells} where false"

    @property
    def view(self) -> str:
        """Name of the table in SQL."""
        return self.name.replace("/", "_").replace("-", "_")


def _table(kind: Literal["keyed", "loaded", "log"], name: str, key: str, about: str, *columns: Column) -> Table:
    extra = {"keyed": ATTEMPT, "loaded": [Column("load_id", "string")], "log": [_required("computed_at", "time")]}
    return Table(name=name, kind=kind, key=tuple(key.split()), columns=(*columns, *extra[kind]), about=about)


_INPUTS = _table(
    "keyed",
    "inputs",
    "source entity part",
    "the ledger of input files: one row per part that was read",
    _required("source", "string"),
    _required("entity", "string"),
    _required("part", "string"),  # file@first byte
    Column("file", "string"),  # relative to the source's path
    Column("size_bytes", "int64"),
    Column("stat", "string"),  # size-mtime_ns; equal means unchanged, without reading
    Column("load_id", "string"),  # the rows of `raw`, `interactions`, `quarantine` that count
    Column("records", "int64"),
    Column("events", "int64"),
    Column("rejects", "int64"),
)
_RAW = _table(
    "loaded",
    "raw",
    "source entity request_key",
    "every record as the source gave it; negative answers too, with expiry",
    _required("source", "string"),
    _required("entity", "string"),
    _required("request_key", "string"),  # the source's own id
    Column("body", "binary"),  # JSON as received; the shard is zstd
    Column("status", "int32"),  # HTTP status; null for files
    Column("url", "string"),  # secrets removed; for files the name and line
    _required("fetched_at", "time"),
    Column("expires_at", "time"),  # null: never
    _required("value_hash", "int64"),
)
_QUARANTINE = _table(
    "loaded",
    "quarantine",
    "source file line",
    "rows of input files that were refused",
    _required("source", "string"),
    _required("file", "string"),
    _required("line", "int64"),  # 1-based; 0 is the whole file
    _required("reason", "string"),
    Column("detail", "string"),
    Column("text", "string"),  # as found, at most 500 characters
)
_INTERACTIONS = _table(
    "loaded",
    "interactions",
    "source file line",
    "plays, ratings, playlist positions; sort stably by (user_id, time, file, line)",
    _required("user_id", "string", about="source:its user or playlist id"),
    _required("entity_id", "string", about="digest of the source's own key, before aliases are resolved"),
    _required("source", "string", about="name of the source in the catalogue"),
    _required("kind", "string", about="rating, play, playlist"),
    Column("value", "float32", about="the rating; null where the source gives none"),
    Column("time", "time", about="UTC; null where the source gives no time"),
    Column("position", "int32", about="0-based place in a playlist"),
    _required("file", "string", about="file of the source"),
    _required("line", "int64", about="1-based line of the file; the order of events of one time"),
)
_DESCRIBED = (
    Column("kind", "string", about="track, film, artist, picture, other"),
    Column("title", "string", about="as the source writes it"),
    Column("creators", "strings", about="artists of a track, directors of a film"),
    Column("album", "string", about="of a track"),
    Column("year", "int32", about="of release"),
    Column("duration_ms", "int64", about="milliseconds"),
    Column("isrc", "string", about="ISRC of a recording"),
    Column("mbid", "string", about="MusicBrainz id"),
    Column("genres", "strings", about="lower case, sorted"),
    Column("language", "string", about="ISO 639-1"),
    Column("explicit", "bool", about="whether the source marks it as explicit"),
    Column("attributes", "numbers", about="the source's own numbers, under its own names"),
)
_ENTITIES = _table(
    "keyed",
    "entities",
    "source source_id",
    "what each source says of a track, film, artist or picture, in our words",
    _required("source", "string"),
    _required("source_id", "string"),
    Column("entity_id", "string"),  # digest of namespace and source_id
    Column("ids", "strings"),  # "imdb:tt0114709", "tmdb:862", "isrc:...", "file:Artist/Song"
    Column("match_key", "string"),  # normalised creator and title; null where it would not identify
    *_DESCRIBED,
    Column("overview", "string"),
    Column("keywords", "strings"),
    Column("actors", "strings"),  # in order of billing
    Column("adult", "bool"),
)
_LINKS = _table(
    "keyed",
    "links",
    "item_id source source_id",
    "the claim that an item is this entity of that source; an item_id that was merged away is an entity_id here",
    _required("item_id", "string", about="the item"),
    _required("source", "string", about="name of the source in the catalogue"),
    _required("source_id", "string", about="its own id there; empty with the reason not_found"),
    Column("entity_id", "string", about="digest of the source's own key"),
    Column("probability", "float64", about="0 to 1"),
    Column("method", "string", about="own, imdb, tmdb, spotify, isrc, mbid, title_creator, search, decided"),
    Column("evidence", "string", about="what matched"),
    Column("state", "string", about="accepted, review, rejected"),
)
_MATCHES = _table(
    "keyed",
    "matches",
    "item_id source",
    "what searching a source for an item found: candidates with probabilities, before thresholds and decisions",
    _required("item_id", "string", about="the item"),
    _required("source", "string", about="name of the source in the catalogue"),
    Column("method", "string"),  # search, or the kind of id that the source was asked by: spotify, isrc, imdb, ...
    Column("candidates", "strings"),  # ids of the source, most probable first
    Column("probabilities", "floats"),  # of each candidate, 0 to 1
    Column("evidence", "string"),  # JSON: `asked`, the questions; `offered`, what is said of the first candidates
)
_ACOUSTICS = _table(
    "keyed",
    "acoustics",
    "item_id source source_id",
    "how alike a link's recording sounds to one's own of the item; empty unless `audio.compare_with` is set",
    _required("item_id", "string", about="the item"),
    _required("source", "string", about="name of the source in the catalogue"),
    _required("source_id", "string", about="its own id there"),
    Column("similarity", "float64", about="of their pitch classes where they fit best, about 0 to 1"),
    Column("lead_s", "float64", about="seconds from the start of one's own stretch to where the link's window fits"),
    Column("own_source", "string", about="folder of recordings it was held against"),
    Column("own_file", "string", about="file there"),
)
_DECISIONS = _table(
    "log",
    "decisions",
    "item_id source source_id",
    "what people decided about candidates; the newest counts",
    _required("item_id", "string"),
    _required("source", "string"),
    _required("source_id", "string"),
    _required("state", "string"),  # accepted, rejected, undone
    Column("note", "string"),
)
_DRIFTS = _table(
    "log",
    "drifts",
    "source entity request_key",
    "answers of live sources whose shape is not the one that their connector knows",
    _required("source", "string"),
    _required("entity", "string"),
    _required("request_key", "string"),
    Column("missing", "strings"),  # dotted paths of fields that the connector expects
    Column("unknown", "strings"),  # of fields that it does not know
)
_REFUSALS = _table(
    "log",
    "refusals",
    "source kind source_id",
    "files of live sources that could not be had or used: private, removed, too long, silent",
    _required("source", "string"),
    _required("kind", "string"),  # audio
    _required("source_id", "string"),
    _required("version", "string"),  # of the stage; another one tries again
    _required("reason", "string"),
    Column("detail", "string"),
    Column("retry_at", "time"),  # null: not at this version
)
_ITEMS = _table(
    "keyed",
    "items",
    "item_id",
    "one row per track, film, artist or picture",
    _required("item_id", "string", about="digest of the first source key, never a counter"),
    *_DESCRIBED,
)
_USERS = _table(
    "keyed",
    "users",
    "user_id",
    "everyone who rated, played or made a playlist",
    _required("user_id", "string", about="source:its user or playlist id"),
    Column("source", "string", about="name of the source in the catalogue"),
    Column("gender", "string", about="as the source gives it, lower case"),
    Column("age", "int32", about="years"),
    Column("country", "string", about="as the source gives it"),
    Column("registered", "string", about="as the source gives it"),
)
_TEXTS = _table(
    "keyed",
    "texts",
    "item_id kind",
    "overviews and composed documents; `empty` is a value, not a gap",
    _required("item_id", "string", about="the item"),
    _required("kind", "string", about="overview, document"),
    Column("value", "string", about="the text; null with a reason, also where it is empty"),
    Column("language", "string", about="ISO 639-1"),
)
_MEDIA = _table(
    "keyed",
    "media",
    "item_id kind",
    "audio windows and pictures: files named by their hash, and what decoding them showed",
    _required("item_id", "string", about="the item"),
    _required("kind", "string", about="audio_window, audio_native, image"),
    Column("sha256", "string", about="of the stored file; two items may share one"),
    Column("format", "string", about="of the stored file, its name's ending: flac, jpeg, png, webp, avif, gif, ..."),
    Column("size_bytes", "int64", about="of the stored file"),
    Column("rate_hz", "int32", about="samples per second of the stored file"),
    Column("channels", "int32", about="of the stored file"),
    Column("offset_s", "float64", about="seconds from the start of the source to the window, as decoded"),
    Column("duration_s", "float64", about="seconds, of the window, as decoded"),
    Column("source_format", "string", about="container/codec of what it was decoded from: mp3, ogg/vorbis, m4a/aac"),
    Column("source_rate_hz", "int32", about="of what it was decoded from"),
    Column(
        "source_duration_s", "float64", about="seconds, as decoded to its end; null where only the window was decoded"
    ),
    Column("width", "int32", about="pixels, as stored"),
    Column("height", "int32", about="pixels, as stored"),
    Column("mode", "string", about="Pillow's: RGB, L, P, CMYK, I;16, ..."),
    Column("orientation", "int32", about="EXIF, 1 to 8; null where the file does not say"),
    Column("frames", "int32", about="1 unless animated; the first one counts"),
    Column("source", "string", about="name of the source in the catalogue"),
    Column("source_url", "string", about="where it came from; for files the path below the source's folder"),
)
_FINGERPRINTS = _table(
    "keyed",
    "fingerprints",
    "item_id kind",
    "what an item's sound, picture, texts and title are looked up and compared by, to find duplicates",
    _required("item_id", "string", about="the item"),
    _required("kind", "string", about="audio_window, image, overview, lyrics, title"),
    Column("value", "binary", about="bits of the sound, or the picture's 64 x 64 grey levels; null of words"),
    Column("tones", "binary", about="of sound: 12 pitch classes every 93 ms as int8, 127 is 1"),
    Column("keys", "integers", about="where it is looked up: copies share some of them, equal words all"),
)
_LOOKALIKES = _table(
    "keyed",
    "lookalikes",
    "item_id kind",
    "what looking an item's sound or picture up among all others found",
    _required("item_id", "string", about="the item"),
    _required("kind", "string", about="audio_window, image"),
    Column("found", "string"),  # JSON: [{"item", "hash" of its fingerprint, "score", "tones"}]
)
_DUPLICATES = _table(
    "keyed",
    "duplicates",
    "item_a item_b relation",
    "pairs of items that are one recording, picture or text, or one work",
    _required("item_a", "string", about="the item whose item_id comes first"),
    _required("item_b", "string", about="the other item"),
    _required("relation", "string", about="same_recording, same_work; the first implies the second"),
    Column("methods", "strings", about="what says so: audio, image, text; tones, lyrics, text, title_creator"),
    Column("score", "float64", about="0 to 1, of the surest method"),
    Column("evidence", "string", about="each method with its number"),
    Column("component", "string", about="the first item_id of all that are connected by this relation"),
    Column("component_size", "int64", about="items in the component"),
    Column("state", "string", about="accepted; review where the component is too large to be trusted; rejected"),
)
_VALIDATIONS = _table(
    "keyed",
    "validations",
    "table_name check_name",
    "what each check found in the tables of now; a check that failed is a value",
    _required("table_name", "string"),
    _required("check_name", "string"),
    Column("severity", "string"),  # block, warn
    Column("success", "bool"),
    Column("observed", "string"),  # JSON: the number (`value`; null: there was nothing to check) and its parts
    Column("expected", "string"),  # for people
    Column("examples", "string"),  # JSON: at most 5 offending rows
    Column("about", "string"),  # what is wrong where it fails
    Column("compared_with", "string"),  # the release; null before the first
)
_INDEXES = _table(
    "keyed",
    "indexes",
    "feature",
    "vector indexes: which files hold them, and how well they find the nearest neighbours",
    _required("feature", "string"),  # minilm: of the table features/minilm
    Column("feature_version", "string"),  # of the featurizer that made all of the vectors
    Column("metric", "string"),  # cosine, l2
    Column("kind", "string"),  # flat: exact; hnsw
    Column("parameters", "string"),  # JSON: M, efConstruction, efSearch of hnsw; {} of flat
    Column("count", "int64"),  # vectors
    Column("dimension", "int32"),
    Column("recall_at_10", "float64"),  # 0 to 1, against exact search; present with reason low_recall, too
    Column("index_sha256", "string"),  # of indexes/<index_sha256>.faiss
    Column("ids_sha256", "string"),  # of indexes/<ids_sha256>.ids: Parquet, item_id in the index's order
    Column("size_bytes", "int64"),  # of both files
    Column("seconds", "float64"),  # to read the vectors, build and measure
)
_REPORTS = _table(
    "keyed",
    "reports",
    "name",
    "the page that shows what a release holds; it is drawn before the release, of a build that is blocked too",
    _required("name", "string"),  # release
    Column("sha256", "string"),  # of reports/<sha256>.html
    Column("size_bytes", "int64"),
    Column("release_id", "string"),  # which it was drawn for: the next one, published or not
    Column("compared_with", "string"),  # the release that was current; null before the first
    Column("seconds", "float64"),  # to read the tables and draw it
)
_RUNS = _table(
    "log",
    "runs",
    "run_id",
    "one row per stage and build that did something",
    _required("run_id", "string"),
    _required("build_id", "string"),
    _required("stage", "string"),
    _required("version", "string"),
    _required("fingerprint", "string"),  # JSON: what the stage read, by version
    _required("status", "string"),  # completed, partial
    _required("done", "int64"),
    _required("skipped", "int64"),
    _required("failed", "int64"),
    _required("removed", "int64"),
    _required("seconds", "float64"),
    Column("retry_at", "time"),  # earliest retry among the failures
)
_RELEASES = _table(
    "log",
    "releases",
    "release_id",
    "what was published, from which table versions, code, catalogue, libraries and weights",
    _required("release_id", "string"),  # v1, v2, ...
    _required("number", "int64"),
    _required("state", "string"),  # published, retired
    _required("partial", "bool"),  # a stage ended at a quota
    _required("tables", "string"),  # JSON: table -> Delta version
    _required("counts", "string"),  # JSON: table -> live rows
    _required("stages", "string"),  # JSON: stage -> version
    _required("code_version", "string"),
    _required("catalogue", "string"),  # the YAML as resolved, JSON; secrets never belong in it
    _required("catalogue_hash", "string"),
    _required("libraries", "string"),  # JSON: distribution -> version
    _required("weights", "string"),  # JSON: encoder -> revision or checksum
    _required("created_at", "time"),
    Column("current_since", "time"),  # the published release with the latest one is current
    Column("note", "string"),
)
_MODELS = _table(
    "log",
    "models",
    "model_id",
    "fitted parameters and trained models",
    _required("model_id", "string"),
    _required("kind", "string"),  # fit, recommender
    _required("name", "string"),
    _required("config", "string"),  # JSON
    _required("parameters", "string"),  # JSON of a small fit, or where the weights lie
    Column("release_id", "string"),  # what it was trained on
)
_PROMOTIONS = _table(
    "log",
    "promotions",
    "promotion_id",
    "each time a trained model was judged: whether it is served, instead of which, and why",
    _required("promotion_id", "string"),
    _required("slot", "string"),  # what it competes to serve: track, new-track, film, ...; one champion for each
    _required("model_id", "string"),  # the challenger
    Column("champion_id", "string"),  # what was served; null before the first
    _required("recipe", "string"),
    _required("recipe_digest", "string"),
    _required("question", "string"),  # first, better, not worse, baseline, by hand
    _required("promoted", "bool"),
    _required("verdict", "string"),  # JSON: cases, interval, guards, reasons
    _required("decided_at", "time"),
)
_TAKEDOWNS = _table(
    "log",
    "takedowns",
    "entity_id",
    "entities that were taken down on request, and are kept out",
    _required("entity_id", "string"),
    _required("item_id", "string"),
    Column("note", "string"),
)

TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        _INPUTS,
        _RAW,
        _QUARANTINE,
        _INTERACTIONS,
        _ENTITIES,
        _MATCHES,
        _ACOUSTICS,
        _DECISIONS,
        _DRIFTS,
        _REFUSALS,
        _LINKS,
        _ITEMS,
        _USERS,
        _TEXTS,
        _MEDIA,
        _FINGERPRINTS,
        _LOOKALIKES,
        _DUPLICATES,
        _VALIDATIONS,
        _INDEXES,
        _REPORTS,
        _RUNS,
        _RELEASES,
        _MODELS,
        _PROMOTIONS,
        _TAKEDOWNS,
    )
}
LOGS = tuple(name for name, table in TABLES.items() if table.kind == "log")


def feature_table(name: str) -> Table:
    """The table of one feature: a vector or a spectrogram per item, or a reason."""
    return _table(
        "keyed",
        f"features/{name}",
        "item_id",
        f"the feature {name}",
        _required("item_id", "string", about="the item"),
        *(_SPECTROGRAM if name == "mel" else _VECTOR),
    )


_VECTOR = (
    Column("value", "floats", about="the vector; null with a reason"),
    Column("mask", "bools", about="per number, true: observed; null where every one is"),
)
_SPECTROGRAM = (
    Column(
        "value", "binary", about="uint8, row by row of shape (bands, frames): dB = db_lo + value / 255 (db_hi - db_lo)"
    ),
    Column("bands", "int32", about="Mel bands: rows of the spectrogram"),
    Column("frames", "int32", about="columns, of 512 samples at 22,050 Hz each"),
    Column("db_lo", "float64", about="what 0 stands for, dB re 1"),
    Column("db_hi", "float64", about="what 255 stands for, dB re 1"),
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
