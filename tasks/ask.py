"""Questions to live sources, asked once: every answer lies in `raw`, and what lies there is not asked for again."""

# Annotations stay text: pyarrow is imported at its first use.
from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from connectors.base import LiveConnector, Record, Request
from connectors.errors import (
    AuthError,
    BlockedPage,
    ConnectorError,
    NotFound,
    QuotaExceeded,
    SchemaDrift,
    TooLarge,
)
from connectors.registry import connect
from storage import clock
from storage.clock import SANDBOX
from storage.hashing import digest
from storage.lazy import pa
from storage.reasons import Reason
from storage.schemas import table_of
from storage.store import Store
from tasks.settings import SourceSettings
from tasks.stage import item_row, per_item

REPLAY = "MEDIATECA_REPLAY"
"""Set to 1: nothing is asked, only what lies in `raw` counts."""
THREADS = 4  # per worker: a request waits for the network nearly all its time
_NOT_FOUND_STATUS = 404
_JSON = json.JSONEncoder(ensure_ascii=False, default=str)
Payload = Mapping[str, Any]


class NotAsked(ConnectorError):
    """In a replay: the answer does not lie in `raw`."""


def connect_live(settings: SourceSettings) -> LiveConnector:
    """The connector of a live source; in a sandbox its endpoints and keys are the sandbox's."""
    return connect(settings.connector, **settings.options | stood_in_for().get(settings.connector, {}))


def stood_in_for() -> dict[str, dict[str, Any]]:
    """Settings of the connectors that ask a sandbox, by name."""
    return json.loads(os.environ.get(SANDBOX) or "{}")


def replaying() -> bool:
    """Whether this build may ask nobody."""
    return os.environ.get(REPLAY) == "1"


class Asker:
    """Asks one source for one chunk of keys: answers from `raw` first, then the network; `flush` keeps what came."""

    def __init__(self, store: Store, source: str, settings: SourceSettings, requests: Iterable[Request]) -> None:
        """`requests` are those the chunk may come to ask: their answers are read at once."""
        self._store, self._source, self._settings = store, source, settings
        self._lock, self._mine = threading.Lock(), threading.local()
        self._opened: list[LiveConnector] = []
        self._came: list[dict[str, Any]] = []
        self._drifted: list[dict[str, Any]] = []
        self._known = self._read({(request.entity, request.key) for request in requests})

    def ask(self, request: Request, *, under: str | None = None) -> Payload:
        """The answer's body; it is kept `under` another key than the request's where one is given.

        Raises:
            ConnectorError: As `LiveConnector.lookup`; `NotFound` also where that was the answer some days ago.
            NotAsked: In a replay, where the answer was never kept.
        """
        key = under or request.key
        found = self._known.get((request.entity, key))
        if found is None:
            if replaying():
                raise NotAsked("never asked before", source=self._source)
            found = self._fetch(request, key)
            with self._lock:
                self._known[request.entity, key] = found
        if not found:
            raise NotFound(f"{self._source}: nothing under this {request.entity}", source=self._source, status=404)
        return found

    @property
    def connector(self) -> LiveConnector:
        """One per thread: client libraries do not share their sessions."""
        if not hasattr(self._mine, "connector"):
            self._mine.connector = connect_live(self._settings)
            with self._lock:
                self._opened.append(self._mine.connector)
        return self._mine.connector

    def flush(self) -> None:
        """Keep what came in `raw`, in one commit, and close the connectors."""
        for connector in self._opened:
            with suppress(Exception):
                connector.close()
        self._opened.clear()
        for name, rows in (("raw", self._came), ("drifts", self._drifted)):
            schema = table_of(name).schema
            columns = {f.name: pa.array([row.get(f.name) for row in rows], f.type) for f in schema}
            self._store.append(name, pa.table(columns, schema=schema))
            rows.clear()

    def _fetch(self, request: Request, key: str) -> Payload:
        try:
            record = self.connector.lookup(request)
        except NotFound as exc:
            expires = clock.now() + timedelta(days=self._settings.live.not_found_days)
            self._keep(
                request.entity, key, None, url=exc.url, status=exc.status or _NOT_FOUND_STATUS, expires_at=expires
            )
            return {}
        self._keep(request.entity, key, record, url=record.url, status=200, expires_at=None)
        self._compare(request, record)
        return record.payload

    def _compare(self, request: Request, record: Record) -> None:
        """Note where the answer's shape is another than the connector knows; it is kept all the same."""
        from connectors.drift import drift_of

        model = self.connector.models.get(request.entity)
        drift = drift_of(model, record.payload) if model else None
        if drift and (drift.missing or drift.unknown):
            row = {"source": self._source, "entity": request.entity, "request_key": request.key}
            row |= {"missing": drift.missing, "unknown": drift.unknown, "computed_at": record.fetched_at}
            with self._lock:
                self._drifted.append(row)

    def _keep(
        self, entity: str, key: str, record: Record | None, *, url: str, status: int, expires_at: datetime | None
    ) -> None:
        body = None if record is None else _JSON.encode(record.payload).encode("utf-8", "replace")
        row = {
            "source": self._source,
            "entity": entity,
            "request_key": key,
            "body": body,
            "status": status,
            "url": url,
            "fetched_at": record.fetched_at if record else clock.now(),
            "expires_at": expires_at,
            "value_hash": digest(body or b""),
        }
        with self._lock:
            self._came.append(row)

    def _read(self, wanted: set[tuple[str, str]]) -> dict[tuple[str, str], Payload]:
        """What lies in `raw` of these and has not expired; an empty answer is a negative one."""
        if not wanted:
            return {}
        con = self._store.database(only=("raw",))
        entities, keys = zip(*sorted(wanted), strict=True)
        con.register("asked", pa.table({"entity": pa.array(entities), "request_key": pa.array(keys)}))
        fresh = "true" if replaying() else "(expires_at is null or expires_at > $now)"
        found = con.execute(
            f"select entity, request_key, body from raw semi join asked using (entity, request_key) "
            f"where source = $source and {fresh}",
            {"source": self._source} | ({} if replaying() else {"now": clock.now()}),
        ).fetchall()
        return {(entity, key): json.loads(body) if body else {} for entity, key, body in found}


