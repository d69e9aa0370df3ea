"""Two generations of a feature: one is built beside the other, one is served, and nothing mixes them."""

import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from featurizers.hf_text import HfText
from storage.errors import MixedVersions
from storage.generations import only_version, served_versions
from storage.releases import find_release, publish, retire
from storage.schemas import table_of
from storage.store import Store
from tasks.export import export_release
from tasks.index import index_features
from tasks.maintain import drop_generations
from tasks.pending import last_runs
from tasks.plan import make_plan
from tasks.release import publish_release
from tasks.run_stage import run_stage
from tasks.settings_stages import IndexSettings
from tasks.stage import StageResult
from tests.featurizers.tiny import tiny_bert
from tests.tasks.plant import plant
from tests.tasks.shelf import Shelf
from tests.tasks.toy import TABLE, toy_stage, write_texts


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(str(tmp_path / "store"))
    made.create([TABLE])
    return made


def run(store: Store, **changes: object) -> StageResult:
    """One build of the toy stage."""
    return run_stage(store, toy_stage(**changes), build_id=f"b{time.time_ns()}", last=last_runs(store).get("toy"))


def counts(store: Store, at: int | None = None, table: str = TABLE) -> dict[str, int]:
    """Rows that count, by version."""
    con = store.database(None if at is None else {table: at}, only=(table,))
    return dict(con.sql(f"select version, count(*) from {table_of(table).view} group by all").fetchall())


def physical(store: Store) -> dict[str, int]:
    """Rows that are there, by version."""
    con = store.database(only=(TABLE,))
    return dict(con.sql("select version, count(*) from features_toy__rows group by all").fetchall())


def test_a_new_version_is_served_when_it_is_complete_and_the_old_one_stays_beside_it(store: Store) -> None:
    write_texts(store, {f"i{n:02d}": "x" * n for n in range(30)})
    run(store)
    before = store.version(TABLE)
    assert run(store, version="2").done == 30
    assert counts(store) == {"2": 30}
    assert counts(store, before) == {"1": 30}  # a release of then
    assert physical(store) == {"1": 30, "2": 30}


def test_while_a_new_version_is_not_complete_the_old_one_is_served_whole(store: Store) -> None:
    write_texts(store, {f"i{n:03d}": "x" for n in range(100)})
    run(store)
    write_texts(store, {"i050": "quota"})
    result = run(store, version="2")
    assert result.status == "partial"
    assert physical(store)["2"] > 0  # how many is left to the order in which the store gives the keys
    assert counts(store) == {"1": 100}
    write_texts(store, {"i050": "x"})
    assert run(store, version="2").done < 100  # it goes on
    assert counts(store) == {"2": 100}


def test_a_feature_of_a_store_without_generations_is_held_while_the_next_is_built(store: Store) -> None:
    write_texts(store, {f"i{n:03d}": "x" for n in range(60)} | {"i000": "quota"})
    plant(store, TABLE, *({"item_id": f"i{n:03d}", "value": [1.0], "version": "former"} for n in range(60)))
    assert store.generation(TABLE) is None
    assert run(store, version="2").status == "partial"
    assert counts(store) == {"former": 60}


def test_going_back_to_a_generation_that_is_still_there_computes_only_what_changed(store: Store) -> None:
    write_texts(store, {f"i{n:02d}": "x" for n in range(20)})
    run(store)
    run(store, version="2")
    write_texts(store, {"i03": "changed", "i04": None, "new": "x"})
    back = run(store, version="1")
    assert (back.done, back.removed) == (2, 1)
    assert counts(store) == {"1": 20}
    again = run(store, version="2")
    assert (again.done, again.removed) == (2, 1)
    assert counts(store) == {"2": 20}
    assert run(store, version="2").status == "up_to_date"


def test_an_item_that_goes_while_a_version_is_built_is_in_neither(store: Store) -> None:
    write_texts(store, {f"i{n:02d}": "x" for n in range(20)})
    run(store)
    write_texts(store, {"i00": None})
    assert run(store, version="2").removed == 0  # it was never there at this version
    assert counts(store) == {"2": 19}
    store.rewrite(TABLE)
    result = run(store, version="2", reads=("texts", "items"))  # another fingerprint: looked at again
    assert (result.done, result.removed) == (0, 0)


def test_killed_in_the_middle_the_old_generation_is_served_and_the_next_build_goes_on(store: Store) -> None:
    write_texts(store, {f"i{n:04d}": "x" * (n % 7) for n in range(1_500)})
    run(store, chunk_keys=500)
    command = [sys.executable, "-m", "tests.tasks.toy", store.url, "killed", "2"]
    child = subprocess.Popen(command, cwd=Path(__file__).resolve().parents[2])
    deadline = time.monotonic() + 120
    while physical(store).get("2", 0) == 0 and time.monotonic() < deadline:
        time.sleep(0.02)
    child.send_signal(signal.SIGKILL)
    child.wait()
    done = physical(store)["2"]
    assert 0 < done < 1_500
    assert counts(store) == {"1": 1_500}
    assert run(store, version="2", chunk_keys=500).done == 1_500 - done
    assert counts(store) == {"2": 1_500}


