"""The index holds the vectors that the table holds, of now or of a release, and says truly how well it finds them."""

import json
import os
import subprocess
import sys
import tracemalloc
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from numpy.typing import NDArray

from storage import ann
from storage.hashing import digest
from storage.indexes import index_file, read_ids
from storage.releases import Release, find_release, rollback
from storage.schemas import table_of
from storage.store import Store, rows_of
from tasks import index as index_module
from tasks.index import Recall, Vectors, build, index_stage, indexed_features, load_vectors, without
from tasks.maintain import take_down, vacuum
from tasks.pending import last_runs
from tasks.run_stage import run_stage
from tasks.settings import Catalogue, CatalogueError
from tasks.settings_stages import IndexSettings
from tasks.stage import StageResult
from tests.tasks.shelf import Shelf

ROOT = Path(__file__).resolve().parents[2]
Given = Mapping[str, Any]  # item_id to a vector, or to the reason why there is none


def write_vectors(store: Store, given: Given, *, feature: str = "minilm", version: str = "1") -> None:
    """Rows of a feature table as its stage would leave them."""
    schema, now = table_of(f"features/{feature}").schema, datetime.now(UTC)
    rows: list[dict[str, Any]] = []
    for item, value in given.items():
        reason = value if isinstance(value, str) else None
        vector = None if reason else np.asarray(value, np.float32)
        said = {"value": vector, "reason": reason, "value_hash": digest(b"" if vector is None else vector.tobytes())}
        rows.append({"item_id": item, "input_hash": 0, "version": version, "attempt": 1, "computed_at": now, **said})
    store.append(
        f"features/{feature}", pa.table({f.name: pa.array([r.get(f.name) for r in rows], f.type) for f in schema})
    )


def catalogue(*features: str, **index: Any) -> Catalogue:
    """A catalogue that builds these features and indexes as said."""
    every = {"minilm": {}, "tabular": {"numeric": ["year"]}}
    return Catalogue.model_validate(
        {
            "catalogue": "shelf",
            "sources": {"movielens": {"connector": "movielens", "path": "films"}},
            "featurizers": {name: every[name] for name in features or ("minilm",)},
            "index": index,
        }
    )


def run_index(store: Store, chosen: Catalogue) -> StageResult:
    return run_stage(
        store,
        index_stage(chosen),
        build_id=f"b{store.version('runs')}",
        last=last_runs(store).get("index"),
    )


def row_of(store: Store, feature: str = "minilm", release: Release | None = None) -> dict[str, Any]:
    con = store.database(release.tables if release else None, only=("indexes",))
    return next(row for row in rows_of(con.sql("from indexes")) if row["feature"] == feature)


def held(store: Store, feature: str = "minilm", release: Release | None = None) -> dict[str, NDArray[np.float32]]:
    """What the index holds: item_id to vector."""
    row = row_of(store, feature, release)
    ids = read_ids(store, row["ids_sha256"]).to_pylist()
    with index_file(store, row["index_sha256"]) as path:
        index: Any = faiss.read_index(str(path))
    assert (len(ids), len(set(ids)), index.ntotal, row["count"]) == (len(ids),) * 4
    return dict(zip(ids, index.reconstruct_n(0, len(ids)), strict=True))


def tabled(store: Store, feature: str = "minilm", release: Release | None = None) -> dict[str, NDArray[np.float32]]:
    """What the feature's table holds."""
    con = store.database(release.tables if release else None, only=(f"features/{feature}",))
    rows = con.sql(f"select item_id, value from features_{feature} where reason is null").fetchall()
    return {item: np.array(value, np.float32) for item, value in rows}


def assert_same(store: Store, feature: str = "minilm", release: Release | None = None) -> None:
    """Index ids and table ids are the same set, and each vector is its own item's, scaled to length 1."""
    found, wanted = held(store, feature, release), tabled(store, feature, release)
    assert found.keys() == wanted.keys()
    assert list(found) == sorted(found)
    for item, vector in wanted.items():
        np.testing.assert_allclose(found[item], vector / (np.linalg.norm(vector) or 1), atol=1e-6)


