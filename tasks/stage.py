"""The stage: a keyed computation from one table to another, resumable and incremental, one commit per chunk.

What is done is known from the tables alone. A key is pending when no row has its (key, input_hash, version), or when
its row is a failure whose retry time has come. Free of Prefect: `tasks.run` says how chunks are submitted.
"""

# Annotations stay text: pyarrow is imported at its first use.
from __future__ import annotations

import json
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, Protocol

from storage import clock
from storage.errors import StoreError
from storage.hashing import hash_rows
from storage.lazy import pa
from storage.reasons import Reason
from storage.schemas import ATTEMPT_COLUMNS, Table, table_of
from storage.store import Store, rows_of
from storage.views import live, newest

RETRY_AFTER = {Reason.INTERNAL_ERROR: timedelta(days=1), Reason.UNREACHABLE: timedelta(hours=1)}
"""When a failure is tried again, doubled at each attempt up to 30 days; reasons not named wait for a change."""
_LONGEST_WAIT = timedelta(days=30)
_LOAD_KEYS = 100_000  # pending keys that `load` is asked for at once

if TYPE_CHECKING:
    Compute = Callable[[pa.Table, Store], pa.Table]


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One step of the pipeline.

    `inputs` and `load` are SQL over the store's views. `compute` is a function that worker processes can import: it
    gets the rows of `load` for one chunk and gives one row per key: key and value columns, `reason` and `detail` where
    there is no value, and optionally `retry_at`.
    """

    name: str
    version: str  # raised whenever an output byte may change
    reads: tuple[str, ...]  # tables whose change can make work
    writes: str  # the keyed table that gets a row per attempted key
    inputs: str | Callable[[Store], pa.Table]  # key columns of `writes` and `input_hash`
    compute: Compute
    # Key columns and what `compute` needs; may name `wanted` (what `inputs` gave) and `pending` (some keys to do).
    load: str = "select * exclude (input_hash) from wanted"
    scope: str = "true"  # SQL: which rows of `writes` are this stage's
    chunk_keys: int = 1_000  # about half a minute of work
    chunk_bytes: int | None = None  # also cut chunks where the inputs' `size_bytes` adds up to this
    # driver: holds a model or a device that processes cannot share. workers: decodes files from outside, never in the
    # driver, whose death would end the run. pool: in workers where they are worth their start. gpus: in one worker per
    # GPU that there is.
    runs_in: Literal["pool", "workers", "driver", "gpus"] = "pool"
    outside: Callable[[], str] | None = None  # fingerprint of what lies outside the store
    beside: tuple[str, ...] = ()  # tables that `compute` appends to by itself
    # `inputs` is asked anew after each pass that did something: a history goes on where its part ended.
    repeats: bool = False
    prepare: Callable[[Store], Stage] | None = None  # settles the version once the inputs are there
    refit: Callable[[Store], Stage] | None = None  # as `prepare`, with a frozen fit made anew
    seconds_per_key: float = 0.001  # a guess for the first plan; later plans use the last run's
    seconds_per_mb: float = 0.0  # what the inputs' `size_bytes` add to it
    bytes_per_key: float | None = None  # what a value takes in the table; None: as much as those that are there
    note: str = ""  # what whoever builds should know of it, whether or not there is something to do


@dataclass(frozen=True, kw_only=True)
class ChunkResult:
    """What one chunk did."""

    done: int
    reasons: dict[str, int]
    retry_at: datetime | None = None

    def __add__(self, other: ChunkResult) -> ChunkResult:
        """What both did."""
        return ChunkResult(
            done=self.done + other.done,
            reasons=dict(Counter(self.reasons) + Counter(other.reasons)),
            retry_at=earliest(self.retry_at, other.retry_at),
        )


@dataclass(kw_only=True)
class StageResult:
    """What a stage did in this build."""

    stage: str
    status: Literal["up_to_date", "completed", "partial"] = "up_to_date"
    done: int = 0
    skipped: int = 0  # keys that had their row already
    failed: int = 0
    removed: int = 0
    seconds: float = 0.0
    reasons: Counter[str] = field(default_factory=Counter[str])
    retry_at: datetime | None = None

    def add(self, chunk: ChunkResult) -> None:
        """Count one chunk."""
        self.done += chunk.done
        self.failed += sum(chunk.reasons.values())
        self.reasons.update(chunk.reasons)
        self.retry_at = earliest(self.retry_at, chunk.retry_at)

    def go_on(self, again: StageResult) -> None:
        """Count a second run of the stage in the same build; keys that it found done are not skipped twice."""
        if again.status != "up_to_date":
            self.status = "partial" if "partial" in (self.status, again.status) else again.status
        self.done, self.failed = self.done + again.done, self.failed + again.failed
        self.removed, self.seconds = self.removed + again.removed, round(self.seconds + again.seconds, 3)
        self.reasons.update(again.reasons)
        self.retry_at = earliest(self.retry_at, again.retry_at)

    def as_json(self) -> dict[str, Any]:
        """What `mediateca build --json` prints of it."""
        names = ("stage", "status", "done", "skipped", "failed", "removed", "seconds")
        return {name: getattr(self, name) for name in names} | {"reasons": dict(self.reasons)}


class Future(Protocol):
    """What `submit` gives back: a result that can be waited for."""

    def result(self) -> Any:
        """The chunk's result, or its exception."""
        ...


