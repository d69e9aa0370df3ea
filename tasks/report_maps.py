"""Maps of embeddings in two dimensions, and the nearest neighbours of some known items."""

# Annotations stay text: numpy is imported at its first use.
from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, NamedTuple

from featurizers.registry import spec_of
from storage.errors import StoreError
from storage.lazy import np, pa, pc
from storage.schemas import table_of
from storage.store import Store, rows_of
from tasks.index import observed, standardise
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
        f"select item_id, value, mask from {view} semi join sampled using (item_id) where reason is null "
        "order by item_id"
    )
    spec = spec_of(feature)
    ids, array = _vectors(rows.to_arrow_table(), mixed=spec is not None and spec.mixed)
    if len(ids) < 3:
        return None
    xy, explained = project(array)
    if explained[0] == 0:
        return None
    of = con.sql(f"select count(*) from {view} where reason is null").fetchall()[0][0]
    return Map(feature, ids, xy, explained, array.shape[1], of)


def _vectors(rows: pa.Table, *, mixed: bool) -> tuple[list[str], NDArray[np.float32]]:
    """Ids and vectors (n, d), as the index has them: numbers of several units as z-scores.

    Without those that are not finite or not as long as most: a page is drawn of what the checks refuse, too.
    """
    lengths = pc.list_value_length(rows.column("value")).fill_null(0).to_numpy()
    if not len(lengths) or not lengths.any():
        return [], np.empty((0, 0), np.float32)
    width = int(np.bincount(lengths).argmax())
    rows = rows.filter(pa.array(lengths == width)).combine_chunks()
    array = pc.list_flatten(rows.column("value")).to_numpy().reshape(-1, width)
    fine = np.flatnonzero(np.isfinite(array).all(axis=1))
    rows, array = rows.take(pa.array(fine)).combine_chunks(), array[fine]
    if mixed and len(array):
        array = observed(array, rows.column("mask").combine_chunks())
        standardise(array)
    return rows.column("item_id").to_pylist(), array


def project(array: NDArray[np.floating[Any]]) -> tuple[NDArray[np.float64], tuple[float, float]]:
    """The rows of (n, d) on their first two principal components, scaled to [0, 1], and those components' shares.

    The same rows give the same map: of each component the largest loading is positive. Points beyond the 0.5 and 99.5
    percentiles stand at the edge, so that one odd item does not press all others together.
    """
    centred = array - array.mean(axis=0, dtype=np.float64)
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
    """The groups that the maps are coloured by, and each item's: its rarest genre among the most frequent ones.

    The rarest, because items have several genres and the frequent ones say little. The kinds of items take turns in
    naming genres, so that the more numerous kind does not leave the other grey. Without genres the kind is the group.
    """
    by_kind: dict[str, Counter[str]] = {}
    for row in items.values():
        by_kind.setdefault(row["kind"] or OTHER, Counter()).update(row["genres"] or ())
    if not any(by_kind.values()):
        kinds = [name for name, _ in Counter(row["kind"] or OTHER for row in items.values()).most_common(SERIES)]
        return kinds, {i: row["kind"] if row["kind"] in kinds else OTHER for i, row in items.items()}
    lists = [[name for name, _ in counts.most_common(SERIES)] for _, counts in sorted(by_kind.items())]
    turns = [name for names in zip_longest(*lists) for name in names if name is not None]
    shown = list(dict.fromkeys(turns))[:SERIES]
    counts = sum(by_kind.values(), Counter[str]())
    groups: dict[str, str] = {}
    for item, row in items.items():
        known = [genre for genre in row["genres"] or () if genre in shown]
        groups[item] = min(known, key=lambda genre: (counts[genre], genre)) if known else OTHER
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
    """Of the best-known items three that together have vectors in all features if that can be; of several kinds."""
    left, seen = set(features), set[str]()
    chosen: list[dict[str, Any]] = []
    rows = rows_of(con.sql(_known_sql(features)))

    def worth(row: dict[str, Any]) -> tuple[int, bool, int, bool]:
        there = set(row["features"])
        return len(left & there), row["kind"] not in seen, len(there), not seen & set(row["genres"] or ())

    while rows and len(chosen) < _KNOWN:
        best = max(rows, key=worth)  # of equals the first, which is the best known
        left -= set(best["features"])
        seen |= {best["kind"], *(best["genres"] or ())}
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
