"""What the report counts: aggregates in SQL over the store's views, a few hundred rows of answer each.

Nothing here reads a table whole into Python; the interactions are grouped once, by DuckDB, within its memory limit.
"""

# Annotations stay text: duckdb has no types of its own.
from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from storage.schemas import table_of
from storage.store import rows_of

_KINDS = ("film", "track", "artist", "picture")
_BARS = 30  # of a histogram, about


class Covered(NamedTuple):
    """For how many items something is there."""

    name: str
    items: int  # that could have it
    values: int
    reasons: dict[str, int]  # the most frequent first
    by_kind: dict[str, tuple[int, int]]  # kind to values, items

    @property
    def untried(self) -> int:
        """Items without a row: nobody has such a thing for them."""
        return self.items - self.values - sum(self.reasons.values())


class Histogram(NamedTuple):
    """Counts in equal steps, and how many lie outside of where nearly all are."""

    start: float
    step: float
    counts: dict[str, list[int]]  # by kind
    outside: int


# --- counts


def item_counts(con: Any) -> dict[str, int]:
    """Items by kind, the most frequent first."""
    sql = "select coalesce(kind, 'other'), count(*) from items where reason is null group by 1 order by 2 desc, 1"
    return dict(con.sql(sql).fetchall())


def glance(con: Any, *, interactions: int) -> dict[str, int]:
    """What is counted at the head of the page, in its order; `interactions` were counted before."""
    found = {f"{kind}s" if kind in _KINDS else kind: n for kind, n in item_counts(con).items()}
    one = con.sql(
        "select (select count(*) from users where reason is null), "
        "(select count(*) from texts where reason is null and kind <> 'document'), "
        "(select count(*) from media where reason is null and kind = 'audio_window'), "
        "(select count(*) from media where reason is null and kind = 'image')"
    ).fetchall()[0]
    names = ("users", "overviews and lyrics", "audio windows", "images")
    return found | {"interactions": interactions} | dict(zip(names, one, strict=True))


# --- coverage


def coverage(con: Any, features: Iterable[str]) -> dict[str, list[Covered]]:
    """By group: facts about items, texts, media, features, interactions; what no item has is left out."""
    items = item_counts(con)
    if not items:
        return {}
    groups = {
        "Facts": _facts(con, items),
        "Texts": _by_kind_of_row(con, "texts", items),
        "Media": _by_kind_of_row(con, "media", items),
        "Features": [c for name in features for c in _of_rows(con, name, items)],
        "Interactions": _of_interactions(con, items),
    }
    return {name: found for name, found in groups.items() if found}


def _facts(con: Any, items: Mapping[str, int]) -> list[Covered]:
    there = {
        "creators": "len(creators) > 0",
        "year": "year is not null",
        "genres": "len(genres) > 0",
        "duration": "duration_ms is not null",
        "album": "album is not null",
        "language": "language is not null",
        "other numbers": "cardinality(attributes) > 0",
    }
    counts = ", ".join(f"count(*) filter (where {sql})" for sql in there.values())
    sql = f"select coalesce(kind, 'other'), {counts} from items where reason is null group by 1"
    rows = {kind: counted for kind, *counted in con.sql(sql).fetchall()}
    found = [
        _covered(name, items, {(kind, None): counted[i] for kind, counted in rows.items()})
        for i, name in enumerate(there)
    ]
    return [c for c in found if c.values]


def _by_kind_of_row(con: Any, view: str, items: Mapping[str, int]) -> list[Covered]:
    sql = (
        f"select t.kind, coalesce(i.kind, 'other'), t.reason, count(*) from {view} t join items i using (item_id) "
        "where i.reason is null group by all order by all"
    )
    cells: dict[str, dict[tuple[str, str | None], int]] = {}
    for name, kind, reason, n in con.sql(sql).fetchall():
        cells.setdefault(name, {})[kind, reason] = n
    return [_covered(name, items, found) for name, found in cells.items()]


