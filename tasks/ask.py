"""Questions to live sources, asked once: every answer lies in `raw`, and what lies there is not asked for again."""

# Annotations stay text: pyarrow is imported at its first use.
from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
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
from storage.hashing import digest, entity_id
from storage.lazy import pa
from storage.reasons import Reason
from storage.schemas import table_of
from storage.store import Store
from tasks.entities import namespace_of
from tasks.settings import SourceSettings
from tasks.stage import item_row, per_item
from tasks.takedowns import LISTINGS, taken_down, without

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

    def __init__(
        self,
        store: Store,
        source: str,
        settings: SourceSettings,
        requests: Iterable[Request],
        *,
        changing: Iterable[str] = (),
    ) -> None:
        """`requests` are those the chunk may come to ask: their answers are read at once.

        Those to entities that are `changing` count for `live.refresh_days`.
        """
        self._store, self._source, self._settings = store, source, settings
        self._changing, self._since = set(changing), clock.now() - timedelta(days=settings.live.refresh_days)
        self._origins: dict[tuple[str, str], tuple[str, datetime]] = {}  # where an answer came from, and when
        self._former: set[tuple[str, str]] = set()  # keys whose answer is too old
        self._lock, self._mine = threading.Lock(), threading.local()
        self._namespace, self._taken = namespace_of(source, settings.connector), taken_down(store)
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
        if not found:
            raise NotFound(f"{self._source}: nothing under this {request.entity}", source=self._source, status=404)
        return found

    def take(self, request: Request, question: Request) -> bool:
        """Whether the answer is known, or lies whole within what was answered to another question; it is then kept."""
        key, other = (request.entity, request.key), (question.entity, question.key)
        if key not in self._known and (said := self._known.get(other)) and other in self._origins:
            url, at = self._origins[other]
            connector: Any = self.connector  # only those that `Live.whole_in` names have it
            found = connector.part_of(request.entity, request.key, said)
            if found and (at >= self._since or request.entity not in self._changing):
                self._hold(Record(entity=key[0], source_id=key[1], payload=found, url=url, fetched_at=at))
        return key in self._known

    def ask_many(self, entity: str, keys: Sequence[str]) -> None:
        """Ask for what is not known of these, many at a time where the source lets the app.

        What goes wrong is left to `ask`, which meets it again for each key by itself.
        """
        missing = [key for key in dict.fromkeys(keys) if (entity, key) not in self._known]
        if not missing or replaying():
            return
        with suppress(ConnectorError):
            for page in self.connector.pages(entity, keys=missing):
                for record in page.records:
                    self._hold(record)
                    self._compare(Request(entity=entity, key=record.source_id), record)
                for reject in page.rejects:
                    self._hold_nothing(entity, reject.file, NotFound(reject.detail, source=self._source))

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
            self._hold_nothing(request.entity, key, exc)
            return {}
        self._compare(request, record)
        self._hold(replace(record, source_id=key))
        return self._known[request.entity, key]

    def _hold(self, record: Record) -> None:
        """Keep an answer, and know it from now on; of what was taken down nothing is kept."""
        taken = entity_id(self._namespace, record.source_id) in self._taken
        if not taken and record.entity in LISTINGS:
            record = replace(record, payload=without(record.payload, self._namespace, self._taken))
        if not taken:
            self._keep(record.entity, record.source_id, record, url=record.url, status=200, expires_at=None)
        with self._lock:
            self._known[record.entity, record.source_id] = {} if taken else record.payload

    def _hold_nothing(self, entity: str, key: str, exc: NotFound) -> None:
        """Keep that there is none, for some days; what is gone since it was last asked for stays as it was."""
        expires, status = clock.now() + timedelta(days=self._settings.live.not_found_days), exc.status
        if (entity, key) not in self._former:
            self._keep(entity, key, None, url=exc.url, status=status or _NOT_FOUND_STATUS, expires_at=expires)
        with self._lock:
            self._known[entity, key] = {}

    def _compare(self, request: Request, record: Record) -> None:
        """Note where the answer's shape is another than the connector knows; it is kept all the same."""
        from connectors.drift import drift_of

        model = self.connector.models.get(request.entity)
        drift = drift_of(model, record.payload) if model else None
        taken = entity_id(self._namespace, request.key) in self._taken
        if drift and (drift.missing or drift.unknown) and not taken:
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
            f"select entity, request_key, body, url, fetched_at from raw semi join asked using (entity, request_key) "
            f"where source = $source and {fresh}",
            {"source": self._source} | ({} if replaying() else {"now": clock.now()}),
        ).fetchall()
        known: dict[tuple[str, str], Payload] = {}
        for entity, key, body, url, at in found:
            if body and at < self._since and entity in self._changing and not replaying():
                self._former.add((entity, key))
                continue
            known[entity, key] = json.loads(body) if body else {}
            self._origins[entity, key] = url or "", at
        return known


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
