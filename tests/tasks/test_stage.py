"""The stage mechanism: what is pending, what a failure costs, and that no kill loses or doubles a row."""

import random
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from storage.reasons import TRANSIENT, Reason
from storage.store import Store
from tasks.chunks import retry_time
from tasks.pending import count_pending, last_runs, scan
from tasks.run_stage import run_stage
from tasks.stage import StageResult, per_item, rows_table
from tests.tasks.toy import TABLE, lengths, toy_stage, write_texts


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(str(tmp_path / "store"))
    made.create([TABLE])
    return made


def run(store: Store, **changes: object) -> StageResult:
    """One build of the toy stage."""
    return run_stage(store, toy_stage(**changes), build_id=f"b{time.time_ns()}", last=last_runs(store).get("toy"))


def rows(store: Store) -> dict[str, tuple[float | None, str | None, int]]:
    """item_id to value, reason, attempt."""
    found = store.database().sql("select item_id, value[1], reason, attempt from features_toy").fetchall()
    return {item: (value, reason, attempt) for item, value, reason, attempt in found}


def test_new_keys_are_computed_once(store: Store) -> None:
    write_texts(store, {f"i{n:03d}": "x" * n for n in range(25)})
    first = run(store)
    assert (first.status, first.done, first.skipped) == ("completed", 25, 0)
    assert rows(store)["i007"] == (7.0, None, 1)
    assert store.size(TABLE)[0] == 3  # one commit per chunk of ten


def test_nothing_changed_scans_nothing(store: Store) -> None:
    write_texts(store, {"a": "x"})
    run(store)
    version = store.version(TABLE)

    def never(_: Store) -> pa.Table:
        raise AssertionError("inputs were listed")

    assert run(store, inputs=never).status == "up_to_date"
    assert store.version(TABLE) == version


def test_only_changed_keys_are_computed_again(store: Store) -> None:
    write_texts(store, {"a": "x", "b": "xx"})
    run(store)
    write_texts(store, {"b": "xxx", "c": "x"})
    second = run(store)
    assert (second.done, second.skipped) == (2, 1)
    assert rows(store) == {"a": (1.0, None, 1), "b": (3.0, None, 2), "c": (1.0, None, 1)}


def test_a_clock_set_back_hides_no_newer_row(store: Store) -> None:
    write_texts(store, {"a": "x", "b": "x"})
    run(store)
    rows_ = store.database().sql("from features_toy").to_arrow_table()
    at = datetime.now(UTC) + timedelta(days=1)
    late = rows_.set_column(
        rows_.schema.get_field_index("computed_at"), "computed_at", pa.array([at] * 2, pa.timestamp("us", tz="UTC"))
    )
    store.append(TABLE, late)
    write_texts(store, {"a": "xxx", "b": None})
    assert run(store).done == 1
    assert rows(store) == {"a": (3.0, None, 2)}


def test_a_key_removed_under_a_later_clock_comes_back(store: Store) -> None:
    write_texts(store, {f"i{n}": "x" for n in range(20)})
    run(store)
    write_texts(store, {"i0": None})
    run(store)
    at = datetime.now(UTC) + timedelta(days=1)
    tombstone = store.database().sql("from features_toy__rows where reason = 'removed'").to_arrow_table()
    place = tombstone.schema.get_field_index("computed_at")
    store.append(TABLE, tombstone.set_column(place, "computed_at", pa.array([at], pa.timestamp("us", tz="UTC"))))
    write_texts(store, {"i0": "xx"})
    run(store)
    assert rows(store)["i0"] == (2.0, None, 1)


def test_raised_version_computes_everything_again(store: Store) -> None:
    write_texts(store, {"a": "x", "b": "xx"})
    run(store)
    assert run(store, version="2").done == 2


def test_removed_input_leaves_a_tombstone_and_may_return(store: Store) -> None:
    write_texts(store, {"a": "x", "b": "xx"})
    run(store)
    write_texts(store, {"a": None})
    assert run(store).removed == 1
    assert set(rows(store)) == {"b"}
    write_texts(store, {"a": "xxxx"})
    assert run(store).done == 1
    assert rows(store)["a"] == (4.0, None, 1)


