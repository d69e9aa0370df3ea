"""What is published is what the model says, of one release and one revision, or nothing is; recall is measured."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import faiss
import numpy as np
import pyarrow as pa
import pytest

from storage import ann
from storage.ann import Exact, Wanted, choose, kinds
from storage.bundles import bundles, find_bundle
from storage.errors import MixedVersions, StoreError
from storage.opened_bundle import Searcher
from storage.releases import Release, publish
from storage.schemas import table_of
from storage.store import Store
from storage.vector_index import VectorIndex
from tasks import publish_parts
from tasks.publish import Publishing, publish_bundle
from tasks.publish_measure import Asked, asked_of, halves, measured, moments
from tasks.publish_parts import popularity
from tests.storage.bundled import D, Toy, dataset, released
from tests.storage.test_store import FACTS, versions_of
from training.data import NOBODY, Dataset, Queries


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "store"))


def put(
    store: Store, release: Release, model: Toy | None = None, data: Dataset | None = None, **wanted: object
) -> dict:
    data = data or dataset()
    how = Publishing(index=Wanted(**wanted))
    made = publish_bundle(store, release, model or Toy(data.items), slot="film", model_id="m", data=data, how=how)
    return dict(made.manifest)


# --- what a bundle says


def test_the_manifest_says_what_is_served_and_how_well(store: Store) -> None:
    manifest = put(store, released(store, dataset()))
    assert [manifest[name] for name in ("slot", "release", "model", "features")] == ["film", "v1", "m", {"minilm": "1"}]
    assert (manifest["index"]["kind"], manifest["index"]["count"], manifest["index"]["dimension"]) == ("flat", 200, D)
    assert manifest["tower"] == {"history": 8, "genders": [""], "countries": ["", "NO", "SE"]}
    found = manifest["measured"]
    assert found["recall_at_10"] == 1.0
    assert (found["new_items"], found["recall_at_10_new_items"]) == (
        int((np.bincount(dataset().events.item, minlength=200) == 0).sum()),
        1.0,
    )
    assert found["queries"] + found["tuned_on"] == 60 * 11  # every event but each user's first
    assert 0 < found["latency_ms"]["p50"] <= found["latency_ms"]["p95"] <= found["latency_ms"]["p99"]
    files = {"index.faiss", "ids.npy", "titles.arrow", "popularity.json", "scaler.json", "user_tower.onnx"}
    assert set(manifest["files"]) == files | {"model/model.safetensors", "model/config.json"}


def test_popularity_counts_a_listener_once_and_small_countries_not() -> None:
    data = dataset(users=50)  # 40 of Norway, 10 of Sweden
    twice = replace(data.events, item=np.concatenate([np.full(12, 3, np.int32), data.events.item[12:]]))
    found = popularity(replace(data, events=twice))
    met = np.unique(np.stack([twice.user, twice.item]), axis=1)
    counts = np.bincount(met[1])
    assert found["overall"][0] == (f"i{counts.argmax():05d}", round(counts.max() / 50, 6))
    assert list(found["countries"]) == ["NO"]
    assert dict(found["countries"]["NO"])["i00003"] == round(int((met[1][met[0] < 40] == 3).sum()) / 40, 6)


# --- refusals


class Odd(Toy):
    """A toy with a fault."""

    def __init__(self, fault: Callable[[np.ndarray], np.ndarray], where: str) -> None:
        super().__init__(200)
        self.fault, self.where = fault, where

    def item_vectors(self) -> np.ndarray:
        return self.fault(super().item_vectors().copy()) if self.where == "items" else super().item_vectors()

    def query_vectors(self, queries: Queries) -> np.ndarray:
        found = super().query_vectors(queries)
        return self.fault(found) if self.where == "queries" else found


def with_nan(array: np.ndarray) -> np.ndarray:
    array[1, 0] = np.nan
    return array


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (Odd(lambda a: a[:-1], "items"), r"item_vectors are \(199, 16\), expected a vector for each of 200 items"),
        (Odd(with_nan, "items"), "the vectors of 1 items have NaN or infinity, the first at 1"),
        (Odd(with_nan, "queries"), "1 query vectors have NaN"),
        (Odd(lambda a: a + np.float32(0.01), "queries"), r"user_tower.onnx differs from the model by 0\.01"),
    ],
)
def test_a_model_that_contradicts_itself_is_refused_and_current_stays(store: Store, model: Odd, said: str) -> None:
    release = released(store, dataset())
    put(store, release)
    served = find_bundle(store).bundle_id
    with pytest.raises(StoreError, match=said):
        put(store, release, model)
    assert [b.bundle_id for b in bundles(store)] == [served]
    assert find_bundle(store).current


def test_other_items_than_the_release_has_are_refused(store: Store) -> None:
    release = released(store, dataset(200))
    with pytest.raises(StoreError, match=r"1 items differ .* such as i00200 in the model alone; train on this release"):
        put(store, release, data=dataset(201))
    with pytest.raises(StoreError, match=r"10 items differ .* such as i00190 in the release alone"):
        put(store, release, data=dataset(190))
    assert bundles(store) == []


def test_another_revision_than_the_model_has_read_is_refused(store: Store) -> None:
    release = released(store, dataset())
    with pytest.raises(
        StoreError, match="features/minilm is of version 1, the model has read 2; train on this release"
    ):
        put(store, release, data=dataset(version="2"))
    names = table_of("features/minilm").schema.names
    row = {"item_id": "i00000", "value": [1.0], "input_hash": 0, "value_hash": 1, "version": "2", "attempt": 1}
    row |= {"computed_at": datetime.now(UTC)}
    schema = table_of("features/minilm").schema
    store.append("features/minilm", pa.table({n: pa.array([row.get(n)], schema.field(n).type) for n in names}))
    mixed = publish(store, versions_of(store), partial=False, **FACTS)
    with pytest.raises(MixedVersions, match="its vectors are of 2 versions"):
        put(store, mixed)
    assert bundles(store) == []


def test_an_index_that_serves_other_vectors_is_refused(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    release, build = released(store, dataset()), ann.build
    monkeypatch.setattr(ann, "build", lambda array, *rest: build(array + np.float32(2e-5), *rest))
    with pytest.raises(StoreError, match="a served vector differs from the model's by 2e-05, allowed is 1e-05"):
        put(store, release)


def test_a_recall_that_no_kind_reaches_is_refused(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publish_parts.ann, "MOST_EF_SEARCH", 1)
    monkeypatch.setattr(publish_parts.ann, "EF_SEARCH", 1)
    monkeypatch.setattr(publish_parts.ann, "choose", lambda n, d, wanted: [kinds(n, d)["hnsw_sq8"]])
    monkeypatch.setattr(Exact, "recall", lambda *_: 0.4)
    with pytest.raises(StoreError, match=r"recall@10 is 0\.400 with hnsw_sq8, wanted is 0\.95; raise memory_bytes"):
        put(store, released(store, dataset()))


def test_a_history_of_no_fixed_length_is_refused(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    release = released(store, dataset())
    monkeypatch.setattr(Toy, "export_onnx", lambda self, path: _identity(path))
    with pytest.raises(StoreError, match=r"user_tower.onnx takes .* expected items \(B, L\) with a fixed L"):
        put(store, release)


def _identity(path: Path) -> None:
    import onnx
    from onnx import TensorProto, helper

    given = helper.make_tensor_value_info("items", TensorProto.INT64, [1, None])
    out = helper.make_tensor_value_info("vector", TensorProto.INT64, [1, None])
    graph = helper.make_graph([helper.make_node("Identity", ["items"], ["vector"])], "g", [given], [out])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), path)


# --- which kind


def test_the_kind_follows_size_and_memory() -> None:
    def names(n: int, d: int, **wanted: int) -> list[str]:
        return [kind.name for kind in choose(n, d, Wanted(**wanted))]

    mb = 1 << 20
    assert names(50_000, 128) == ["flat"]
    assert names(200_000, 128) == ["hnsw", "flat"]
    assert names(200_000, 128, memory_bytes=100 * mb) == ["hnsw_sq8", "flat"]  # 146, 73, 98 MiB
    assert names(200_000, 128, memory_bytes=90 * mb) == ["hnsw_sq8"]
    assert names(200_000, 128, memory_bytes=40 * mb) == ["ivf_sq8"]
    assert names(200_000, 128, memory_bytes=15 * mb) == ["ivf_pq"]
    with pytest.raises(
        ValueError, match=r"the smallest kind, ivf_pq, takes .* allowed are 0\.0 MB; raise memory_bytes"
    ):
        choose(200_000, 128, Wanted(memory_bytes=1))


@pytest.mark.parametrize("name", ["hnsw", "hnsw_sq8", "ivf_sq8", "ivf_pq"])
def test_every_kind_serves_exact_scores_of_the_true_vectors(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also with what was seen and removed left out; its file is about as large as said."""
    monkeypatch.setattr(ann, "LEAST_FOR_PQ", 0)
    n, dice = 4_000, np.random.default_rng(3)
    array = (dice.standard_normal((n, 4)) @ dice.standard_normal((4, D))).astype(np.float32)
    array /= np.linalg.norm(array, axis=1, keepdims=True)
    queries, kind = array[:40] + np.float32(0.01), kinds(n, D)[name]
    index = ann.build(array, kind.factory, "inner_product")
    faiss.write_index(index, str(tmp_path / "index"))
    assert (tmp_path / "index").stat().st_size == pytest.approx(kind.bytes, rel=0.1)
    searcher = Searcher(index, None if kind.exact else array)
    seen = [np.arange(row, row + 30) for row in range(40)]
    exact = Exact(array, queries, 10, seen)
    assert ann.widen(index, lambda _: exact.recall(searcher.search(queries, 10, seen)[1]) or 0.0, 0.95) >= 0.95
    scores, places = searcher.search(queries, 10, seen)
    assert not ann.excluded(places, seen, n).any()
    np.testing.assert_allclose(scores, np.einsum("bd,bkd->bk", queries, array[places]), atol=1e-5)
    less = searcher.without(places[0])
    assert not np.isin(less.search(queries, 10)[1], places[0]).any()
    assert (less.search(queries, 10, seen)[1] >= 0).all()