Submit = Callable[[Stage, "Chunk", float], Future]
"""Runs one chunk; the number is a guess at the seconds that all chunks of the stage take in this build."""


class Done:
    """The plain loop: the chunk has run by the time it is submitted."""

    def __init__(self, stage: Stage, work: Chunk, seconds: float) -> None:
        """Run it."""
        self._result = work()

    def result(self) -> ChunkResult:
        """The chunk's result."""
        return self._result


class Progress(Protocol):
    """Who is told how far a stage is."""

    def look(self, what: str) -> None:
        """A stage looks for what there is to do."""
        ...

    def begin(self, stage: str, keys: int) -> None:
        """A stage has `keys` to do."""
        ...

    def more(self, keys: int) -> None:
        """The stage has so many more to do."""
        ...

    def advance(self, keys: int) -> None:
        """So many more are done."""
        ...

    def end(self, result: StageResult) -> None:
        """The stage is over."""
        ...


class Silent:
    """Tells nobody."""

    def look(self, what: str) -> None:
        """Nothing."""

    def begin(self, stage: str, keys: int) -> None:
        """Nothing."""

    def more(self, keys: int) -> None:
        """Nothing."""

    def advance(self, keys: int) -> None:
        """Nothing."""

    def end(self, result: StageResult) -> None:
        """Nothing."""


# --- up to date?


def fingerprint(store: Store, stage: Stage) -> str:
    """What the stage depends on, by version: equal to that of its last completed run means that nothing is to do."""
    versions = {name: store.data_version(name) for name in stage.reads}
    return json.dumps({"reads": versions, "outside": stage.outside() if stage.outside else None}, sort_keys=True)


def last_runs(store: Store) -> dict[str, dict[str, Any]]:
    """The newest run of each stage, from one small table."""
    if "runs" not in store.tables():
        return {}
    rows = store.database(only=("runs",)).sql(
        "select * from runs qualify row_number() over (partition by stage order by computed_at desc) = 1"
    )
    return {row["stage"]: row for row in rows_of(rows)}


def is_up_to_date(stage: Stage, seen: str, last: Mapping[str, Any] | None, now: datetime) -> bool:
    """Whether the stage, whose fingerprint is `seen`, has nothing to do; nothing is scanned."""
    if last is None or last["status"] != "completed" or last["version"] != stage.version:
        return False
    if last["retry_at"] is not None and last["retry_at"] <= now:
        return False
    return last["fingerprint"] == seen


# --- what is pending


