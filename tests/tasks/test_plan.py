"""A plan says what another version of a feature would cost."""

from pathlib import Path

import pytest

from deployments.cli_plan import version_change
from tasks.plan import all_stages, make_plan
from tasks.settings_encoders import STAGES
from tests.tasks.shelf import Shelf

FILMS = 150


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    made = Shelf(tmp_path, "movielens", featurizers={"tabular": {"numeric": ["year"]}}, index={"features": []})
    made.movielens([(n, f"Film {n} ({1900 + n % 100})", "Drama") for n in range(1, FILMS + 1)])
    made.build()
    return made


def change_of(shelf: Shelf, stage: str) -> dict[str, object] | None:
    (row,) = (row for row in make_plan(shelf.catalogue, shelf.store) if row["stage"] == stage)
    return row["version_change"]


def test_no_encoder_has_the_name_of_a_stage(shelf: Shelf) -> None:
    stages = {stage.name for stage in all_stages(shelf.catalogue, shelf.store)} - {"tabular"}
    assert {name for name in stages if "." not in name} | {"audio", "images", "lyrics", "release"} == STAGES


def test_no_change_costs_nothing(shelf: Shelf) -> None:
    assert change_of(shelf, "tabular") is None


def test_another_version_costs_its_items_time_and_bytes(shelf: Shelf) -> None:
    (row,) = (row for row in make_plan(shelf.catalogue, shelf.store) if row["stage"] == "tabular")
    assert row["up_to_date"]
    former = shelf.store.generation("features/tabular")
    measured = shelf.results["tabular"].seconds
    shelf.changes["featurizers"] = {"tabular": {"numeric": ["year", "duration_ms"]}}
    change = change_of(shelf, "tabular")
    assert change is not None
    assert (change["from"], change["items"], change["measured_with"]) == (former, FILMS, former)
    assert change["seconds"] == pytest.approx(measured, abs=0.06)
    assert change["bytes"] == pytest.approx(shelf.store.size_bytes("features/tabular"), abs=1)
    assert f"{FILMS} items, about" in version_change("tabular", change)
    assert "as measured with another version" in version_change("tabular", change)


def test_a_time_that_was_never_measured_is_unknown(shelf: Shelf) -> None:
    shelf.store.delete("runs", "stage = 'tabular'")
    shelf.changes["featurizers"] = {"tabular": {"numeric": ["year", "duration_ms"]}}
    change = change_of(shelf, "tabular")
    assert change is not None
    assert (change["seconds"], change["measured_with"]) == (None, None)
    assert "unknown time" in version_change("tabular", change)


def test_a_generation_that_is_still_there_costs_nothing_again(shelf: Shelf) -> None:
    first = dict(shelf.changes["featurizers"])
    shelf.changes["featurizers"] = {"tabular": {"numeric": ["year", "duration_ms"]}}
    shelf.build()
    shelf.changes["featurizers"] = first
    change = change_of(shelf, "tabular")
    assert change is not None
    assert (change["items"], change["bytes"]) == (0, 0)
