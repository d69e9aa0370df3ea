"""Run one stage: chunks of what is pending, a few in flight, then what is gone, then which generation is served."""

# Annotations stay text: pyarrow is imported at its first use.
from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from storage import clock
from storage.lazy import pa
from storage.reasons import Reason
from storage.schemas import table_of
from storage.store import Store
from storage.views import live
from tasks.chunks import Chunk, Done, Future, Submit, after, chunks
from tasks.pending import count_pending, fingerprint, is_up_to_date, scan
from tasks.stage import ChunkResult, Progress, Silent, Stage, StageResult, earliest


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
        chunks(con, stage),
        lambda rows: submit(stage, Chunk.of(store, stage, rows), counts["seconds"]),
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
    times = [after(had, now) for had in gone.column("had_at").to_pylist()]
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