def scan(store: Store, stage: Stage, now: datetime, *, again: bool = False) -> Any:
    """DuckDB with `todo` (pending keys, attempt, state) and `gone` (keys); key columns only are read.

    With `again` every key is pending.
    """
    con = store.database(only=(*stage.reads, stage.writes))
    if isinstance(stage.inputs, str):
        con.sql(f"create temp table wanted as {stage.inputs}")
    else:
        con.register("wanted", stage.inputs(store))
    table = table_of(stage.writes)
    key = ", ".join(table.key)
    con.execute(f"create temp table had as {_had(table, stage)}", {"version": stage.version})
    # Tombstones included: a row must be newer than what hides its key.
    rows = f"{table.view}__rows"
    con.sql(f"create temp table newest as select {key}, max(computed_at) as had_at from {rows} group by {key}")
    state = (
        "case when h.had_hash is null then 'new' "
        "when $again or h.had_hash <> i.input_hash or h.had_version <> $version "
        "then 'changed' when h.retry_at <= $now then 'retry' end"
    )
    con.execute(
        f"create temp table todo as select {key}, i.input_hash, coalesce(h.attempt, 0) as attempt, n.had_at, "
        f"{state} as state, row_number() over () as number "
        f"from wanted i left join had h using ({key}) left join newest n using ({key}) where {state} is not null",
        {"version": stage.version, "now": now, "again": again},
    )
    con.sql(f"create temp table gone as select {key}, had_at from had anti join wanted using ({key}) where own")
    return con


def _had(table: Table, stage: Stage) -> str:
    """SQL: what was tried last of each key, also where an older value counts.

    Of a feature at this very version, where it was tried at it (`own`): what another generation has is not its own to
    bury, and one that is still there need not be computed again.
    """
    key, found = ", ".join(table.key), newest(table)
    own = "version = $version" if table.has_generations else "$version is not null"
    if table.has_generations:
        mine = f"(select {key} from {table.view}__rows where {own})"
        found = f"(from {newest(table, own)} union all from {found} anti join {mine} using ({key}))"
    return (
        f"select {key}, input_hash as had_hash, version as had_version, attempt, retry_at, computed_at as had_at, "
        f"{own} as own from {found} where reason is distinct from '{Reason.REMOVED}' and ({stage.scope})"
    )


def count_pending(con: Any, stage: Stage) -> dict[str, Any]:
    """How many keys are new, changed, to retry, removed, and in all; and a guess at the seconds they take."""
    key = table_of(stage.writes).key
    states = dict(con.sql("select state, count(*) from todo group by state").fetchall())
    counts = {state: states.get(state, 0) for state in ("new", "changed", "retry")}
    counts["removed"] = con.sql("select count(*) from gone").fetchall()[0][0]
    seconds = sum(states.values()) * stage.seconds_per_key
    if stage.seconds_per_mb:
        sizes = f"select coalesce(sum(size_bytes), 0) from wanted semi join todo using ({', '.join(key)})"
        seconds += con.sql(sizes).fetchall()[0][0] / 1e6 * stage.seconds_per_mb
    return counts | {"inputs": con.sql("select count(*) from wanted").fetchall()[0][0], "seconds": float(seconds)}


# --- running


def run_stage(
    store: Store,
    stage: Stage,
    *,
    build_id: str,
    submit: Submit = Done,
    window: int = 4,
    progress: Progress | None = None,
    last: Mapping[str, Any] | None = None,
    again: bool = False,
) -> StageResult:
    """Bring the stage's table up to date.

    Args:
        store: The store; the caller holds its build lock.
        stage: What to compute.
        build_id: Names this build in `runs`.
        submit: Runs one chunk, now or elsewhere.
        window: Chunks in flight at most; bounds memory.
        progress: Who is told.
        last: The stage's last run, if known.
        again: Compute every key anew, whatever was done before.

    Returns:
        What was done; `partial` when a quota ended it.
    """
    started, now = time.perf_counter(), clock.now()
    progress = progress or Silent()
    progress.look(stage.name)
    if stage.prepare:
        stage = replace(stage.prepare(store), chunk_keys=stage.chunk_keys)
    result = StageResult(stage=stage.name)
    seen = fingerprint(store, stage)
    if not again and is_up_to_date(stage, seen, last, now):
        return result
    result.status = "completed"
    hold_generation(store, stage)
    while True:
        had, con = result.done, scan(store, stage, now, again=again and not result.done)
        ended = _one_pass(store, stage, con, result, submit, window, progress)
        if ended or not stage.repeats or result.done == had:
            break
    if ended and stage.repeats:  # what was read takes the place of what it stands for now
        result.removed += _bury(store, stage, scan(store, stage, now))
    if not ended and may_serve(store, stage):
        store.serve(stage.writes, stage.version)
    result.retry_at = earliest(result.retry_at, _earliest_retry(con, stage))
    for name in (stage.writes, *stage.beside) if result.done + result.failed + result.removed else ():
        store.tidy(name)
    result.seconds = round(time.perf_counter() - started, 3)
    _record(store, stage, result, seen, build_id)
    progress.end(result)
    return result