def _of_rows(con: Any, table: str, items: Mapping[str, int]) -> list[Covered]:
    sql = (
        f"select coalesce(i.kind, 'other'), t.reason, count(*) from {table_of(table).view} t "
        "join items i using (item_id) where i.reason is null group by all order by all"
    )
    cells = {(kind, reason): n for kind, reason, n in con.sql(sql).fetchall()}
    return [_covered(table.removeprefix("features/"), items, cells)] if cells else []


def _of_interactions(con: Any, items: Mapping[str, int]) -> list[Covered]:
    if not con.sql("select 1 from plays_of_items limit 1").fetchall():
        return []
    sql = (
        "select coalesce(i.kind, 'other'), count(*) from (select distinct item_id from plays_of_items) p "
        "join items i using (item_id) where i.reason is null group by 1"
    )
    cells: dict[tuple[str, str | None], int] = {(kind, None): n for kind, n in con.sql(sql).fetchall()}
    return [_covered("rated or played", items, cells)]


def _covered(name: str, items: Mapping[str, int], cells: Mapping[tuple[str, str | None], int]) -> Covered:
    reasons: dict[str, int] = {}
    values = dict.fromkeys(items, 0)
    for (kind, reason), n in cells.items():
        if reason in (None, "empty"):  # empty is a value
            values[kind] += n
        else:
            reasons[reason] = reasons.get(reason, 0) + n
    ordered = dict(sorted(reasons.items(), key=lambda pair: (-pair[1], pair[0])))
    by_kind = {kind: (values[kind], n) for kind, n in items.items()}
    return Covered(name, sum(items.values()), sum(values.values()), ordered, by_kind)


def reasons(con: Any, views: Mapping[str, str]) -> list[dict[str, Any]]:
    """Every reason of these tables (name to view): table, reason, count, and a detail as an example."""
    selects = [
        f"select '{name}' as 'table', reason, count(*) as n, min(detail) as example from {view} "
        "where reason is not null group by reason"
        for name, view in views.items()
    ]
    return rows_of(con.sql(" union all ".join(selects) + " order by n desc, 1, 2"))


# --- distributions


