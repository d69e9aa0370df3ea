"""The files of a bundle (index, ids, titles, popularity, user tower), and the checks that they are the model's."""

# Annotations stay text: numpy and pyarrow are imported at their first use.
from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from storage import ann
from storage.ann import Wanted
from storage.lazy import np, pa
from storage.opened_bundle import IDS, INDEX, POPULARITY, TITLES, TOWER, VECTORS, Searcher, run_tower, tower_session
from tasks.publish_measure import NEAREST, Asked

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from training.data import Dataset
    from training.models.base import Served

SAME, SAME_QUERY = 1e-5, 1e-4  # of a served item's vector, of the user tower in ONNX
_MOST_POPULAR = 1_000
_LEAST_LISTENERS = 20  # fewer make no taste of a country, and would show whose it is
_PARITY, _SAMPLE, _BLOCK = 64, 10_000, 65_536


def check_vectors(vectors: NDArray[np.float32], items: int) -> None:
    """Raise ValueError unless there is one finite vector per item."""
    if vectors.ndim != 2 or len(vectors) != items or not items:
        raise ValueError(f"item_vectors are {vectors.shape}, expected a vector for each of {items:,} items")
    if odd := np.flatnonzero(~np.isfinite(vectors).all(axis=1)).tolist():
        raise ValueError(
            f"the vectors of {len(odd):,} items have NaN or infinity, the first at {odd[0]}; look at training"
        )


def fitted(vectors: NDArray[np.float32], tuning: Asked, wanted: Wanted) -> tuple[Any, dict[str, Any]]:
    """The first kind of index that reaches the recall, and what the manifest says of it.

    Raises:
        ValueError: None reaches it within the memory.
    """
    exact, best, tried = ann.Exact(vectors, tuning.vectors, NEAREST, tuning.seen), 0.0, "none"
    n, d = vectors.shape
    for kind in ann.choose(n, d, wanted):
        index = ann.build(vectors, kind.factory, "inner_product")
        searcher = Searcher(index, None if kind.exact else vectors)
        recall = ann.widen(
            index, lambda _, s=searcher: exact.recall(s.search(tuning.vectors, NEAREST, tuning.seen)[1]) or 0.0,
            wanted.least_recall,
        )  # fmt: skip
        if recall >= wanted.least_recall:
            said = {"kind": kind.name, "factory": kind.factory, "parameters": ann.width_of(index), "exact": kind.exact}
            return index, said | {"count": n, "dimension": d, "theory_bytes": kind.bytes, "recall_when_tuned": recall}
        best, tried = max(best, recall), kind.name
    raise ValueError(
        f"recall@{NEAREST} is {best:.3f} with {tried}, wanted is {wanted.least_recall}; raise memory_bytes (now "
        f"{wanted.memory_bytes / 1e6:,.1f} MB), or lower least_recall"
    )


# --- files


def write_parts(
    folder: Path, index: Any, model: Served, data: Dataset, vectors: NDArray[np.float32], *, exact: bool
) -> None:
    """Write what does not depend on the store, and check the index as it was written.

    Raises:
        ValueError: A served vector is not the model's, or an id cannot be stored.
    """
    import faiss

    faiss.write_index(index, str(folder / INDEX))
    if not exact:
        np.save(folder / VECTORS, vectors)
    np.save(folder / IDS, ids_of(data.item_ids))
    titles = pa.table({"title": pa.array(data.titles or [None] * data.items, pa.string())})
    with pa.ipc.new_file(str(folder / TITLES), titles.schema) as file:
        file.write_table(titles)
    (folder / POPULARITY).write_text(json.dumps(popularity(data)))
    (folder / "model").mkdir()
    model.save(folder / "model")
    model.export_onnx(folder / TOWER)
    check_served(folder, vectors, exact=exact)


def ids_of(item_ids: tuple[str, ...]) -> NDArray[np.bytes_]:
    """(V,) of one width, so that they can be mapped."""
    if odd := [i for i in item_ids if not i or not i.isascii()]:
        raise ValueError(f"item_id '{odd[0]}' is empty or not ASCII, which a bundle cannot hold")
    return np.array([i.encode() for i in item_ids], np.bytes_)


def check_served(folder: Path, vectors: NDArray[np.float32], *, exact: bool) -> None:
    """Raise ValueError unless what was written gives back every vector, within 1e-5."""
    import faiss

    held: Any = None if exact else np.load(folder / VECTORS, mmap_mode="r")
    index: Any = faiss.read_index(str(folder / INDEX), faiss.IO_FLAG_MMAP_IFC)
    if index.ntotal != len(vectors):
        raise ValueError(f"the index holds {index.ntotal:,} vectors, the model gives {len(vectors):,}")
    for start in range(0, len(vectors), _BLOCK):
        own = vectors[start : start + _BLOCK]
        found = held[start : start + _BLOCK] if held is not None else index.reconstruct_n(start, len(own))
        if (worst := float(np.abs(found - own).max())) > SAME:
            raise ValueError(f"a served vector differs from the model's by {worst:.2g}, allowed is {SAME:g}")


def popularity(data: Dataset) -> dict[str, Any]:
    """Items by the share of listeners who met them, of all and of each country: one on repeat counts once."""
    pairs = np.unique(data.events.user.astype(np.int64) * data.items + data.events.item)
    users, items = pairs // data.items, pairs % data.items
    found: dict[str, Any] = {"overall": _most(data, users, items), "countries": {}}
    if data.profiles is None:
        return found
    country = data.profiles[:, 1][users]
    for code, name in enumerate(data.countries):
        own = country == code
        if name and len(np.unique(users[own])) >= _LEAST_LISTENERS:
            found["countries"][name] = _most(data, users[own], items[own])
    return found


def _most(data: Dataset, users: NDArray[np.int64], items: NDArray[np.int64]) -> list[tuple[str, float]]:
    counts, listeners = np.bincount(items, minlength=data.items), len(np.unique(users))
    first = np.argsort(-counts, kind="stable")[:_MOST_POPULAR]
    return [(data.item_ids[at], round(int(counts[at]) / listeners, 6)) for at in first.tolist() if counts[at]]


# --- the user tower


def tower_of(folder: Path, data: Dataset, model: Served, report: Asked) -> dict[str, Any]:
    """What a reader must know of the user tower.

    Raises:
        ValueError: Its inputs are not as agreed, or it gives other vectors than the model.
    """
    session = tower_session(folder)
    shapes = {given.name: given.shape for given in session.get_inputs()}
    length = shapes.get("items", [1, None])[-1]
    if shapes.keys() != {"items", "lengths", "profile"} or not isinstance(length, int):
        raise ValueError(f"{TOWER} takes {shapes}; expected items (B, L) with a fixed L, lengths (B,), profile (B, 2)")
    own = report.queries.take(np.flatnonzero(report.queries.history.lengths > 0)[:_PARITY])
    wanted = model.query_vectors(own)
    for row, history in enumerate(own.history):
        found = run_tower(session, history.astype(np.int64), own.profile[row : row + 1].astype(np.int64), length)
        if (worst := float(np.abs(found - wanted[row]).max())) > SAME_QUERY:
            raise ValueError(f"{TOWER} differs from the model by {worst:.2g}, allowed is {SAME_QUERY:g}")
    return {"history": length, "genders": list(data.genders), "countries": list(data.countries)}