def hold_generation(store: Store, stage: Stage) -> None:
    """Before a feature is computed at another version: its rows of before go on counting until that is complete."""
    table = table_of(stage.writes)
    if table.has_generations and store.generation(table.name) is None:
        con = store.database(only=(table.name,))
        versions = [v for (v,) in con.sql(f"select distinct version from {table.view}__rows").fetchall()]
        if len(versions) == 1 and versions[0] != stage.version:
            store.serve(table.name, versions[0])


def may_serve(store: Store, stage: Stage) -> bool:
    """Whether its version takes the place of the one served, which has values: not one of reasons alone.

    Nor one that waits for weights: they were replaced while it was built, and what is left will come.
    """
    table = table_of(stage.writes)
    served = store.generation(table.name) if table.has_generations else None
    if served in (None, stage.version):
        return table.has_generations
    con = store.database(only=(table.name,))

    def count(version: str) -> tuple[int, int, int]:
        # A value has no reason: vectors need not be read to be counted.
        what = f"count(*), count(*) filter (reason is null), count(*) filter (reason = '{Reason.NO_WEIGHTS}')"
        return con.sql(f"select {what} from {live(table, version)}").fetchall()[0]

    rows, values, waiting = count(stage.version)
    return not count(served)[1] or ((not rows or bool(values)) and not waiting)


def _one_pass(
    store: Store, stage: Stage, con: Any, result: StageResult, submit: Submit, window: int, progress: Progress
) -> bool:
    """Compute what is pending, and hide what is gone; whether a quota ended it."""
    counts = count_pending(con, stage)
    todo = counts["new"] + counts["changed"] + counts["retry"]
    if result.done or result.failed:  # a further pass: what the one before did is not skipped
        progress.more(todo)
    else:
        result.skipped = counts["inputs"] - todo
        progress.begin(stage.name, todo)
    _run_chunks(
        _chunks(con, stage),
        lambda rows: submit(stage, _work(store.url, stage, rows), counts["seconds"]),
        result,
        window,
        progress,
    )
    result.removed += _bury(store, stage, con)
    return result.status == "partial"


def _run_chunks(
    chunks: Iterable[pa.Table],
    send: Callable[[pa.Table], Future],
    result: StageResult,
    window: int,
    progress: Progress,
) -> None:
    flying: deque[Future] = deque()

    def land() -> None:
        chunk: ChunkResult = flying.popleft().result()
        result.add(chunk)
        progress.advance(chunk.done + sum(chunk.reasons.values()))
        if Reason.QUOTA in chunk.reasons:
            result.status = "partial"

    for rows in chunks:
        flying.append(send(rows))
        if len(flying) >= window:
            land()
        if result.status == "partial":
            break
    while flying:
        land()


def _work(url: str, stage: Stage, rows: pa.Table) -> Chunk:
    # Only what a worker needs goes to it: `inputs` and `prepare` may be closures.
    lean = replace(stage, inputs="", outside=None, prepare=None, refit=None)
    return Chunk(url, lean, rows)


@dataclass(frozen=True)
class Chunk:
    """One chunk, ready to run in any process: compute, then one append commit."""

    url: str
    stage: Stage
    rows: pa.Table

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


def _chunks(con: Any, stage: Stage) -> Iterator[pa.Table]:
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
        "computed_at": pa.array([_after(asked[key][2], now) for key in keys], pa.timestamp("us", tz="UTC")),
    }
    return pa.table({name: columns[name] for name in table.names})