def test_compaction_upstream_makes_no_work(store: Store) -> None:
    for n in range(3):
        write_texts(store, {f"i{n}": "x"})
    run(store)
    store.rewrite("texts")
    assert run(store).status == "up_to_date"


def test_failed_item_is_a_row_with_a_reason_and_its_neighbours_go_on(store: Store) -> None:
    write_texts(store, {"a": "bug", "b": "xx"})
    result = run(store)
    assert (result.done, result.failed, dict(result.reasons)) == (1, 1, {"internal_error": 1})
    assert rows(store)["a"][:2] == (None, "internal_error")
    detail = (
        store.database().sql("select detail, retry_at > computed_at from features_toy where item_id = 'a'").fetchall()
    )
    assert detail == [("ZeroDivisionError: division by zero", True)]


def test_failure_is_tried_again_when_its_time_has_come(store: Store) -> None:
    write_texts(store, {"a": "later", "b": "x"})
    run(store)
    second = run(store)
    assert (second.failed, second.skipped) == (1, 1)
    assert rows(store)["a"] == (None, "unreachable", 2)


def refusing(rows: pa.Table, store: Store, *, reason: str, days: int = 1) -> pa.Table:
    """A source that has no answer at this hour, or none at all."""
    again = datetime.now(UTC) + timedelta(days=days)
    said = {"reason": reason, "retry_at": again}
    return rows_table("texts", per_item(rows, ("item_id", "kind"), lambda _: said))


def answering(rows: pa.Table, store: Store) -> pa.Table:
    """A source that answers."""
    return rows_table("texts", per_item(rows, ("item_id", "kind"), lambda _: {"value": "words"}))


def asked(store: Store, **changes: Any) -> StageResult:
    """A stage that asks a source about each overview, into another kind of `texts`."""
    of = "from texts where kind = 'overview' and reason is null"
    inputs = f"select item_id, 'asked' as kind, value_hash as input_hash {of}"
    changes = {"writes": "texts", "scope": "kind = 'asked'", "inputs": inputs, "compute": answering} | changes
    changes |= {"load": "select * exclude (input_hash) from wanted"}
    return run(store, **changes)


def told(store: Store) -> dict[str, tuple[str | None, str | None, str]]:
    """item_id to value, reason, version."""
    found = store.database().sql("select item_id, value, reason, version from texts where kind = 'asked'").fetchall()
    return {item: (value, reason, version) for item, value, reason, version in found}


@pytest.mark.parametrize("reason", sorted(TRANSIENT))
def test_a_reason_that_will_pass_leaves_the_value_of_the_former_version_in_its_place(
    store: Store, reason: Reason
) -> None:
    write_texts(store, {"a": "x"})
    asked(store)
    write_texts(store, {"b": "x"})
    short = asked(store, version="2", compute=partial(refusing, reason=reason, days=1))
    assert dict(short.reasons) == {reason: 2}
    assert told(store) == {"a": ("words", None, "1"), "b": (None, reason, "2")}
    store.rewrite("texts")  # keeps both: what counts, and when it is tried again
    assert told(store)["a"] == ("words", None, "1")
    assert asked(store, version="2").done == 0  # not before its time
    assert asked(store, version="3").done == 2
    assert told(store) == {"a": ("words", None, "3"), "b": ("words", None, "3")}


def test_a_lasting_reason_takes_the_place_of_a_value(store: Store) -> None:
    write_texts(store, {"a": "x"})
    asked(store)
    asked(store, version="2", compute=partial(refusing, reason=Reason.QUOTA, days=-1))
    assert told(store)["a"] == ("words", None, "1")
    asked(store, version="2", compute=partial(refusing, reason=Reason.NOT_FOUND))
    assert told(store)["a"] == (None, "not_found", "2")
    asked(store, version="3", compute=partial(refusing, reason=Reason.QUOTA))
    assert told(store)["a"] == (None, "quota", "3")


