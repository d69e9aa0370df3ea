"""A service asks whole bundles alone, without torch, through switches, additions and removals."""

import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from storage.bundles import NoSuchBundle, add_items, bundles, find_bundle, publish, remove_items, rollback, withdraw
from storage.errors import StoreError
from storage.store import Store
from storage.vector_index import VectorIndex
from tasks.maintain import take_down
from tests.storage import test_s3
from tests.storage.bundled import SLOT, D, Toy, dataset, published
from training.data import Queries

endpoint, bucket = test_s3.endpoint, test_s3.bucket
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with one bundle."""
    published(str(folder := tmp_path_factory.mktemp("made") / "store"))
    return folder


@pytest.fixture
def url(template: Path, tmp_path: Path) -> str:
    """A copy of it."""
    return str(shutil.copytree(template, tmp_path / "store"))


def asked(n: int = 5, seed: int = 9) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, D)).astype(np.float32)


def best(vectors: np.ndarray, k: int, gone: set[str] = frozenset(), seed: int = 0) -> list[list[str]]:
    """By hand: sorted by score."""
    scores, ids = vectors @ Toy(200, seed).item_vectors().T, dataset().item_ids
    return [[ids[at] for at in np.argsort(-row) if ids[at] not in gone][:k] for row in scores]


def test_the_reader_loads_neither_torch_nor_a_database(url: str) -> None:
    code = f"""
