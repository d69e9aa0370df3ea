"""`mediateca index`: which bundles there are, what one holds, and back to an earlier one."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deployments.cli import _code_of, app
from storage.bundles import NoSuchBundle, remove_items
from storage.store import Store
from tests.storage.bundled import published


def index(*args: str) -> str:
    ran = CliRunner().invoke(app, ["index", *args], catch_exceptions=False)
    assert ran.exit_code == 0, ran.output
    return ran.stdout


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A catalogue whose store has two bundles."""
    folder = tmp_path_factory.mktemp("home")
    for seed in (0, 1):
        published(str(folder / "store"), seed=seed)
    file = folder / "toy.yaml"
    text = "catalogue: toy\nstore: {}\nsources:\n  movielens: {{connector: movielens, path: films}}\n"
    file.write_text(text.format(folder / "store"))
    return str(file)


def test_list_show_and_rollback(catalogue: str) -> None:
    rows = json.loads(index("list", catalogue, "--json"))
    assert [row["of"] for row in rows] == ["film", "film"]
    assert json.loads(index("list", catalogue, "--of", "track", "--json")) == []
    assert [(row["model"], row["current"], row["items"], row["recall_at_10"]) for row in rows] == [
        ("toy-0", False, 200, 1.0),
        ("toy-1", True, 200, 1.0),
    ]
    assert "toy-1" in index("list", catalogue)
    assert json.loads(index("rollback", catalogue, "--json"))["model"] == "toy-0"
    remove_items(Store(str(Path(catalogue).parent / "store")), ["i00001"])
    said = json.loads(index("show", catalogue, "--json"))
    assert (said["model"], said["current"], said["since"]) == ("toy-0", True, {"added": 0, "removed": 1})
    shown = index("show", catalogue)
    assert "toy-0" in shown
    assert '"removed": 1' in shown
    assert "serving" in index("rollback", catalogue, rows[1]["bundle"])
    assert json.loads(index("show", catalogue, rows[0]["bundle"], "--of", "film", "--json"))["current"] is False


def test_what_is_not_there_is_wrong_usage(catalogue: str) -> None:
    with pytest.raises(NoSuchBundle, match="no bundle 'b9'; there are: "):
        index("show", catalogue, "b9")
    first = json.loads(index("list", catalogue, "--json"))[0]["bundle"]
    index("rollback", catalogue, first)
    with pytest.raises(NoSuchBundle, match="no bundle of 'film' before the served one"):
        index("rollback", catalogue)
    assert _code_of(NoSuchBundle("x")) == 2


def test_before_the_first_bundle_the_list_is_empty(tmp_path: Path) -> None:
    file = tmp_path / "toy.yaml"
    file.write_text(f"catalogue: toy\nstore: {tmp_path}/s\nsources:\n  movielens: {{connector: movielens, path: x}}\n")
    assert json.loads(index("list", str(file), "--json")) == []
    assert "no bundle yet" in index("list", str(file))
