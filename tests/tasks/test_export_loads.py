"""An exported world is read by `datasets`, DuckDB and Polars, and by the very snippets of its card."""

import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest
import soundfile
from PIL import Image

from deployments.sandbox.world import SOURCES, generate
from featurizers.audio_descriptors import NAMES
from featurizers.flac import decode_flac
from storage.media import MediaFiles, media_name
from storage.releases import Release, find_release
from storage.schemas import ATTEMPT_COLUMNS, table_of
from storage.store import rows_of
from tasks.export import export_release
from tests.tasks.shelf import Shelf

WORLD = {"films": 20, "tracks": 30, "listeners": 2, "viewers": 4, "playlists": 2, "clips": 5, "posters": 5}
FEATURES = ("audio_descriptors", "image_descriptors", "mel", "minilm", "tabular")
TABLES = ("items", "interactions", "users", "texts", "links", "media", *(f"features/{name}" for name in FEATURES))


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    """The sources of `demo-files` over a small world."""
    folder = tmp_path_factory.mktemp("world")
    generate(folder / "world", **WORLD)
    numbers = {"numeric": ["year", "duration_ms", "tempo"]}
    features = {name: {} for name in FEATURES if name != "tabular"} | {"tabular": numbers}
    made = Shelf(folder, featurizers=features, audio={"keep_native_window": True})
    made.sources = {name: {"connector": name, "path": f"world/{path}"} for name, path in SOURCES.items()}
    made.sources |= {
        "tmdb_files": {**made.sources["tmdb_files"], "items": False},
        "music_folder": {**made.sources["music_folder"], "items": False, "options": {"ids": "spotify"}},
        "image_folder": {"connector": "image_folder", "path": "world/images/covers", "options": {"ids": "spotify"}},
        "posters": {"connector": "image_folder", "path": "world/images/posters", "options": {"ids": "movielens"}},
    }
    made.build(until="tabular")  # what is checked and indexed is not exported
    return made


@pytest.fixture(scope="module")
def release(shelf: Shelf) -> Release:
    return find_release(shelf.store)


@pytest.fixture(scope="module")
def exported(shelf: Shelf, release: Release) -> Path:
    folder = shelf.folder / "out" / "v1"
    export_release(shelf.store, release, folder)
    return folder


@pytest.fixture
def loaded(exported: Path, tmp_path: Path) -> Any:
    """`load_dataset` of a config, with a cache of the test's own."""
    datasets = pytest.importorskip("datasets")
    return lambda config: datasets.load_dataset(str(exported), config, split="train", cache_dir=str(tmp_path))


def stored(shelf: Shelf, release: Release, name: str) -> list[dict[str, Any]]:
    """The release's rows, read from the store in the order that the export promises."""
    table = table_of(name)
    dropped = [c for c in (*ATTEMPT_COLUMNS, "load_id") if c in table.names and c not in ("reason", "detail")]
    order = "user_id, time, file, line" if name == "interactions" else ", ".join(table.key)
    con = shelf.store.database(release.tables)
    return rows_of(con.sql(f"select * exclude ({', '.join(dropped)}) from {table.view} order by {order}"))


