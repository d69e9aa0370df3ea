"""The store: what is appended is read once, newest first, whatever happened in between."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from storage.errors import NoSuchRelease, StoreError, StoreLocked, StoreTooNew
from storage.lock import build_lock
from storage.reasons import Reason
from storage.releases import current_release, diff, find_release, kept_versions, publish, releases, retire, rollback
from storage.schemas import table_of
from storage.store import MAX_FILES, Store

FACTS = {
    "counts": {},
    "stages": {},
    "code_version": "1",
    "catalogue": {},
    "catalogue_hash": "x",
    "libraries": {},
    "weights": {},
}
FEATURE = "features/toy"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty store with one feature table."""
    made = Store(str(tmp_path / "store"))
    made.create([FEATURE])
    return made


def vectors(ids: list[str], value: float, *, reason: str | None = None, at: datetime | None = None) -> pa.Table:
    """Rows of the feature table."""
    n, schema = len(ids), table_of(FEATURE).schema
    columns = {
        "item_id": ids,
        "value": [None if reason else [value, value]] * n,
        "mask": [None] * n,
        "input_hash": [1] * n,
        "value_hash": [int(value)] * n,
        "version": ["1"] * n,
        "attempt": [1] * n,
        "reason": [reason] * n,
        "detail": [None] * n,
        "retry_at": [None] * n,
        "computed_at": [at or datetime.now(UTC)] * n,
    }
    return pa.table({f.name: pa.array(columns[f.name], f.type) for f in schema})


def values(store: Store, versions: dict[str, int] | None = None) -> dict[str, float]:
    """item_id to first cell, as the reader gives it."""
    return dict(store.database(versions).sql("select item_id, value[1] from features_toy").fetchall())


def versions_of(store: Store) -> dict[str, int]:
    """Every table's version."""
    return {name: store.version(name) for name in store.tables()}


def test_newest_row_per_key_is_read(store: Store) -> None:
    now = datetime.now(UTC)
    store.append(FEATURE, vectors(["a", "b"], 1.0, at=now))
    store.append(FEATURE, vectors(["b", "c"], 2.0, at=now - timedelta(days=1)))
    assert values(store) == {"a": 1.0, "b": 1.0, "c": 2.0}


def test_tombstone_hides_its_key_and_a_later_row_brings_it_back(store: Store) -> None:
    store.append(FEATURE, vectors(["a"], 1.0))
    store.append(FEATURE, vectors(["a"], 0.0, reason=Reason.REMOVED))
    assert values(store) == {}
    store.append(FEATURE, vectors(["a"], 3.0))
    assert values(store) == {"a": 3.0}


def test_rows_of_a_load_are_invisible_until_the_ledger_names_it(store: Store) -> None:
    schema = table_of("quarantine").schema
    row = {"source": "s", "file": "f", "line": 1, "reason": "bad_row", "detail": "", "text": "", "load_id": "load1"}
    store.append("quarantine", pa.table({f.name: pa.array([row[f.name]], f.type) for f in schema}))
    assert store.count_live("quarantine") == 0
    now = datetime.now(UTC)
    ledger = {f.name: None for f in table_of("inputs").schema} | {
        "source": "s", "entity": "e", "part": "f@0", "load_id": "load1", "input_hash": 1, "value_hash": 1,
        "version": "1", "attempt": 1, "computed_at": now,
    }  # fmt: skip
    store.append("inputs", pa.table({f.name: pa.array([ledger[f.name]], f.type) for f in table_of("inputs").schema}))
    assert store.count_live("quarantine") == 1


def test_rewrite_changes_no_row_and_no_data_version(store: Store) -> None:
    for i in range(MAX_FILES + 2):
        store.append(FEATURE, vectors(["a", f"k{i}"], float(i)))
    before, version = values(store), store.data_version(FEATURE)
    assert store.tidy(FEATURE)
    assert values(store) == before
    assert store.size(FEATURE) == (1, len(before))
    assert store.data_version(FEATURE) == version < store.version(FEATURE)
    assert not store.tidy(FEATURE)


def test_dead_rows_beyond_their_share_are_dropped(store: Store) -> None:
    store.append(FEATURE, vectors(["a", "b", "c"], 1.0))
    store.append(FEATURE, vectors(["a", "b"], 2.0))
    assert store.tidy(FEATURE)
    assert store.size(FEATURE) == (1, 3)


def test_a_missing_column_is_named(store: Store) -> None:
    with pytest.raises(ValueError, match=r"table 'features/toy': columns \['mask'\] are missing or unknown"):
        store.append(FEATURE, vectors(["a"], 1.0).drop_columns(["mask"]))


def test_release_reads_its_own_versions_after_250_commits_and_a_vacuum(store: Store) -> None:
    store.append(FEATURE, vectors(["a"], 1.0))
    # The longest memory a checkpoint could be asked to drop: none at all.
    store.open(FEATURE).alter.set_table_properties({"delta.logRetentionDuration": "interval 0 days"})
    first = publish(store, versions_of(store), partial=False, **FACTS)
    for i in range(250):
        store.append(FEATURE, vectors(["a"], float(i)))
    store.rewrite(FEATURE)
    store.open(FEATURE).create_checkpoint()
    assert store.vacuum(FEATURE, kept_versions(store, FEATURE), retention_hours=0) >= 250
    assert values(store, first.tables) == {"a": 1.0}
    assert values(store) == {"a": 249.0}