import sys
from storage.vector_index import VectorIndex
index = VectorIndex({url!r})
(found, who) = index.recommend(["i00001"], country="SE", k=3)
assert who == "model" and found.ids.shape == (1, 3), (found, who)
print([name for name in ("torch", "duckdb", "deltalake", "polars", "pandas", "prefect", "onnx") if name in sys.modules])
"""
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert (ran.returncode, ran.stdout.strip()) == (0, "[]"), ran.stderr


def test_answers_are_the_best_by_inner_product(url: str) -> None:
    vectors = asked()
    found = VectorIndex(url).search(vectors, 7)
    assert found.ids.tolist() == best(vectors, 7)
    places = np.array([[int(i[1:]) for i in row] for row in found.ids])
    np.testing.assert_allclose(found.scores, np.einsum("bd,bkd->bk", vectors, Toy(200).item_vectors()[places]), 1e-5)


def test_what_was_seen_is_no_answer_and_k_are_left(url: str) -> None:
    vectors = asked(2)
    first = [set(row) for row in best(vectors, 50)]
    found = VectorIndex(url).search(vectors, 10, [first[0], {*list(first[1])[:3], "unknown"}])
    assert found.ids[0].tolist() == best(vectors, 10, first[0])[0]
    assert found.ids[1].tolist() == best(vectors, 10, {*list(first[1])[:3]})[1]


def test_where_fewer_are_left_the_rest_is_empty(url: str) -> None:
    every = set(dataset().item_ids)
    found = VectorIndex(url).search(asked(1), 5, [every - {"i00003", "i00004"}])
    assert sorted(found.ids[0].tolist()) == ["", "", "", "i00003", "i00004"]
    assert np.isneginf(found.scores[0, 2:]).all()
    assert found.ids[0, 2:].tolist() == [""] * 3
    assert VectorIndex(url).search(asked(1), 300).ids[0, 200:].tolist() == [""] * 100


def test_the_user_tower_gives_what_the_model_gives(url: str) -> None:
    bundle, model = VectorIndex(url).current(), Toy(200)
    history = [n % 200 for n in range(3, 14)]  # longer than the tower reads
    wanted = model.query_vectors(Queries.of([history]))
    ids = [f"i{n:05d}" for n in history]
    np.testing.assert_allclose(bundle.query(["unknown", *ids]), wanted, atol=1e-5)
    np.testing.assert_allclose(bundle.query(ids[-2:]), model.query_vectors(Queries.of([history[-2:]])), atol=1e-5)
    se = wanted + model.parts["country"][2]
    np.testing.assert_allclose(bundle.query(ids, country="SE"), se - model.parts["country"][0], atol=1e-5)
    np.testing.assert_allclose(bundle.query(ids, country="nowhere", gender="x"), wanted, atol=1e-5)
    with pytest.raises(ValueError, match="none of 1 items of the history is known"):
        bundle.query(["unknown"])


def test_without_a_known_item_the_country_answers_then_all(url: str) -> None:
    index, events = VectorIndex(url), dataset().events
    at_home = np.bincount(events.item[events.user < 40])
    top = f"i{at_home.argmax():05d}"
    found, who = index.recommend(["unknown"], country="NO", k=3)
    assert (who, found.ids[0, 0]) == ("country", top)
    assert found.scores[0, 0] == pytest.approx(at_home.max() / 40, abs=1e-6)
    found, who = index.recommend([], country="NO", k=3)
    assert index.current().popular(3, "NO", exclude=[top]).ids[0, 0] != top
    every = np.bincount(events.item)
    found, who = index.recommend([], country="DK", k=3)
    assert (who, found.ids[0, 0]) == ("overall", f"i{every.argmax():05d}")


def test_seen_items_come_back_where_listeners_repeat(url: str) -> None:
    index, history = VectorIndex(url), ["i00004"]
    assert index.recommend(history, k=1, seen=True)[0].ids[0].tolist() == history  # its own vector is the nearest
    assert index.recommend(history, k=50)[0].ids[0].tolist().count("i00004") == 0


def test_wrong_questions_are_told(url: str) -> None:
    index = VectorIndex(url)
    with pytest.raises(ValueError, match=r"vectors of shape \(2, 3\), k 1; expected float32 of \(B, 16\)"):
        index.search(np.zeros((2, 3), np.float32), 1)
    with pytest.raises(ValueError, match="NaN or infinity"):
        index.search(np.full((1, D), np.nan, np.float32), 1)
    with pytest.raises(ValueError, match="exclude has 1 collections for 2 queries"):
        index.search(asked(2), 1, [[]])


# --- whole or refused


def test_before_the_first_bundle_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(NoSuchBundle, match="no bundle is current"):
        VectorIndex(str(tmp_path))


@pytest.mark.parametrize(
    ("name", "change", "hashed", "said"),
    [
        ("index.faiss", lambda b: b[:-1], False, "was altered .* bytes, its manifest says"),
        ("ids.npy", lambda b: b[:-1] + b"x", True, "was altered .sha256"),
        ("popularity.json", None, False, "is not there"),
        ("manifest.json", lambda b: b.replace(b'"toy-0"', b'"toy-9"'), False, "manifest of bundle .* was altered"),
    ],
)
def test_altered_parts_are_refused(url: str, name: str, change: object, hashed: bool, said: str) -> None:
    file = Path(url, "bundles", SLOT, find_bundle(Store(url)).bundle_id, name)
    file.write_bytes(change(file.read_bytes())) if callable(change) else file.unlink()
    with pytest.raises(StoreError, match=said):
        VectorIndex(url, hashed=hashed)


def test_parts_of_two_bundles_are_refused(tmp_path: Path) -> None:
    """Even if somebody wrote a manifest to match: what the parts hold is compared, too."""
    from storage.opened_bundle import OpenedBundle

    small, large = (published(str(tmp_path / f"s{n}"), items=n) for n in (200, 210))
    folders = [tmp_path / f"s{n}" / "bundles" / SLOT / b.bundle_id for n, b in ((200, small), (210, large))]
    (folders[0] / "ids.npy").write_bytes((folders[1] / "ids.npy").read_bytes())
    with pytest.raises(StoreError, match="its parts are of different bundles"):
        OpenedBundle(folders[0], small.manifest)


def test_a_bundle_that_is_not_whole_is_not_switched_to(url: str) -> None:
    index, first = VectorIndex(url), find_bundle(Store(url)).bundle_id
    second = published(url, seed=1).bundle_id
    Path(url, "bundles", SLOT, second, "index.faiss").write_bytes(b"half")
    with pytest.raises(StoreError, match="was altered"):
        index.refresh()
    assert index.current().manifest["bundle"] == first
    assert index.search(asked(1), 3).ids.tolist() == best(asked(1), 3)
    rollback(Store(url), first)
    with pytest.raises(StoreError, match="was altered"):
        rollback(Store(url), second)
    assert find_bundle(Store(url)).bundle_id == first


# --- switches


def test_a_switch_is_picked_up_without_a_restart(url: str) -> None:
    index = VectorIndex(url)
    second = published(url, seed=1)
    assert index.refresh()
    assert not index.refresh()
    assert index.current().manifest["bundle"] == second.bundle_id
    assert index.search(asked(1), 5).ids.tolist() == best(asked(1), 5, seed=1)


def test_a_reader_follows_its_own_slot(url: str) -> None:
    films, films_too = VectorIndex(url), VectorIndex(url, SLOT)
    tracks = published(url, slot="track", seed=1)
    assert not films.refresh()
    assert not films_too.refresh()
    assert films.search(asked(1), 5).ids.tolist() == best(asked(1), 5)
    found = VectorIndex(url, "track")
    assert (found.current().manifest["bundle"], found.current().manifest["slot"]) == (tracks.bundle_id, "track")
    assert found.search(asked(1), 5).ids.tolist() == best(asked(1), 5, seed=1)
    with pytest.raises(NoSuchBundle, match="film, track; name one"):
        VectorIndex(url)
    with pytest.raises(NoSuchBundle, match="no bundle is current for 'book'"):
        VectorIndex(url, "book")
    assert withdraw(Store(url), ["i00007"]) == 2  # held by both: neither answers with it any more
    for reader in (films, found):
        assert reader.refresh()
        assert reader.current().delta.removed == {"i00007"}


def test_no_question_fails_while_bundles_switch(url: str) -> None:
    """Each answer is one bundle's as a whole: both ids and scores are those of one of the two models."""
    index, stop, failed, answers = VectorIndex(url, check_every_s=0.0), threading.Event(), [], set()
    vectors = asked(1)
    known = {
        tuple(dataset().item_ids[i] for i in np.argsort(-(vectors @ Toy(200, s).item_vectors().T)[0])[:5])
        for s in (0, 1)
    }

    def ask() -> None:
        while not stop.is_set():
            try:
                answers.add(tuple(index.search(vectors, 5).ids[0].tolist()))
                index.recommend(["i00001"], k=3)
            except BaseException as exc:
                failed.append(exc)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for seed in (1, 0, 1, 0):
        published(url, seed=seed, keep=1)
    stop.set()
    for thread in threads:
        thread.join()
    assert (failed, answers) == ([], known)