def test_maintenance_drops_generations_that_nothing_needs(store: Store) -> None:
    write_texts(store, {f"i{n:02d}": "x" for n in range(20)})
    for version in ("1", "2", "3"):
        run(store, version=version)
    plant(store, TABLE, {"item_id": "i00", "value": [1.0], "version": "on its way"})
    facts: dict[str, Any] = {name: {} for name in ("counts", "catalogue", "libraries", "weights")}
    publish(
        store,
        {TABLE: store.version(TABLE)},
        partial=False,
        stages={"toy": "2"},
        code_version="1",
        catalogue_hash="x",
        **facts,
    )
    data = store.data_version(TABLE)
    assert drop_generations(store) == [f"{TABLE}: 1"]
    assert physical(store) == {"2": 20, "3": 20, "on its way": 1}
    assert counts(store) == {"3": 20}
    assert store.data_version(TABLE) == data  # no row changed for whoever reads
    retire(store, find_release(store, "v1"), "old")
    assert drop_generations(store) == [f"{TABLE}: 2"]
    assert drop_generations(store) == []


def planted_mix(store: Store) -> None:
    """What no stage leaves: values of two versions that both count."""
    plant(store, TABLE, *({"item_id": f"i{n}", "value": [float(n), 1.0], "version": "old"} for n in range(3)))
    plant(store, TABLE, {"item_id": "i3", "value": [3.0, 1.0], "version": "new"})


def test_the_index_refuses_a_mix(store: Store) -> None:
    planted_mix(store)
    with pytest.raises(MixedVersions, match=r"features/toy: its vectors are of 2 versions \(old: 3, new: 1\)"):
        index_features(pa.table({"feature": ["toy"]}), store, settings=IndexSettings().model_dump_json())
    assert not store.objects.names("indexes")


