"""Compaction, retention and take-downs: what the driver does to a store under its build lock."""

from collections.abc import Mapping, Sequence
from typing import Any

from expectations.docs import drop_site
from storage import bundles, folders, indexes, media, model_pages, reports
from storage.generations import unneeded_generations
from storage.lock import build_lock
from storage.models import PLACE, models
from storage.releases import Release, kept_versions, releases, retire
from storage.schemas import LOGS, table_of
from storage.store import Store
from tasks.duplicates import RELATIONS
from tasks.entities import DESCRIPTIONS, is_of_source
from tasks.takedowns import Named

_LEADS = ("entities", "links", "matches")


def compact(store: Store) -> list[str]:
    """Rewrite tables with many files or dead rows; their names."""
    return [name for name in store.tables() if store.tidy(name)]


def drop_old_releases(store: Store, keep: int) -> list[str]:
    """Retire all but the newest `keep` releases and the current one; their names."""
    published = [r for r in releases(store) if r.state == "published"]
    old = [r for r in published[:-keep] if not r.current]
    for release in old:
        _let_go(store, release, f"older than the newest {keep}")
    return [r.release_id for r in old]


def drop_generations(store: Store) -> list[str]:
    """Drop what features hold of versions that are neither served nor named by a kept release; `table: version`."""
    dropped: list[str] = []
    for name in store.tables():
        if table_of(name).has_generations:
            gone, stay = unneeded_generations(store, name)
            if gone:
                store.rewrite(name, generations=stay)
            dropped += [f"{name}: {version}" for version in gone]
    return dropped


