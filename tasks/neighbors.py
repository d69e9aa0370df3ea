"""Nearest neighbours of an item in a release: what `mediateca neighbors` prints."""

# Annotations stay text: numpy is imported at its first use.
from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from featurizers.encoders import known
from storage.indexes import ids_file, index_file
from storage.lazy import np
from storage.releases import Release
from storage.schemas import table_of
from storage.store import Store, rows_of
from tasks.settings_base import nearest
from tasks.settings_stages import FeaturizerSettings

MOST = 1_000
_SHOWN = 10  # of several items of one title


@dataclass(frozen=True, kw_only=True)
class Neighbors:
    """An item, and those nearest to it."""

    item: dict[str, Any]  # item_id, title, year, kind
    feature: str
    rows: list[dict[str, Any]]  # item_id, title, year, kind, score; the nearest first
    notes: tuple[str, ...]  # what there is to know of the answer, in words


def find_neighbors(store: Store, release: Release, item: str, *, feature: str | None = None, k: int = 10) -> Neighbors:
    """The `k` items nearest to one, of a release.

    Args:
        store: The release's store.
        release: What is asked; the tables of now are not.
        item: An item_id, `source:source_id`, or a title (exact but for case).
        feature: By which; default: the first that the release's catalogue indexes.
        k: How many, 1 to 1,000; fewer come when there are no more.

    Returns:
        The neighbours. The higher the score the nearer: the cosine, or with the metric `l2` the negative distance.

    Raises:
        ValueError: `k` is out of range, the feature has no index, the item is not there or has no vector.
        StoreError: A file of the index is not there.
    """
    if not 1 <= k <= MOST:
        raise ValueError(f"-k {k}: expected 1 to {MOST:,}")
    index = _index_of(store, release, feature)
    con = store.database(release.tables, only=("items", "links"))
    chosen = _item_of(con, item, release)
    found = ask_index(store, con, index, chosen["item_id"], k)
    if found is None:
        raise ValueError(_why_not(store, release, chosen, index["feature"]))
    described = _described(con, found.scores)
    rows = [{"item_id": i, **described.get(i, {"title": None}), "score": score} for i, score in found.scores.items()]
    notes = _notes(index, chosen, is_zero=found.is_zero)
    return Neighbors(item=chosen, feature=index["feature"], rows=rows, notes=notes)


# --- which index, which item


def _index_of(store: Store, release: Release, feature: str | None) -> dict[str, Any]:
    held = "indexes" in release.tables
    rows = rows_of(store.database(release.tables, only=("indexes",)).sql("from indexes")) if held else []
    indexes = {row["feature"]: row for row in rows}
    usable = [name for name in _in_order(release, indexes) if indexes[name]["index_sha256"]]
    if feature is None and usable:
        return indexes[usable[0]]
    if feature in usable:
        return indexes[feature]
    if feature in indexes:
        why = f"has no index: {indexes[feature]['reason']} ({indexes[feature]['detail']})"
    else:
        why = "has no index"
    known = f"indexed: {', '.join(usable)}" if usable else "no feature is indexed; see `index:` in docs/catalogues.md"
    what = f"the feature '{feature}' {why}; {nearest(feature, usable)}" if feature else ""
    raise ValueError(f"release {release.release_id}: {what}{known}")


def _in_order(release: Release, features: Iterable[str]) -> list[str]:
    """As the catalogue of the release lists them, or as featurizers are listed; JSON has sorted the latter by name."""
    listed = (release.catalogue.get("index") or {}).get("features") or [*known(), *FeaturizerSettings.model_fields]
    return sorted(features, key=lambda name: (listed.index(name) if name in listed else len(listed), name))


def _item_of(con: Any, item: str, release: Release) -> dict[str, Any]:
    """The item that is meant: by id, by source and its id, by title, by an id that was merged away."""
    source, _, source_id = item.partition(":")
    linked = "from links where state = 'accepted' and"
    ways = [
        ("select item_id from items where item_id = ?", [item]),
        (f"select item_id {linked} source = ? and source_id = ?", [source, source_id]),
        ("select item_id from items where lower(nfc_normalize(title)) = lower(nfc_normalize(?))", [item]),
        (f"select item_id {linked} entity_id = ?", [item]),
    ]
    for sql, values in ways:
        if found := sorted({i for (i,) in con.execute(sql, values).fetchall()}):
            described = _described(con, found[:_SHOWN])
            if len(found) == 1:
                return {"item_id": found[0], **described.get(found[0], {"title": None, "year": None, "kind": None})}
            raise ValueError(_several(item, described, len(found)))
    raise ValueError(
        f"release {release.release_id}: no item '{item}'; {_nearest_titles(con, item)}"
        "expected an item_id, source:source_id such as movielens:1, or a title"
    )