def test_a_narrow_search_widens_until_k_are_left() -> None:
    array = np.random.default_rng(0).standard_normal((2_000, D)).astype(np.float32)
    index = ann.build(array, "IVF32,SQ8", "inner_product")
    ann.set_width(index, 1)
    near = np.argsort(-(array @ array[0]))
    _, places = Searcher(index, array).search(array[:1], 10, [np.sort(near[:1_900])])
    assert (places >= 0).all()
    assert not np.isin(places[0], near[:1_900]).any()
    _, places = Searcher(index, array).search(array[:1], 10, [np.sort(near[5:])])
    assert sorted(places[0].tolist()) == sorted([-1] * 5 + near[:5].tolist())


def test_a_quantised_bundle_serves_the_models_own_scores(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publish_parts.ann, "choose", lambda n, d, wanted: [kinds(n, d)["hnsw_sq8"]])
    manifest = put(store, released(store, dataset()))
    assert (manifest["index"]["kind"], "vectors.npy" in manifest["files"]) == ("hnsw_sq8", True)
    asked = np.random.default_rng(1).standard_normal((3, D)).astype(np.float32)
    found, scores = VectorIndex(store.url).search(asked, 5), asked @ Toy(200).item_vectors().T
    np.testing.assert_allclose(found.scores, -np.sort(-scores)[:, :5], atol=1e-5)


