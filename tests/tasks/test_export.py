"""An exported release is plain Parquet that others read, whole, in order and with its checksums."""

import subprocess
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from storage.hashing import entity_id
from storage.releases import Release, find_release
from tasks import export, export_files, export_rows
from tasks.export import export_release
from tests.tasks.shelf import Shelf

NUMBERS = {"tabular": {"numeric": ["year", "tempo"]}}


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    """v1: four films, the last one without numbers or genres; v2: another title for the first."""
    made = Shelf(tmp_path_factory.mktemp("shelf"), "movielens", "lastfm", featurizers=NUMBERS)
    movies = [(1, "Heat (1995)", "Crime"), (2, "M (1931)", "Crime"), (3, "Up (2009)", ""), (4, "Nothing", "")]
    ratings = [(7, n, 4.0, 964982703 - n) for n in (1, 2, 3)] + [(10, 2, 4.5, 964982703)]
    made.movielens(movies, ratings=ratings)
    made.write("lastfm/userid-timestamp-artid-artname-traid-traname.tsv", "")
    made.build()
    made.movielens([(1, "Heat (1996)", "Crime"), *movies[1:]], ratings=ratings)
    made.build()
    return made


@pytest.fixture(scope="module")
def exported(shelf: Shelf) -> Path:
    """v1 as float32."""
    folder = shelf.folder / "out" / "v1"
    export_release(shelf.store, find_release(shelf.store, "v1"), folder)
    return folder


def newest(shelf: Shelf) -> Release:
    return find_release(shelf.store)


def test_checksums_hold_for_every_file(exported: Path) -> None:
    checked = subprocess.run(
        ["sha256sum", "-c", "SHA256SUMS"], cwd=exported, capture_output=True, text=True, check=True
    )
    listed = {line.split(": ")[0] for line in checked.stdout.splitlines()}
    assert listed == {p.relative_to(exported).as_posix() for p in exported.rglob("*") if p.is_file()} - {"SHA256SUMS"}


