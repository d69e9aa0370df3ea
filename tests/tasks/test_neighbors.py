"""Neighbours come from a release, for the item that was meant, or the message says what to ask instead."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from storage.releases import find_release, publish
from storage.store import Store
from tasks.neighbors import Neighbors, find_neighbors
from tests.tasks.shelf import Shelf
from tests.tasks.test_index import catalogue, clustered, run_index, tabled, write_vectors

FACTS: dict[str, Any] = {n: {} for n in ("counts", "stages", "libraries", "weights")}


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    """Films of two kinds; two are called alike."""
    # Catalogues of few films lose most of them here, which a release would be refused for.
    unchecked = {"default": "off"}
    made = Shelf(tmp_path, "movielens", featurizers={"tabular": {"numeric": ["year"]}}, validation=unchecked)
    made.movielens(
        [
            (1, "Heat (1995)", "Crime|Drama"),
            (2, "Heat (1986)", "Crime"),
            (3, "Amélie (2001)", "Comedy|Romance"),
            (4, "Alien: Covenant (2017)", "Horror"),
            (5, "Casino (1995)", "Crime|Drama"),
            (6, "Clue (1985)", "Comedy"),
            (7, "Jaws (1975)", "Horror"),
            (8, "Big (1988)", "Comedy|Romance"),
        ]
    )
    return made


def ask(shelf: Shelf, item: str, *, release: str | None = None, **asked: Any) -> Neighbors:
    return find_neighbors(shelf.store, find_release(shelf.store, release), item, **asked)


def test_an_item_is_named_by_id_by_source_or_by_title(shelf: Shelf) -> None:
    shelf.build()
    casino = shelf.item("Casino")
    for name in (casino, "movielens:5", "Casino", "cAsInO"):
        found = ask(shelf, name, k=1)
        assert found.item == {"item_id": casino, "title": "Casino", "year": 1995, "kind": "film"}
        assert [row["item_id"] for row in found.rows] == [shelf.linked()["movielens:1"]]
        assert found.rows[0] == {
            "item_id": shelf.linked()["movielens:1"], "title": "Heat", "year": 1995, "kind": "film", "score": 1.0,
        }  # fmt: skip
    assert ask(shelf, "alien: covenant").item["title"] == "Alien: Covenant"
    assert ask(shelf, "AME\u0301LIE").item["title"] == "Amélie"  # the accent as a letter of its own


def test_scores_are_the_cosines_of_the_table_the_nearest_first(shelf: Shelf) -> None:
    shelf.build()
    vectors = {i: v / np.linalg.norm(v) for i, v in tabled(shelf.store, "tabular").items()}
    found = ask(shelf, "Big")
    own = found.item["item_id"]
    wanted = sorted(((round(float(v @ vectors[own]), 4), i) for i, v in vectors.items() if i != own), reverse=True)
    assert [round(row["score"], 4) for row in found.rows] == [score for score, _ in wanted]
    assert {row["item_id"] for row in found.rows} == vectors.keys() - {own}
    assert (len(found.rows), found.feature, found.notes) == (7, "tabular", ())  # ten were asked for, seven there are


def test_distances_are_negative_so_that_higher_is_nearer(shelf: Shelf) -> None:
    shelf.changes["index"] = {"metric": "l2"}
    shelf.build()
    vectors = tabled(shelf.store, "tabular")
    found = ask(shelf, "Big", k=3)
    own = vectors[found.item["item_id"]]
    for row in found.rows:
        assert row["score"] == pytest.approx(-np.linalg.norm(vectors[row["item_id"]] - own), abs=1e-5)
    assert [row["score"] for row in found.rows] == sorted((row["score"] for row in found.rows), reverse=True)


def test_a_title_of_several_items_lists_them(shelf: Shelf) -> None:
    shelf.build()
    with pytest.raises(ValueError, match="'heat' is 2 items; name one by its item_id:") as error:
        ask(shelf, "heat")
    ids = shelf.linked()
    assert f"  {ids['movielens:1']}  Heat (film, 1995)" in str(error.value)
    assert f"  {ids['movielens:2']}  Heat (film, 1986)" in str(error.value)


@pytest.mark.parametrize(
    ("item", "asked", "said"),
    [
        ("Casio", {}, "release v1: no item 'Casio'; did you mean 'Casino'\\? expected an item_id, source:source_id"),
        ("movielens:99", {}, "release v1: no item 'movielens:99'; expected an item_id"),
        ("", {}, "no item ''"),
        ("it's", {}, "no item 'it's'"),
        ("Casino", {"k": 0}, "-k 0: expected 1 to 1,000"),
        ("Casino", {"k": 1001}, "-k 1001: expected 1 to 1,000"),
        (
            "Casino",
            {"feature": "tabula"},
            "the feature 'tabula' has no index; did you mean 'tabular'\\? indexed: ",
        ),
        ("Casino", {"feature": "minilm"}, "release v1: the feature 'minilm' has no index; indexed: tabular"),
    ],
)
def test_mistakes_say_what_to_ask(shelf: Shelf, item: str, asked: dict[str, Any], said: str) -> None:
    shelf.build()
    with pytest.raises(ValueError, match=said):
        ask(shelf, item, **asked)


def test_a_release_is_asked_never_now(shelf: Shelf) -> None:
    shelf.build()
    casino = shelf.item("Casino")
    shelf.movielens([(1, "Heat (1995)", "Crime|Drama"), (9, "Luna (2001)", "Drama"), (8, "Big (1988)", "Comedy")])
    shelf.run()  # not released
    assert len(ask(shelf, "Casino").rows) == 7
    with pytest.raises(ValueError, match="no item 'Luna'"):
        ask(shelf, "Luna")
    shelf.changes["validation"] = {"default": "warn"}  # most films are gone
    shelf.build()
    assert {row["title"] for row in ask(shelf, "Luna").rows} == {"Heat", "Big"}
    with pytest.raises(ValueError, match="release v2: no item 'Casino'"):
        ask(shelf, "Casino")
    assert ask(shelf, "Casino", release="v1").item["item_id"] == casino


def test_an_item_without_a_vector_says_why(shelf: Shelf) -> None:
    shelf.movielens([(1, "Heat (1995)", "Crime"), (2, "Casino (1995)", "Crime"), (3, "Nameless", "(no genres listed)")])
    shelf.build()
    with pytest.raises(ValueError, match=r"release v1: Nameless \(\w{16}\) has no vector in 'tabular': missing_input"):
        ask(shelf, "Nameless")


def test_a_release_without_an_index_says_how_to_get_one(shelf: Shelf) -> None:
    shelf.changes["index"] = {"features": []}
    shelf.build()
    with pytest.raises(ValueError, match=r"release v1: no feature is indexed; see `index:` in docs/catalogues\.md"):
        ask(shelf, "Casino")
    old = find_release(shelf.store)
    tables = {name: version for name, version in old.tables.items() if name != "indexes"}
    facts = FACTS | {"code_version": "1", "catalogue": {"catalogue": "shelf"}, "catalogue_hash": "x"}
    publish(shelf.store, tables, partial=False, **facts)  # as a release of the code before this table
    with pytest.raises(ValueError, match="release v2: the feature 'tabular' has no index; no feature is indexed"):
        ask(shelf, "Casino", feature="tabular")


def test_an_item_that_was_merged_away_is_the_one_it_became(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, "spotify", "lastfm", featurizers={"tabular": {"numeric": ["tempo"]}})
    shelf.changes["separate"] = ["lastfm:Bo/_/Luna"]
    track = {"id": f"{1:022d}", "name": "Luna", "artist": "Bo"}
    shelf.spotify(track, {"id": f"{2:022d}", "name": "Sol", "artist": "Bo"})
    shelf.lastfm(("u1", "Bo", "Luna"))
    shelf.run()
    alias = shelf.linked()["lastfm:Bo/_/Luna"]
    shelf.changes["separate"] = []
    shelf.build()
    luna = shelf.linked()["spotify:" + track["id"]]
    assert luna != alias
    assert ask(shelf, alias).item["item_id"] == ask(shelf, "lastfm:Bo/_/Luna").item["item_id"] == luna


def released(tmp_path: Path, given: dict[str, Any], **index: Any) -> Store:
    """A store with vectors, an index and a release, but without items."""
    store = Store(str(tmp_path / "store"))
    store.create(["features/minilm", "features/tabular"])
    chosen = catalogue("minilm", "tabular", **index)
    write_vectors(store, given)
    write_vectors(store, clustered(20, 3), feature="tabular")
    run_index(store, chosen)
    return store


def publish_items(store: Store, chosen: dict[str, Any], titles: dict[str, str]) -> None:
    import pyarrow as pa

    from tasks.run_stage import run_stage
    from tasks.stage import Stage, rows_table

    rows = rows_table("items", [{"item_id": i, "title": t, "kind": "film"} for i, t in titles.items()])
    hashes = pa.table({"item_id": list(titles), "input_hash": pa.array([0] * len(titles), pa.int64())})
    run_stage(
        store,
        Stage(
            name="items",
            version="1",
            reads=(),
            writes="items",
            inputs=lambda _: hashes,
            compute=lambda *_: rows,
            chunk_keys=len(titles),
        ),
        build_id=f"items{store.version('runs')}",
    )
    facts = FACTS | {"code_version": "1", "catalogue": chosen, "catalogue_hash": "x"}
    publish(store, {name: store.version(name) for name in store.tables()}, partial=False, **facts)


def test_the_first_feature_of_the_catalogue_is_the_default(tmp_path: Path) -> None:
    given = clustered(20)
    store = released(tmp_path, given)
    publish_items(store, {"index": {"features": None}}, {item: item for item in given})
    assert find_neighbors(store, find_release(store), next(iter(given))).feature == "minilm"
    publish_items(store, {"index": {"features": ["tabular", "minilm"]}}, {item: item for item in given})
    item = next(iter(clustered(20, 3)))
    assert find_neighbors(store, find_release(store), item).feature == "tabular"


def test_the_neighbours_of_a_zero_vector_say_so(tmp_path: Path) -> None:
    given = clustered(20) | {"zero": np.zeros(24)}
    store = released(tmp_path, given)
    publish_items(store, {}, {item: item for item in given})
    found = find_neighbors(store, find_release(store), "zero", k=5)
    assert [row["score"] for row in found.rows] == [0.0] * 5
    assert found.notes == ("the vector of zero is all zeros: every score is 0, and none is nearer than another",)
    assert find_neighbors(store, find_release(store), next(iter(given)), k=20).notes == ()


def test_low_recall_is_said_with_every_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage.ann.EF_SEARCH", 1)
    monkeypatch.setattr("storage.ann.MOST_EF_SEARCH", 1)
    dice = np.random.default_rng(1)
    given = {f"i{n:05d}": v for n, v in enumerate(dice.standard_normal((3_000, 48)))}
    store = released(tmp_path, given, flat_up_to=0, least_recall=1.0)
    publish_items(store, {}, {item: item for item in given})
    found = find_neighbors(store, find_release(store), "i00000")
    assert len(found.rows) == 10
    assert found.notes[0].startswith("the index of 'minilm' has low_recall: recall@10 is 0.")
    assert len({row["item_id"] for row in found.rows} - {"i00000"}) == 10
