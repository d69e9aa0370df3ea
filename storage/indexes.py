"""Files of vector indexes: `indexes/<sha256>.faiss`, and the item_ids in the same order in `indexes/<sha256>.ids`.

Named by what they hold, so that an index over unchanged vectors is the same file in every release, and two features
of the same items share one list of ids. Rows of the table `indexes` say which files belong together.
"""

# Annotations stay text: faiss and pyarrow are imported at their first use.
from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Generator, Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from storage.errors import StoreError, told
from storage.lazy import pa, pc, pq
from storage.store import Store

_FOLDER = "indexes"


class Stored(NamedTuple):
    """A file of the folder."""

    sha256: str
    size_bytes: int


def put_index(store: Store, index: Any) -> Stored:
    """Store a `faiss.Index`; it is there whole or not at all."""
    import faiss

    # To a file, not to memory: a serialised copy would double what a large index takes.
    return _put(store, "faiss", lambda path: faiss.write_index(index, str(path)))


def put_ids(store: Store, ids: pa.Array) -> Stored:
    """Store item_ids, in the order of the index, as Parquet: DuckDB finds a position in it, or the ids at positions."""
    return _put(store, "ids", lambda path: pq.write_table(pa.table({"item_id": ids}), path, compression="zstd"))


def _put(store: Store, ending: str, write: Callable[[Path], Any]) -> Stored:
    with told(store.url), store.objects.draft(_FOLDER) as draft:
        write(draft)
        with draft.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        size = draft.stat().st_size
        store.objects.publish(draft, _name(sha256, ending))
    return Stored(sha256, size)


@contextmanager
def index_file(store: Store, sha256: str) -> Generator[Path]:
    """The path of an index on this disk, for as long as the context lasts.

    Raises:
        StoreError: It is not there.
    """
    with _file(store, _name(sha256, "faiss")) as path:
        yield path


@contextmanager
def ids_file(store: Store, sha256: str) -> Generator[Path]:
    """The path of a list of ids on this disk, for as long as the context lasts.

    Raises:
        StoreError: It is not there.
    """
    with _file(store, _name(sha256, "ids")) as path:
        yield path


def read_ids(store: Store, sha256: str) -> pa.ChunkedArray:
    """All item_ids in the order of the index."""
    with ids_file(store, sha256) as path:
        return pq.read_table(path).column("item_id")


def ids_naming(store: Store, items: Collection[str]) -> list[str]:
    """Which lists of ids, of any release or none, hold one of these items; their sha256."""
    wanted = pa.array(list(items), pa.string())
    lists = sorted(Path(name).stem for name in store.objects.names(_FOLDER) if name.endswith(".ids"))
    return [sha256 for sha256 in lists if pc.any(pc.is_in(read_ids(store, sha256), value_set=wanted)).as_py()]


def sweep(store: Store, kept_versions: Iterable[int]) -> int:
    """Delete what neither the newest rows of `indexes` nor those of these versions name; how many files.

    For the driver, under the build lock: a build stores its files before the row that names them.
    """
    there = store.objects.names(_FOLDER)
    if not there:
        return 0
    kept = _named(store, None).union(*(_named(store, version) for version in set(kept_versions)))
    gone = [name for name in there if name not in kept]
    for name in gone:
        store.objects.delete(name)
    return len(gone)


def _named(store: Store, version: int | None) -> set[str]:
    con = store.database(None if version is None else {"indexes": version}, only=("indexes",))
    rows = con.sql("select index_sha256, ids_sha256 from indexes where index_sha256 is not null").fetchall()
    return {name for index, ids in rows for name in (_name(index, "faiss"), _name(ids, "ids"))}


def _name(sha256: str, ending: str) -> str:
    return f"{_FOLDER}/{sha256}.{ending}"


@contextmanager
def _file(store: Store, name: str) -> Generator[Path]:
    try:
        with store.objects.on_disk(name) as path:
            yield path
    except FileNotFoundError as exc:
        raise StoreError(
            f"store {store.url}: the file {name} of a vector index is not there; copy it back from where the store is "
            "kept twice, or ask another release with --release"
        ) from exc
