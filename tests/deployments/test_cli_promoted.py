"""What `mediateca promote` says of what comes after it, where no server is told."""

import json
import shlex
from pathlib import Path

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings
from typer.testing import CliRunner, Result

from deployments.cli import app
from storage.models import champions
from storage.releases import publish
from storage.store import Store
from tasks import training
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
    """Ids of those of tracks by the kind of model."""
    from storage.models import models

    found = models(Store(str(catalogue.parent / "store")))
    return {m.recipe["model"]: m.model_id for m in found if m.slot == "track"}


def test_the_last_line_is_the_command_that_publishes(catalogue: Path) -> None:
    last = promote(catalogue, models(catalogue)["two_tower"]).stdout.splitlines()[-1]
    command = shlex.split(last.removeprefix("next: "), comments=True)
    assert command == ["mediateca", "index", "publish", str(catalogue)]
    assert CliRunner().invoke(app, [*command[1:], "--help"]).exit_code == 0


def test_a_model_that_no_index_can_serve_is_not_to_be_published(catalogue: Path) -> None:
    assert "index publish" not in promote(catalogue, models(catalogue)["item_knn"]).output


RECIPE = """
recipe: {name}
events: play
items: track
slot: {name}
protocol: {{protocol: temporal, {cut}}}
model: {model}
settings: {settings}
baselines: {{most_popular: {{}}}}
tune: {{trials: 2}}
gate: {{least_cases: 20, latency_ms: 10000}}
"""


def test_training_promotes_as_well_and_a_recipe_that_fails_stops_none_after_it(
    catalogue: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(training, "read", lambda *_: listening(20))
    later = "validation_from: 2098-01-01, test_from: '2099-01-01'"  # than all there is; with and without quotes
    given = [("broken", later, "item_knn", {}), ("whole", "test_share: 0.2", "two_tower", SIZES)]
    files = [tmp_path / f"{name}.yaml" for name, *_ in given]
    for file, (name, cut, model, settings) in zip(files, given, strict=True):
        file.write_text(RECIPE.format(name=name, cut=cut, model=model, settings=json.dumps(settings)))
    monkeypatch.setenv("PREFECT_API_URL", NOWHERE)
    store = Store(str(catalogue.parent / "store"))
    release_of(store)
    with temporary_settings({PREFECT_API_URL: NOWHERE}):
        ran = CliRunner().invoke(app, ["train", str(catalogue), *(f"--recipe={file}" for file in files)])
    assert ran.exit_code == 1
    assert "broken: " in ran.stderr
    assert "1 of 2 recipes failed, the others are done" in ran.stderr
    assert "tuned: whole, 2 trials, ndcg@10 " in ran.stderr
    assert champions(store)["whole"].recipe["recipe"].startswith("whole")
    told = f"the Prefect API at {NOWHERE} could not be told of the promotion"
    assert told in ran.stderr
    (row, error) = json.loads(
        CliRunner().invoke(app, ["train", str(catalogue), *(f"--recipe={f}" for f in files[::-1]), "--json"]).stdout
    )
    assert (row["new"], error["recipe"]) == (False, "broken")
    assert "error" in error
    alone = CliRunner().invoke(app, ["train", str(catalogue), f"--recipe={files[0]}"])
    assert isinstance(alone.exception, ValueError)


def release_of(store: Store) -> None:
    from tests.storage.test_store import FACTS, versions_of

    publish(store, versions_of(store), partial=False, **FACTS)  # pyright: ignore[reportArgumentType]


def test_a_server_out_of_reach_is_told_and_the_model_is_served_all_the_same(
    catalogue: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    promote(catalogue, models(catalogue)["item_knn"])
    monkeypatch.setenv("PREFECT_API_URL", NOWHERE)
    with temporary_settings({PREFECT_API_URL: NOWHERE}):
        ran = promote(catalogue, models(catalogue)["two_tower"])
    assert f"the Prefect API at {NOWHERE} could not be told of the promotion (ConnectError)" in ran.stderr
    assert "next: mediateca index publish" in ran.stdout
