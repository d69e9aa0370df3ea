"""Releases: named, immutable sets of table versions; one commit makes one visible, or current again."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from storage.errors import NoSuchRelease
from storage.schemas import table_of
from storage.store import Store, rows_of

_JSON = ("tables", "counts", "stages", "catalogue", "libraries", "weights")


@dataclass(frozen=True, kw_only=True)
class Release:
    """One row of `releases`, its JSON parsed."""

    release_id: str
    number: int
    state: str
    partial: bool
    tables: dict[str, int]
    counts: dict[str, int]
    stages: dict[str, str]
    code_version: str
    catalogue: dict[str, Any]
    catalogue_hash: str
    libraries: dict[str, str]
    weights: dict[str, str]
    created_at: datetime
    current_since: datetime | None
    note: str | None
    current: bool = False


def releases(store: Store) -> list[Release]:
    """All releases, oldest first; at most one is `current`."""
    if "releases" not in store.tables():
        return []
    con = store.database(only=("releases",))
    rows = rows_of(con.sql("select * exclude (computed_at) from releases order by number"))
    published = [r for r in rows if r["state"] == "published"]
    current = max(published, key=lambda r: r["current_since"], default=None)
    return [_parsed(row, current=row is current) for row in rows]


def current_release(store: Store) -> Release | None:
    """The release being served; None before the first."""
    return next((r for r in releases(store) if r.current), None)


def newest_release(store: Store) -> Release | None:
    """The newest that was not retired; after a rollback it is not the current one. None before the first."""
    return max((r for r in releases(store) if r.state == "published"), key=lambda r: r.number, default=None)


def find_release(store: Store, release_id: str | None = None) -> Release:
    """A release by name, the current one without.

    Raises:
        NoSuchRelease: There is none of that name, or it was retired by a take-down.
    """
    known = releases(store)
    found = next((r for r in known if (r.current if release_id is None else r.release_id == release_id)), None)
    if found is None:
        names = ", ".join(r.release_id for r in known if r.state == "published") or "none yet"
        wanted = f"no release '{release_id}'" if release_id else "no release is current"
        raise NoSuchRelease(f"store {store.url}: {wanted}; published: {names}. `mediateca build` publishes one")
    if found.state != "published":
        raise NoSuchRelease(f"store {store.url}: release {found.release_id} was retired ({found.note}); name another")
    return found


def next_number(store: Store) -> int:
    """The number that the next release gets."""
    return max((r.number for r in releases(store)), default=0) + 1


def publish(
    store: Store, tables: Mapping[str, int], *, partial: bool, note: str | None = None, **facts: Any
) -> Release:
    """Make these table versions the current release; one commit.

    Args:
        store: The store.
        tables: Table name to Delta version.
        partial: A stage ended at a quota, so keys are missing that the next build will try.
        note: What to say of it.
        facts: The other columns of `releases`, not yet JSON.
    """
    number = next_number(store)
    now = store.now("releases")
    row = {"tables": dict(tables), **facts}
    row = {name: json.dumps(value, sort_keys=True) if name in _JSON else value for name, value in row.items()}
    store.log(
        "releases",
        release_id=f"v{number}",
        number=number,
        state="published",
        partial=partial,
        note=note,
        created_at=now,
        current_since=now,
        **row,
    )
    return find_release(store, f"v{number}")


def rollback(store: Store, release_id: str) -> Release:
    """Make an earlier release current again; one commit, nothing is deleted."""
    _again(store, find_release(store, release_id), current_since=store.now("releases"))
    return find_release(store, release_id)


def retire(store: Store, release: Release, note: str) -> None:
    """Withdraw a release for good; its files go with the next vacuum."""
    _again(store, release, state="retired", note=note)


def kept_versions(store: Store, name: str) -> list[int]:
    """The versions of a table that published releases still need."""
    return [r.tables[name] for r in releases(store) if r.state == "published" and name in r.tables]


def diff(store: Store, old: Release, new: Release) -> list[dict[str, Any]]:
    """Per table: rows in each release, and how many keys came, went or changed their value."""
    return [_table_diff(store, name, old, new) for name in sorted({*old.tables, *new.tables})]


def _table_diff(store: Store, name: str, old: Release, new: Release) -> dict[str, Any]:
    row: dict[str, Any] = {"table": name, "rows_before": old.counts.get(name, 0), "rows_after": new.counts.get(name, 0)}
    same = old.tables.get(name) == new.tables.get(name)
    if same or table_of(name).kind != "keyed" or name not in old.tables or name not in new.tables:
        return row | {"added": 0 if same else None, "removed": 0 if same else None, "changed": 0 if same else None}
    con = store.database({**old.tables})
    view, key = table_of(name).view, ", ".join(table_of(name).key)
    before = con.sql(f"select {key}, value_hash from {view}").to_arrow_table()
    con = store.database({**new.tables})
    con.register("before", before)
    added, removed, changed = con.sql(
        f"select count(*) filter (where b.value_hash is null), count(*) filter (where a.value_hash is null), "
        f"count(*) filter (where a.value_hash <> b.value_hash) from {view} a full join before b using ({key})"
    ).fetchall()[0]
    return row | {"added": added, "removed": removed, "changed": changed}


def _again(store: Store, release: Release, **changes: Any) -> None:
    row = {name: getattr(release, name) for name in Release.__dataclass_fields__ if name != "current"} | changes
    store.log("releases", **{n: json.dumps(v, sort_keys=True) if n in _JSON else v for n, v in row.items()})


def _parsed(row: dict[str, Any], *, current: bool) -> Release:
    return Release(**{n: json.loads(v) if n in _JSON else v for n, v in row.items()}, current=current)
