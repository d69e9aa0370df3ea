"""Playlists and charts of live sources: what they hold now, read whole once a period."""

# Annotations stay text: pyarrow is imported at its first use.
from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import Any

from connectors.base import Part
from connectors.errors import ConnectorError
from storage.lazy import pa
from storage.store import Store
from tasks.ask import connect_live, reason_of, replaying
from tasks.entities import namespace_of
from tasks.histories import period_of
from tasks.ingest import Loader
from tasks.settings import Catalogue, LiveSettings, SourceSettings
from tasks.stage import Stage, rows_table

VERSION = "1"
PLAYLIST, CHART = "playlist", "chart"
Row = dict[str, Any]


def listing_stage(catalogue: Catalogue, source: str) -> Stage:
    """Playlists to `interactions` and `raw`, charts to `raw`: one part of each and period."""
    settings = catalogue.sources[source]
    period = period_of(settings)
    return Stage(
        name=f"lists.{source}",
        version=VERSION,
        reads=("takedowns",),
        writes="inputs",
        scope=f"source = '{source}' and entity in ('{PLAYLIST}', '{CHART}')",
        inputs=partial(list_parts, source, settings.live, period),
        compute=partial(read_parts, source=source, settings=settings),
        outside=partial(str, [period, *_named(settings.live)]),
        chunk_keys=20,
        beside=("raw", "interactions", "quarantine"),
        repeats=True,
        runs_in="workers",
        seconds_per_key=1.0,
    )


def _named(live: LiveSettings) -> list[tuple[str, str]]:
    """Entity and id of each list that the catalogue names."""
    return [(PLAYLIST, id_) for id_ in live.playlists] + ([(CHART, CHART)] if live.charts else [])


def list_parts(source: str, live: LiveSettings, period: str, store: Store) -> pa.Table:
    """What each list was read as, and a part for this period where it was not read in it.

    A playlist that was read again takes the place of its former self: until then that one counts, also when the new
    reading fails. Charts add up: a track that has left them is still a track.
    """
    had = (
        store.database(only=("inputs",))
        .execute(
            "select entity, file, part from inputs where source = ? and entity in (?, ?) and version = ? "
            "and reason is null order by computed_at",
            [source, PLAYLIST, CHART, VERSION],
        )
        .fetchall()
    )
    named, parts = _named(live), dict[tuple[str, str], list[str]]()
    for entity, id_, part in had:
        if (entity, id_) in named or replaying():
            parts[entity, id_] = [*(parts.get((entity, id_), []) if entity == CHART else []), part]
    for key in () if replaying() else named:
        if (fresh := f"{key[1]}@{period}") not in parts.get(key, []):
            parts[key] = [*parts.get(key, []), fresh]
    same = {"source": source, "input_hash": 0}
    rows = [same | {"entity": e, "file": id_, "part": part} for (e, id_), found in parts.items() for part in found]
    names = ("source", "entity", "part", "file")
    return pa.Table.from_pylist(rows, pa.schema([*((name, pa.string()) for name in names), ("input_hash", pa.int64())]))


def read_parts(rows: pa.Table, store: Store, *, source: str, settings: SourceSettings) -> pa.Table:
    """One ledger row per list: what it held, or why it cannot be read; nothing of a half-read one counts."""
    loader, done = Loader(store), list[Row]()
    namespace = namespace_of(source, settings.connector)
    with closing(connect_live(settings)) as connector:
        for row in rows.to_pylist():
            said = {name: row[name] for name in ("source", "entity", "part", "file")}
            keys = [row["file"]] if row["entity"] == PLAYLIST else None
            part = Part(entity=row["entity"], file=row["file"])
            pages = (replace(page, part=part) for page in connector.pages(row["entity"], keys=keys))
            try:
                done.append(said | loader.load(source, namespace, pages))
            except ConnectorError as exc:
                done.append(said | reason_of(exc, settings))
    loader.flush()
    return rows_table("inputs", done)
