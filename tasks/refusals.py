"""Files of live sources that could not be had or used: each is tried again when its time has come, and not before."""

# Annotations stay text: pyarrow is imported at its first use.
from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

from storage import clock
from storage.lazy import pa
from storage.reasons import Reason
from storage.schemas import table_of
from storage.store import Store
from tasks.ask import replaying
from tasks.stage import earliest

Row = dict[str, Any]
TRIES = 3  # files at most for one item: what could not be had costs a request each, and what is no music a download
# What another file of the same item may not suffer from; a quota or a block page is met by all of them.
_OF_THE_FILE = frozenset(
    {Reason.NOT_FOUND, Reason.TOO_LARGE, Reason.DECODE_ERROR, Reason.TOO_SHORT, Reason.SILENT}
)  # fmt: skip


class Refusals:
    """What is known of the files that one chunk may come to ask for; `flush` keeps what was learnt."""

    def __init__(self, store: Store, kind: str, version: str, keys: Sequence[tuple[str, str]]) -> None:
        """`keys` are source and id; what another version of the stage refused may be right for this one."""
        self._store, self._kind, self._version = store, kind, version
        self._lock, self._new = threading.Lock(), list[Row]()
        sources, ids = zip(*sorted(set(keys)), strict=True) if keys else ((), ())
        con = store.database(only=("refusals",))
        asked = {"source": pa.array(sources, pa.string()), "source_id": pa.array(ids, pa.string())}
        con.register("asked", pa.table(asked))
        rows = con.execute(
            "select source, source_id, reason, detail, retry_at "
            "from refusals semi join asked using (source, source_id) "
            "where kind = ? and version = ? and (retry_at is null or retry_at > ?)",
            [kind, version, clock.now()],
        ).fetchall()
        self._known: dict[tuple[str, str], Row] = {
            (source, id_): {"reason": reason, "detail": detail, "retry_at": at}
            for source, id_, reason, detail, at in rows
        }

    def first_of(self, source: str, ids: Sequence[str], one: Callable[[str], Row]) -> Row:
        """`one(id)` of the first that can be had; where none can, the first one's reason and the earliest retry."""
        refused: list[Row] = []
        for id_ in ids[:TRIES]:
            said = self._known.get((source, id_)) or one(id_)
            if said.get("reason") not in _OF_THE_FILE:
                return said
            self._remember(source, id_, said)
            refused.append(said)
        return refused[0] | {"retry_at": earliest(*(said.get("retry_at") for said in refused))}

    def flush(self) -> None:
        """Keep what was learnt, in one commit."""
        schema, now = table_of("refusals").schema, clock.now()
        same = {"kind": self._kind, "version": self._version, "computed_at": now}
        self._store.append("refusals", pa.Table.from_pylist([same | row for row in self._new], schema))
        self._new.clear()

    def _remember(self, source: str, id_: str, said: Row) -> None:
        with self._lock:
            if (source, id_) in self._known or replaying():  # where nobody is asked, nothing is learnt
                return
            told = {name: said.get(name) for name in ("reason", "detail", "retry_at")}
            self._known[source, id_] = told
            self._new.append({"source": source, "source_id": id_, **told})