def plain(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows in one shape, whoever read them: lists, and the pairs of `attributes` as a dictionary."""
    return [{name: _plain(value) for name, value in row.items()} for row in rows]


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple) and value and isinstance(value[0], dict):
        return {pair["name"]: pair["value"] for pair in value}
    return list(value) if isinstance(value, tuple) else value or None if isinstance(value, dict | list) else value


@pytest.mark.parametrize("name", TABLES)
def test_every_reader_gives_the_rows_of_the_release_in_order(
    shelf: Shelf, release: Release, exported: Path, loaded: Any, name: str
) -> None:
    wanted = plain(stored(shelf, release, name))
    assert wanted
    assert plain(loaded(table_of(name).view).to_list()) == wanted
    assert plain(pl.scan_parquet(exported / name / "*.parquet").collect().to_dicts()) == wanted
    con = duckdb.connect()
    con.sql("set timezone = 'UTC'")
    assert plain(rows_of(con.sql(f"from read_parquet('{exported}/{name}/*.parquet')"))) == wanted


def test_sound_is_an_audio_feature_at_its_rate(shelf: Shelf, release: Release, loaded: Any) -> None:
    from datasets import Audio

    rows = loaded("audio")
    assert rows.features["audio"].sampling_rate == 22_050
    assert isinstance(rows.features["audio"], Audio)
    wanted = [r for r in stored(shelf, release, "media") if r["kind"] == "audio_window" and r["reason"] is None]
    assert [row["item_id"] for row in wanted] == rows["item_id"][:] != []
    for row, fact in zip(rows.cast_column("audio", Audio(decode=False)), wanted, strict=True):
        data = row["audio"]["bytes"]
        wave, rate_hz = soundfile.read(io.BytesIO(data), dtype="float32")
        assert (rate_hz, row["audio"]["path"]) == (22_050, f"{row['item_id']}.flac")
        assert len(wave) / rate_hz == pytest.approx(fact["duration_s"])
        assert data == MediaFiles(shelf.store.url).read(fact["sha256"], "flac")
        # Any reader is within 24 bits of what the features were computed from, as the card says.
        np.testing.assert_allclose(wave, np.clip(decode_flac(data)[0], -1, 1), rtol=0, atol=2.0**-23)


def test_native_windows_are_a_config_of_their_own(shelf: Shelf, release: Release, loaded: Any) -> None:
    from datasets import Audio

    rows = loaded("audio_native")
    assert rows.features["audio"] == Audio()
    rates = {r["item_id"]: r["rate_hz"] for r in stored(shelf, release, "media") if r["kind"] == "audio_native"}
    files = {row["item_id"]: row["audio"]["bytes"] for row in rows.cast_column("audio", Audio(decode=False))}
    assert {item: soundfile.info(io.BytesIO(data)).samplerate for item, data in files.items()} == {
        item: rate for item, rate in rates.items() if rate
    }


def test_pictures_are_an_image_feature(shelf: Shelf, release: Release, exported: Path, loaded: Any) -> None:
    import datasets

    rows = loaded("images")
    assert isinstance(rows.features["image"], datasets.Image)
    wanted = [r for r in stored(shelf, release, "media") if r["kind"] == "image" and r["reason"] is None]
    assert [row["item_id"] for row in wanted] == rows["item_id"][:] != []
    assert [row["image"].size for row in rows] == [(row["width"], row["height"]) for row in wanted]
    frame = pl.read_parquet(exported / "images" / "*.parquet").unnest("image")
    assert [Image.open(io.BytesIO(data)).size for data in frame["bytes"]] == [(r["width"], r["height"]) for r in wanted]
    files = duckdb.sql(f"select image.path, octet_length(image.bytes) from '{exported}/images/*.parquet'").fetchall()
    assert files == [(f"{row['item_id']}.{row['format']}", row["size_bytes"]) for row in wanted]


def test_each_snippet_of_the_card_runs(exported: Path, tmp_path: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (exported / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 9  # items, two of DuckDB, pandas, vectors, spectrograms, two of sound, pictures
    run = "import json, sys\nfor block in json.load(sys.stdin):\n    exec(block, {'__name__': '__main__'})\n"
    env = os.environ | {"HF_HOME": str(tmp_path), "HF_DATASETS_OFFLINE": "1", "HF_HUB_OFFLINE": "1"}
    ran = subprocess.run(
        [sys.executable, "-c", run], input=json.dumps(blocks), cwd=exported, env=env, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr[-2_000:]
    assert "(50, 384) True" in ran.stdout
    assert "(661500,) 22050" in ran.stdout


def test_spectrograms_come_back_in_decibels(shelf: Shelf, exported: Path) -> None:
    from featurizers.mel import log_mel

    row = pq.read_table(exported / "features" / "mel").to_pylist()[0]
    sql = f"select sha256 from media where item_id = '{row['item_id']}' and kind = 'audio_window'"
    data = MediaFiles(shelf.store.url).read(shelf.sql(sql)[0], "flac")
    q = np.frombuffer(row["value"], np.uint8).reshape(row["bands"], row["frames"])
    db = row["db_lo"] + q / 255 * (row["db_hi"] - row["db_lo"])
    off = (row["db_hi"] - row["db_lo"]) / 510
    np.testing.assert_allclose(db, log_mel(*decode_flac(data)), rtol=0, atol=off * 1.001)


def test_cells_of_vectors_have_names_in_the_card_and_in_the_files(
    shelf: Shelf, release: Release, exported: Path
) -> None:
    said = json.loads(pq.read_schema(exported / "features/audio_descriptors/part-00000.parquet").metadata[b"mediateca"])
    assert (said["release"], said["vector"]["dimension"]) == ("v1", len(NAMES))
    assert [cell["name"] for cell in said["vector"]["cells"]] == list(NAMES)
    assert said["vector"]["cells"][0]["unit"] == "BPM"
    card = (exported / "README.md").read_text(encoding="utf-8")
    assert "In order: tempo (BPM), pulse_clarity (0 to 1)" in card
    tabular = json.loads(pq.read_schema(exported / "features/tabular/part-00000.parquet").metadata[b"mediateca"])
    year = tabular["vector"]["cells"][0]
    assert (year["name"], tabular["vector"]["version"]) == ("year", release.stages["tabular"])
    # The fit's numbers undo the z-scores.
    years = dict(shelf.sql("select item_id, year from items where year is not null"))
    rows = pq.read_table(exported / "features" / "tabular").to_pylist()
    found = {r["item_id"]: r["value"][0] * year["std"] + year["mean"] for r in rows if r["value"] and r["mask"][0]}
    assert found == pytest.approx(years)


def test_the_card_counts_what_is_there_and_why_not(shelf: Shelf, exported: Path) -> None:
    manifest = json.loads((exported / "manifest.json").read_bytes())
    found = {row["modality"]: row for row in manifest["coverage"]}
    items = shelf.sql("select count(*) from items")[0]
    windows = found["media/audio_window"]
    assert (
        windows["values"] == shelf.sql("select count(*) from media where kind = 'audio_window' and reason is null")[0]
    )
    assert windows["values"] + sum(windows["reasons"].values()) == items == windows["items"]
    assert sum(n for reason, n in windows["reasons"].items() if reason != "no input") > 0  # the world has broken clips
    said = {row["source"]: row for row in manifest["sources"]}
    plays = dict(shelf.sql("select source, count(*) from interactions group by source"))
    assert {name: row["interactions"] for name, row in said.items() if row["interactions"]} == plays
    assert said["movielens"]["items"] == shelf.sql("select count(*) from items where kind = 'film'")[0]
    assert (
        said["posters"]["media"]
        == shelf.sql("select count(*) from media where source = 'posters' and reason is null")[0]
    )
    assert str(shelf.folder) not in (exported / "README.md").read_text(encoding="utf-8")
    assert str(shelf.folder) not in (exported / "manifest.json").read_text(encoding="utf-8")


def test_without_media_what_is_known_of_them_stays(shelf: Shelf, release: Release, tmp_path: Path) -> None:
    found = export_release(shelf.store, release, tmp_path / "out", media=False)
    assert not {"audio", "images"} & {c["config"] for c in found["configs"]}
    assert {"media", "features_mel"} <= {c["config"] for c in found["configs"]}
    assert not (tmp_path / "out" / "audio").exists()
    assert 'load_dataset(os.getcwd(), "audio"' not in (tmp_path / "out" / "README.md").read_text(encoding="utf-8")


@pytest.fixture
def harmed(shelf: Shelf, release: Release) -> Generator[tuple[str, str]]:
    """One picture of the store is gone, another has other bytes; their items."""
    rows = [r for r in stored(shelf, release, "media") if r["kind"] == "image" and r["reason"] is None][:2]
    paths = [Path(shelf.store.url, media_name(row["sha256"], row["format"])) for row in rows]
    kept = [path.read_bytes() for path in paths]
    paths[0].unlink()
    paths[1].write_bytes(kept[1][:-1])
    yield rows[0]["item_id"], rows[1]["item_id"]
    for path, data in zip(paths, kept, strict=True):
        path.write_bytes(data)


def test_a_file_that_is_gone_or_damaged_is_left_out_and_said(
    shelf: Shelf, release: Release, exported: Path, harmed: tuple[str, str], tmp_path: Path
) -> None:
    found = export_release(shelf.store, release, tmp_path / "out")
    assert found["media_left_out"] == {"images": {"gone": 1, "damaged": 1}}
    there, whole = (
        set(pq.read_table(folder / "images")["item_id"].to_pylist()) for folder in (tmp_path / "out", exported)
    )
    assert whole - there == set(harmed)
    said = "no longer held them whole: images: 1 gone, images: 1 damaged."
    assert said in (tmp_path / "out" / "README.md").read_text(encoding="utf-8")


def test_two_exports_of_a_release_are_the_same_bytes(
    shelf: Shelf, release: Release, exported: Path, tmp_path: Path
) -> None:
    export_release(shelf.store, release, tmp_path / "again")
    assert (tmp_path / "again" / "SHA256SUMS").read_text() == (exported / "SHA256SUMS").read_text()