def test_export_refuses_a_mix(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, "movielens", featurizers={})
    shelf.movielens([(n, f"Film {n} (1999)", "Drama") for n in range(1, 6)])
    release = shelf.build()
    shelf.store.create([TABLE])
    planted_mix(shelf.store)
    mixed = replace(release, tables=release.tables | {TABLE: shelf.store.version(TABLE)})
    with pytest.raises(MixedVersions, match="2 versions"):
        export_release(shelf.store, mixed, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_release_names_no_mix(store: Store) -> None:
    planted_mix(store)
    with pytest.raises(MixedVersions, match="2 versions"):
        served_versions(store, store.tables())


def test_a_mix_that_a_former_build_left_is_none_once_the_stage_is_complete(store: Store) -> None:
    planted_mix(store)
    write_texts(store, {f"i{n}": "x" for n in range(4)})
    assert run(store, version="new").done == 4
    assert served_versions(store, store.tables()) == {"toy": "new"}


def test_a_release_names_the_version_that_is_served(tmp_path: Path) -> None:
    """Not that of the stage, whose generation may be on its way."""
    shelf = Shelf(tmp_path, "movielens", featurizers={"tabular": {"numeric": ["year"]}}, index={"features": []})
    shelf.movielens([(n, f"Film {n} ({1990 + n})", "Drama") for n in range(1, 6)])
    first = shelf.build()
    shelf.changes["featurizers"] = {"tabular": {"numeric": ["year", "duration_ms"]}}
    assert publish_release(shelf.catalogue, shelf.store, partial=False).stages["tabular"] == first.stages["tabular"]
    second = shelf.build()
    assert first.stages["tabular"] != second.stages["tabular"]
    for release in (first, second):
        con = shelf.store.database(release.tables, only=("features/tabular",))
        assert only_version(con, "features/tabular") == release.stages["tabular"]
    shelf.changes["featurizers"] = {"tabular": {"numeric": ["year"]}}
    shelf.run(until="tabular")  # nothing is computed: the first generation is still there
    assert shelf.results["tabular"].done == 0
    served = publish_release(shelf.catalogue, shelf.store, partial=False)
    assert served.stages["tabular"] == first.stages["tabular"]


@pytest.mark.parametrize("changed", ["a title", "the weights", "the pooling"])
def test_an_encoder_encodes_what_changed_and_nothing_else(tmp_path: Path, changed: str) -> None:
    model = {"family": "text", "model": str(tiny_bert(tmp_path / "one")), "max_tokens": 32}
    shelf = Shelf(tmp_path, "movielens", featurizers={"plots": model}, index={"features": []})
    films = [(n, f"Film {n} (1999)", "Drama") for n in range(1, 21)]
    shelf.movielens(films)
    shelf.run(until="plots")
    first = counts(shelf.store, table="features/plots")
    if changed == "a title":
        shelf.movielens([(1, "Film of the shark (1999)", "Drama"), *films[1:]])
    elif changed == "the weights":
        shelf.changes["featurizers"] = {"plots": model | {"model": str(tiny_bert(tmp_path / "two", seed=1))}}
    else:
        shelf.changes["featurizers"] = {"plots": model | {"pooling": "cls"}}
    shelf.run(until="plots")
    assert shelf.results["plots"].done == (1 if changed == "a title" else 20)
    assert (counts(shelf.store, table="features/plots") == first) == (changed == "a title")
    assert sum(first.values()) == sum(counts(shelf.store, table="features/plots").values()) == 20


def test_weights_that_are_gone_for_a_night_cost_no_vector(tmp_path: Path) -> None:
    """Those of before stay; what is new waits for the weights, and for nothing else."""
    folder = tiny_bert(tmp_path / "one")
    model = {"family": "text", "model": str(folder), "max_tokens": 32}
    shelf = Shelf(tmp_path, "movielens", featurizers={"plots": model}, index={"features": []})
    films = [(n, f"Film {n} (1999)", "Drama") for n in range(1, 21)]
    shelf.movielens(films)
    shelf.run(until="plots")
    (version,) = counts(shelf.store, table="features/plots")
    folder.rename(tmp_path / "away")
    shelf.movielens([*films, (21, "Film of the shark (2000)", "Drama")])
    for _ in range(2):
        shelf.run(until="plots")
        assert dict(shelf.results["plots"].reasons) == {"no_weights": 1}
        assert counts(shelf.store, table="features/plots") == {version: 21}
        (row,) = [row for row in make_plan(shelf.catalogue, shelf.store) if row["stage"] == "plots"]
        assert row["note"].startswith(f"the vectors of before stay and none is new, as there is no folder {folder};")
    assert shelf.sql("select reason from features_plots where reason is not null") == ["no_weights"]
    (tmp_path / "away").rename(folder)
    shelf.run(until="plots")
    assert (shelf.results["plots"].done, shelf.results["plots"].skipped) == (1, 20)
    assert counts(shelf.store, table="features/plots") == {version: 21}


def test_a_version_whose_weights_were_replaced_on_its_way_takes_no_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of its vectors are there: the former ones are served until all of them are."""
    folder = tiny_bert(tmp_path / "one")
    model = {"family": "text", "model": str(folder), "max_tokens": 32}
    shelf = Shelf(tmp_path, "movielens", featurizers={"plots": model}, index={"features": []}, chunk_keys=5)
    shelf.movielens([(n, f"Film {n} (1999)", "Drama") for n in range(1, 21)])
    shelf.run(until="plots")
    served = counts(shelf.store, table="features/plots")
    tiny_bert(folder, seed=1)
    encode, chunks = HfText.__call__, list[int]()

    def replacing(self: HfText, batch: list[str]) -> Any:
        chunks.append(len(batch))
        if chunks.count(5) == 3:
            tiny_bert(folder, seed=2)
        return encode(self, batch)

    monkeypatch.setattr(HfText, "__call__", replacing)
    shelf.run(until="plots")
    assert dict(shelf.results["plots"].reasons) == {"no_weights": 10}
    assert shelf.results["plots"].done == 10
    assert counts(shelf.store, table="features/plots") == served
    monkeypatch.undo()
    tiny_bert(folder, seed=1)
    shelf.run(until="plots")
    assert (shelf.results["plots"].done, shelf.results["plots"].skipped) == (10, 10)
    assert counts(shelf.store, table="features/plots").keys() != served.keys()


def test_settings_changed_while_weights_are_gone_serve_the_vectors_of_before(tmp_path: Path) -> None:
    folder = tiny_bert(tmp_path / "one")
    model = {"family": "text", "model": str(folder), "max_tokens": 32}
    shelf = Shelf(tmp_path, "movielens", featurizers={"plots": model}, index={"features": []})
    shelf.movielens([(n, f"Film {n} (1999)", "Drama") for n in range(1, 21)])
    shelf.run(until="plots")
    served = counts(shelf.store, table="features/plots")
    folder.rename(tmp_path / "away")
    shelf.changes["featurizers"] = {"plots": model | {"pooling": "cls"}}
    shelf.run(until="plots")
    assert dict(shelf.results["plots"].reasons) == {"no_weights": 20}
    assert counts(shelf.store, table="features/plots") == served
    (tmp_path / "away").rename(folder)
    shelf.run(until="plots")
    now = counts(shelf.store, table="features/plots")
    assert sum(now.values()) == 20
    assert now.keys() != served.keys()
