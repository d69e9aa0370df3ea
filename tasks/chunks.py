"""Chunks: some keys of a stage at a time, computed in any process and committed at once."""

# Annotations stay text: pyarrow is imported at its first use.
from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Protocol

from storage import clock
from storage.hashing import hash_rows
from storage.lazy import pa
from storage.reasons import Reason
from storage.schemas import ATTEMPT_COLUMNS, table_of
from storage.store import Store
from tasks.stage import ChunkResult, Stage, earliest, rows_table

RETRY_AFTER = {Reason.INTERNAL_ERROR: timedelta(days=1), Reason.UNREACHABLE: timedelta(hours=1)}
"""When a failure is tried again, doubled at each attempt up to 30 days; reasons not named wait for a change."""
_LONGEST_WAIT = timedelta(days=30)
_LOAD_KEYS = 100_000  # pending keys that `load` is asked for at once


@dataclass(frozen=True)
class Chunk:
    """One chunk, ready to run in any process: compute, then one append commit."""

    url: str
    stage: Stage
    rows: pa.Table

    @classmethod
    def of(cls, store: Store, stage: Stage, rows: pa.Table) -> Chunk:
        """With no more than a worker needs: `inputs` and `prepare` may be closures."""
        return cls(store.url, replace(stage, inputs="", outside=None, prepare=None, refit=None), rows)

    def __call__(self) -> ChunkResult:
        """Compute and commit; a killed chunk leaves no row of its table."""
        store = Store(self.url)
        out = complete(self.stage, self.rows, self.stage.compute(self.rows, store))
        store.append(self.stage.writes, out)
        reasons = Counter(r for r in out.column("reason").to_pylist() if r is not None)
        reasons.pop(Reason.EMPTY, None)  # a value, not a failure
        done = out.num_rows - sum(reasons.values())
        return ChunkResult(done=done, reasons=dict(reasons), retry_at=earliest(*out.column("retry_at").to_pylist()))

    def halves(self) -> list[Chunk]:
        """The same keys in two chunks."""
        middle = self.rows.num_rows // 2
        return [replace(self, rows=self.rows.slice(0, middle)), replace(self, rows=self.rows.slice(middle))]

    def give_up(self, detail: str) -> ChunkResult:
        """Commit that its keys have no value: whatever computes them ends the process that does."""
        table = table_of(self.stage.writes)
        keys = [dict(zip(table.key, key, strict=True)) for key in _tuples(self.rows, table.key)]
        given_up = [key | {"reason": Reason.INTERNAL_ERROR, "detail": detail} for key in keys]
        return replace(self, stage=replace(self.stage, compute=lambda *_: rows_table(table.name, given_up)))()


class Future(Protocol):
    """What `submit` gives back: a result that can be waited for."""

    def result(self) -> Any:
        """The chunk's result, or its exception."""
        ...


Submit = Callable[[Stage, Chunk, float], Future]
"""Runs one chunk; the number is a guess at the seconds that all chunks of the stage take in this build."""


class Done:
    """The plain loop: the chunk has run by the time it is submitted."""

    def __init__(self, stage: Stage, work: Chunk, seconds: float) -> None:
        """Run it."""
        self._result = work()

    def result(self) -> ChunkResult:
        """The chunk's result."""
        return self._result


# --- cutting


def chunks(con: Any, stage: Stage) -> Iterator[pa.Table]:
    """What `compute` gets, some chunks' keys at a time: `load` may gather much per key, and memory must not grow."""
    key = ", ".join(table_of(stage.writes).key)
    extra = "p.attempt, p.input_hash as pending_hash, p.had_at"
    most = max(_LOAD_KEYS, stage.chunk_keys)
    for start in range(0, con.sql("select count(*) from todo").fetchall()[0][0], most):
        these = f"select * exclude (number) from todo where number > {start} and number <= {start + most}"
        con.sql(f"create or replace temp table pending as {these}")
        sql = f"select l.*, {extra} from pending p join ({stage.load}) l using ({key})"
        yield from _cut(con.sql(sql).to_arrow_reader(stage.chunk_keys), stage)


