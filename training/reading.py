"""Datasets from a release of a store, an exported folder of plain Parquet, or a text of one user per line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from training.data import NO_TIME, NOBODY, Dataset, Events, Feature, KnownAt, Ragged
from training.known_at import parted
from training.tables import ExportTables, ReleaseTables, Tables

EVENTS = ("rating", "play", "playlist")
_FETCHED = "_fetched"


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which part of a catalogue is learnt from."""

    events: Literal["rating", "play", "playlist"]
    items: str | None = None  # track, film, artist; None: of all kinds
    sources: tuple[str, ...] | None = None  # of the events; None: all
    features: tuple[str, ...] = ()  # NAME; `tabular` without the numbers that were fetched, `tabular_fetched`: those
    known_at: Mapping[str, KnownAt] = field(default_factory=dict[str, KnownAt])  # of cells, where names do not say it
    honest_time: bool | None = None  # None: plays alone; playlists have the time of their last change; ratings: never

    def __post_init__(self) -> None:
        """Refuse a kind of event that does not exist."""
        if self.events not in EVENTS:
            raise ValueError(f"events '{self.events}': unknown kind; known: {', '.join(EVENTS)}")


def read_release(store: Any, wanted: Wanted, release_id: str | None = None) -> Dataset:
    """A release of a `storage.store.Store`; the current one without a name.

    Raises:
        NoSuchRelease: There is none of that name.
        MixedVersions: Vectors of a feature are of several versions.
        ValueError: A feature is not held, or there is no such event.
    """
    from storage.releases import find_release

    return read_tables(ReleaseTables(store, find_release(store, release_id)), wanted)


def read_export(folder: Path, wanted: Wanted) -> Dataset:
    """A folder that `mediateca export` wrote; pyarrow alone reads it.

    Raises:
        ValueError: It is no export, a feature is not held, or there is no such event.
    """
    return read_tables(ExportTables(folder), wanted)


def read_tables(tables: Tables, wanted: Wanted) -> Dataset:
    """What both of them read."""
    items = _items(tables, wanted.items)
    ids = items["item_id"].combine_chunks()
    user_ids, events, lost = _events(tables, wanted, ids)
    kinds = f" among its {wanted.items}s" if wanted.items else ""
    notes = [f"{lost:,} events left out: their items are not{kinds} in {tables.name}"] if lost else []
    groups, missing = _groups(tables, ids)
    return Dataset(
        name=tables.name,
        item_ids=tuple(ids.to_pylist()),
        user_ids=tuple(user_ids.to_pylist()),
        events=events,
        titles=tuple(pc.fill_null(items["title"], "").to_pylist()),
        kinds=tuple(pc.fill_null(items["kind"], "").to_pylist()),
        creators=_coded(items["creators"])[0],
        genres=_coded(items["genres"])[0],
        years=_numbers(pc.fill_null(items["year"], 0), np.int32),
        **groups,
        **_profiles(tables, user_ids),
        features=_features(tables, wanted, ids),
        honest_time=wanted.events == "play" if wanted.honest_time is None else wanted.honest_time,
        met=wanted.events,
        notes=(*notes, *missing),
    )


def read_sequences(path: Path) -> Dataset:
    """A text of one user per line: items, oldest first, parted by blanks. It has no times.

    Users are called by the number of their line, with zeros before it, so that they stay in the order of the file.

    Raises:
        ValueError: There is no line with an item.
    """
    with path.open(encoding="utf-8") as file:
        lines = pa.array([line.split() for line in file], pa.list_(pa.string()))
    histories, ids = _coded(lines)
    if not len(histories.values):
        raise ValueError(f"{path}: no line with an item; expected items parted by blanks, a line per user")
    width = len(str(len(lines)))
    count = len(histories.values)
    return Dataset(
        name=path.stem,
        item_ids=ids,
        user_ids=tuple(f"{line:0{width}d}" for line in range(1, len(lines) + 1)),
        events=Events(
            user=histories.rows.astype(np.int32),
            item=histories.values,
            at=np.full(count, NO_TIME, np.int64),
            value=np.full(count, np.nan, np.float32),
        ),
        honest_time=False,
    )


