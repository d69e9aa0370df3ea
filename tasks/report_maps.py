"""Maps of embeddings in two dimensions, and the nearest neighbours of some known items."""

# Annotations stay text: numpy is imported at its first use.
from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from storage.errors import StoreError
from storage.lazy import np
from storage.schemas import table_of
from storage.store import Store, rows_of
from tasks.neighbors import ask_index
from tasks.report_html import SERIES

if TYPE_CHECKING:
    from numpy.typing import NDArray

SAMPLE = 3_000  # items of a map
_ALL_POINTS = 12_000  # of all maps together: they are most of the page's size
_KNOWN, _NEAR, _POPULAR = 3, 5, 100
OTHER = "other"


class Map(NamedTuple):
    """Items of a feature in the plane of its two largest principal components."""

    feature: str
    item_ids: list[str]
    xy: NDArray[np.float64]  # (n, 2) in [0, 1]
    explained: tuple[float, float]  # shares of the variance
    dimension: int
    of: int  # items with a value


class Near(NamedTuple):
    """What is nearest to an item, by feature; or why there is nothing."""

    item: dict[str, Any]  # item_id, title, year, kind
    by_feature: dict[str, list[dict[str, Any]] | str]  # title, year, score


# --- maps


def make_maps(con: Any, features: Sequence[str]) -> list[Map]:
    """A map of each of these vector features that has one."""
    most = min(SAMPLE, _ALL_POINTS // max(len(features), 1))
    maps = [_map(con, name, most) for name in features]
    return [m for m in maps if m is not None]


def _map(con: Any, feature: str, most: int) -> Map | None:
    view = table_of(f"features/{feature}").view
    # item_ids are digests: the first ones in their order are a sample, the same at every build.
    con.sql(
        f"create or replace temp table sampled as select item_id from {view} where reason is null "
        f"order by item_id limit {most}"
    )
    rows = con.sql(
        f"select item_id, value from {view} semi join sampled using (item_id) where reason is null order by item_id"
    )
    ids, array = _vectors(rows.fetchall())
    if len(ids) < 3:
        return None
    xy, explained = project(array)
    if explained[0] == 0:
        return None
    of = con.sql(f"select count(*) from {view} where reason is null").fetchall()[0][0]
    return Map(feature, ids, xy, explained, array.shape[1], of)


def _vectors(rows: Sequence[tuple[str, list[float]]]) -> tuple[list[str], NDArray[np.float64]]:
    """Ids and vectors (n, d), without those that are not finite or not as long as most: the checks name them."""
    lengths = Counter(len(value) for _, value in rows)
    if not lengths:
        return [], np.empty((0, 0))
    width = lengths.most_common(1)[0][0]
    kept = [(item, value) for item, value in rows if len(value) == width]
    array = np.array([value for _, value in kept], np.float64)
    fine = np.flatnonzero(np.isfinite(array).all(axis=1))
    return [kept[i][0] for i in fine.tolist()], array[fine]


def project(array: NDArray[np.float64]) -> tuple[NDArray[np.float64], tuple[float, float]]:
    """The rows of (n, d) on their first two principal components, scaled to [0, 1], and those components' shares.

    The same rows give the same map: of each component the largest loading is positive. Points beyond the 0.5 and 99.5
    percentiles stand at the edge, so that one odd item does not press all others together.
    """
    centred = array - array.mean(axis=0)
    values, vectors = np.linalg.eigh(centred.T @ centred)
    axes = vectors[:, ::-1][:, :2]
    if axes.shape[1] < 2:
        axes = np.hstack([axes, np.zeros_like(axes)])
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), range(2)] + 1e-300)
    xy = centred @ axes
    low, high = np.quantile(xy, [0.005, 0.995], axis=0)
    scaled = (xy - low) / np.where(high > low, high - low, 1)
    total = float(values.sum())
    shares = [float(v) / total if total > 1e-12 else 0.0 for v in (*values[::-1][:2], 0.0)]
    return np.clip(scaled, 0, 1), (shares[0], shares[1])


