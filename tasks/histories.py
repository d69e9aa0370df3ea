"""Histories of listeners and charts from live sources: read on from where the last night ended."""

# Annotations stay text: pyarrow is imported at its first use.
from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import Any

from connectors.base import Part, Request
from connectors.errors import ConnectorError
from storage import clock
from storage.lazy import pa
from storage.store import Store
from tasks.ask import connect_live, reason_of, replaying
from tasks.entities import namespace_of
from tasks.ingest import Loader
from tasks.settings import Catalogue, SourceSettings
from tasks.stage import Stage, rows_table

VERSION = "1"
ENTITY = "plays"
Row = dict[str, Any]


def history_stage(catalogue: Catalogue, source: str) -> Stage:
    """Users' plays to `interactions` and `raw`: one part per user and period, from where the one before ended."""
    settings = catalogue.sources[source]
    return Stage(
        name=f"history.{source}",
        version=VERSION,
        reads=("takedowns",),
        writes="inputs",
        scope=f"source = '{source}' and entity = '{ENTITY}'",
        inputs=partial(list_periods, source, settings),
        compute=partial(read_periods, source=source, settings=settings),
        outside=partial(_period, settings),
        chunk_keys=50,
        beside=("raw", "interactions", "quarantine"),
        runs_in="workers",
        seconds_per_key=1.0,
    )


def _period(settings: SourceSettings) -> str:
    """Which period it is: a new one makes work. A replay opens none."""
    if replaying():
        return "replay"
    return str(int(clock.now().timestamp() // (settings.live.refresh_hours * 3600)))


def list_periods(source: str, settings: SourceSettings, store: Store) -> pa.Table:
    """The parts that were read, and one more for each user: this period's, since the end of the last one."""
    had = (
        store.database(only=("inputs",))
        .execute(
            "select part, file, input_hash, stat, reason from inputs where source = ? and entity = ? "
            "order by computed_at",
            [source, ENTITY],
        )
        .fetchall()
    )
    read_to = {user: stat for _, user, _, stat, reason in had if stat and reason is None}
    rows: dict[str, Row] = {
        part: {"part": part, "file": user, "input_hash": hash_} for part, user, hash_, _, reason in had if not reason
    }
    for user in () if replaying() else settings.live.users:
        if not any(r["file"] == user and r["part"].endswith(f"@{_period(settings)}") for r in rows.values()):
            part = f"{user}@{_period(settings)}"
            rows[part] = {"part": part, "file": user, "input_hash": 0}
    same = {"source": source, "entity": ENTITY}
    return pa.Table.from_pylist([same | row | {"since": read_to.get(row["file"])} for row in rows.values()], _listed())


def _listed() -> pa.Schema:
    names = ("source", "entity", "part", "file", "since")
    return pa.schema([*((name, pa.string()) for name in names), ("input_hash", pa.int64())])


def read_periods(rows: pa.Table, store: Store, *, source: str, settings: SourceSettings) -> pa.Table:
    """One ledger row per part: what it held, and in `stat` the time up to which it was read, in UTC seconds."""
    loader, done = Loader(store), list[Row]()
    namespace = namespace_of(source, settings.connector)
    with closing(connect_live(settings)) as connector:
        for row in rows.to_pylist():
            said = {name: row[name] for name in ("source", "entity", "part", "file")}
            since = {"from": row["since"]} if row["since"] else {}
            request, to = Request(entity=ENTITY, key=row["file"], params=since), int(clock.now().timestamp())
            pages = connector.pages(ENTITY, keys=[request], cursor=f"0/{to}/1")
            part = Part(entity=ENTITY, file=row["part"])
            try:
                counts = loader.load(source, namespace, (replace(page, part=part) for page in pages))
                done.append(said | counts | {"stat": str(to)})
            except ConnectorError as exc:
                done.append(said | reason_of(exc, settings))
    loader.flush()
    return rows_table("inputs", done)