def select_items(data: Dataset, kept: NDArray[np.bool_]) -> Dataset:
    """The dataset of these items (V,) alone, numbered anew, without the events of the others; users stay."""
    places, number = np.flatnonzero(kept), np.cumsum(kept, dtype=np.int32) - 1
    events = data.events.take(kept[data.events.item])
    left = len(data.events) - len(events)
    note = f"{len(places):,} of {data.items:,} items chosen; {left:,} events of the others left out"
    return replace(
        data,
        item_ids=_chosen(data.item_ids, places),
        events=replace(events, item=number[events.item]),
        titles=_chosen(data.titles, places),
        kinds=_chosen(data.kinds, places),
        creators=data.creators and data.creators.take(places),
        genres=data.genres and data.genres.take(places),
        years=_rows(data.years, places),
        recordings=_rows(data.recordings, places),
        works=_rows(data.works, places),
        features={name: _of_items(feature, places) for name, feature in data.features.items()},
        notes=(*data.notes, note),
    )


def lend(data: Dataset, name: str, groups: NDArray[np.int32]) -> Dataset:
    """The dataset where an item without this feature has that of the first item of its group (V,), such as its work.

    Two sources of one catalogue may know a track by two ids: one has the playlists, the other the numbers. Items that
    share numbers count as one recording from here on: a split that parted them would leak.
    """
    feature = data.features[name]
    lender = np.full(int(groups.max()) + 1, -1)
    there = np.flatnonzero(feature.present)[::-1]
    lender[groups[there]] = there  # the first one is written last
    source = np.where(feature.present, np.arange(data.items), lender[groups])
    lent = _of_items(feature, source)
    missing = source < 0
    lent.values[missing], lent.present[missing] = 0, False
    note = f"feature {name}: {int((lent.present & ~feature.present).sum()):,} items have that of another of their group"
    recordings = groups if data.recordings is None else _joined(data.recordings, groups)
    return replace(data, recordings=recordings, features={**data.features, name: lent}, notes=(*data.notes, note))


def _chosen(names: tuple[str, ...], places: NDArray[np.int64]) -> tuple[str, ...]:
    return tuple(names[at] for at in places) if names else ()


def _rows(array: NDArray[Any] | None, places: NDArray[np.int64]) -> NDArray[Any] | None:
    return None if array is None else array[places]


def _of_items(feature: Feature, places: NDArray[np.int64]) -> Feature:
    return replace(
        feature,
        values=feature.values[places],
        present=feature.present[places],
        fetched_at=_rows(feature.fetched_at, places),
        observed=_rows(feature.observed, places),
    )


# --- parts of a dataset


def _items(tables: Tables, kind: str | None) -> pa.Table:
    columns = ["item_id", "kind", "title", "creators", "genres", "year"]
    found = _table(tables.scan("items", columns, {"kind": [kind]} if kind else None))
    if found is None:
        raise ValueError(f"{tables.name}: no item{f' of kind {kind!r}' if kind else ''}; name a kind that it holds")
    return found.take(pc.sort_indices(found["item_id"]))


def _events(tables: Tables, wanted: Wanted, ids: pa.Array) -> tuple[pa.Array, Events, int]:
    """Users that have any, their events, and how many are of no item."""
    equal = {"kind": [wanted.events]} | ({"source": wanted.sources} if wanted.sources else {})
    users: list[pa.Array] = []
    parts: list[tuple[NDArray[Any], ...]] = []
    lost = 0
    for batch in tables.scan("interactions", ["user_id", "item_id", "time", "value"], equal):
        item = pc.index_in(batch["item_id"], value_set=ids)
        there = item.is_valid()
        lost += len(item) - (pc.sum(there).as_py() or 0)
        rows = batch.filter(there)
        users.append(rows["user_id"].dictionary_encode())
        parts.append((_numbers(item.drop_null(), np.int32), _times(rows["time"]), _numbers(rows["value"], np.float32)))
    coded = pa.chunked_array(users, pa.dictionary(pa.int32(), pa.string())).unify_dictionaries().combine_chunks()
    if not len(coded):
        kind = f" of {wanted.items}s" if wanted.items else ""
        raise ValueError(f"{tables.name}: no event of kind '{wanted.events}'{kind}; name another kind or source")
    item, at, value = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    # Rows come sorted by user, so that the dictionary is in their order. Any other order would be taken for time.
    user, names = _numbers(coded.indices, np.int32), coded.dictionary
    back = pc.any(pc.less(names.slice(1), names.slice(0, max(0, len(names) - 1)))).as_py()
    same = user[1:] == user[:-1]
    if back or (user[1:] < user[:-1]).any() or (same & (at[1:] < at[:-1]) & (at[1:] != NO_TIME)).any():
        raise ValueError(f"{tables.name}: interactions are not sorted by user and time; export the release anew")
    return names, Events(user=user, item=item, at=at, value=value), lost