def vacuum(store: Store, *, retention_hours: int = 24) -> int:
    """Delete what neither now nor a published release needs, of all files beside the tables too; how many files."""
    trained = {model.model_id for model in models(store)}
    of_tables = sum(
        store.vacuum(name, kept_versions(store, name), retention_hours=retention_hours) for name in store.tables()
    )
    return (
        of_tables
        + indexes.sweep(store, kept_versions(store, "indexes"))
        + media.sweep(store, kept_versions(store, "media"))
        + reports.sweep(store, kept_versions(store, "reports"))
        + folders.sweep(store, PLACE, trained)
        + model_pages.sweep(store, trained)
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
        for entity, item in entities.items():
            store.log("takedowns", entity_id=entity, item_id=item, note=note)
        named = Named(store, entities)
        where = _rows_about(store, list(entities))
        for name, rows in named.where().items():
            where[name] = f"{where[name]} or {rows}" if name in where else rows
        retired = [r for r in releases(store) if r.state == "published" and _holds(store, r, where)]
        for release in retired:
            _let_go(store, release, f"take-down: {note}" if note else "take-down")
        store.append("raw", named.left)
        # Last those through which the rows of `raw` are found when a take-down that was killed is asked for again.
        rows = sum(store.delete(name, where[name]) for name in sorted(where, key=lambda name: name in _LEADS))
        bundles.withdraw(store, list(entities))
        model_pages.drop_naming(store, list(entities))
        vacuum(store, retention_hours=0)
        gone = [r.release_id for r in retired]
        return {"items": chosen, "rows": rows, "retired": gone, "models": _models_of(store, gone)}


def _let_go(store: Store, release: Release, note: str) -> None:
    retire(store, release, note)
    drop_site(store, release.release_id)


def _quoted(values: Sequence[str]) -> str:
    return ", ".join("'" + value.replace("'", "''") + "'" for value in values)


def _resolve(store: Store, items: Sequence[str]) -> list[str]:
    sql = (
        "select name, coalesce(any_value(i.item_id), min(l.item_id), min(t.item_id)) "
        "from (select unnest(?) as name) asked left join items i on i.item_id = name "
        "left join links l on l.entity_id = name and l.state = 'accepted' "
        "left join takedowns t on t.entity_id = name group by name"
    )
    con = store.database(only=("items", "links", "takedowns"))
    found = dict(con.execute(sql, [list(items)]).fetchall())
    if unknown := [name for name in items if found[name] is None]:
        raise ValueError(
            f"no item '{unknown[0]}' in {store.url}; find ids with "
            '`mediateca sql CATALOGUE "select item_id, title from items"`'
        )
    return sorted(set(found.values()))


def _entities_of(store: Store, items: Sequence[str]) -> dict[str, str]:
    """Entities that only these items are linked to, each with its item; a former entity may live on as an item_id."""
    linked = (
        "select entity_id, min(item_id) as item_id from links where state = 'accepted' "
        f"group by entity_id having bool_and(item_id in ({_quoted(items)}))"
    )
    before = f"select entity_id, item_id from takedowns where item_id in ({_quoted(items)})"
    con = store.database(only=("links", "takedowns"))
    return dict(con.sql(f"{before} union {linked}").fetchall()) | {item: item for item in items}


def _rows_about(store: Store, entities: Sequence[str]) -> dict[str, str]:
    """Per table, in SQL that DuckDB and Delta both read, the rows about these entities, superseded ones included."""
    where: dict[str, str] = {}
    for name in store.tables():
        named = ("item_id", "entity_id", "item_a", "item_b")  # item_ids are entity_ids
        columns = [c for c in named if c in table_of(name).names]
        if columns and name not in LOGS:
            where[name] = " or ".join(f"{column} in ({_quoted(entities)})" for column in columns)
    if lists := indexes.ids_naming(
        store, entities
    ):  # an index that holds one of them goes whole; the next build makes it anew
        where["indexes"] = f"ids_sha256 in ({_quoted(lists)})"
    if pages := reports.pages_naming(store, entities):
        where["reports"] = f"sha256 in ({_quoted(pages)})"
    if "lookalikes" in store.tables():  # who found them is looked up anew
        found = (f"found like '%{entity}%'" for entity in entities)
        where["lookalikes"] = " or ".join([where["lookalikes"], *found])
    if "decisions" in store.tables():
        both = f"item_id in ({_quoted(entities)}) or source_id in ({_quoted(entities)})"
        where["decisions"] = f"(source in ({_quoted(RELATIONS)}) and ({both}))"
    if "validations" in store.tables():  # examples of offending rows; what is deleted is checked again
        where["validations"] = " or ".join(f"examples like '%{entity}%'" for entity in entities)
    # Of `raw` every load and source of the namespace; where ids count in one source alone, of that source. By digest:
    # the ids of some sources are names, and commit logs keep the predicates of deletions.
    con = store.database(only=("raw", "entities"))
    told = con.sql(
        "select distinct r.source, r.entity, r.request_key, e.entity_id from raw__rows r "
        "join entities__rows e on e.source = r.source and e.source_id = r.request_key "
        f"where e.entity_id in ({_quoted(entities)}) and r.entity in ({_quoted(sorted(DESCRIPTIONS))})"
    ).fetchall()
    con.sql("create temp table keys (source varchar, entity varchar, request_key varchar)")
    for source, entity, key, id_ in told:
        con.execute(
            "insert into keys values (?, ?, ?)", [source if is_of_source(id_, source, key) else None, entity, key]
        )
    sql = (
        "select distinct r.value_hash from raw__rows r join keys k using (entity, request_key) "
        "where coalesce(k.source, r.source) = r.source "
        "union select distinct r.value_hash from raw__rows r join keys k "
        "on r.entity = 'tag' and k.entity in ('movie', 'artist') and split_part(r.request_key, '/', 2) = k.request_key"
    )
    hashes = con.sql(sql).fetchall()
    return where | ({"raw": f"value_hash in ({', '.join(str(h) for (h,) in hashes)})"} if hashes else {})


def _holds(store: Store, release: Release, where: Mapping[str, str]) -> bool:
    con = store.database(release.tables)
    held = {table_of(name).view: rows for name, rows in where.items() if name in release.tables}
    return any(con.sql(f"select 1 from {view}__rows where {rows} limit 1").fetchall() for view, rows in held.items())


def _models_of(store: Store, names: Sequence[str]) -> list[str]:
    con = store.database(only=("models",))
    return [
        m
        for (m,) in con.execute(
            "select model_id from models where release_id in (select unnest(?))", [list(names)]
        ).fetchall()
    ]