def test_the_card_names_every_table_as_a_config(exported: Path) -> None:
    _, front, body = (exported / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    configs = {c["config_name"]: c["data_files"] for c in yaml.safe_load(front)["configs"]}
    assert list(configs) == ["items", "interactions", "users", "texts", "links", "media", "features_tabular"]
    assert all(list(exported.glob(pattern)) for pattern in configs.values())
    assert "# shelf, release v1" in body
    assert "| `items` | 4 |" in body
    assert str(exported.parents[1]) not in body


def test_vectors_are_fixed_size_lists_and_missing_ones_stay_missing(exported: Path) -> None:
    table = pq.read_table(exported / "features" / "tabular")
    assert table.schema.field("value").type == pa.list_(pa.float32(), 3)
    rows = {row["item_id"]: row for row in table.to_pylist()}
    heat, up, nothing = (rows[entity_id("movielens", str(n))] for n in (1, 3, 4))
    assert heat["value"][1:] == [0.0, 1.0]
    assert heat["mask"] == [True, False, True]
    assert up["mask"] == [True, False, False]
    assert (nothing["value"], nothing["mask"], nothing["reason"]) == (None, None, "missing_input")


def test_float16_halves_the_vectors_and_changes_nothing_else(shelf: Shelf, exported: Path, tmp_path: Path) -> None:
    export_release(shelf.store, find_release(shelf.store, "v1"), tmp_path / "half", float16=True)
    half, whole = (pq.read_table(folder / "features" / "tabular") for folder in (tmp_path / "half", exported))
    assert half.schema.field("value").type == pa.list_(pa.float16(), 3)
    assert half.drop_columns("value") == whole.drop_columns("value")
    for a, b in zip(half["value"].to_pylist(), whole["value"].to_pylist(), strict=True):
        assert a == (None if b is None else pytest.approx(b, abs=1e-3))


@pytest.mark.parametrize(
    ("table", "order"),
    [
        ("items", "item_id"),
        ("features/tabular", "item_id"),
        ("texts", "item_id, kind"),
        ("links", "item_id, source, source_id"),
        ("interactions", "user_id, time, file, line"),
    ],
)
def test_duckdb_reads_the_rows_in_order(exported: Path, table: str, order: str) -> None:
    con = duckdb.connect()
    con.sql("set preserve_insertion_order = true")
    keys = con.sql(f"select {order} from '{exported}/{table}/*.parquet'").fetchall()
    assert keys == con.sql(f"select {order} from '{exported}/{table}/*.parquet' order by all").fetchall() != []


def test_polars_reads_the_same_rows(exported: Path) -> None:
    frame = pl.read_parquet(exported / "features" / "tabular" / "*.parquet")
    assert frame.schema["value"] == pl.Array(pl.Float32, 3)
    assert frame["value"].null_count() == 1
    assert frame["value"].to_list() == pq.read_table(exported / "features" / "tabular")["value"].to_pylist()
    items = pl.read_parquet(exported / "items" / "*.parquet")
    assert sorted(items["title"]) == ["Heat", "M", "Nothing", "Up"]


def test_inner_columns_are_left_out_and_items_resolved(exported: Path) -> None:
    assert "input_hash" not in pq.read_schema(exported / "texts" / "part-00000.parquet").names
    names = pq.read_schema(exported / "interactions" / "part-00000.parquet").names
    assert names[0] == "item_id"
    assert "load_id" not in names


def test_an_older_release_gives_the_older_data(shelf: Shelf, exported: Path, tmp_path: Path) -> None:
    found = export_release(shelf.store, newest(shelf), tmp_path / "v2")
    assert found["release"] == "v2"
    years = [
        dict(pl.read_parquet(folder / "items" / "*.parquet").select("title", "year").iter_rows())["Heat"]
        for folder in (exported, tmp_path / "v2")
    ]
    assert years == [1995, 1996]


def test_the_answer_counts_rows_and_bytes_of_every_file(shelf: Shelf, tmp_path: Path) -> None:
    found = export_release(shelf.store, newest(shelf), tmp_path / "out")
    sizes = {file["file"]: (file["rows"], file["bytes"]) for file in found["files"]}
    assert sizes["items/part-00000.parquet"] == (4, (tmp_path / "out" / "items" / "part-00000.parquet").stat().st_size)
    assert found["bytes"] == sum(size for _, size in sizes.values())


def test_large_tables_are_cut_into_shards_in_order(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_files, "SHARD_BYTES", 10)
    monkeypatch.setattr(export_rows, "ROWS", 2)
    found = export_release(shelf.store, newest(shelf), tmp_path / "out")
    shards = [f for f in found["files"] if f["file"].startswith("texts/")]
    assert len(shards) > 1
    assert sum(f["rows"] for f in shards) == 8
    keys = [
        tuple(row) for f in shards for row in pl.read_parquet(tmp_path / "out" / f["file"])["item_id", "kind"].rows()
    ]
    assert keys == sorted(keys)


def test_empty_tables_are_files_with_their_columns(shelf: Shelf, tmp_path: Path) -> None:
    release = newest(shelf)
    versions = release.tables | dict.fromkeys(("texts", "interactions", "features/tabular"), 0)
    from dataclasses import replace

    found = export_release(shelf.store, replace(release, tables=versions), tmp_path / "out")
    rows = {file["file"]: file["rows"] for file in found["files"]}
    assert rows["texts/part-00000.parquet"] == rows["features/tabular/part-00000.parquet"] == 0
    empty = pl.read_parquet(tmp_path / "out" / "texts" / "*.parquet")
    assert (empty.height, empty.columns) == (0, ["item_id", "kind", "value", "language", "reason", "detail"])


@pytest.mark.parametrize("there", ["file", "folder"])
def test_what_is_there_is_never_written_over(shelf: Shelf, tmp_path: Path, there: str) -> None:
    place = tmp_path / "out"
    if there == "folder":
        place.mkdir()
        (place / "mine.txt").write_text("mine", encoding="utf-8")
    else:
        place.write_text("mine", encoding="utf-8")
    with pytest.raises(ValueError, match="out is not an empty folder; name a new one"):
        export_release(shelf.store, newest(shelf), place)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out"]


def test_an_export_that_fails_leaves_no_folder(shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> Any:
        raise OSError("No space left on device")

    (tmp_path / "out").mkdir()
    with monkeypatch.context() as broken:
        broken.setattr(export, "card", full)
        with pytest.raises(OSError, match="No space left"):
            export_release(shelf.store, newest(shelf), tmp_path / "out")
    assert not any((tmp_path / "out").iterdir())
    export_release(shelf.store, newest(shelf), tmp_path / "out")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out"]