def clustered(n: int, d: int = 24, *, seed: int = 0) -> dict[str, NDArray[np.float32]]:
    """Vectors around centres, as real ones lie, under names in no order."""
    dice = np.random.default_rng(seed)
    centres = dice.standard_normal((max(n // 50, 1), d))
    array = (centres[dice.integers(len(centres), size=n)] + 0.5 * dice.standard_normal((n, d))).astype(np.float32)
    return {f"i{digest(str(i).encode()) % 2**64:020d}": vector for i, vector in enumerate(array)}


def vectors_of(given: Given) -> Vectors:
    """As loaded, in the order in which they were given."""
    ids = sorted(given)
    places = {item: at for at, item in enumerate(given)}
    array = np.stack([np.asarray(v, np.float32) for v in given.values()])
    return Vectors("1", pa.array(ids), array, np.array([places[item] for item in ids], np.int64))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty store with two feature tables."""
    made = Store(str(tmp_path / "store"))
    made.create(["features/minilm", "features/tabular"])
    return made


# --- index and table are one set


@pytest.mark.parametrize("flat_up_to", [50_000, 0])
def test_each_value_is_in_the_index_and_nothing_else(store: Store, flat_up_to: int) -> None:
    """Also in several commits, out of order, superseded, and beside items without a value."""
    given = clustered(300)
    first, second = dict(list(given.items())[:200]), dict(list(given.items())[200:])
    write_vectors(store, {item: -vector for item, vector in second.items()})
    write_vectors(store, dict(reversed(first.items())) | {"nothing": "missing_input"})
    write_vectors(store, second)
    assert run_index(store, catalogue(flat_up_to=flat_up_to)).done == 1
    assert_same(store)
    row = row_of(store)
    assert held(store).keys() == given.keys()
    assert (row["count"], row["dimension"], row["metric"], row["reason"]) == (300, 24, "cosine", None)
    assert row["kind"] == ("flat" if flat_up_to else "hnsw")
    assert row["recall_at_10"] == 1.0
    sizes = [path.stat().st_size for path in Path(store.url, "indexes").iterdir()]
    assert (len(sizes), sum(sizes)) == (2, row["size_bytes"])


def test_items_that_come_change_and_go_are_followed(store: Store) -> None:
    given = clustered(40)
    gone, changed = list(given)[:2]
    write_vectors(store, given)
    run_index(store, catalogue())
    write_vectors(store, {gone: "removed", changed: -given[changed], "new": given[gone]})
    assert run_index(store, catalogue()).done == 1
    assert_same(store)
    assert gone not in held(store)
    np.testing.assert_allclose(held(store)[changed], -given[changed] / np.linalg.norm(given[changed]), atol=1e-6)


def test_a_value_that_became_a_reason_leaves_the_index(store: Store) -> None:
    given = clustered(5)
    write_vectors(store, given)
    run_index(store, catalogue())
    write_vectors(store, {next(iter(given)): "not_finite"})
    assert run_index(store, catalogue()).done == 1
    assert held(store).keys() == set(list(given)[1:])


def test_an_index_names_the_version_of_its_vectors_also_where_another_gives_the_same(store: Store) -> None:
    given = clustered(5)
    write_vectors(store, given)
    run_index(store, catalogue())
    assert row_of(store)["feature_version"] == "1"
    write_vectors(store, given, version="of other weights")
    store.serve("features/minilm", "of other weights")
    assert run_index(store, catalogue()).done == 1
    assert row_of(store)["feature_version"] == "of other weights"


def test_an_index_of_a_store_from_before_its_version_was_named(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "store"))
    store.create(["features/minilm"])
    former = pa.schema([f for f in table_of("indexes").schema if f.name != "feature_version"])
    DeltaTable.create(store.table_url("indexes"), former, mode="overwrite")
    row = {"feature": "minilm", "input_hash": 0, "value_hash": 0, "version": "2", "attempt": 1}
    rows = pa.Table.from_pylist([row | {"computed_at": datetime(2026, 1, 1, tzinfo=UTC)}], former)
    write_deltalake(store.table_url("indexes"), rows, mode="append")
    assert row_of(store)["feature_version"] is None
    write_vectors(store, clustered(5))
    assert run_index(store, catalogue()).done == 1
    assert row_of(store)["feature_version"] == "1"


# --- what is done once is done


def test_nothing_changed_is_up_to_date_without_faiss(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    write_vectors(store, clustered(20))
    run_index(store, catalogue())
    monkeypatch.setitem(sys.modules, "faiss", None)  # importing it raises
    assert run_index(store, catalogue()).status == "up_to_date"
    store.rewrite("features/minilm")
    assert run_index(store, catalogue()).status == "up_to_date"
    write_vectors(store, {"nothing": "missing_input"})  # the table changed, the values did not
    result = run_index(store, catalogue())
    assert (result.status, result.done, result.skipped) == ("completed", 0, 1)
    with pytest.raises(ImportError):
        run_index(store, catalogue(metric="l2"))


def test_only_the_feature_that_changed_is_indexed_again(store: Store) -> None:
    both = catalogue("minilm", "tabular")
    write_vectors(store, clustered(20))
    write_vectors(store, clustered(20, 3), feature="tabular")
    assert run_index(store, both).done == 2
    assert row_of(store)["ids_sha256"] == row_of(store, "tabular")["ids_sha256"]  # one list for both
    before = row_of(store)
    write_vectors(store, clustered(21, 3), feature="tabular")
    assert run_index(store, both).done == 1
    assert row_of(store) == before
    assert row_of(store, "tabular")["count"] == 21


def test_other_settings_index_again_and_what_is_no_longer_chosen_goes(store: Store) -> None:
    write_vectors(store, clustered(20))
    write_vectors(store, clustered(20, 3), feature="tabular")
    run_index(store, catalogue("minilm", "tabular"))
    assert run_index(store, catalogue("minilm", "tabular", metric="l2")).done == 2
    assert row_of(store)["metric"] == "l2"
    result = run_index(store, catalogue("minilm", "tabular", metric="l2", features=["tabular"]))
    assert (result.done, result.removed, result.skipped) == (0, 1, 1)
    assert run_index(store, catalogue("minilm", "tabular", features=[])).removed == 1
    assert store.count_live("indexes") == 0
    assert run_index(store, catalogue("minilm", "tabular", features=[])).status == "up_to_date"


def test_the_same_vectors_make_the_same_file(store: Store, tmp_path: Path) -> None:
    """Whatever the order of the rows and the commits: neighbours must not move when nothing else did."""
    given = clustered(2_000)
    write_vectors(store, given)
    run_index(store, catalogue(flat_up_to=0))
    other = Store(str(tmp_path / "other"))
    other.create(["features/minilm"])
    write_vectors(other, dict(list(given.items())[:700]))
    write_vectors(other, dict(reversed(list(given.items())[700:])))
    run_index(other, catalogue(flat_up_to=0))
    assert row_of(store)["index_sha256"] == row_of(other)["index_sha256"]
    assert row_of(store)["ids_sha256"] == row_of(other)["ids_sha256"]


# --- recall


@pytest.mark.parametrize("metric", ["cosine", "l2"])
def test_recall_is_the_share_of_true_neighbours_in_the_answers(metric: Any) -> None:
    """Against an index of known answers: the first half of the truth of numpy, the rest as far away as can be."""
    vectors = vectors_of(clustered(60, 8))
    if metric == "cosine":
        vectors = vectors._replace(array=vectors.array / np.linalg.norm(vectors.array, axis=1, keepdims=True))
    sorted_ = vectors.array[vectors.order]
    distance = -sorted_ @ sorted_.T if metric == "cosine" else np.linalg.norm(sorted_[:, None] - sorted_[None], axis=2)
    np.fill_diagonal(distance, -np.inf)
    truth = np.argsort(distance, axis=1, kind="stable")  # itself first

    class Half:
        def search(self, queries: NDArray[np.float32], k: int) -> tuple[Any, NDArray[np.int64]]:
            return None, np.hstack([truth[:, :6], truth[:, -(k - 6) :]])

    class Unanswered:
        def search(self, queries: NDArray[np.float32], k: int) -> tuple[Any, NDArray[np.int64]]:
            return None, np.hstack([truth[:, :3], np.full((len(queries), k - 3), -1)])

    recall = Recall(vectors, IndexSettings(metric=metric))
    assert recall.of(Half()) == 0.5
    assert recall.of(Unanswered()) == 0.2


def test_which_of_equal_vectors_is_found_is_no_matter(store: Store) -> None:
    write_vectors(store, {f"i{n:02d}": [1.0, n % 2] for n in range(60)})
    run_index(store, catalogue())
    assert row_of(store)["recall_at_10"] == 1.0


@pytest.mark.parametrize(("n", "recall"), [(1, 1.0), (2, 1.0), (5, 1.0)])
def test_few_items_are_few_neighbours(store: Store, n: int, recall: float) -> None:
    write_vectors(store, clustered(n))
    run_index(store, catalogue(flat_up_to=0))
    assert (row_of(store)["count"], row_of(store)["recall_at_10"]) == (n, recall)


def test_the_query_is_no_answer_and_where_it_is_none_the_last_goes() -> None:
    found = np.array([[7, 1, 2], [1, 8, 2], [1, 2, 3], [9, -1, -1]])
    np.testing.assert_array_equal(without(found, np.array([7, 8, 9, 9])), [[1, 2], [1, 2], [1, 2], [-1, -1]])


def test_the_search_widens_until_the_recall_suffices_and_no_further(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ann, "EF_SEARCH", 1)
    dice = np.random.default_rng(1)
    vectors = vectors_of({f"i{n:05d}": v for n, v in enumerate(dice.standard_normal((4_000, 32)))})
    settings = IndexSettings(flat_up_to=0, least_recall=0.97, metric="l2")
    index, found = build(vectors, settings)
    wide = json.loads(found["parameters"])["efSearch"]
    assert found["recall_at_10"] >= 0.97
    assert wide == index.hnsw.efSearch > 1
    index.hnsw.efSearch = wide // 2
    assert Recall(vectors, settings).of(index) < 0.97


def test_low_recall_is_a_reason_beside_the_index_and_stops_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ann, "EF_SEARCH", 1)
    monkeypatch.setattr(ann, "MOST_EF_SEARCH", 2)
    dice = np.random.default_rng(1)
    write_vectors(store, {f"i{n:05d}": v for n, v in enumerate(dice.standard_normal((3_000, 48)))})
    result = run_index(store, catalogue(flat_up_to=0, least_recall=1.0))
    assert (result.status, result.done, result.failed, result.reasons) == ("completed", 0, 1, {"low_recall": 1})
    row = row_of(store)
    assert row["reason"] == "low_recall"
    assert 0 < row["recall_at_10"] < 1
    assert "index.least_recall is 1.0; index.flat_up_to: 3000 makes the search exact" in row["detail"]
    assert_same(store)
    assert run_index(store, catalogue(flat_up_to=0, least_recall=1.0)).status == "up_to_date"  # until something changes
    assert run_index(store, catalogue(flat_up_to=3_000, least_recall=1.0)).done == 1


# --- awkward vectors


@pytest.mark.parametrize("flat_up_to", [50_000, 0])
def test_zeros_stay_zeros_and_near_nothing(store: Store, flat_up_to: int) -> None:
    write_vectors(store, clustered(50) | {"zero": np.zeros(24), "zero too": np.zeros(24)})
    run_index(store, catalogue(flat_up_to=flat_up_to))
    assert_same(store)
    assert not held(store)["zero"].any()


def test_tiny_and_huge_vectors_keep_their_direction(store: Store) -> None:
    write_vectors(store, {"huge": [3e30, 4e30], "tiny": [3e-30, 4e-30], "one": [0.6, 0.8]})
    run_index(store, catalogue())
    for vector in held(store).values():
        np.testing.assert_allclose(vector, [0.6, 0.8], rtol=1e-6)


@pytest.mark.parametrize(
    ("given", "reason", "said"),
    [
        ({}, "missing_input", "no item has a value in features/minilm"),
        ({"a": "no_weights"}, "missing_input", "no item has a value"),
        ({"a": [1.0, 2.0], "b": [1.0]}, "internal_error", "has 1 numbers, others 2"),
        ({"a": [1.0, 2.0], "b": [1.0, float("nan")]}, "internal_error", "item b has NaN or infinity"),
        ({"a": [1.0, 2.0], "b": [float("inf"), 1.0]}, "internal_error", "item b has NaN or infinity"),
    ],
)
def test_what_makes_no_index_is_a_reason(store: Store, given: Given, reason: str, said: str) -> None:
    if given:
        write_vectors(store, given)
    assert run_index(store, catalogue()).reasons == {reason: 1}
    row = row_of(store)
    assert (row["reason"], said in row["detail"], row["index_sha256"]) == (reason, True, None)
    assert not Path(store.url, "indexes").exists()


def test_vectors_are_streamed_into_one_array(store: Store) -> None:
    n, d = 150_000, 32
    values = pa.array(np.random.default_rng(0).random(n * d, np.float32))
    lists = pa.ListArray.from_arrays(pa.array(np.arange(n + 1, dtype=np.int32) * d), values)
    schema, given = table_of("features/minilm").schema, {"value": lists, "item_id": [f"i{i:07d}" for i in range(n)]}
    same = {"input_hash": 0, "value_hash": 0, "version": "1", "attempt": 1, "computed_at": datetime.now(UTC)}
    store.append(
        "features/minilm",
        pa.table({f.name: pa.array(given.get(f.name, [same.get(f.name)] * n), f.type) for f in schema}),
    )
    tracemalloc.start()
    vectors = load_vectors(store, "minilm", unit=True)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert vectors.array.nbytes == n * d * 4
    assert peak < 1.7 * vectors.array.nbytes  # a second copy, or lists of Python numbers, would be more


# --- which features


def test_every_vector_feature_is_indexed_by_default() -> None:
    assert indexed_features(catalogue("minilm", "tabular")) == ("minilm", "tabular")
    assert indexed_features(catalogue("minilm", "tabular", features=["tabular"])) == ("tabular",)
    assert indexed_features(catalogue("minilm", features=[])) == ()


def test_a_feature_that_is_no_vector_is_left_out_and_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_module, "_is_vector", lambda name: name == "minilm")
    assert indexed_features(catalogue("minilm", "tabular")) == ("minilm",)
    with pytest.raises(CatalogueError, match=r"index\.features: 'tabular' is no vector; vectors are: minilm"):
        indexed_features(catalogue("minilm", "tabular", features=["tabular"]))


# --- releases


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    """Films with years and genres, and a feature over them."""
    made = Shelf(tmp_path, "movielens", featurizers={"tabular": {"numeric": ["year"]}})
    made.movielens([(n, f"Film {n} ({1950 + n})", "Crime|Drama" if n % 3 else "Drama") for n in range(1, 13)])
    return made


def test_a_release_serves_its_own_index_also_after_a_rollback(shelf: Shelf) -> None:
    first = shelf.build()
    shelf.movielens([(n, f"Film {n} ({1951 + n})", "Crime|Drama") for n in range(3, 15)])
    second = shelf.build()
    assert second.release_id == "v2"
    assert_same(shelf.store, "tabular", first)
    assert_same(shelf.store, "tabular", second)
    assert held(shelf.store, "tabular", first).keys() != held(shelf.store, "tabular", second).keys()
    rollback(shelf.store, "v1")
    vacuum(shelf.store, retention_hours=0)
    assert_same(shelf.store, "tabular", find_release(shelf.store))
    assert_same(shelf.store, "tabular", second)
    assert shelf.build().release_id == "v1"
    assert shelf.results["index"].status == "up_to_date"


def test_a_taken_down_item_is_in_no_index_and_the_next_build_makes_one_without(shelf: Shelf) -> None:
    """Nor in that of a former release."""
    shelf.build()
    item, files = shelf.item("Film 2"), Path(shelf.store.url, "indexes")
    shelf.movielens([(n, f"Film {n} ({1950 + n})", "Crime|Drama") for n in range(2, 13)])
    second = shelf.build()
    assert len(list(files.iterdir())) == 4
    assert item in held(shelf.store, "tabular", find_release(shelf.store, "v1"))
    assert item in held(shelf.store, "tabular", second)
    assert take_down(shelf.store, [item])["retired"] == ["v1", "v2"]
    assert list(files.iterdir()) == []
    assert shelf.store.count_live("indexes") == 0
    new = shelf.build()
    assert (new.release_id, shelf.results["index"].done) == ("v3", 1)
    assert item not in held(shelf.store, "tabular", new)
    assert_same(shelf.store, "tabular", new)


def test_a_take_down_leaves_the_indexes_that_never_held_the_item(shelf: Shelf) -> None:
    shelf.movielens([(n, f"Film {n} ({1950 + n})", "Drama") for n in range(1, 6)])
    kept = shelf.build()
    shelf.movielens([(n, f"Film {n} ({1950 + n})", "Drama") for n in range(1, 7)])
    shelf.build()
    assert take_down(shelf.store, [shelf.item("Film 6")])["retired"] == ["v2"]
    assert_same(shelf.store, "tabular", kept)
    assert len(list(Path(shelf.store.url, "indexes").iterdir())) == 2
    assert shelf.build().release_id == "v3"
    assert_same(shelf.store, "tabular")


# --- beside torch


@pytest.mark.parametrize("first", ["torch", "faiss"])
def test_torch_and_faiss_work_in_one_process(tmp_path: Path, first: str) -> None:
    """Each brings an OpenMP runtime of its own; the encoder's stage and the index's run in the same driver."""
    code = f"""
import {first}
import numpy as np, torch
from pathlib import Path
from storage.store import Store
from tests.tasks.test_index import assert_same, catalogue, clustered, row_of, run_index, write_vectors
store = Store({str(tmp_path / "store")!r})
store.create(["features/minilm"])
def encode(): return float((torch.rand(400, 400) @ torch.rand(400, 400)).sum())
encode()
write_vectors(store, clustered(3_000))
assert run_index(store, catalogue(flat_up_to=0)).done == 1
assert encode() > 0
write_vectors(store, clustered(3_100))
assert run_index(store, catalogue()).done == 1
assert_same(store)
print("runtimes:", len({{l.split()[-1] for l in open("/proc/self/maps") if "libgomp" in l or "libomp" in l}}))
"""
    env = os.environ | {"OMP_NUM_THREADS": "2"}
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True, timeout=300)
    assert ran.returncode == 0, ran.stderr
    assert "runtimes:" in ran.stdout


def test_numbers_of_several_units_are_compared_as_z_scores(store: Store) -> None:
    """A column in thousands of Hz says no more than one between 0 and 1."""
    from featurizers.audio_descriptors import NAMES

    def made(hz: float, share: float) -> list[float]:
        return [hz, share] + [0.0] * (len(NAMES) - 2)

    given = {"a": made(1000.0, 0.1), "b": made(3000.0, 0.1), "c": made(1000.0, 0.9), "d": made(3000.0, 0.9)}
    store.create(["features/audio_descriptors"])
    write_vectors(store, given, feature="audio_descriptors")
    array = load_vectors(store, "audio_descriptors", unit=False).array
    np.testing.assert_allclose(np.abs(array[:, :2]), 1.0, rtol=1e-5)
    assert not array[:, 2:].any()