# --- measuring


def test_exact_answers_leave_out_what_was_seen_and_ties_count_by_score() -> None:
    array = np.array([[1, 0], [1, 0], [0.5, 0], [0, 1]], np.float32)
    exact = Exact(array, np.array([[1, 0], [1, 0]], np.float32), 1, [np.array([], int), np.array([0, 1])])
    assert exact.places[1].tolist() == [2]
    assert exact.recall(np.array([[1], [2]])) == 1.0
    assert exact.recall(np.array([[0], [3]])) == 0.5
    assert exact.recall(np.array([[-1], [-1]])) == 0.0
    new = np.array([False, False, True, False])
    assert exact.recall(np.array([[0], [2]]), new) == 1.0
    assert exact.recall(np.array([[0], [3]]), new) == 0.0
    assert exact.recall(np.array([[0], [2]]), np.zeros(4, bool)) is None


def test_moments_see_what_came_before_them_alone() -> None:
    data = dataset(users=5)
    found = moments(data, 1_000, 0)
    assert len(found) == 5 * 11
    bounds = data.events.bounds(5)
    for row, (user, history) in enumerate(zip(found.user, found.history, strict=True)):
        own = data.events.item[bounds[user] : bounds[user + 1]]
        np.testing.assert_array_equal(history, own[: len(history)])
        assert 1 <= len(history) < len(own)
        assert found.profile[row].tolist() == [NOBODY, 1]
    assert len(moments(data, 7, 0)) == 7


def test_no_user_tunes_and_reports() -> None:
    tuning, report = halves(moments(dataset(), 1_000, 0), 0)
    assert not set(tuning.user.tolist()) & set(report.user.tolist())
    assert len(tuning) + len(report) == 660
    unknown = Queries.of([[1], [2], [3], [4]])
    assert [len(half) for half in halves(unknown, 0)] == [2, 2]


def test_the_report_is_of_what_is_served_not_of_what_could_be() -> None:
    """A search that finds nothing has a recall of 0, whatever was tuned."""
    model, data = Toy(200), dataset()
    _, report = asked_of(model, data, None, filter_seen=True, seed=0)
    vectors = model.item_vectors()
    flat = ann.build(vectors, "Flat", "inner_product")
    nothing, other = np.zeros(200, bool), ann.build(np.roll(vectors, 1, axis=0), "Flat", "inner_product")
    assert measured(Searcher(flat), vectors, report, nothing)["recall_at_10"] == 1.0
    assert measured(Searcher(other), vectors, report, nothing)["recall_at_10"] < 0.3
    assert isinstance(report, Asked)
    assert all(len(seen) for seen in report.seen)
    _, repeats = asked_of(model, data, None, filter_seen=False, seed=0)
    assert not any(len(seen) for seen in repeats.seen)
