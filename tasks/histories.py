"""Histories of listeners from live sources: read on from where the last part ended, this night's or an earlier one's.

A reading of a history has a window, from where the reading before it ended to the time at which it begins. It is read
in parts of `PAGES` pages, each of which ends in one commit to the ledger `inputs` with the connector's cursor. So a
quota that ends, or a build that is killed, costs at most the pages of one part, and the next build goes on there.
"""

# Annotations stay text: pyarrow is imported at its first use.
from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from connectors.base import LiveConnector, Page, Part, Request
from connectors.errors import ConnectorError
from storage import clock
from storage.hashing import digest_of
from storage.lazy import pa, pc
from storage.store import Store
from tasks.ask import connect_live, reason_of, replaying
from tasks.entities import namespace_of
from tasks.ingest import Loader
from tasks.settings import Catalogue, SourceSettings
from tasks.stage import Stage, rows_table

VERSION = "1"  # raising it lets all histories be read anew, from their first play
ENTITY = "plays"
PAGES = 10  # in a part: 2,000 plays of Last.fm's, about two seconds at five requests a second
Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How far a history was read; lies in the ledger as `stat`."""

    since: int = 0  # the window, UTC seconds: since <= play < to
    to: int = 0  # 0: it begins with the next part
    part: int = 0  # parts read of the window
    cursor: str | None = None  # where the window goes on; None: it was read to its end
    below: int | None = None  # least `line` read of the window: what is left lies below it
    options: str = ""  # digest of the connector's options, with which a cursor means something

    @classmethod
    def of(cls, stat: str) -> Reading:
        """As it lies in the ledger; up to 2026-11 that was the end of the window alone."""
        return cls(to=int(stat)) if stat.isdigit() else cls(**json.loads(stat))


def history_stage(catalogue: Catalogue, source: str) -> Stage:
    """Users' plays to `interactions` and `raw`: parts of each user's window, once a period."""
    settings = catalogue.sources[source]
    period = period_of(settings)
    return Stage(
        name=f"history.{source}",
        version=VERSION,
        reads=("takedowns",),
        writes="inputs",
        scope=f"source = '{source}' and entity = '{ENTITY}'",
        inputs=partial(list_parts, source, settings, period),
        compute=partial(read_parts, source=source, settings=settings),
        outside=partial(str, period),
        chunk_keys=20,
        beside=("raw", "interactions", "quarantine"),
        repeats=True,
        runs_in="workers",
        seconds_per_key=1.0,
    )


def period_of(settings: SourceSettings) -> str:
    """Which period it is: a new one makes work. A replay opens none."""
    if replaying():
        return "replay"
    return str(int(clock.now().timestamp() // (settings.live.refresh_hours * 3600)))


def list_parts(source: str, settings: SourceSettings, period: str, store: Store) -> pa.Table:
    """The parts that were read, and one more of each user who is not read to this period."""
    had = (
        store.database(only=("inputs",))
        .execute(
            "select part, file, stat from inputs where source = ? and entity = ? and version = ? and reason is null "
            "order by computed_at",
            [source, ENTITY, VERSION],
        )
        .fetchall()
    )
    parts: dict[str, Row] = {part: {"file": user} for part, user, _ in had}
    last = {user: Reading.of(stat) for _, user, stat in had}
    for user in () if replaying() else settings.live.users:
        reading, fresh = last.get(user, Reading()), f"{user}@{period}"
        if reading.cursor:
            parts[f"{user}@{reading.to}+{reading.part}"] = {"file": user, "reading": json.dumps(vars(reading))}
        elif fresh not in parts:
            parts[fresh] = {"file": user, "reading": json.dumps(vars(Reading(since=reading.to)))}
    same = {"source": source, "entity": ENTITY, "input_hash": 0}
    return pa.Table.from_pylist([same | {"part": part} | row for part, row in parts.items()], _listed())


def _listed() -> pa.Schema:
    names = ("source", "entity", "part", "file", "reading")
    return pa.schema([*((name, pa.string()) for name in names), ("input_hash", pa.int64())])


def read_parts(rows: pa.Table, store: Store, *, source: str, settings: SourceSettings) -> pa.Table:
    """One ledger row per part: what it held, and in `stat` how far the history was read with it."""
    loader, done = Loader(store), list[Row]()
    namespace = namespace_of(source, settings.connector)
    with closing(connect_live(settings)) as connector:
        for row in rows.to_pylist():
            said = {name: row[name] for name in ("source", "entity", "part", "file")}
            part = _Part(connector, row["file"], Reading.of(row["reading"]), digest_of(settings.options))
            try:
                counts = loader.load(source, namespace, part.pages(row["part"]))
                done.append(said | counts | {"stat": json.dumps(vars(part.reading))})
            except ConnectorError as exc:
                done.append(said | reason_of(exc, settings))
    loader.flush()
    return rows_table("inputs", done)


class _Part:
    """The next pages of one user's window; `reading` says how far it is read once they were taken."""

    def __init__(self, connector: LiveConnector, user: str, last: Reading, options: str) -> None:
        to = last.to or int(clock.now().timestamp())
        # With other options, such as the size of pages, a cursor means another place: from the start of the window.
        cursor = last.cursor if last.cursor and last.options == options else f"0/{to}/1"
        self.reading = replace(last, to=to, part=last.part + 1, cursor=cursor, options=options)
        since = {"from": str(last.since)} if last.since else {}
        self._request = Request(entity=ENTITY, key=user, params=since)
        self._connector = connector

    def pages(self, name: str) -> Iterator[Page]:
        """The pages, without plays that were read before, as when plays sent late push some onto a further page.

        Raises:
            ConnectorError: The first of them cannot be had. A further one ends the part: the next one meets it first.
        """
        part, left = Part(entity=ENTITY, file=name), PAGES
        pages = self._connector.pages(ENTITY, keys=[self._request], cursor=self.reading.cursor)
        while left and self.reading.cursor:
            try:
                page = next(pages)
            except ConnectorError:
                if left == PAGES:
                    raise
                return
            left -= 1
            yield self._below(replace(page, part=part))

    def _below(self, page: Page) -> Page:
        """What of the page lies below what was read; `reading` moves on."""
        below = self.reading.below
        if below is not None:
            events = page.events.filter(pc.less(page.events.column("line"), below))
            page = replace(page, events=events, rejects=tuple(r for r in page.rejects if r.line < below))
        least = pc.min(page.events.column("line")).as_py()
        self.reading = replace(self.reading, cursor=page.cursor, below=below if least is None else least)
        return page
