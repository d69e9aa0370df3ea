"""Bulk files into `raw`, `interactions` and `quarantine`; the ledger `inputs` says which rows count.

Rows of a part carry its `load_id` and are invisible until the chunk's one commit to `inputs`. A killed load leaves rows
that nobody sees and the next rewrite drops; a changed file replaces its rows in one step.
"""

# Annotations stay text: pyarrow is imported at its first use.
from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing
from functools import cache, partial
from hashlib import blake2b
from pathlib import Path
from typing import Any
from uuid import uuid4

from connectors.base import BulkConnector, Page, Part, Reject
from connectors.registry import connect
from storage.hashing import digest, digest_of, entity_id
from storage.lazy import pa
from storage.schemas import table_of
from storage.store import Store
from tasks.entities import namespace_of, subject
from tasks.settings import Catalogue, SourceSettings
from tasks.stage import Stage, rows_table
from tasks.takedowns import LISTINGS, taken_down, without

VERSION = "1"
_FLUSH_RECORDS = 20_000
_FLUSH_EVENTS = 1_000_000
_JSON = json.JSONEncoder(ensure_ascii=False, default=str)


def ingest_stage(catalogue: Catalogue) -> Stage:
    """Input files to `raw`, `interactions`, `quarantine`; unchanged parts are not read again."""
    sources = {name: s for name, s in catalogue.sources.items() if not s.is_live}
    live = ", ".join(f"'{name}'" for name, s in catalogue.sources.items() if s.is_live)
    return Stage(
        name="ingest",
        version=VERSION,
        reads=("takedowns",),
        writes="inputs",
        scope=f"source not in ({live})" if live else "true",
        inputs=partial(list_parts, sources),
        compute=partial(load_parts, sources=sources),
        outside=partial(stat_of, sources),
        chunk_keys=500,
        chunk_bytes=64 << 20,
        beside=("raw", "interactions", "quarantine"),
        seconds_per_key=0.003,
        seconds_per_mb=0.05,
    )


def open_source(settings: SourceSettings) -> BulkConnector:
    """The connector of a catalogue's source.

    Raises:
        ValueError: The connector is unknown, or its files are not there.
    """
    return connect(settings.connector, path=settings.path, **settings.options)


def stat_of(sources: dict[str, SourceSettings]) -> str:
    """Fingerprint of all input files from names, sizes and times alone."""
    hasher = blake2b(digest_size=8)  # fed part by part: a folder of music has a million
    for name, settings in sources.items():
        place = _place(settings)
        for part in open_source(settings).parts():
            hasher.update(f"{name}\0{part.entity}\0{part.key}\0{part.stat}-{place}\n".encode())
    return hasher.hexdigest()


def _place(settings: SourceSettings) -> str:
    """Where the files lie, and how they are read: another folder may hold another file of the same size and time."""
    return digest_of(str(Path(settings.path).resolve()))[:8] + _options(settings)


def _options(settings: SourceSettings) -> str:
    """Digest of the connector's options, with which the same bytes say something else; "" without any."""
    return f"-{digest_of(settings.options)[:8]}" if settings.options else ""


def list_parts(sources: dict[str, SourceSettings], store: Store) -> pa.Table:
    """Every part of every input file; the content is hashed only where size or time differ from the ledger's."""
    ledger = (
        store.database(only=("inputs",)).sql("select source, entity, part, stat, input_hash from inputs").fetchall()
    )
    known = {(source, entity, part): (stat, hash_) for source, entity, part, stat, hash_ in ledger}
    columns: dict[str, list[Any]] = {name: [] for name in _LISTED}
    for name, settings in sources.items():
        connector, place, options = open_source(settings), _place(settings), _options(settings)
        for part in connector.parts():
            had, hash_ = known.get((name, part.entity, part.key), ("", 0))
            stat = f"{part.stat}-{place}"
            if had != stat:
                hash_ = digest(f"{connector.digest(part)}{options}".encode())
            said = _columns_of(part) | {"source": name, "part": part.key, "input_hash": hash_, "stat": stat}
            for column, values in columns.items():
                values.append(said[column])
    return pa.table({n: pa.array(v, pa.int64() if n in _NUMBERS else pa.string()) for n, v in columns.items()})


_LISTED = ("source", "entity", "part", "file", "start", "end", "stat", "size_bytes", "input_hash")
_NUMBERS = ("start", "end", "size_bytes", "input_hash")
_KEPT = ("source", "entity", "part", "file", "size_bytes", "stat")


def _columns_of(part: Part) -> dict[str, Any]:
    return {name: getattr(part, name) for name in ("entity", "file", "start", "end", "stat", "size_bytes")}


def load_parts(rows: pa.Table, store: Store, *, sources: dict[str, SourceSettings]) -> pa.Table:
    """Read the parts, append what they hold, and give the ledger's rows."""
    loader = Loader(store)
    done: list[dict[str, Any]] = []
    with ExitStack() as held:
        opened: dict[str, BulkConnector] = {}  # once per source: a chunk may have hundreds of small files
        for row in rows.to_pylist():
            source = row["source"]
            if source not in opened:
                opened[source] = held.enter_context(closing(open_source(sources[source])))
            part = Part(**{name: row[name] for name in ("entity", "file", "start", "end", "stat", "size_bytes")})
            pages = opened[source].pages(part.entity, keys=(part,))
            counts = loader.load(source, namespace_of(source, sources[source].connector), pages)
            done.append({name: row[name] for name in _KEPT} | counts)
    loader.flush()
    return rows_table("inputs", done)