def _several(item: str, described: dict[str, dict[str, Any]], count: int) -> str:
    lines = [f"  {i}  {d['title']} ({d['kind']}, {d['year'] or 'no year'})" for i, d in described.items()]
    more = [f"  and {count - len(lines)} more"] if count > len(lines) else []
    return "\n".join([f"'{item}' is {count} items; name one by its item_id:", *lines, *more])


def _nearest_titles(con: Any, item: str) -> str:
    like = "jaro_winkler_similarity(lower(title), lower($item))"
    sql = f"select distinct title, {like} as near from items where {like} > 0.85 order by near desc, title limit 3"
    titles = [f"'{title}'" for title, _ in con.execute(sql, {"item": item}).fetchall()]
    return f"did you mean {' or '.join(titles)}? " if titles else ""


def _why_not(store: Store, release: Release, item: dict[str, Any], feature: str) -> str:
    name = f"features/{feature}"
    sql = f"select reason, detail from {table_of(name).view} where item_id = ?"
    rows = store.database(release.tables, only=(name,)).execute(sql, [item["item_id"]]).fetchall()
    reason, detail = rows[0] if rows else ("missing_input", "it has no row there")
    said = f"{reason} ({detail})" if detail else reason
    return f"release {release.release_id}: {item['title']} ({item['item_id']}) has no vector in '{feature}': {said}"


# --- asking the index


class Nearest(NamedTuple):
    """What an index answers."""

    scores: dict[str, float]  # by item_id, the nearest first
    is_zero: bool  # the item's own vector is all zeros


def ask_index(store: Store, con: Any, index: Mapping[str, Any], item_id: str, k: int) -> Nearest | None:
    """The `k` items nearest to one by a row of `indexes`; None where the item is not in it.

    Raises:
        StoreError: A file of the index is not there.
    """
    with ids_file(store, index["ids_sha256"]) as ids, index_file(store, index["index_sha256"]) as file:
        place = _place(con, ids, item_id)
        if place is None:
            return None
        found, is_zero = _search(file, place, k, index["metric"])
        return Nearest(_named(con, ids, found), is_zero)


def _place(con: Any, ids: Path, item_id: str) -> int | None:
    sql = "select file_row_number from read_parquet(?, file_row_number = true) where item_id = ?"
    found = con.execute(sql, [str(ids), item_id]).fetchone()
    return None if found is None else int(found[0])


def _search(file: Path, place: int, k: int, metric: str) -> tuple[dict[int, float], bool]:
    """Places in the index with their scores, the nearest first; and whether the item's own vector is all zeros."""
    import faiss

    # Mapped, not read: of a large HNSW index a query touches a small part.
    index: Any = faiss.read_index(str(file), faiss.IO_FLAG_MMAP_IFC)
    vector = index.reconstruct(place)
    values, places = index.search(vector[None], min(k + 1, index.ntotal))
    scores = np.clip(values[0], -1, 1) if metric == "cosine" else 0 - np.sqrt(np.maximum(values[0], 0))
    pairs = zip(places[0].tolist(), scores.tolist(), strict=True)
    others = [(at, round(score, 6)) for at, score in pairs if at not in (place, -1)]
    # Equal scores by place, which is by item_id: the order of the heap depends on the library.
    return dict(sorted(others, key=lambda pair: (-pair[1], pair[0]))[:k]), not vector.any()


def _named(con: Any, ids: Path, found: dict[int, float]) -> dict[str, float]:
    """The same by item_id."""
    marks = ", ".join("?" * len(found)) or "null"
    sql = (
        "select file_row_number, item_id from read_parquet(?, file_row_number = true) "
        f"where file_row_number in ({marks})"
    )
    names = dict(con.execute(sql, [str(ids), *found]).fetchall())
    return {names[place]: score for place, score in found.items()}


def _described(con: Any, items: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Title, year and kind by item_id; of these items only."""
    asked = list(items)
    sql = f"select item_id, title, year, kind from items where item_id in ({', '.join('?' * len(asked)) or 'null'})"
    return {i: {"title": t, "year": y, "kind": kind} for i, t, y, kind in con.execute(sql, asked).fetchall()}


def _notes(index: dict[str, Any], item: dict[str, Any], *, is_zero: bool) -> tuple[str, ...]:
    notes: list[str] = []
    if index["reason"]:
        notes.append(f"the index of '{index['feature']}' has {index['reason']}: {index['detail']}")
    if is_zero and index["metric"] == "cosine":
        notes.append(f"the vector of {item['title']} is all zeros: every score is 0, and none is nearer than another")
    return tuple(notes)
