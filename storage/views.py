"""Which rows of a table count, in SQL: the newest of each key, values before reasons that will pass, one generation."""

from collections.abc import Collection, Iterable

from storage.reasons import TRANSIENT, Reason
from storage.schemas import Table

Keys = tuple[str, ...]


def view(table: Table, generation: str | None = None) -> str:
    """What readers see of a table; of a feature with a served generation, that one alone."""
    counting = live(table, generation)
    if table.name == "raw":
        # The same record may stand in many parts; which one counts must not depend on the order of loading.
        return (
            f"select * from {counting} qualify row_number() over "
            f"(partition by {columns(table.key)} order by fetched_at desc, value_hash) = 1"
        )
    if table.name == "interactions":
        aliases = "(select entity_id, min(item_id) as item_id from links where state = 'accepted' group by entity_id)"
        item = "coalesce(a.item_id, i.entity_id) as item_id"
        return f"select {item}, i.* from {counting} i left join {aliases} a using (entity_id)"
    return f"select * from {counting}"


def live(table: Table, generation: str | None = None) -> str:
    """The rows that count, with the table's own columns only (a from item)."""
    rows = f"{table.view}__rows"
    if table.kind == "loaded":
        return f"(from {rows} where load_id is null or load_id in (select load_id from inputs__current))"
    if table.kind == "log":
        return f"(from {rows} semi join {_newest(rows, table.key)} using ({columns(table.key)}, computed_at))"
    rows = rows if generation is None else f"(from {rows} where version = {quoted(generation)})"
    return _kept(rows, table.key, "times")


def kept(table: Table, generations: Collection[str] | None = None) -> str:
    """What a rewrite leaves (a from item): the rows that count of every generation, or of these; and the newest.

    The newest says when a key is tried again, also where it is a passing reason and an older value counts.
    """
    if table.kind != "keyed":
        return live(table)
    rows = f"{table.view}__rows"
    if generations is not None:
        rows = f"(from {rows} where version in ({', '.join(map(quoted, generations))}))"
    group = (*table.key, "version") if table.has_generations else table.key
    behind = f"select {columns(group)}, max(computed_at) from hidden group by all"
    return _kept(rows, group, f"(from times union all {behind})")


def newest(table: Table, where: str = "true") -> str:
    """The newest row of each key, whatever it says, tombstones too (a from item): what was tried last."""
    rows = f"(from {table.view}__rows where {where})"
    return f"(from {rows} semi join {_newest(rows, table.key)} using ({columns(table.key)}, computed_at))"


def columns(names: Iterable[str]) -> str:
    """Names of columns, quoted."""
    return ", ".join(f'"{name}"' for name in names)


def quoted(text: str) -> str:
    """A text in SQL."""
    return "'" + text.replace("'", "''") + "'"


def _newest(rows: str, group: Keys) -> str:
    key = columns(group)
    return f"(select {key}, max(computed_at) as computed_at from {rows} group by {key})"


def _kept(rows: str, group: Keys, times: str) -> str:
    """The rows at the newest time of each key, where hidden ones are left out.

    `hidden`: passing reasons right behind a value of the same input. That a source was out of reach or out of quota
    says nothing about the item. A value of another input is none for what is asked now.
    """
    # With none to hide 1 M rows take as long as without this rule; with `times` materialized 1.3 times as long
    # (DuckDB 1.4, 2026-11).
    key, passing = columns(group), ", ".join(quoted(reason) for reason in sorted(TRANSIENT))
    return f"""(
        with passing as (select {key}, input_hash, computed_at from {rows} where reason in ({passing})),
        stood as (
            select {key}, max(computed_at) as stood_at, arg_max(input_hash, computed_at) as input_hash,
                arg_max(coalesce(reason, '{Reason.EMPTY}'), computed_at) as was
            from {rows} semi join passing using ({key})
            where coalesce(reason, '') not in ({passing}) group by {key}),
        hidden as (
            select {key}, p.computed_at from passing p join stood s using ({key}, input_hash)
            where s.stood_at < p.computed_at and s.was = '{Reason.EMPTY}'),
        times as not materialized (
            select {key}, max(computed_at) as computed_at from {rows} anti join hidden using ({key}, computed_at)
            group by {key})
        from {rows} semi join {times} using ({key}, computed_at) where reason is distinct from '{Reason.REMOVED}')"""