def _groups(tables: Tables, ids: pa.Array) -> tuple[dict[str, NDArray[np.int32]], list[str]]:
    """Items that are one recording, or one work, share a number: what accepted pairs connect."""
    if not tables.has("duplicates"):
        return {}, [f"{tables.name} does not say which items are the same recording: nothing is kept together by it"]
    columns = ["item_a", "item_b", "relation"]
    pairs = _table(tables.scan("duplicates", columns, {"state": ["accepted"]}))
    if pairs is None:
        alone = np.arange(len(ids), dtype=np.int32)
        return {"recordings": alone, "works": alone}, []
    ends = [pc.index_in(pairs[name].combine_chunks(), value_set=ids) for name in ("item_a", "item_b")]
    there = pc.and_(*(end.is_valid() for end in ends)).to_numpy(zero_copy_only=False)
    a, b = (_numbers(pc.fill_null(end, 0), np.int32)[there] for end in ends)
    same = pc.equal(pairs["relation"], "same_recording").to_numpy()[there]
    # A pair of the same recording is one of the same work, too, and stands in the table once.
    return {"recordings": _connected(a[same], b[same], len(ids)), "works": _connected(a, b, len(ids))}, []


def _connected(a: NDArray[np.int32], b: NDArray[np.int32], count: int) -> NDArray[np.int32]:
    links = coo_array((np.ones(len(a), np.bool_), (a, b)), shape=(count, count))
    return connected_components(links, directed=False)[1].astype(np.int32)


def _joined(*groupings: NDArray[np.int32]) -> NDArray[np.int32]:
    """(V,): items that share a group in any of these share a number."""
    items = np.arange(len(groupings[0]), dtype=np.int32)
    firsts: list[NDArray[np.int32]] = []
    for groups in groupings:
        _, first, inverse = np.unique(groups, return_index=True, return_inverse=True)
        firsts.append(first[inverse].astype(np.int32))
    return _connected(np.tile(items, len(groupings)), np.concatenate(firsts), len(items))


def _profiles(tables: Tables, user_ids: pa.Array) -> dict[str, Any]:
    """Codes of gender and country, in the order of their names; 0 is unknown."""
    found = _table(tables.scan("users", ["user_id", "gender", "country"])) if tables.has("users") else None
    if found is None:
        return {"profiles": np.full((len(user_ids), 2), NOBODY, np.int32)}
    rows = found.take(pc.index_in(user_ids, value_set=found["user_id"].combine_chunks()))
    gender, country = _codes(rows["gender"]), _codes(rows["country"])
    return {"profiles": np.stack([gender[0], country[0]], axis=1), "genders": gender[1], "countries": country[1]}


def _codes(column: pa.ChunkedArray) -> tuple[NDArray[np.int32], tuple[str, ...]]:
    words = pc.utf8_lower(pc.utf8_trim_whitespace(pc.fill_null(column, "")))
    names = sorted({"", *words.unique().to_pylist()})
    return _numbers(pc.index_in(words, value_set=pa.array(names)), np.int32), tuple(names)