def histogram(con: Any, value: str, *, where: str = "true", least: float = 0) -> Histogram | None:
    """Of a number of the items in about 30 steps of at least `least`, over the range in which nearly all are.

    The range is that of the 0.5 to the 99.5 percentile, but at most six times the middle half to either side of it: of
    few items one odd value is more than half a percent.

    Args:
        con: The database.
        value: SQL of the number.
        where: SQL of the items that count.
        least: The smallest step.
    """
    there = f"from items where reason is null and ({where}) and ({value}) is not null"
    kind = "coalesce(kind, 'other')"
    sql = f"select quantile_disc({value}, [0.005, 0.25, 0.75, 0.995]) {there} having count(*) > 0"
    found = con.sql(sql).fetchall()
    if not found:
        return None
    low, q1, q3, high = (float(at) for at in found[0][0])
    if q3 > q1:
        low, high = max(low, q1 - 6 * (q3 - q1)), min(high, q3 + 6 * (q3 - q1))
    from tasks.report_axes import nice_step

    step = max(nice_step(high - low, _BARS), least) if high > low else max(least, 1)
    first = low // step
    bars = int(high // step - first) + 1
    sql = f"select {kind}, (floor(({value}) / {step}) - {first})::bigint as bar, count(*) as n {there} group by all"
    rows = con.sql(f"select * from ({sql}) order by 1, 2").fetchall()
    counts: dict[str, list[int]] = {}
    for name, bar, counted in rows:
        if 0 <= bar < bars:
            counts.setdefault(name, [0] * bars)[bar] = counted
    outside = sum(counted for _, bar, counted in rows if not 0 <= bar < bars)
    return Histogram(first * step, step, counts, outside)


def top_genres(con: Any, most: int = 20) -> list[tuple[str, int]]:
    """The most frequent genres, each with its items."""
    sql = (
        "select g, count(*) from items, unnest(genres) u(g) where reason is null group by g "
        f"order by count(*) desc, g limit {most}"
    )
    return con.sql(sql).fetchall()


def top_languages(con: Any, most: int = 12) -> list[tuple[str, int]]:
    """The most frequent languages of items."""
    sql = (
        "select language, count(*) from items where reason is null and language is not null group by 1 "
        f"order by 2 desc, 1 limit {most}"
    )
    return con.sql(sql).fetchall()


def sources_per_item(con: Any) -> list[tuple[int, int]]:
    """How many items are known to 1, 2, 3 ... sources."""
    one = "select item_id, count(distinct source) as n from links where state = 'accepted' group by item_id"
    return con.sql(f"select n, count(*) from ({one}) group by n order by n").fetchall()


def link_methods(con: Any) -> list[tuple[str, int]]:
    """How entities of sources were linked to items."""
    sql = "select coalesce(method, 'other'), count(*) from links where state = 'accepted' group by 1 order by 2 desc, 1"
    return con.sql(sql).fetchall()


def links_by_source(con: Any) -> list[dict[str, Any]]:
    """Per source: links accepted, to review, rejected; and items it was asked for in vain."""
    sql = (
        "select source, count(*) filter (where state = 'accepted') as accepted, "
        "count(*) filter (where state = 'review') as review, count(*) filter (where state = 'rejected') as rejected, "
        "count(*) filter (where reason is not null) as without from links group by source order by source"
    )
    return rows_of(con.sql(sql))


# --- interactions


def group_interactions(con: Any) -> None:
    """Read the interactions once per key, into small tables that the rest of the page asks."""
    con.sql("create temp table plays_of_items as select kind, item_id, count(*) as n from interactions group by all")
    con.sql("create temp table plays_of_users as select user_id, count(*) as n from interactions group by all")


def count_interactions(con: Any) -> int:
    """All of them."""
    return int(con.sql("select coalesce(sum(n), 0) from plays_of_users").fetchall()[0][0])


def popularity(con: Any) -> dict[str, list[tuple[int, int]]]:
    """By kind of interaction: rank of an item and its count, at ranks evenly spaced on a logarithmic axis."""
    most = con.sql("select max(c) from (select count(*) as c from plays_of_items group by kind)").fetchall()[0][0] or 0
    ranks = sorted({round(most ** (i / 60)) for i in range(61)}) if most else []
    sql = (
        "select kind, rank, n from (select kind, n, row_number() over (partition by kind order by n desc) as rank, "
        "count(*) over (partition by kind) as last from plays_of_items) "
        "where rank = last or list_contains(?, rank) order by kind, rank"
    )
    found: dict[str, list[tuple[int, int]]] = {}
    for kind, rank, n in con.execute(sql, [ranks]).fetchall() if ranks else []:
        found.setdefault(kind, []).append((rank, n))
    return found


def share_of_top(con: Any) -> dict[str, float]:
    """By kind of interaction: what share of it goes to the most popular tenth of its items, 0 to 1."""
    sql = (
        "select kind, sum(n) filter (where rank <= greatest(last / 10, 1)) / sum(n) from (select kind, n, "
        "row_number() over (partition by kind order by n desc) as rank, count(*) over (partition by kind) as last "
        "from plays_of_items) group by kind order by kind"
    )
    return dict(con.sql(sql).fetchall())


def months(con: Any) -> dict[str, dict[int, int]]:
    """By kind of interaction: how many in each month, counted from the year 0 (12 y + m - 1)."""
    month = "(12 * year(time) + month(time) - 1)::int"
    sql = f"select kind, {month}, count(*) from interactions where time is not null group by all order by all"
    found: dict[str, dict[int, int]] = {}
    for kind, at, n in con.sql(sql).fetchall():
        found.setdefault(kind, {})[at] = n
    return found


def users_by_activity(con: Any) -> list[tuple[int, int]]:
    """How many users have 1, 2 to 3, 4 to 7 ... interactions: the power of two, users."""
    sql = "select floor(log2(n))::int as power, count(*) from plays_of_users group by 1 order by 1"
    return con.sql(sql).fetchall()


def ratings(con: Any) -> list[tuple[float, int]]:
    """How often each value was given, where there are at most 20."""
    sql = "select value, count(*) from interactions where kind = 'rating' and value is not null group by 1 order by 1"
    found = con.sql(f"from ({sql}) limit 21").fetchall()
    return found if len(found) <= 20 else []
