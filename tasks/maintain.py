"""Compaction, retention and take-downs: what the driver does to a store under its build lock."""

from collections.abc import Sequence
from typing import Any

from storage.lock import build_lock
from storage.releases import Release, kept_versions, releases, retire
from storage.schemas import LOGS, table_of
from storage.store import Store


def compact(store: Store) -> list[str]:
    """Rewrite tables with many files or dead rows; their names."""
    return [name for name in store.tables() if store.tidy(name)]


def drop_old_releases(store: Store, keep: int) -> list[str]:
    """Retire all but the newest `keep` releases and the current one; their names."""
    published = [r for r in releases(store) if r.state == "published"]
    old = [r for r in published[:-keep] if not r.current]
    for release in old:
        retire(store, release, f"older than the newest {keep}")
    return [r.release_id for r in old]


def vacuum(store: Store, *, retention_hours: int = 24) -> int:
    """Delete the files that neither now nor a published release needs; how many."""
    return sum(
        store.vacuum(name, kept_versions(store, name), retention_hours=retention_hours) for name in store.tables()
    )


def take_down(store: Store, items: Sequence[str], *, note: str = "") -> dict[str, Any]:
    """Remove items for good: their rows, the releases that hold them, the files behind both; and keep them out.

    Args:
        store: The store; its build lock is taken.
        items: item_ids; one that was merged away stands for the item it became.
        note: Why; kept with the take-down.

    Returns:
        The items, rows removed, releases retired, and models that were trained on those releases.

    Raises:
        ValueError: An item is unknown.
    """
    with build_lock(store.url):
        chosen = _resolve(store, items)
        entities = _entities_of(store, chosen)
        for entity, item in entities:
            store.log("takedowns", entity_id=entity, item_id=item, note=note)
        # `raw` first: its keys are found through `entities`.
        names = sorted(store.tables(), key=lambda name: name != "raw")
        rows = sum(_delete(store, name, chosen, [entity for entity, _ in entities]) for name in names)
        retired = [r for r in releases(store) if r.state == "published" and _holds(store, r, chosen)]
        for release in retired:
            retire(store, release, f"take-down: {note}" if note else "take-down")
        vacuum(store, retention_hours=0)
        gone = [r.release_id for r in retired]
        return {"items": chosen, "rows": rows, "retired": gone, "models": _models_of(store, gone)}


def _quoted(values: Sequence[str]) -> str:
    return ", ".join("'" + value.replace("'", "''") + "'" for value in values)


def _resolve(store: Store, items: Sequence[str]) -> list[str]:
    sql = (
        "select name, coalesce(any_value(i.item_id), min(l.item_id)) from (select unnest(?) as name) asked "
        "left join items i on i.item_id = name "
        "left join links l on l.entity_id = name and l.state = 'accepted' group by name"
    )
    found = dict(store.database().execute(sql, [list(items)]).fetchall())
    if unknown := [name for name in items if found[name] is None]:
        raise ValueError(
            f"no item '{unknown[0]}' in {store.url}; find ids with "
            '`mediateca sql CATALOGUE "select item_id, title from items"`'
        )
    return sorted(set(found.values()))


def _entities_of(store: Store, items: Sequence[str]) -> list[tuple[str, str]]:
    """Entities that only these items are linked to, each with its item."""
    sql = "select entity_id, min(item_id) from links where state = 'accepted' group by entity_id"
    return store.database().sql(f"{sql} having bool_and(item_id in ({_quoted(items)}))").fetchall()


def _delete(store: Store, name: str, items: Sequence[str], entities: Sequence[str]) -> int:
    columns = table_of(name).names
    if name in LOGS:
        return 0
    if "item_id" in columns:
        return store.delete(name, f"item_id in ({_quoted(items)})")
    if name == "raw":
        keys = store.database().sql(f"select source, source_id from entities where entity_id in ({_quoted(entities)})")
        pairs = keys.fetchall()
        return sum(store.delete("raw", f"source = {_quoted([s])} and request_key = {_quoted([i])}") for s, i in pairs)
    return store.delete(name, f"entity_id in ({_quoted(entities)})") if entities and "entity_id" in columns else 0


def _holds(store: Store, release: Release, items: Sequence[str]) -> bool:
    con = store.database(release.tables)
    return con.sql(f"select count(*) from items__rows where item_id in ({_quoted(items)})").fetchall()[0][0] > 0


def _models_of(store: Store, names: Sequence[str]) -> list[str]:
    con = store.database(only=("models",))
    return [
        m
        for (m,) in con.execute(
            "select model_id from models where release_id in (select unnest(?))", [list(names)]
        ).fetchall()
    ]
