"""Training and publishing under Prefect: a recipe is a task; a promotion is told in an event."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.events import emit_event

from storage.releases import find_release
from storage.store import Store
from tasks.model_report import publish_pages
from tasks.progress import Bars
from tasks.publish_champion import NoUserTower, Outcome, publish_champions
from tasks.settings import Catalogue, load_catalogue
from tasks.settings_recipes import Recipe, load_recipe
from tasks.training import Trained, train_recipe


@dataclass(frozen=True, kw_only=True)
class Training:
    """The recipes that are trained on one release."""

    catalogue: Catalogue
    store: Store
    release_id: str
    recipes: tuple[Recipe, ...]
    progress: Bars


@contextmanager
def open_training(
    catalogue: str, release: str | None = None, recipes: tuple[str, ...] = (), *, quiet: bool = False
) -> Generator[Training]:
    """What is to be trained: the recipes of the catalogue, if any, or these, on the current release, or on this one.

    An event can be lost, and a run can be started by a schedule: what was trained on the release is not trained again.

    Raises:
        CatalogueError: The catalogue cannot be used.
        RecipeError: A recipe cannot be used.
        NoSuchRelease: There is none of that name, or none at all.
    """
    chosen = load_catalogue(catalogue)
    store = Store(chosen.store_url)
    with Bars(quiet=quiet) as bars:
        yield Training(
            catalogue=chosen,
            store=store,
            release_id=find_release(store, release).release_id,
            recipes=tuple(load_recipe(name) for name in recipes or chosen.training.recipes),
            progress=bars,
        )


def train(training: Training, recipe: Recipe) -> dict[str, Any]:
    """Train, judge and record one recipe, and say so where its model is served from now on."""

    @task(name=recipe.recipe, cache_policy=NO_CACHE, retries=0)
    def one() -> Trained:
        tell = training.progress.look
        return train_recipe(
            training.store, training.release_id, recipe, tell=lambda line: tell(f"{recipe.recipe}: {line}")
        )

    trained = one()
    if trained.verdict and trained.verdict["promoted"]:
        _tell(training, trained)
    return trained.as_json() | {"report": publish_pages(training.store, trained.model_id, anew=trained.new)}


def publish(catalogue: str, slot: str | None = None) -> list[dict[str, Any]]:
    """Publish the champion of a slot, or of each, unless it is served; what cannot be is told, and the former stays.

    Raises:
        StoreError: One could not be published, for another reason than that no index can serve its kind of model.
        NoSuchRelease: The release that one was trained on is not kept any more.
    """
    store = Store(load_catalogue(catalogue).store_url)

    @task(name="publish", cache_policy=NO_CACHE, retries=0)
    def all_of_them() -> list[Outcome]:
        return publish_champions(store, slot)

    found = all_of_them()
    for one in found:
        if one.error and not isinstance(one.error, NoUserTower):
            raise one.error
    return [one.as_json() for one in found]


def _tell(training: Training, trained: Trained) -> None:
    name = training.catalogue.catalogue
    emit_event(
        event="mediateca.model.promoted",
        resource={"prefect.resource.id": f"mediateca.catalogue.{name}", "prefect.resource.name": name},
        payload={
            "catalogue": name,
            "model": trained.model_id,
            "of": trained.facts["slot"],
            "release": trained.release_id,
            "store": training.store.url,
        },
    )
