"""Which entity of which source an item is: exact ids, then a normalised creator and title; one row per claim.

Sources are asked in the catalogue's order. Of a source that defines items, every entity becomes an item or joins one;
of the others, each item takes the entity that carries one of its ids. Two entities of one source never become one item
through a shared outside id: MovieLens 6003 and 144606 both name TMDb film 4912 and stay two films.
"""

# Annotations stay text: pyarrow is imported at its first use.
from __future__ import annotations

from functools import partial
from typing import Any

from storage.hashing import digest_of
from storage.lazy import pa
from storage.reasons import Reason
from storage.store import Store
from tasks.entities import namespace_of
from tasks.settings import Catalogue
from tasks.stage import Stage

VERSION = "2"
BY_NAME = 0.95  # a guess; exact ids are 1.0, and a fitted probability comes with the matcher
# Ids that are themselves names: several spellings of one track may join one item.
_NAMED_BY_TITLE = ("lastfm",)


def links_stage(catalogue: Catalogue) -> Stage:
    """`entities` to `links`; ids survive re-runs, merges are aliases and can be undone with `separate:`."""
    sources = [
        (rank, name, namespace_of(name, s.connector), s.items)
        for rank, (name, s) in enumerate(catalogue.sources.items())
        if not s.is_searched
    ]
    searched = ", ".join(f"'{name}'" for name, s in catalogue.sources.items() if s.is_searched)
    return Stage(
        name="links",
        version=f"{VERSION}-{digest_of([sources, catalogue.separate])}",
        reads=("entities", "takedowns"),
        writes="links",
        scope=f"source not in ({searched})" if searched else "true",
        inputs=partial(assign, sources, catalogue.separate),
        compute=_as_assigned,
        chunk_keys=100_000,
        seconds_per_key=0.00002,
    )


def _as_assigned(rows: pa.Table, store: Store) -> pa.Table:
    """The claims as `assign` found them."""
    reasons = [Reason.NOT_FOUND if state is None else None for state in rows.column("state").to_pylist()]
    n = rows.num_rows
    return (
        rows.append_column("reason", pa.array(reasons, pa.string()))
        .append_column("detail", pa.nulls(n, pa.string()))
        .append_column("retry_at", pa.nulls(n, pa.timestamp("us", tz="UTC")))
    )


def assign(sources: list[tuple[int, str, str, bool]], separate: tuple[str, ...], store: Store) -> pa.Table:
    """Every claim there is to make, from the key columns of `entities`."""
    con = store.database(only=("entities", "takedowns", "links"))
    _prepare(con, sources, separate)
    for rank, name, namespace, defines_items in sources:
        if defines_items:
            _join_or_become(con, rank, name, namespace)
    _keep_old_ids(con)
    for _, name, namespace, defines_items in sources:
        if not defines_items:
            _attach(con, name, namespace)
    return (
        con.sql(
            "select *, md5_number_lower(concat_ws('|', entity_id, method, evidence, state))::hugeint "
            "% 9223372036854775807 as hash from claims"
        )
        .project(
            "item_id, source, source_id, entity_id, probability, method, evidence, state, hash::bigint as input_hash"
        )
        .to_arrow_table()
    )


def _prepare(con: Any, sources: list[tuple[int, str, str, bool]], separate: tuple[str, ...]) -> None:
    con.sql("create temp table ranks (rank integer, source varchar, namespace varchar)")
    con.executemany("insert into ranks values (?, ?, ?)", [[rank, name, space] for rank, name, space, _ in sources])
    con.sql("create temp table separate (name varchar)")
    for name in separate:
        con.execute("insert into separate values (?)", [name])
    con.sql("""
        create temp table e as
        select rank, source, namespace, source_id, entity_id, ids, match_key,
               bool_or(source || ':' || source_id in (select name from separate)) over (partition by entity_id) as alone
        from entities join ranks using (source)
        where reason is null and entity_id not in (select entity_id from takedowns)""")
    # member: which entities make which item; an item is named by its first entity until `_keep_old_ids`.
    con.sql("""
        create temp table member
        (item varchar, source varchar, source_id varchar, entity_id varchar, namespace varchar, rank integer,
         method varchar, evidence varchar)""")
    con.sql("create temp table item_id_of (item varchar, id varchar)")
    con.sql("create temp table item_key_of (item varchar, match_key varchar)")
    con.sql("""
        create temp table claims
        (item_id varchar, source varchar, source_id varchar, entity_id varchar, probability double, method varchar,
         evidence varchar, state varchar)""")