def test_a_value_of_another_input_is_none_for_what_is_asked_now(store: Store) -> None:
    write_texts(store, {"a": "x"})
    asked(store)
    write_texts(store, {"a": "another"})
    asked(store, compute=partial(refusing, reason=Reason.QUOTA))
    assert told(store)["a"] == (None, "quota", "1")


def test_a_key_that_was_removed_and_came_back_has_no_value_of_before(store: Store) -> None:
    write_texts(store, {"a": "x"})
    asked(store)
    write_texts(store, {"a": None})
    assert asked(store).removed == 1
    write_texts(store, {"a": "x"})
    asked(store, compute=partial(refusing, reason=Reason.QUOTA))
    assert told(store)["a"] == (None, "quota", "1")


def test_used_up_quota_ends_the_stage_as_partial_and_the_rest_waits(store: Store) -> None:
    texts = {f"i{n:03d}": "x" for n in range(200)} | {"i000": "quota"}
    write_texts(store, texts)
    first = run(store)
    assert first.status == "partial"
    assert first.done < 199
    write_texts(store, {"i000": "xx"})
    second = run(store)
    assert second.status == "completed"
    assert first.done + second.done == 200
    assert len(rows(store)) == 200


def test_waiting_longer_after_each_attempt_up_to_30_days() -> None:
    now = datetime.now(UTC)
    assert retry_time("unreachable", 1, now) == now + timedelta(hours=1)
    assert retry_time("unreachable", 3, now) == now + timedelta(hours=4)
    assert retry_time("unreachable", 40, now) == now + timedelta(days=30)
    assert retry_time("not_found", 1, now) is None
    assert retry_time(None, 1, now) is None


def test_a_key_without_a_row_breaks_the_contract_and_commits_nothing(store: Store) -> None:
    write_texts(store, {"a": "x", "b": "xx"})
    with pytest.raises(ValueError, match="stage 'toy': 2 keys were asked for, 1 came back in 1 rows"):
        run(store, compute=lambda chunk, s: lengths(chunk.slice(0, 1), s))
    assert rows(store) == {}


def test_count_of_pending_matches_what_a_run_does(store: Store) -> None:
    write_texts(store, {"a": "x", "b": "xx", "c": "x"})
    run(store)
    write_texts(store, {"b": "xxx", "c": None, "d": "x"})
    counts = count_pending(scan(store, toy_stage(), datetime.now(UTC)), toy_stage())
    assert counts.pop("seconds") == pytest.approx(2 * toy_stage().seconds_per_key)
    assert counts == {"new": 1, "changed": 1, "retry": 0, "removed": 1, "inputs": 3}


def test_no_kill_loses_or_doubles_a_row(store: Store) -> None:
    """20 SIGKILLs of a child that commits every few milliseconds and rewrites its table, then to the end."""
    texts = {f"i{n:04d}": "x" * (n % 50) for n in range(3_000)}
    write_texts(store, texts)
    command = [sys.executable, "-m", "tests.tasks.toy", store.url]
    killed, moments = 0, random.Random(7)
    log = Path(store.url) / "tables" / TABLE / "_delta_log"
    for n in range(20):
        child = subprocess.Popen([*command, f"b{n}"])
        before = len(list(log.iterdir()))
        while len(list(log.iterdir())) == before and child.poll() is None:
            time.sleep(0.002)
        time.sleep(moments.uniform(0, 0.4))
        child.send_signal(signal.SIGKILL)
        killed += child.wait() == -signal.SIGKILL
        store.tidy(TABLE) if n % 5 == 0 else None
    assert killed >= 10, "the child ended by itself: make it slower"
    subprocess.run([*command, "last"], check=True)
    assert rows(store) == {item: (float(len(text)), None, 1) for item, text in texts.items()}
    total = store.database().sql("select count(*), count(distinct item_id) from features_toy__rows").fetchall()[0]
    assert total == (3_000, 3_000)