def _features(tables: Tables, wanted: Wanted, ids: pa.Array) -> dict[str, Feature]:
    found: dict[str, Feature] = {}
    stored = {name: name.removesuffix(_FETCHED) for name in wanted.features}
    for feature in sorted(set(stored.values())):
        if feature not in tables.features or feature == "mel":
            known = ", ".join(name for name in tables.features if name != "mel") or "none"
            raise ValueError(f"{tables.name}: no vectors '{feature}'; it has {known}")
        read = _feature(tables, feature, ids)
        parts = parted(read, wanted.known_at, tables.fetched(ids)) if read.cells else {feature: read}
        found |= {name: part for name, part in parts.items() if name in stored}
    if missing := [name for name in wanted.features if name not in found]:
        raise ValueError(f"{tables.name}: '{missing[0]}' would have no column; leave it out")
    return {name: found[name] for name in wanted.features}


def _feature(tables: Tables, name: str, ids: pa.Array) -> Feature:
    """A feature as it lies there, its cells not parted yet."""
    vectors = tables.vectors(name)
    values, observed = np.zeros((len(ids), 0), np.float32), None
    present = np.zeros(len(ids), np.bool_)
    for batch in vectors.batches:
        place = pc.index_in(batch["item_id"], value_set=ids)
        rows, at = batch.filter(place.is_valid()), _numbers(place.drop_null(), np.int64)
        if not rows.num_rows:
            continue
        block = _matrix(rows["value"])
        if not values.shape[1]:
            values = np.zeros((len(ids), block.shape[1]), np.float32)
        values[at], present[at] = block, True
        if rows["mask"].null_count < rows.num_rows:
            observed = np.ones(values.shape, np.bool_) if observed is None else observed
            masked = rows["mask"].is_valid().to_numpy(zero_copy_only=False)
            observed[at[masked]] = _matrix(rows["mask"].drop_null())
    cells = vectors.cells if len(vectors.cells) == values.shape[1] else ()
    # Numbers without names may be counts that grew: as late as they were fetched.
    late = name == "tabular" and not cells
    return Feature(
        name=name,
        values=values,
        present=present,
        known_at="fetched" if late else "release",
        fetched_at=tables.fetched(ids) if late else None,
        version=vectors.version,
        observed=observed,
        cells=cells,
    )


# --- Arrow to arrays


def _table(batches: Iterator[pa.RecordBatch]) -> pa.Table | None:
    found = [batch for batch in batches if batch.num_rows]
    return pa.Table.from_batches(found) if found else None


def _times(column: pa.Array) -> NDArray[np.int64]:
    """Milliseconds since 1970; NO_TIME for null."""
    micro = pc.cast(pc.cast(column, pa.timestamp("us", tz="UTC")), pa.int64())
    known = micro.is_valid().to_numpy(zero_copy_only=False)
    return np.where(known, _numbers(pc.fill_null(micro, 0), np.int64) // 1000, NO_TIME)


def _coded(lists: pa.Array | pa.ChunkedArray) -> tuple[Ragged, tuple[str, ...]]:
    """Lists of names as codes, and the names: sorted."""
    lists = lists.combine_chunks() if isinstance(lists, pa.ChunkedArray) else lists
    lengths = _numbers(pc.fill_null(pc.list_value_length(lists), 0), np.int64)
    words = lists.flatten()
    names = pa.array(sorted(_known(words.unique().to_pylist())), pa.string())
    codes = _numbers(pc.index_in(words, value_set=names), np.int32)
    return Ragged(values=codes, starts=np.concatenate([[0], np.cumsum(lengths)])), tuple(names.to_pylist())


def _known(names: Iterable[str | None]) -> list[str]:
    return [name for name in names if name is not None]


def _matrix(lists: pa.Array) -> NDArray[Any]:
    """Lists of one length as rows."""
    return lists.flatten().to_numpy(zero_copy_only=False).reshape(len(lists), -1)


def _numbers(column: pa.Array | pa.ChunkedArray, type_: Any) -> NDArray[Any]:
    values = column.to_numpy() if isinstance(column, pa.ChunkedArray) else column.to_numpy(zero_copy_only=False)
    return values.astype(type_)
