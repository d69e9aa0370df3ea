"""Whether two stores hold the same: every table by its content, every media file by its hash."""

import hashlib
import json
import math
from collections.abc import Collection
from typing import Any

from storage.media import media_name
from storage.releases import kept_versions
from storage.schemas import LOGS, Table, table_of
from storage.store import Store, rows_of
from tasks.maintain import vacuum

# When a row was written, how long it took, and by which load, differs from run to run; all else must not.
_TIMES = {"computed_at", "load_id", "retry_at", "fetched_at", "expires_at", "seconds"}
# Digests of the vectors in an index, whose last bits may differ, and of `seconds`; of versions, which count commits; of
# a page that says when it was drawn.
_DIGESTS = {
    "indexes": {"input_hash", "value_hash", "index_sha256"},
    "validations": {"input_hash", "value_hash"},
    "reports": {"input_hash", "value_hash", "sha256", "size_bytes"},
}
TOLERANCE = 1e-5
Snapshot = dict[str, list[dict[str, Any]]]


def snapshot(store: Store, *, without: Collection[str] = ()) -> Snapshot:
    """Every table's rows in the order of their keys, without times and the columns `without`."""
    con, found = store.database(), {}
    for name in store.tables():
        if name not in LOGS:
            table = table_of(name)
            left_out = {*_TIMES, *_DIGESTS.get(name, ()), *without}
            cells = ", ".join(_cell(table, column) for column in table.names if column not in left_out)
            rows = con.sql(f"select {cells} from {table.view}").order(", ".join(table.key))
            found[name] = rows.to_arrow_table().to_pylist()
    return found


def _cell(table: Table, column: str) -> str:
    """SQL of the column; of a history, which is read up to the time it is asked for, without that time."""
    if (table.name, column) == ("raw", "request_key"):
        return "if(entity = 'plays', regexp_replace(request_key, '/\\d+/', '/'), request_key) as request_key"
    if (table.name, column) == ("raw", "url"):
        return "regexp_replace(url, '\\b(to|from)=\\d+', '') as url"  # also of the tracks that a history tells
    if table.name == "inputs" and column in ("stat", "value_hash"):
        return f"if(entity = 'plays', null, {column}) as {column}"
    return column


def differences(want: Snapshot, got: Snapshot) -> list[str]:
    """What differs, in words; empty when nothing does."""
    found = [f"{name}: table missing" for name in sorted(want.keys() ^ got.keys())]
    for name in sorted(want.keys() & got.keys()):
        key = table_of(name).key
        wanted, had = ({tuple(row[k] for k in key): row for row in rows} for rows in (want[name], got[name]))
        if len(want[name]) != len(wanted) or len(got[name]) != len(had):
            found.append(f"{name}: a key stands in several rows")
        for what, odd in (("missing", wanted.keys() - had.keys()), ("too many", had.keys() - wanted.keys())):
            if odd:
                found.append(f"{name}: {len(odd)} rows {what}, first {min(odd, key=str)}")
        changed = [k for k in wanted.keys() & had.keys() if not _same(wanted[k], had[k])]
        if changed:
            first = min(changed, key=str)
            pairs = ((column, a, had[first][column]) for column, a in wanted[first].items())
            cells = {column: (a, b) for column, a, b in pairs if not _same(a, b)}
            found.append(f"{name}: {len(changed)} rows differ, first {first}: {cells}"[:500])
    return found


def media_faults(store: Store) -> list[str]:
    """Media files that are not what their name says, missing, or left over after house-keeping."""
    vacuum(store)
    states = [{"media": version} for version in kept_versions(store, "media")]  # of releases that may be served again
    rows = [
        row
        for con in (store.database(state, only=("media",)) for state in (None, *states))
        for row in rows_of(con.sql("select sha256, format from media where sha256 is not null"))
    ]
    named = {media_name(row["sha256"], row["format"]): row["sha256"] for row in rows}
    there = store.objects.names("media")
    whole = {n for n in named.keys() & there.keys() if hashlib.sha256(store.objects.read(n)).hexdigest() == named[n]}
    faults = {"missing": named.keys() - there.keys(), "left over": there.keys() - named.keys()}
    faults["half-written"] = named.keys() & there.keys() - whole
    return [f"media: {len(names)} files {what}, first {min(names)}" for what, names in faults.items() if names]


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, dict):
        # Vectors may differ in the last bits with the batch they were computed in, and so may their digest.
        skip = {"value_hash"} if isinstance(a.get("value"), list) else set()
        return a.keys() == b.keys() and all(_same(a[k], b[k]) for k in a.keys() - skip)
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(map(_same, a, b))
    if isinstance(a, str) and isinstance(b, str) and a != b and a.startswith("{") and b.startswith("{"):
        return _same(json.loads(a), json.loads(b))  # what a check observed
    if isinstance(a, float) and isinstance(b, float):
        return math.isclose(a, b, abs_tol=TOLERANCE, rel_tol=TOLERANCE)
    return a == b
