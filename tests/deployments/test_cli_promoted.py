"""What `mediateca promote` says of what comes after it, where no server is told."""

import shlex
from pathlib import Path

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings
from typer.testing import CliRunner, Result

from deployments.cli import app
from storage.models import champions
from storage.store import Store
from tests.tasks.test_training import listening, recipe, train

SIZES = {"dimension": 8, "modality_dimension": 8, "loop": {"epochs": 1}, "batch_size": 64, "pooling": "mean"}
NOWHERE = "http://127.0.0.1:9/api"


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalogue of a store that has a model which an index can serve, and one which none can."""
    folder = tmp_path_factory.mktemp("promoted")
    file, store, data = folder / "the toy.yaml", Store(str(folder / "store")), listening(20)
    file.write_text(f"catalogue: toy\nstore: {store.url}\nsources:\n  a: {{connector: movielens, path: x}}\n")
    store.create()
    train(store, "v1", data)
    train(store, "v1", data, recipe("two_tower", settings=SIZES))
    return file


def promote(catalogue: Path, model: str) -> Result:
    ran = CliRunner().invoke(app, ["promote", str(catalogue), model], catch_exceptions=False)
    assert ran.exit_code == 0, ran.output
    assert champions(Store(str(catalogue.parent / "store")))["track"].model_id == model
    return ran


def models(catalogue: Path) -> dict[str, str]:
    """Ids by the kind of model."""
    from storage.models import models

    return {m.recipe["model"]: m.model_id for m in models(Store(str(catalogue.parent / "store")))}


def test_the_last_line_is_the_command_that_publishes(catalogue: Path) -> None:
    last = promote(catalogue, models(catalogue)["two_tower"]).stdout.splitlines()[-1]
    command = shlex.split(last.removeprefix("next: "), comments=True)
    assert command == ["mediateca", "index", "publish", str(catalogue)]
    assert CliRunner().invoke(app, [*command[1:], "--help"]).exit_code == 0


def test_a_model_that_no_index_can_serve_is_not_to_be_published(catalogue: Path) -> None:
    assert "index publish" not in promote(catalogue, models(catalogue)["item_knn"]).output


def test_a_server_out_of_reach_is_told_and_the_model_is_served_all_the_same(
    catalogue: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    promote(catalogue, models(catalogue)["item_knn"])
    monkeypatch.setenv("PREFECT_API_URL", NOWHERE)
    with temporary_settings({PREFECT_API_URL: NOWHERE}):
        ran = promote(catalogue, models(catalogue)["two_tower"])
    assert f"the Prefect API at {NOWHERE} could not be told of the promotion (ConnectError)" in ran.stderr
    assert "next: mediateca index publish" in ran.stdout