def _after(had: datetime | None, now: datetime) -> datetime:
    """Now, but after the row it supersedes: the newest row counts, also when the clock was set back in between."""
    return now if had is None or had < now else had + timedelta(microseconds=1)


def retry_time(reason: str | None, attempt: int, now: datetime) -> datetime | None:
    """When a failure is tried again; None when only a change can help."""
    wait = RETRY_AFTER.get(Reason(reason)) if reason else None
    return now + min(wait * 2 ** min(attempt - 1, 10), _LONGEST_WAIT) if wait else None


def per_item(
    rows: pa.Table, key: tuple[str, ...], one: Callable[[dict[str, Any]], dict[str, Any]]
) -> list[dict[str, Any]]:
    """`one(row)` for each row, its key columns added; an item that fails is a row with a reason, not an exception."""
    return [item_row(row, key, one) for row in rows.to_pylist()]


def item_row(
    row: dict[str, Any], key: tuple[str, ...], one: Callable[[dict[str, Any]], dict[str, Any]]
) -> dict[str, Any]:
    """`per_item` for a single row."""
    named = {name: row[name] for name in key}
    try:
        return named | one(row)
    except StoreError:
        raise  # a full or read-only store is no fault of the item
    except Exception as exc:
        return named | {"reason": Reason.INTERNAL_ERROR, "detail": f"{type(exc).__name__}: {exc}"[:200]}


def rows_table(name: str, rows: list[dict[str, Any]]) -> pa.Table:
    """Python rows as an Arrow table with the columns that `compute` must give; what a row leaves out is null."""
    said = ("reason", "detail", "retry_at")
    wanted = [f for f in table_of(name).schema if f.name not in ATTEMPT_COLUMNS or f.name in said]
    return pa.table({f.name: pa.array([row.get(f.name) for row in rows], f.type) for f in wanted})


def earliest(*times: datetime | None) -> datetime | None:
    """The first of the times there are."""
    return min((t for t in times if t is not None), default=None)


def _tuples(table: pa.Table, names: tuple[str, ...]) -> Iterator[tuple[Any, ...]]:
    return zip(*(table.column(name).to_pylist() for name in names), strict=True)


def _with_missing_columns(out: pa.Table, schema: pa.Schema) -> pa.Table:
    for f in schema:
        if f.name not in out.column_names:
            out = out.append_column(f.name, pa.nulls(out.num_rows, f.type))
    return out


def _bury(store: Store, stage: Stage, con: Any) -> int:
    """Append a tombstone for every key whose input is gone; the reader hides it, the next rewrite drops it."""
    gone = con.sql("select * from gone").to_arrow_table()
    n, schema = gone.num_rows, table_of(stage.writes).schema
    said: dict[str, Any] = {
        "input_hash": 0,
        "value_hash": 0,
        "version": stage.version,
        "attempt": 0,
        "reason": Reason.REMOVED,
    }
    now = clock.now()
    times = [_after(had, now) for had in gone.column("had_at").to_pylist()]
    key = table_of(stage.writes).key
    rows = {f.name: gone.column(f.name) if f.name in key else pa.array([said.get(f.name)] * n, f.type) for f in schema}
    rows["computed_at"] = pa.array(times, schema.field("computed_at").type)
    store.append(stage.writes, pa.table(rows))
    return n


def _earliest_retry(con: Any, stage: Stage) -> datetime | None:
    """When the first of the failures is tried again that this build left as they were."""
    key = ", ".join(table_of(stage.writes).key)
    sql = f"select min(retry_at) from had anti join todo using ({key}) anti join gone using ({key}) where own"
    return con.sql(sql).fetchall()[0][0]


def _record(store: Store, stage: Stage, result: StageResult, seen: str, build_id: str) -> None:
    store.log(
        "runs",
        run_id=f"{build_id}/{stage.name}",
        build_id=build_id,
        stage=stage.name,
        version=stage.version,
        fingerprint=seen,
        status=result.status,
        done=result.done,
        skipped=result.skipped,
        failed=result.failed,
        removed=result.removed,
        seconds=result.seconds,
        retry_at=result.retry_at,
    )
