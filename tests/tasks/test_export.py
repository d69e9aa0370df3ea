"""An exported release is plain Parquet that others read, whole, in order and with its checksums."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from filelock import FileLock

from storage.errors import StoreFull
from storage.hashing import entity_id
from storage.releases import Release, find_release
from tasks import export, export_files, export_rows
from tasks.export import export_release
from tasks.export_card import escaped
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
    made.build(until="tabular")
    made.movielens([(1, "Heat (1996)", "Crime"), *movies[1:]], ratings=ratings)
    made.build(until="tabular")
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


def test_the_card_names_every_table_with_rows_as_a_config(exported: Path) -> None:
    _, front, body = (exported / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    configs = {c["config_name"]: c["data_files"] for c in yaml.safe_load(front)["configs"]}
    assert list(configs) == ["items", "interactions", "users", "texts", "links", "features_tabular"]  # no media
    assert all(list(exported.glob(pattern)) for pattern in configs.values())
    assert "# shelf, release v1" in body
    assert "| items | 4 |" in body
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
    _, front, _ = (tmp_path / "out" / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    named = {c["config_name"] for c in yaml.safe_load(front)["configs"]}
    assert "items" in named
    assert not named & {"texts", "interactions", "features_tabular"}  # `load_dataset` fails on a config without rows


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
        with pytest.raises(StoreFull, match="out: no space left; nothing was written under that name"):
            export_release(shelf.store, newest(shelf), tmp_path / "out")
    assert not any((tmp_path / "out").iterdir())
    export_release(shelf.store, newest(shelf), tmp_path / "out")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out"]


def child(shelf: Shelf, code: str) -> subprocess.CompletedProcess[str]:
    """An export in a process of its own; `code` is run first, and the folder is `out` beside the store."""
    run = f"""
import os, resource, signal, sys
from pathlib import Path
from storage.releases import find_release
from storage.store import Store
from tasks import export
{code}
store = Store({shelf.store.url!r})
try:
    export.export_release(store, find_release(store), Path(sys.argv[1]))
except Exception as exc:
    print(type(exc).__name__, exc)
"""
    return subprocess.run([sys.executable, "-c", run, str(shelf.folder / "child")], capture_output=True, text=True)


def test_killed_before_its_end_it_leaves_nothing_under_its_name_and_the_next_one_cleans_up(shelf: Shelf) -> None:
    out, hidden = shelf.folder / "child", shelf.folder / ".child.building"
    ran = child(shelf, "export.card = lambda *_: os.kill(os.getpid(), signal.SIGKILL)")
    assert ran.returncode == -9, ran.stderr
    assert (out.exists(), (hidden / "items" / "part-00000.parquet").exists()) == (False, True)
    (hidden / "left.txt").write_text("from the killed one", encoding="utf-8")
    export_release(shelf.store, newest(shelf), out)
    assert (hidden.exists(), (out / "left.txt").exists(), (out / ".lock").exists()) == (False, False, False)
    shutil.rmtree(out)


def test_no_space_left_is_said_and_nothing_stays(shelf: Shelf) -> None:
    # A limit on the size of files stands in for a full disk: the system refuses the write in the same place.
    ran = child(shelf, "resource.setrlimit(resource.RLIMIT_FSIZE, (3_000, 3_000))")
    assert ran.stdout.startswith(f"StoreFull export to {shelf.folder / 'child'}: no space left"), ran.stderr
    assert not [path for path in shelf.folder.iterdir() if "child" in path.name]


def test_two_exports_to_one_place_do_not_mix(shelf: Shelf, tmp_path: Path) -> None:
    building = tmp_path / ".out.building"
    building.mkdir()
    (building / "half.parquet").write_text("of the other one", encoding="utf-8")
    with FileLock(building / ".lock"), pytest.raises(ValueError, match="another export is writing there"):
        export_release(shelf.store, newest(shelf), tmp_path / "out")
    assert (building / "half.parquet").exists()


@pytest.mark.parametrize(("rows", "size"), [(65_536, 1), (1, 1 << 20), (65_536, 200)])
def test_features_are_sorted_whatever_fits_into_memory(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int, size: int
) -> None:
    monkeypatch.setattr(export_rows, "SORT_BYTES", size)
    monkeypatch.setattr(export_rows, "ROWS", rows)
    release = newest(shelf)
    export_release(shelf.store, release, tmp_path / "out")
    found = pq.read_table(tmp_path / "out" / "features" / "tabular").drop_columns(["reason", "detail"]).to_pylist()
    con = shelf.store.database(release.tables)
    # The first film's vector was superseded: it is in the rows of the table, and not in the export.
    assert con.sql("select count(*) from features_tabular__rows").fetchall() == [(5,)]
    wanted = con.sql("select item_id, value, mask from features_tabular order by item_id").fetchall()
    assert [tuple(row.values()) for row in found] == wanted


def vectors(*lists: list[float] | None) -> pa.Table:
    return pa.table({"item_id": [str(n) for n in range(len(lists))], "value": pa.array(lists, pa.list_(pa.float32()))})


def fixed(rows: pa.Table, width: int, values: pa.DataType) -> pa.Table:
    schema = pa.schema([("item_id", pa.string()), ("value", pa.list_(values, width))])
    return export_rows.as_fixed(rows, schema, "features/toy")


def test_vectors_of_two_lengths_are_refused() -> None:
    for lists in ([[1.0, 2.0], [3.0]], [[1.0], [2.0, 3.0, 4.0]]):  # the second has as many numbers as two of two
        with pytest.raises(ValueError, match=r"features/toy: vectors of 2 and of \d numbers"):
            fixed(vectors(*lists), 2, pa.float32())


def test_what_half_precision_cannot_hold_is_refused_and_what_is_infinite_stays() -> None:
    with pytest.raises(ValueError, match="features/toy: 70000 is beyond half precision"):
        fixed(vectors([1.0, 7e4]), 2, pa.float16())
    kept = fixed(vectors([1.0, float("inf")], None), 2, pa.float16())
    assert kept["value"].to_pylist() == [[1.0, float("inf")], None]


def test_hostile_titles_stay_text_in_the_card(tmp_path: Path) -> None:
    hostile = "<script>alert(1)</script> | `x` [a](https://example.org) \u202e *b* $c$ \\ ~d~ (1995)"
    shelf = Shelf(tmp_path, "movielens", featurizers=NUMBERS, about="---\nlicense: mit\n---\n# <b>ours</b>")
    genre = "film|noir`<i>"
    shelf.movielens([(1, hostile, genre), (2, "two\nlines\x1b[31m (1996)", genre)])
    shelf.build(until="tabular")
    export_release(shelf.store, newest(shelf), tmp_path / "out")
    _, front, body = (tmp_path / "out" / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    assert yaml.safe_load(front)["license"] == "unknown"
    assert not re.search(r"<[a-z/]|\x1b|\u202e|https://", re.sub(r"```.*?```|`[^`]*`", "", body, flags=re.DOTALL))
    rows = [line for line in body.splitlines() if "| film |" in line]
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {6}
    shown = next(row for row in rows if "script" in row)
    assert r"&lt;script&gt;alert(1)&lt;/script&gt; \| \`x\` \[a\](https&#58;//example.org) \*b\* \$c\$" in shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a_b _c_", "a_b \\_c\\_"),
        ("a & b", "a &amp; b"),
        ("x" * 200, "x" * 119 + "…"),
        (" a\r\n\tb ", "a b"),
        ("# not a heading", "# not a heading"),  # never at the start of a line of its own
    ],
)
def test_text_of_others_as_markdown(text: str, shown: str) -> None:
    assert escaped(text) == shown