def _join_or_become(con: Any, rank: int, source: str, namespace: str) -> None:
    """Entities of an item-defining source: the same own id, then a shared id, then the same name, else a new item."""
    named = "true" if namespace in _NAMED_BY_TITLE else "false"
    # An item that has an entity of this namespace already is another thing by that source's own word.
    free = (
        f"({named} or not exists (from member m where m.item = t.item and m.namespace = '{namespace}')) "
        "and t.item not in (select entity_id from e where alone)"
    )
    # Two folders may each have an `01.mp3`: by its place a picture finds a recording, never a recording another one.
    kindred = namespace.split(".")[0] + "."
    placed = (
        "(not starts_with(t.id, 'file:') or "
        f"not exists (from member m where m.item = t.item and starts_with(m.namespace, '{kindred}')))"
    )
    con.execute("create or replace temp table here as select * from e where source = ?", [source])
    con.sql(f"""
        create or replace temp table found as
        with own as (
            select entity_id, min(m.item) as item, '{namespace}' as method, any_value(h.source_id) as evidence,
                   1 as step
            from here h join member m using (entity_id) group by entity_id),
        by_id as (
            select h.entity_id, arg_min(t.item, (t.id, t.item)) as item, split_part(min(t.id), ':', 1) as method,
                   min(t.id) as evidence, 2 as step
            from here h, unnest(h.ids) u(id) join item_id_of t on t.id = u.id
            where not h.alone and {free} and {placed} group by h.entity_id),
        by_name as (
            select h.entity_id, min(t.item) as item, 'title_creator' as method, h.match_key as evidence, 3 as step
            from here h join item_key_of t using (match_key)
            where not h.alone and {free} group by h.entity_id, h.match_key),
        best as (
            from (from own union all by name from by_id union all by name from by_name)
            qualify row_number() over (partition by entity_id order by step) = 1)
        -- Nor may two entities of this source join one item at the same time.
        from best qualify {named} or step = 1
            or row_number() over (partition by item order by step, evidence, entity_id) = 1""")
    new = "h.entity_id"
    if namespace in _NAMED_BY_TITLE:  # spellings of one name among themselves
        first = "min(h.entity_id) filter (where f.item is null) over (partition by h.match_key, h.alone)"
        new = f"case when h.alone or h.match_key is null then h.entity_id else {first} end"
    con.sql(f"""
        insert into member
        select coalesce(f.item, {new}), h.source, h.source_id, h.entity_id, h.namespace, {rank},
               coalesce(f.method, case when h.entity_id = {new} then 'own' else 'title_creator' end),
               coalesce(f.evidence, case when h.entity_id = {new} then h.source_id else h.match_key end)
        from here h left join found f using (entity_id)""")
    con.sql("""
        insert into item_id_of select distinct m.item, u.id
        from here h join member m using (source, source_id), unnest(h.ids) u(id)""")
    con.sql("""
        insert into item_key_of select min(m.item), h.match_key
        from here h join member m using (source, source_id)
        where h.match_key is not null and not h.alone and h.match_key not in (select match_key from item_key_of)
        group by h.match_key""")


def _keep_old_ids(con: Any) -> None:
    """Name each item by the id it had before, if it had one: the first of its members' own that is in use.

    Where none is, because the entity that gave the id is gone, its first member of then inherits it.
    """
    con.sql("create temp table old as select item_id, entity_id from links where state = 'accepted'")
    con.sql("""
        create temp table kept as
        with own as (
            select item, arg_min(entity_id, (rank, source_id)) as item_id
            from member where entity_id in (select item_id from old) group by item),
        heir as (
            select o.item_id, arg_min(m.item, (m.rank, m.source_id)) as item
            from old o join member m using (entity_id)
            where o.item_id not in (select entity_id from e) group by o.item_id),
        inherited as (select item, min(item_id) as item_id from heir group by item)
        select item, coalesce(own.item_id, inherited.item_id, item) as item_id
        from (select distinct item from member) left join own using (item) left join inherited using (item)""")
    con.sql(f"""
        insert into claims
        select k.item_id, m.source, m.source_id, m.entity_id, if(m.method = 'title_creator', {BY_NAME}, 1.0),
               m.method, m.evidence, 'accepted'
        from member m join kept k using (item)""")


def _attach(con: Any, source: str, namespace: str) -> None:
    """Entities of a source that only adds: each item takes one that carries an id of its own, or the same name.

    An item that names an id of the source's own kind takes that entity or none: of MovieLens' films 16 name one TMDb
    film, and share an IMDb id with another.
    """
    named = namespace in _NAMED_BY_TITLE
    free = (
        "true"
        if named
        else (
            f"not exists (from member m where m.item = t.item and m.namespace = '{namespace}' "
            "and m.entity_id <> h.entity_id)"
        )
    )
    theirs = f"from item_id_of o where o.item = t.item and starts_with(o.id, '{namespace}:')"
    free += f" and (not exists ({theirs}) or exists ({theirs} and list_contains(h.ids, o.id)))"
    free += " and t.item not in (select item from member join e using (source, source_id) where e.alone)"
    one_per = "item_id, source_id" if named else "item_id"  # all spellings of a name
    con.execute("create or replace temp table here as select * from e where source = ? and not alone", [source])
    con.execute(
        f"""
        insert into claims
        with by_id as (
            select k.item_id, h.source_id, h.entity_id, u.id as evidence, 1 as step
            from here h, unnest(h.ids) u(id) join item_id_of t on t.id = u.id join kept k using (item) where {free}),
        by_name as (
            select k.item_id, h.source_id, h.entity_id, h.match_key as evidence, 2 as step
            from here h join item_key_of t using (match_key) join kept k using (item) where {free}),
        best as (
            from (from by_id union all from by_name)
            qualify row_number() over (partition by {one_per} order by step, evidence, source_id) = 1)
        select k.item_id, $source, coalesce(b.source_id, ''), b.entity_id,
               case b.step when 1 then 1.0 when 2 then {BY_NAME} end,
               case b.step when 1 then split_part(b.evidence, ':', 1) when 2 then 'title_creator' end,
               b.evidence, if(b.item_id is null, null, 'accepted')
        from (select distinct item_id from kept) k left join best b using (item_id)""",
        {"source": source},
    )