def describe(con: Any, item_ids: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Title, year, kind and genres of items."""
    con.execute("create or replace temp table asked as select unnest(?::varchar[]) as item_id", [sorted({*item_ids})])
    sql = "select item_id, title, year, kind, genres from items semi join asked using (item_id) where reason is null"
    return {row["item_id"]: row for row in rows_of(con.sql(sql))}


def colour_groups(items: dict[str, dict[str, Any]]) -> tuple[list[str], dict[str, str]]:
    """The groups that the maps are coloured by, and each item's: its rarest genre of the most frequent ones.

    The rarest, because genres are many per item and the frequent ones say little. Without genres it is the kind.
    """
    counts = Counter(genre for row in items.values() for genre in row["genres"] or ())
    if not counts:
        counts = Counter(row["kind"] or OTHER for row in items.values())
        shown = [name for name, _ in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:SERIES]]
        return shown, {i: row["kind"] if row["kind"] in shown else OTHER for i, row in items.items()}
    shown = [name for name, _ in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:SERIES]]
    place = {name: rank for rank, name in enumerate(shown)}
    groups: dict[str, str] = {}
    for item, row in items.items():
        ranks = [place[genre] for genre in row["genres"] or () if genre in place]
        groups[item] = shown[max(ranks)] if ranks else OTHER
    return shown, groups


# --- neighbours


def neighbours(store: Store, con: Any, indexes: Sequence[dict[str, Any]]) -> list[Near]:
    """The nearest of three known items by each of these rows of `indexes`."""
    usable = [row for row in indexes if row["index_sha256"]]
    names = [row["feature"] for row in usable]
    return [_near(store, con, item, usable) for item in _known_items(con, names)] if names else []


def _near(store: Store, con: Any, item: dict[str, Any], indexes: Sequence[dict[str, Any]]) -> Near:
    by_feature: dict[str, list[dict[str, Any]] | str] = {}
    for row in indexes:
        try:
            found = ask_index(store, con, row, item["item_id"], _NEAR)
        except StoreError as exc:
            by_feature[row["feature"]] = str(exc)
            continue
        if found is None:
            by_feature[row["feature"]] = "it has no vector"
            continue
        known = describe(con, found.scores)
        by_feature[row["feature"]] = [
            {"item_id": i, "title": known[i]["title"] if i in known else i, "score": score}
            | {"year": known[i]["year"] if i in known else None}
            for i, score in found.scores.items()
        ]
    return Near(item, by_feature)


def _known_items(con: Any, features: Sequence[str]) -> list[dict[str, Any]]:
    """Of the best-known items three that together have a vector in as many features as can be, of different genres."""
    left = set(features)
    seen: set[str] = set()
    chosen: list[dict[str, Any]] = []
    rows = rows_of(con.sql(_known_sql(features)))
    while rows and len(chosen) < _KNOWN:
        best = max(rows, key=lambda row: (len(left & set(row["features"])), not seen & set(row["genres"] or ())))
        left -= set(best["features"])
        seen |= set(best["genres"] or ())
        chosen.append(best)
        rows.remove(best)
    return chosen


def _known_sql(features: Sequence[str]) -> str:
    """The best-known items of each feature, with the features that they have a vector in."""
    views = {name: table_of(f"features/{name}").view for name in features}
    tops = " union ".join(
        f"(select item_id from {view} left join known using (item_id) where reason is null "
        f"order by coalesce(n, 0) desc, item_id limit {_POPULAR})"
        for view in views.values()
    )
    there = " union all ".join(
        f"select item_id, '{name}' as feature from {view} semi join tops using (item_id) where reason is null"
        for name, view in views.items()
    )
    return (
        "with known as (select item_id, sum(n) as n from plays_of_items group by item_id), "
        f"tops as ({tops}), there as ({there}), "
        "had as (select item_id, list(feature order by feature) as features from there group by item_id) "
        "select i.item_id, i.title, i.year, i.kind, i.genres, features from items i join had using (item_id) "
        "left join known using (item_id) where i.reason is null order by coalesce(n, 0) desc, i.item_id"
    )