class Loader:
    """Gathers the rows of several parts and appends them in few commits, in bounded memory."""

    def __init__(self, store: Store) -> None:
        """Rows go to `store`; what was taken down is left out."""
        self._store = store
        self._taken = taken_down(store)
        self._held: dict[str, list[pa.Table]] = {"raw": [], "interactions": [], "quarantine": []}

    def load(self, source: str, namespace: str, pages: Iterable[Page]) -> dict[str, Any]:
        """Take all pages of one part; its `load_id` and counts, for the ledger."""
        load_id, counts = uuid4().hex, {"records": 0, "events": 0, "rejects": 0}
        for page in pages:
            # A table per page costs a millisecond: not for what a page has none of.
            if page.records:
                counts["records"] += self._hold("raw", self._raw(source, namespace, load_id, page))
            if page.events.num_rows:
                counts["events"] += self._hold("interactions", self._interactions(source, namespace, load_id, page))
            if page.rejects:
                counts["rejects"] += self._hold("quarantine", _quarantine(source, load_id, page.rejects))
        return {"load_id": load_id, **counts}

    def flush(self) -> None:
        """Append everything held."""
        for name, tables in self._held.items():
            if tables:
                self._store.append(name, pa.concat_tables(tables))
                tables.clear()

    def _hold(self, name: str, table: pa.Table) -> int:
        """Keep the rows, or append them and all others kept where they are many; how many there are."""
        if not table.num_rows:
            return 0
        held = self._held[name]
        held.append(table)
        limit = _FLUSH_RECORDS if name == "raw" else _FLUSH_EVENTS
        if sum(t.num_rows for t in held) >= limit:
            self._store.append(name, pa.concat_tables(held))
            held.clear()
        return table.num_rows

    def _is_taken(self, namespace: str, source_id: str | None) -> bool:
        return bool(self._taken) and source_id is not None and entity_id(namespace, source_id) in self._taken

    def _raw(self, source: str, namespace: str, load_id: str, page: Page) -> pa.Table:
        kept = [r for r in page.records if not self._is_taken(namespace, subject(r.entity, r.source_id))]
        payloads = [without(r.payload, namespace, self._taken) if r.entity in LISTINGS else r.payload for r in kept]
        bodies = [_JSON.encode(payload).encode("utf-8", "replace") for payload in payloads]
        n = len(kept)
        return _table(
            "raw",
            source=pa.array([source] * n, pa.string()),
            entity=[r.entity for r in kept],
            request_key=[r.source_id for r in kept],
            body=bodies,
            url=[r.url for r in kept],
            fetched_at=[r.fetched_at for r in kept],
            value_hash=[digest(body) for body in bodies],
            load_id=[load_id] * n,
        )

    def _interactions(self, source: str, namespace: str, load_id: str, page: Page) -> pa.Table:
        events = page.events
        # One digest per distinct item, not per event: 33 M ratings name 86 k films.
        items = events.column("item").combine_chunks().dictionary_encode()
        ids = pa.array([entity_id(namespace, item) for item in items.dictionary.to_pylist()], pa.string())
        entities = ids.take(items.indices)
        if self._taken:
            keep = pa.array([entity not in self._taken for entity in entities.to_pylist()], pa.bool_())
            events, entities = events.filter(keep), entities.filter(keep)
        n = events.num_rows
        file = page.part.file if page.part else ""
        return _table(
            "interactions",
            user_id=_prefixed(source, events.column("user")),
            entity_id=entities,
            source=pa.array([source] * n, pa.string()),
            file=pa.array([file] * n, pa.string()),
            load_id=pa.array([load_id] * n, pa.string()),
            time=events.column("at"),  # `at` is a reserved word of DuckDB
            **{name: events.column(name) for name in ("kind", "value", "position", "line")},
        )


def _prefixed(source: str, users: pa.ChunkedArray) -> pa.Array:
    """`source:user` for each; one string per distinct user is made."""
    distinct = users.combine_chunks().dictionary_encode()
    return pa.array([f"{source}:{user}" for user in distinct.dictionary.to_pylist()], pa.string()).take(
        distinct.indices
    )


def _quarantine(source: str, load_id: str, rejects: tuple[Reject, ...]) -> pa.Table:
    columns = {name: [getattr(r, name) for r in rejects] for name in ("file", "line", "reason", "detail", "text")}
    return _table("quarantine", source=[source] * len(rejects), load_id=[load_id] * len(rejects), **columns)


@cache
def _schema(name: str) -> pa.Schema:
    return table_of(name).schema


def _table(name: str, **columns: Any) -> pa.Table:
    """The table's rows; columns not given are null."""
    schema = _schema(name)
    n = len(next(iter(columns.values())))

    def cells() -> Iterator[Any]:
        for f in schema:
            given: Any = columns.get(f.name)
            if given is None:
                yield pa.nulls(n, f.type)
            else:
                yield given.cast(f.type) if isinstance(given, pa.Array | pa.ChunkedArray) else pa.array(given, f.type)

    return pa.Table.from_arrays(list(cells()), schema=schema)
