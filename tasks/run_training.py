"""Training and publishing under Prefect: a recipe is a task; a promotion is told in an event."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.events import emit_event

from storage.models import Model, champions
from storage.releases import find_release
from storage.store import Store
from tasks.model_report import publish_pages
from tasks.progress import Bars
from tasks.publish_champion import NoUserTower, Outcome, newly_served, publish_champions
from tasks.settings import Catalogue, load_catalogue
from tasks.settings_recipes import load_recipe
from tasks.training import train_recipe


class RecipesFailed(RuntimeError):
    """Some recipes of a run failed; all were tried, and `result` holds a row of each."""

    def __init__(self, release_id: str, result: Sequence[dict[str, Any]]) -> None:
        """The message has the error of each that failed."""
        self.result = list(result)
        failed = [f"{row['recipe']}: {row['error']}" for row in result if "error" in row]
        super().__init__(
            f"train-models: {len(failed)} of {len(result)} recipes failed on release {release_id}, the others are "
            f"done; run it again when these are mended:\n" + "\n".join(failed)
        )


@dataclass(frozen=True, kw_only=True)
class Training:
    """The recipes that are trained on one release."""

    catalogue: Catalogue
    store: Store
    release_id: str
    recipes: tuple[str, ...]  # names of shipped ones, or paths
    progress: Bars


@contextmanager
def open_training(
    catalogue: str, release: str | None = None, recipes: tuple[str, ...] = (), *, quiet: bool = False
) -> Generator[Training]:
    """What is to be trained: the recipes of the catalogue, if any, or these, on the current release, or on this one.

    An event can be lost, and a run can be started by a schedule: what was trained on the release is not trained again.

    Raises:
        CatalogueError: The catalogue cannot be used.
        NoSuchRelease: There is none of that name, or none at all.
    """
    chosen = load_catalogue(catalogue)
    store = Store(chosen.store_url)
    with Bars(quiet=quiet) as bars:
        yield Training(
            catalogue=chosen,
            store=store,
            release_id=find_release(store, release).release_id,
            recipes=recipes or chosen.recipes,
            progress=bars,
        )


def train(training: Training, name: str) -> dict[str, Any]:
    """Train, judge and record one recipe, and say so where another model is served from now on.

    What fails, a recipe that cannot be read included, is a row with its `error`: those after it are tried, too.
    """

    @task(name=Path(name).stem, cache_policy=NO_CACHE, retries=0)
    def one() -> dict[str, Any]:
        recipe, tell = load_recipe(name), training.progress.look
        made = train_recipe(
            training.store, training.release_id, recipe, tell=lambda line: tell(f"{recipe.recipe}: {line}")
        )
        return made.as_json() | {"report": publish_pages(training.store, made.model_id, anew=made.new)}

    before = champions(training.store)
    state = one(return_state=True)
    for model in newly_served(training.store, before):
        emit_event(**promotion(training.catalogue, training.store, model))
    found: Any = state.result(raise_on_failure=False)
    if isinstance(found, dict):
        return found
    return {"recipe": Path(name).stem, "release": training.release_id, "error": f"{type(found).__name__}: {found}"}


def trained(training: Training, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows of all recipes.

    Raises:
        RecipesFailed: Not all are models.
    """
    if any("error" in row for row in rows):
        raise RecipesFailed(training.release_id, rows)
    return rows


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


def promotion(catalogue: Catalogue, store: Store, model: Model) -> dict[str, Any]:
    """The event that a model is served from now on: `event`, `resource` and `payload`."""
    name = catalogue.catalogue
    return {
        "event": "mediateca.model.promoted",
        "resource": {"prefect.resource.id": f"mediateca.catalogue.{name}", "prefect.resource.name": name},
        "payload": {
            "catalogue": catalogue.asked_as,
            "model": model.model_id,
            "of": model.slot,
            "release": model.release_id,
            "store": store.url,
        },
    }