def test_rollback_makes_an_earlier_release_current_in_one_commit(store: Store) -> None:
    first = publish(store, versions_of(store), partial=False, **FACTS)
    store.append(FEATURE, vectors(["a"], 1.0))
    second = publish(store, versions_of(store), partial=True, **FACTS)
    assert current_release(store) == second
    before = store.version("releases")
    assert rollback(store, "v1").release_id == first.release_id
    assert store.version("releases") == before + 1
    assert [r.current for r in releases(store)] == [True, False]


def test_retired_release_is_refused_by_name_and_never_current(store: Store) -> None:
    first = publish(store, versions_of(store), partial=False, **FACTS)
    retire(store, first, "take-down")
    assert current_release(store) is None
    with pytest.raises(NoSuchRelease, match=r"v1 was retired \(take-down\); name another"):
        find_release(store, "v1")
    with pytest.raises(NoSuchRelease, match="no release 'v9'; published: none yet"):
        find_release(store, "v9")


def test_diff_counts_added_removed_changed(store: Store) -> None:
    store.append(FEATURE, vectors(["a", "b", "c"], 1.0))
    first = publish(store, versions_of(store), partial=False, **FACTS)
    store.append(FEATURE, vectors(["b"], 2.0))
    store.append(FEATURE, vectors(["c"], 0.0, reason=Reason.REMOVED))
    store.append(FEATURE, vectors(["d", "e"], 5.0))
    second = publish(store, versions_of(store), partial=False, **FACTS)
    row = next(r for r in diff(store, first, second) if r["table"] == FEATURE)
    assert (row["added"], row["removed"], row["changed"]) == (2, 1, 1)


def test_second_build_is_refused_by_name_of_the_first(store: Store) -> None:
    with (
        build_lock(store.url),
        pytest.raises(StoreLocked, match=r"process \d+ on .* is building it; .*--wait"),
        build_lock(store.url),
    ):
        pass
    with build_lock(store.url):
        pass


def test_store_of_a_newer_schema_is_refused(store: Store) -> None:
    description, _ = store.objects.read_json("store.json")
    assert description is not None
    store.objects.write_json("store.json", description | {"schema_version": 99})
    with pytest.raises(StoreTooNew, match="written with schema 99, this mediateca knows 1; upgrade mediateca"):
        store.tables()


def test_empty_tables_can_be_read_before_anything_is_created(tmp_path: Path) -> None:
    con = Store(str(tmp_path / "nothing")).database(only=["items", FEATURE])
    assert con.sql("select count(*) from items").fetchall() == [(0,)]
    assert con.sql("select count(*) from features_toy").fetchall() == [(0,)]
    assert not (tmp_path / "nothing").exists()


@pytest.mark.parametrize("name", ["with space", "quote's", "ünïcode", "plus+and&"])
def test_a_store_may_lie_in_a_folder_of_any_usual_name(tmp_path: Path, name: str) -> None:
    store = Store(str(tmp_path / name / "store"))
    store.create([FEATURE])
    store.append(FEATURE, vectors(["a"], 1.0))
    store.rewrite(FEATURE)
    assert values(store) == {"a": 1.0}


@pytest.mark.parametrize("url", ["/tmp/50%", "/tmp/[ab]", "ftp://host/store", "s3://", "/tmp/what?"])
def test_a_place_that_cannot_be_opened_is_refused_at_once(url: str) -> None:
    with pytest.raises(ValueError, match=r"name another folder|expected a folder or s3://bucket/prefix"):
        Store(url)


def test_a_store_belongs_to_one_catalogue(tmp_path: Path) -> None:
    Store(str(tmp_path / "store")).create(owner="films")
    Store(str(tmp_path / "store")).create(owner="films")
    with pytest.raises(StoreError, match="belongs to the catalogue 'films', not to 'music'"):
        Store(str(tmp_path / "store")).create(owner="music")


def test_a_release_is_current_also_when_the_clock_was_set_back(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    future = datetime.now(UTC) + timedelta(hours=1)
    monkeypatch.setattr(Store, "now", lambda self, name: future)
    publish(store, versions_of(store), partial=False, **FACTS)
    monkeypatch.undo()
    second = publish(store, versions_of(store), partial=False, **FACTS)
    assert current_release(store) == second


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "{}", '{"schema_version": 1}', '{"schema_version": "x", "tables": []}']
)
def test_damaged_description_says_what_to_do_and_that_helps(tmp_path: Path, content: str) -> None:
    store = Store(str(tmp_path / "store"))
    store.create()
    publish(store, {}, partial=False, **FACTS)
    description = tmp_path / "store" / "store.json"
    description.write_text(content)
    for damaged in (store.tables, store.create):
        with pytest.raises(StoreError, match=r"store.json is damaged. Put it back .* keeps the tables"):
            damaged()
    description.unlink()
    store.create()
    assert find_release(store).release_id == "v1"


def test_readers_open_at_once_do_not_see_each_other(store: Store) -> None:
    store.append(FEATURE, vectors(["i1"], 1.0))
    before = store.database(only=[FEATURE])
    store.append(FEATURE, vectors(["i2"], 2.0))
    after = store.database(only=[FEATURE])
    after.sql("create temp table mine as select 1 as one")
    count = "select count(*) from features_toy"
    assert (before.sql(count).fetchall(), after.sql(count).fetchall()) == ([(1,)], [(2,)])
    assert [("mine",) in con.sql("show tables").fetchall() for con in (before, after)] == [False, True]
    assert after.sql("select current_setting('timezone')").fetchall() == [("UTC",)]