# --- between rebuilds


def test_added_items_are_found_and_removed_ones_are_not(url: str) -> None:
    store, index, vectors = Store(url), VectorIndex(url), asked(2)
    top = best(vectors, 3)
    add_items(store, ["new", top[1][0]], np.stack([vectors[0], -0.01 * vectors[1]]), ["New", "Anew"])
    remove_items(store, [top[0][0]])
    assert index.refresh()
    found = index.search(vectors, 3)
    gone = {top[0][0], top[1][0]}
    assert found.ids[0].tolist() == ["new", *best(vectors, 2, gone)[0]]
    assert found.scores[0, 0] == pytest.approx(float(vectors[0] @ vectors[0]), rel=1e-5)
    assert top[1][0] not in found.ids[1].tolist()  # embedded anew, it is far from the second query
    assert index.search(vectors, 3, [["new"], []]).ids[0].tolist() == best(vectors, 3, gone)[0]
    assert index.current().titles(["new", top[1][0], "i00001", "unknown"]) == ["New", "Anew", "Title 1", None]
    add_items(store, [top[0][0]], vectors[:1])
    index.refresh()
    assert {"new", top[0][0]} <= set(index.search(vectors, 2).ids[0].tolist())


def test_what_was_removed_stays_so_after_a_publish_and_a_rollback(url: str) -> None:
    store, first, vectors = Store(url), find_bundle(Store(url)).bundle_id, asked(1)
    top = best(vectors, 1)[0][0]
    add_items(store, ["new"], vectors)
    remove_items(store, [top])
    published(url, seed=0)  # the same model: what was added can still be compared
    index = VectorIndex(url)
    assert index.search(vectors, 2).ids[0].tolist() == ["new", best(vectors, 1, {top})[0][0]]
    published(url, seed=1)  # another: its vectors mean something else
    index.refresh()
    assert index.current().delta.added == ()
    assert index.current().delta.removed == {top}
    remove_items(store, ["new"])
    rollback(store, first)
    index.refresh()
    assert index.search(vectors, 2).ids[0].tolist() == best(vectors, 2, {top})[0]


def test_what_is_taken_down_is_served_no_more_and_leaves_no_bundle_that_can_be_rolled_back_to(url: str) -> None:
    store, first, vectors = Store(url), find_bundle(Store(url)).bundle_id, asked(1)
    second, top = published(url, seed=1).bundle_id, best(vectors, 1, seed=1)[0][0]
    index = VectorIndex(url)
    take_down(store, [top])
    assert [b.bundle_id for b in bundles(store)] == [second]
    assert index.refresh()
    assert index.search(vectors, 3).ids[0].tolist() == best(vectors, 3, {top}, seed=1)[0]
    remove_items(store, ["i00009"])  # other removals keep in mind that it must go
    folder, files = Path(url, "bundles", SLOT, second), find_bundle(store).manifest["files"]
    copy = shutil.copytree(
        folder,
        Path(url).parent / "copy",
        ignore=lambda _, names: {n for n in names if n in ("delta.npz", "manifest.json")},
    )
    publish(store, SLOT, "z", copy, find_bundle(store).manifest, keep=3)
    assert [b.bundle_id for b in bundles(store)] == ["z"]
    assert files == find_bundle(store).manifest["files"]
    assert first not in {b.bundle_id for b in bundles(store)}
    assert withdraw(store, ["nowhere"]) == 0


def test_additions_that_fit_no_bundle_are_refused(url: str) -> None:
    store = Store(url)
    for ids, vectors, said in (
        (["a"], np.zeros((1, 3)), r"expected vectors of \(1, 16\)"),
        (["a"], np.full((1, D), np.inf), "NaN or infinity"),
        (["a", "a"], np.zeros((2, D)), "ids must differ"),
    ):
        with pytest.raises(ValueError, match=said):
            add_items(store, ids, vectors.astype(np.float32))
    Path(url, "bundles", SLOT, find_bundle(store).bundle_id, "delta.npz").write_bytes(b"half")
    with pytest.raises(StoreError, match=r"delta\.npz is damaged"):
        VectorIndex(url)


def test_a_bundle_on_an_object_store(bucket: str) -> None:
    first = published(bucket)
    index = VectorIndex(bucket)
    assert index.search(asked(1), 4).ids.tolist() == best(asked(1), 4)
    remove_items(Store(bucket), [best(asked(1), 1)[0][0]])
    assert index.refresh()
    assert index.search(asked(1), 3).ids[0].tolist() == best(asked(1), 4)[0][1:]
    second = published(bucket, seed=1, keep=1)
    assert index.refresh()
    assert index.current().manifest["bundle"] == second.bundle_id != first.bundle_id
