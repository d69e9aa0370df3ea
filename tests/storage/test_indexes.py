"""Files of indexes are whole or absent, named by what they hold, and go when no row names them."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pyarrow as pa
import pytest

from storage.errors import StoreError
from storage.indexes import ids_file, ids_naming, index_file, put_ids, put_index, read_ids, sweep
from storage.schemas import table_of
from storage.store import Store
from tests.storage import test_s3

endpoint, bucket = test_s3.endpoint, test_s3.bucket


@pytest.fixture
def local(tmp_path: Path) -> str:
    """A folder that is not there yet."""
    return str(tmp_path / "store")


@pytest.fixture(params=["local", "bucket"])
def store(request: pytest.FixtureRequest) -> Store:
    """An empty store, on disk and on an object store."""
    made = Store(request.getfixturevalue(request.param))
    made.create()
    return made


def index_of(*vectors: tuple[float, float]) -> Any:
    made = faiss.IndexFlat(2, faiss.METRIC_L2)
    made.add(np.array(vectors, np.float32))
    return made


def write_row(store: Store, feature: str, index_sha256: str | None, ids_sha256: str | None, *, days: int = 0) -> None:
    schema = table_of("indexes").schema
    row = {
        "feature": feature, "index_sha256": index_sha256, "ids_sha256": ids_sha256, "input_hash": 0, "value_hash": 0,
        "version": "1", "attempt": 1, "computed_at": datetime.now(UTC) + timedelta(days=days),
        "reason": None if index_sha256 else "missing_input",
    }  # fmt: skip
    store.append("indexes", pa.table({f.name: pa.array([row.get(f.name)], f.type) for f in schema}))


def files(store: Store) -> set[str]:
    return set(store.objects.names("indexes"))


def test_what_is_stored_comes_back(store: Store) -> None:
    ids, index = put_ids(store, pa.array(["b", "a"])), put_index(store, index_of((1, 2), (3, 4)))
    assert files(store) == {f"indexes/{ids.sha256}.ids", f"indexes/{index.sha256}.faiss"}
    assert store.objects.names("indexes")[f"indexes/{index.sha256}.faiss"] == index.size_bytes
    assert read_ids(store, ids.sha256).to_pylist() == ["b", "a"]
    for flags in (0, faiss.IO_FLAG_MMAP_IFC):
        with index_file(store, index.sha256) as path:
            found: Any = faiss.read_index(str(path), flags)
        np.testing.assert_array_equal(found.reconstruct(1), [3, 4])


def test_the_same_content_is_the_same_file(store: Store) -> None:
    assert put_index(store, index_of((1, 2))) == put_index(store, index_of((1, 2)))
    assert put_ids(store, pa.array(["a"])) == put_ids(store, pa.array(["a"]))
    assert len(files(store)) == 2


def test_a_write_that_fails_leaves_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def half(index: Any, path: str) -> None:
        Path(path).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(faiss, "write_index", half)
    with pytest.raises(StoreError, match="no space left"):
        put_index(store, index_of((1, 2)))
    assert files(store) == set()


def test_files_that_no_row_names_go(store: Store) -> None:
    """What the newest rows or a kept version name stays; superseded rows, and rows without a value, name nothing."""
    ids, other_ids = (put_ids(store, pa.array([name])).sha256 for name in ("a", "b"))
    first, second, third, stray = (put_index(store, index_of((n, n))).sha256 for n in range(4))
    write_row(store, "minilm", first, ids)
    kept = store.version("indexes")
    write_row(store, "minilm", second, ids, days=1)
    write_row(store, "minilm", third, ids, days=2)
    write_row(store, "tabular", None, None)
    assert sweep(store, [kept]) == 3
    assert files(store) == {f"indexes/{ids}.ids", f"indexes/{first}.faiss", f"indexes/{third}.faiss"}
    assert stray != other_ids
    assert sweep(store, []) == 1
    assert files(store) == {f"indexes/{ids}.ids", f"indexes/{third}.faiss"}
    assert sweep(store, []) == 0


def test_what_a_killed_build_left_goes(local: str) -> None:
    store = Store(local)
    store.create()
    assert sweep(store, []) == 0  # before the first index
    with store.objects.draft("indexes") as draft:
        draft.write_bytes(b"half")
        left = draft.with_name(".left.draft")
        draft.rename(left)
    assert left.exists()
    assert sweep(store, []) == 1
    assert not left.exists()


def test_lists_that_name_an_item_are_found(store: Store) -> None:
    assert ids_naming(store, ["a"]) == []
    one, two, three = (put_ids(store, pa.array(ids)).sha256 for ids in (["a", "b"], ["b", "c"], ["d"]))
    assert ids_naming(store, ["b"]) == sorted([one, two])
    assert ids_naming(store, ["a", "d"]) == sorted([one, three])
    assert ids_naming(store, ["e"]) == []


@pytest.mark.parametrize("reader", [index_file, ids_file])
def test_a_file_that_is_lost_is_told(store: Store, reader: Any) -> None:
    said = r"the file indexes/abc\.\w+ of a vector index is not there"
    with pytest.raises(StoreError, match=said), reader(store, "abc"):
        pass
