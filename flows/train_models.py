"""Recommenders of a release: trained, evaluated beside baselines, judged against what is served."""

from typing import Any

from prefect import flow

from tasks.run_training import open_training, train, trained


@flow(name="train-models")
def train_models(
    catalogue: str = "demo", release: str | None = None, recipes: tuple[str, ...] = (), quiet: bool = False
) -> list[dict[str, Any]]:
    """Train the recipes of a catalogue on a release, and serve those that win.

    Args:
        catalogue: Name of a shipped catalogue, or path of a YAML file.
        release: What is learnt from; the current one without a name.
        recipes: Names of shipped recipes, or paths of YAML files; the catalogue's own without any.
        quiet: Show no progress.

    Returns:
        Per recipe the model, its figures and the verdict on it.

    Raises:
        RecipesFailed: Some failed, after all were tried; it has the rows of all.
    """
    with open_training(catalogue, release, recipes, quiet=quiet) as training:
        return trained(training, [train(training, recipe) for recipe in training.recipes])
