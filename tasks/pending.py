"""What a stage has to do: whether anything it reads has changed, then which keys are new, changed, to retry or gone."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from storage.reasons import Reason
from storage.schemas import Table, table_of
from storage.store import Store, rows_of
from storage.views import newest
from tasks.stage import Stage


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
