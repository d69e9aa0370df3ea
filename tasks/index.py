"""The index stage: the vectors of a feature become a FAISS index with a measured recall; files first, then the row."""

# Annotations stay text: numpy, pyarrow and faiss are imported at their first use.
from __future__ import annotations

import json
import time
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from featurizers.registry import spec_of
from storage import ann
from storage.generations import only_version
from storage.hashing import digest
from storage.indexes import put_ids, put_index
from storage.lazy import np, pa, pc
from storage.reasons import Reason
from storage.schemas import table_of
from storage.store import Store
from tasks.settings import Catalogue, CatalogueError
from tasks.settings_stages import IndexSettings
from tasks.stage import Stage, rows_table

if TYPE_CHECKING:
    from numpy.typing import NDArray

VERSION = "3"
NEAREST, QUERIES = 10, 1_000  # recall@10, over so many of the indexed vectors
_BLOCK_ROWS = 16_384


class Vectors(NamedTuple):
    """The vectors of one feature, all of one version of it."""

    version: str
    ids: pa.Array  # item_ids, sorted: the order of the index
    array: NDArray[np.float32]  # (n, d), rows as the store gave them
    order: NDArray[np.int64]  # (n,): array[order[i]] belongs to ids[i]


class Unfit(Exception):
    """The feature's vectors make no index; the message says why."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


def index_stage(catalogue: Catalogue) -> Stage:
    """Feature tables to `indexes`: a row per chosen feature; one that is no longer chosen loses its row."""
    features, settings = indexed_features(catalogue), catalogue.index
    chosen = settings.model_dump_json()
    return Stage(
        name="index",
        version=VERSION,
        reads=tuple(f"features/{name}" for name in features),
        writes="indexes",
        inputs=_inputs(features, settings),
        compute=partial(index_features, settings=chosen),
        chunk_keys=1,
        runs_in="driver",  # one feature's vectors in memory at a time, also where there are many workers
        outside=lambda: chosen,
        seconds_per_key=3.0,
    )


def indexed_features(catalogue: Catalogue) -> tuple[str, ...]:
    """The features to index, the default of `neighbors` first.

    Raises:
        CatalogueError: A feature that was asked for is no vector.
    """
    asked = catalogue.index.features
    vectors = tuple(name for name in catalogue.featurizers.chosen if _is_vector(name))
    if odd := [name for name in asked or () if name not in vectors]:
        raise CatalogueError(f"index.features: '{odd[0]}' is no vector; vectors are: {', '.join(vectors) or 'none'}")
    return vectors if asked is None else asked


def _is_vector(feature: str) -> bool:
    return any(c.name == "value" and c.type == "floats" for c in table_of(f"features/{feature}").columns)


def _inputs(features: Sequence[str], settings: IndexSettings) -> str:
    """SQL: each feature with a digest of its values and their version, in whatever order, and of the settings."""
    how = digest(settings.model_dump_json(exclude={"features"}).encode()) % 2**62
    value = "sum(md5_number_lower(concat(item_id, ':', value_hash, ':', version))::hugeint)"
    selects = [
        f"select '{name}' as feature, ((coalesce({value}, 0) + {how}) % 9223372036854775807)::bigint as input_hash "
        f"from {table_of(f'features/{name}').view} where reason is null"
        for name in features
    ]
    return " union all ".join(selects) or "select null::varchar as feature, null::bigint as input_hash where false"


def index_features(rows: pa.Table, store: Store, *, settings: str) -> pa.Table:
    """One row per feature: an index, or a reason."""
    how = IndexSettings.model_validate_json(settings)
    features: list[str] = rows.column("feature").to_pylist()
    return rows_table("indexes", [{"feature": name} | index_feature(store, name, how) for name in features])


def index_feature(store: Store, feature: str, settings: IndexSettings) -> dict[str, Any]:
    """Build, measure and store the index of one feature; the value columns of its row, or its reason."""
    began = time.perf_counter()
    try:
        vectors = load_vectors(store, feature, unit=settings.metric == "cosine")
    except Unfit as exc:
        return {"reason": exc.reason, "detail": str(exc)}
    index, found = build(vectors, settings)
    ids, file = put_ids(store, vectors.ids), put_index(store, index)
    found |= {"index_sha256": file.sha256, "ids_sha256": ids.sha256, "size_bytes": ids.size_bytes + file.size_bytes}
    if found["recall_at_10"] < settings.least_recall:
        found |= {"reason": Reason.LOW_RECALL, "detail": _too_low(found, settings)}
    return found | {"seconds": round(time.perf_counter() - began, 3)}


def _too_low(found: dict[str, Any], settings: IndexSettings) -> str:
    return (
        f"recall@10 is {found['recall_at_10']:.3f} with {found['parameters']}, index.least_recall is "
        f"{settings.least_recall}; index.flat_up_to: {found['count']} makes the search exact"
    )


# --- vectors


def load_vectors(store: Store, feature: str, *, unit: bool) -> Vectors:
    """The feature's vectors, streamed into one array; with `unit` scaled to length 1, but for zeros, which stay zeros.

    Numbers of several units, such as descriptors, are z-scores over the catalogue first: Hz would outweigh all else.

    Memory: 1 M x 384 is 1.54 GB here. The index of it holds a copy (1.54 GB) and, above `flat_up_to`, links (0.27 GB
    with M = 32): 3.4 GB at the peak, beside DuckDB's limit of 2 GB while the vectors are read.

    Raises:
        Unfit: There is none, they are not of one length, or one is not finite.
        MixedVersions: They are of several versions of the featurizer.
    """
    view = table_of(f"features/{feature}").view
    spec = spec_of(feature)
    mixed = spec is not None and spec.mixed
    con = store.database(only=(f"features/{feature}",))
    version = only_version(con, f"features/{feature}")
    n = con.sql(f"select count(*) from {view} where reason is null").fetchall()[0][0]
    if version is None:
        raise Unfit(Reason.MISSING_INPUT, f"no item has a value in features/{feature}")
    ids: list[pa.Array] = []
    array, at = np.empty((n, 0), np.float32), 0
    for batch in con.sql(f"select item_id, value, mask from {view} where reason is null").to_arrow_reader(_BLOCK_ROWS):
        block = _block(batch, array.shape[1] or None)
        if not array.shape[1]:
            array = np.empty((n, block.shape[1]), np.float32)
        array[at : at + len(block)] = observed(block, batch.column("mask")) if mixed else block
        ids.append(batch.column("item_id"))
        at += len(block)
    if mixed:
        standardise(array)
    for start in range(0, n if unit else 0, _BLOCK_ROWS):
        array[start : start + _BLOCK_ROWS] = _scaled(array[start : start + _BLOCK_ROWS])
    names = pa.chunked_array(ids).combine_chunks()
    order = pc.sort_indices(names)
    return Vectors(version, names.take(order), array, order.to_numpy().astype(np.int64))


def _block(batch: pa.RecordBatch, width: int | None) -> NDArray[np.float32]:
    """The vectors of a batch, (rows, width)."""
    values = batch.column("value")
    lengths = pc.list_value_length(values).to_numpy(zero_copy_only=False)
    width = int(lengths[0]) if width is None else width
    if odd := np.flatnonzero(lengths != width).tolist():
        found = f"{lengths[odd[0]]:.0f} numbers, others {width}"
        raise Unfit(Reason.INTERNAL_ERROR, f"item {batch.column('item_id')[odd[0]]} has {found}")
    block = values.flatten().to_numpy(zero_copy_only=False).reshape(-1, width)
    if odd := np.flatnonzero(~np.isfinite(block).all(axis=1)).tolist():
        raise Unfit(Reason.INTERNAL_ERROR, f"item {batch.column('item_id')[odd[0]]} has NaN or infinity in its vector")
    return block


def observed(block: NDArray[np.float32], mask: pa.Array) -> NDArray[np.float32]:
    """The block with NaN where a number was not observed; a row without a mask was observed whole."""
    block, rows = block.copy(), np.flatnonzero(mask.is_valid().to_numpy(zero_copy_only=False))
    seen = mask.drop_null().flatten().to_numpy(zero_copy_only=False).reshape(len(rows), block.shape[1])
    block[rows] = np.where(seen, block[rows], np.nan)
    return block


def standardise(array: NDArray[np.float32]) -> None:
    """Columns to z-scores of what was observed, in place; what was not is 0, the mean."""
    for column in array.T:
        seen = column[~np.isnan(column)].astype(np.float64)
        std = float(seen.std()) if len(seen) else 0.0
        column -= np.float32(seen.mean() if len(seen) else 0.0)
        column /= np.float32(std if std > 0 else 1.0)
        column[np.isnan(column)] = 0.0


def _scaled(block: NDArray[np.float32]) -> NDArray[np.float32]:
    norms = np.linalg.norm(block.astype(np.float64), axis=1, keepdims=True)  # squares of 1e20 overflow in float32
    return (block / np.where(norms > 0, norms, 1)).astype(np.float32)


# --- building and measuring


def build(vectors: Vectors, settings: IndexSettings) -> tuple[Any, dict[str, Any]]:
    """A `faiss.Index` over the vectors in the order of their ids, and what its row says of it."""
    n, d = vectors.array.shape
    flat = n <= settings.flat_up_to
    index = filled(vectors, settings.metric, flat=flat)
    recall = Recall(vectors, settings)
    measured = recall.of(index) if flat else ann.widen(index, recall.of, settings.least_recall)
    return index, {
        "feature_version": vectors.version,
        "metric": settings.metric,
        "kind": "flat" if flat else "hnsw",
        "parameters": json.dumps(ann.width_of(index)),
        "count": n,
        "dimension": d,
        "recall_at_10": measured,
    }


def filled(vectors: Vectors, metric: str, *, flat: bool) -> Any:
    """An index that holds the vectors, searched exactly or by links."""
    return ann.build(vectors.array, "Flat" if flat else f"HNSW{ann.LINKS},Flat", metric, vectors.order)


class Recall:
    """Recall@10 of an index against exact search, some of its own vectors being the queries and no answers."""

    def __init__(self, vectors: Vectors, settings: IndexSettings) -> None:
        """Search exactly, once."""
        import faiss

        self._vectors, self._cosine = vectors, settings.metric == "cosine"
        n = len(vectors.array)
        self._k = min(NEAREST, n - 1)
        # item_ids are digests: evenly spaced in their order is a sample.
        self._own = vectors.order[np.linspace(0, n - 1, min(n, QUERIES)).astype(np.int64)]
        self._queries = vectors.array[self._own]
        if self._k:
            metric = faiss.METRIC_INNER_PRODUCT if self._cosine else faiss.METRIC_L2
            _, rows = faiss.knn(self._queries, vectors.array, self._k + 1, metric=metric)
            self._limits = self._scores(without(rows, self._own)).min(axis=1, keepdims=True)

    def of(self, index: Any) -> float:
        """The share of the answers that are no farther than the 10th exact one, 0 to 1; 1 where there is no other item.

        By distance, not by id: which of several equal vectors is found is no matter.
        """
        if not self._k:
            return 1.0
        _, places = index.search(self._queries, self._k + 1)
        rows = without(np.where(places >= 0, self._vectors.order[places], -1), self._own)
        near = ann.near_enough(self._scores(rows), self._limits)
        return round(float((near & (rows >= 0)).mean()), 6)

    def _scores(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """(Q, k): higher is nearer."""
        found = self._vectors.array[rows]
        if self._cosine:
            return np.einsum("qd,qkd->qk", self._queries, found)
        return -np.linalg.norm(found - self._queries[:, None], axis=2)


def without(found: NDArray[np.int64], own: NDArray[np.int64]) -> NDArray[np.int64]:
    """(Q, k) of (Q, k + 1) answers: without the query itself, or, where it is not among them, without the last."""
    keep = found != own[:, None]
    keep[keep.all(axis=1), -1] = False
    return found[keep].reshape(len(found), -1)