def reason_of(exc: ConnectorError, settings: SourceSettings) -> dict[str, Any]:
    """The reason, the detail and the time to try again that an error means for its key."""
    now = clock.now()
    said: dict[str, Any] = {"detail": str(exc)[:200]}
    match exc:
        case NotFound():
            return said | {"reason": Reason.NOT_FOUND, "retry_at": now + timedelta(days=settings.live.not_found_days)}
        case BlockedPage():
            return said | {"reason": Reason.BLOCKED_PAGE, "retry_at": now + timedelta(days=settings.live.blocked_days)}
        case QuotaExceeded():
            return said | {"reason": Reason.QUOTA, "retry_at": exc.retry_at or now + timedelta(hours=1)}
        case AuthError():
            return said | {"reason": Reason.NO_ACCESS, "retry_at": now}
        case SchemaDrift():
            return said | {"reason": Reason.SCHEMA_DRIFT}
        case TooLarge():
            return said | {"reason": Reason.TOO_LARGE}
        case NotAsked():
            return said | {"reason": Reason.NOT_FOUND, "retry_at": now}
        case _:
            return said | {"reason": Reason.UNREACHABLE}


def ask_each(
    asker: Asker,
    rows: pa.Table,
    key: tuple[str, ...],
    one: Callable[[dict[str, Any]], dict[str, Any]],
    settings: SourceSettings,
) -> list[dict[str, Any]]:
    """`one(row)` for each row, some at a time; what a source does wrong is a reason, and all that came is kept."""

    def told(row: dict[str, Any]) -> dict[str, Any]:
        try:
            return one(row)
        except ConnectorError as exc:
            return reason_of(exc, settings)

    try:
        return in_threads(rows, key, told, threads=THREADS)
    finally:
        asker.flush()


def in_threads(
    rows: pa.Table, key: tuple[str, ...], one: Callable[[dict[str, Any]], dict[str, Any]], *, threads: int
) -> list[dict[str, Any]]:
    """As `per_item`, for work that waits for the network."""
    if threads == 1:
        return per_item(rows, key, one)
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(lambda row: item_row(row, key, one), rows.to_pylist()))
