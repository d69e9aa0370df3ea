"""Suites over views made by hand: the numbers are right, and Great Expectations judges them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from expectations.checks import Suite
from expectations.docs import page
from expectations.registry import TABLES, checks_of, suite_of
from expectations.suite import Asked, run_suite
from storage.schemas import Column, feature_table
from storage.store import Store
from tests.tasks.plant import plant, spoil

FEATURE = "features/toy"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(str(tmp_path / "store"))
    made.create([FEATURE])
    return made


def checked(store: Store, table: str, *, former: Store | None = None, **of_suite: Any) -> dict[str, Any]:
    suite: Suite = suite_of(table, **of_suite)
    asked = [Asked(check=c, severity=c.severity, threshold=c.threshold) for c in suite.checks]
    before = former.database(only=suite.reads) if former else None
    verdicts, _ = run_suite(suite, asked, store.database(only=suite.reads), before)
    return {v.asked.check.name: v for v in verdicts}


def vectors(store: Store, **values: list[float | None] | None) -> None:
    plant(store, "items", *({"item_id": item, "kind": "film", "title": item} for item in values))
    rows = [{"item_id": i, "value": v, "reason": None if v else "missing_input"} for i, v in values.items()]
    plant(store, FEATURE, *rows)


def failed(verdicts: dict[str, Any]) -> set[str]:
    return {name for name, verdict in verdicts.items() if not verdict.success}


def test_unit_vectors_pass_and_every_number_is_there(store: Store) -> None:
    vectors(store, a=[1.0, 0.0], b=[0.6, 0.8], c=None)
    found = checked(store, FEATURE, unit_norm=True)
    assert failed(found) == set()
    assert found["finite"].observed == {"value": 0.0, "rows": 0, "of": 3}
    assert found["input_covered"].observed == {"value": 1.0, "values": 2, "with_input": 2}
    assert found["one_length"].observed == {"value": 1, "shortest": 2, "longest": 2}
    norms = found["norm_stable"].observed
    assert norms["least"] == pytest.approx(1.0)
    assert norms["before"] is None
    # mean (0.8, 0.4), of squared length 0.8: a fifth of the squared lengths is beside it
    assert found["varied"].observed["value"] == pytest.approx(0.2)


def test_a_length_that_is_not_1_fails_only_where_the_spec_says_1(store: Store) -> None:
    vectors(store, a=[1.0, 0.0], b=[3.0, 4.0])
    assert failed(checked(store, FEATURE, unit_norm=True)) == {"unit_norm"}
    assert failed(checked(store, FEATURE, unit_norm=False)) == set()


def test_nan_infinity_and_null_are_one_defect_and_shown(store: Store) -> None:
    vectors(store, a=[1.0, 0.0], b=[float("nan"), 1.0], c=[float("inf"), 1.0], d=[None, 1.0], e=[0.0, 1.0])
    found = checked(store, FEATURE, unit_norm=True)
    assert failed(found) == {"finite"}
    assert found["finite"].observed["rows"] == 3
    assert sorted((e["item_id"], e["cells"]) for e in found["finite"].examples) == [
        ("b", ["nan"]),
        ("c", ["inf"]),
        ("d", [None]),
    ]


def test_zeros_are_a_defect_unless_no_vector_has_a_length(store: Store, tmp_path: Path) -> None:
    vectors(store, a=[0.0, 0.0], b=[0.0, 0.0])
    assert "zero_norm" in failed(checked(store, FEATURE, unit_norm=True))
    assert "zero_norm" not in failed(checked(store, FEATURE, unit_norm=False))
    vectors(store, c=[0.0, 2.0])
    found = checked(store, FEATURE, unit_norm=False)["zero_norm"]
    assert found.observed == {"value": pytest.approx(2 / 3), "rows": 2, "of": 3}
    assert {e["item_id"] for e in found.examples} == {"a", "b"}


def test_drift_is_measured_against_the_last_release(store: Store, tmp_path: Path) -> None:
    former = Store(str(tmp_path / "former"))
    former.create([FEATURE])
    vectors(former, **{f"i{n}": [1.0, 0.0] if n % 2 else [0.0, 1.0] for n in range(30)})
    vectors(store, **{f"i{n}": [4.0, 0.0] if n % 2 else [0.0, 4.0] for n in range(30)})
    found = checked(store, FEATURE, former=former)
    assert failed(found) == {"norm_stable", "mean_stable"}
    assert found["norm_stable"].observed["value"] == pytest.approx(3.0)
    assert found["mean_stable"].observed["value"] == pytest.approx(1.5 * 2**0.5)


def test_another_length_of_vectors_is_not_compared(store: Store, tmp_path: Path) -> None:
    former = Store(str(tmp_path / "former"))
    former.create([FEATURE])
    vectors(former, a=[1.0, 0.0])
    vectors(store, a=[0.0, 1.0, 0.0])
    assert checked(store, FEATURE, former=former)["mean_stable"].observed["value"] is None


def test_vectors_of_another_version_are_not_compared(store: Store, tmp_path: Path) -> None:
    former = Store(str(tmp_path / "former"))
    former.create([FEATURE])
    vectors(former, **{f"i{n}": [1.0, 0.0] if n % 2 else [0.0, 1.0] for n in range(30)})
    vectors(store, **{f"i{n}": [4.0, 0.0] if n % 2 else [0.0, 4.0] for n in range(30)})
    spoil(former, FEATURE, lambda _: {"version": "former"})
    found = checked(store, FEATURE, former=former)
    assert failed(found) == set()
    assert (found["norm_stable"].observed["value"], found["mean_stable"].observed["value"]) == (None, None)


def test_new_items_without_a_value_lower_coverage_but_lose_nothing(store: Store, tmp_path: Path) -> None:
    former = Store(str(tmp_path / "former"))
    former.create([FEATURE])
    had = {f"a{n}": [1.0, float(n)] for n in range(10)}
    vectors(former, **had)
    vectors(store, **had, **{f"b{n}": None for n in range(10)})
    found = checked(store, FEATURE, former=former)
    assert failed(found) == {"coverage"}
    assert (found["coverage"].observed["value"], found["kept"].observed["value"]) == (0.5, 1.0)


def test_two_values_lost_are_no_trend(store: Store, tmp_path: Path) -> None:
    former = Store(str(tmp_path / "former"))
    former.create([FEATURE])
    vectors(former, a=[1.0, 0.0], b=[1.0, 1.0], c=[0.0, 1.0])
    vectors(store, a=[1.0, 0.0], b=None, c=None)
    assert failed(checked(store, FEATURE, former=former)) & {"coverage", "kept"} == set()


@pytest.mark.parametrize("table", [*TABLES, FEATURE])
def test_empty_tables_have_nothing_to_fail(store: Store, table: str) -> None:
    found = checked(store, table)
    assert failed(found) == set()
    assert {v.observed["value"] for v in found.values()} <= {None, 0, 1}


def test_a_feature_that_is_no_vector_is_checked_by_its_rows(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    toy = feature_table("toy")
    columns = tuple(Column("value", "binary") if c.name == "value" else c for c in toy.columns)
    monkeypatch.setattr("expectations.features.table_of", lambda _: replace(toy, columns=columns))
    names = [c.name for c in suite_of(FEATURE).checks]
    assert names == [
        "key_unique",
        "item_known",
        "input_covered",
        "coverage",
        "kept",
    ]


@pytest.mark.parametrize("table", [*TABLES, "features"])
def test_every_check_says_what_it_is(table: str) -> None:
    for check in checks_of(table).values():
        assert check.about
        assert check.meaning
        assert check.says(check.threshold)


def test_a_page_stands_alone(store: Store) -> None:
    vectors(store, a=[1.0, 0.0], b=[float("nan"), 1.0])
    suite = suite_of(FEATURE)
    asked = [Asked(check=c, severity=c.severity, threshold=c.threshold) for c in suite.checks]
    _, result = run_suite(suite, asked, store.database(only=suite.reads), None)
    text = page(result).decode()
    assert "finite: no such row" in text
    assert "://" not in text
    assert "<script" not in text


def test_the_docs_list_every_check_with_its_default() -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "validation.md").read_text(encoding="utf-8")
    for table in (*TABLES, "features"):
        for check in checks_of(table).values():
            row = f"| `{check.name}` | {check.about} | {check.severity} | {check.threshold:g}: {check.meaning} |"
            assert row in text, check.name