def _cut(batches: Iterable[pa.RecordBatch], stage: Stage) -> Iterator[pa.Table]:
    held: list[pa.RecordBatch] = []
    for batch in batches:
        held.append(batch)
        while sum(b.num_rows for b in held) >= stage.chunk_keys:
            table = pa.Table.from_batches(held)
            yield from _by_bytes(table.slice(0, stage.chunk_keys), stage.chunk_bytes)
            held = table.slice(stage.chunk_keys).to_batches()
    if held:
        yield from _by_bytes(pa.Table.from_batches(held), stage.chunk_bytes)


def _by_bytes(rows: pa.Table, limit: int | None) -> Iterator[pa.Table]:
    if limit is None:
        yield rows
        return
    start, total = 0, 0
    for i, size in enumerate(rows.column("size_bytes").to_pylist()):
        if i > start and total + size > limit:
            yield rows.slice(start, i - start)
            start, total = i, 0
        total += size
    if start < rows.num_rows:
        yield rows.slice(start)


# --- committing


def complete(stage: Stage, rows: pa.Table, out: pa.Table) -> pa.Table:
    """Add the attempt columns to what `compute` gave.

    Raises:
        ValueError: A key of the chunk has no row, or one that was not asked for has.
    """
    table = table_of(stage.writes)
    asked = dict(zip(_tuples(rows, table.key), _tuples(rows, ("attempt", "pending_hash", "had_at")), strict=True))
    keys = list(_tuples(out, table.key))
    if len(keys) != len(asked) or set(keys) != set(asked):
        raise ValueError(
            f"stage '{stage.name}': {len(asked)} keys were asked for, {len(set(keys))} came back in {len(keys)} rows; "
            "one row per key is the contract"
        )
    out = _with_missing_columns(out, table.schema)
    now = clock.now()
    attempts = [asked[key][0] + 1 for key in keys]
    reasons = out.column("reason").to_pylist()
    said = out.column("retry_at").to_pylist()
    retry = [at or retry_time(reason, n, now) for at, reason, n in zip(said, reasons, attempts, strict=True)]
    values = [name for name in table.names if name not in ATTEMPT_COLUMNS and name not in table.key]
    columns = {name: out.column(name) for name in (*table.key, *values, "reason", "detail")}
    columns |= {
        "input_hash": pa.array([asked[key][1] for key in keys], pa.int64()),
        "value_hash": pa.array(hash_rows(out, [*(v for v in values if v != "load_id"), "reason"]), pa.int64()),
        "version": pa.array([stage.version] * len(keys), pa.string()),
        "attempt": pa.array(attempts, pa.int32()),
        "retry_at": pa.array(retry, pa.timestamp("us", tz="UTC")),
        "computed_at": pa.array([after(asked[key][2], now) for key in keys], pa.timestamp("us", tz="UTC")),
    }
    return pa.table({name: columns[name] for name in table.names})


def after(had: datetime | None, now: datetime) -> datetime:
    """Now, but after the row it supersedes: the newest row counts, also when the clock was set back in between."""
    return now if had is None or had < now else had + timedelta(microseconds=1)


def retry_time(reason: str | None, attempt: int, now: datetime) -> datetime | None:
    """When a failure is tried again; None when only a change can help."""
    wait = RETRY_AFTER.get(Reason(reason)) if reason else None
    return now + min(wait * 2 ** min(attempt - 1, 10), _LONGEST_WAIT) if wait else None


def _tuples(table: pa.Table, names: tuple[str, ...]) -> Iterator[tuple[Any, ...]]:
    return zip(*(table.column(name).to_pylist() for name in names), strict=True)


def _with_missing_columns(out: pa.Table, schema: pa.Schema) -> pa.Table:
    for f in schema:
        if f.name not in out.column_names:
            out = out.append_column(f.name, pa.nulls(out.num_rows, f.type))
    return out
