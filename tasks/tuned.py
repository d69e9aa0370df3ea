"""The settings that a recipe's models are fitted with: as it says, or the best of equally many trials of each.

Trials are asked the validation cases, never the test. Their log lies in MEDIATECA_HOME until the model is recorded, so
that a training that was stopped goes on with the next trial.
"""

# Annotations stay text: numpy and torch are imported at their first use.
from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

from storage.hashing import digest_of
from tasks.settings_recipes import Recipe, RecipeError, Tuning
from tasks.settings_yaml import home

if TYPE_CHECKING:
    from training.data import Split
    from training.tuning import Trial


@dataclass(frozen=True, kw_only=True)
class Tuned:
    """What was tried of one model."""

    settings: Mapping[str, Any]  # of the best trial, whole
    trials: tuple[Trial, ...]  # in order; the first is what the recipe says
    log: Path

    def facts(self) -> dict[str, Any]:
        """As JSON: what was chosen, and what it gained on the validation cases."""
        from training.tuning import best

        found = best(self.trials)
        return {
            "trials": len(self.trials),
            "given": self.trials[0].metric,
            "best": found.metric,
            "failed": sum(trial.metric is None for trial in self.trials),
            "changed": dict(found.config),
            "settings": dict(self.settings),
        }


def models_of(recipe: Recipe) -> dict[str, tuple[str, dict[str, Any]]]:
    """The baselines and the model: as they are called in figures, which model it is, and its settings."""
    return {name: (name, said) for name, said in recipe.baselines.items()} | {
        recipe.recipe: (recipe.model, recipe.settings)
    }


def check_settings(recipe: Recipe) -> None:
    """Make every model of the recipe, and one with each setting that is to be tried, before anything is fitted.

    Raises:
        ValueError: A model has no such setting, or not that value.
        RecipeError: A value is of another type.
    """
    from training.models.registry import model
    from training.tuning import merged

    def check(name: str, settings: Mapping[str, Any]) -> None:
        made = model(name, **settings)
        try:  # as JSON, where lists are tuples
            TypeAdapter(type(made.config)).validate_json(json.dumps(settings), strict=True)
        except ValidationError as exc:
            found = exc.errors(include_url=False)[0]
            where = ".".join(str(part) for part in found["loc"])
            raise RecipeError(f"{recipe.recipe}: {name}: {where}: {found['msg']}, found {found['input']!r}") from exc

    for name, settings in models_of(recipe).values():
        check(name, settings)
        for setting, values in _space(recipe.tune, name).items() if recipe.tune else ():
            for value in values:
                check(name, merged(settings, {setting: value}))


def tuned(split: Split, recipe: Recipe, shown: str, tune: Tuning, *, tell: Callable[[str], None]) -> Tuned:
    """The best of so many settings of the model that is called `shown`, by the recipe's metric on validation.

    Raises:
        ValueError: The protocol leaves nobody to validate on; what the recipe says cannot be fitted.
    """
    from training.evaluation import evaluate
    from training.models.registry import model
    from training.tuning import best, logged, merged
    from training.tuning import tune as try_out

    name, settings = models_of(recipe)[shown]
    log = _log(split, recipe, shown, tune)
    done = len(logged(log))

    def metric(config: Mapping[str, Any]) -> float:
        nonlocal done
        done += 1
        tell(f"tune {shown}: trial {done} of at most {tune.trials}")
        fitted = model(name, **merged(settings, config)).fit(split.train)
        found = evaluate(fitted, split.validation, train=split.train, ks=(recipe.k,), name=shown)
        return found.means[recipe.metric]

    trials = try_out(_space(tune, name), metric, trials=tune.trials, log=log, seed=tune.seed)
    return Tuned(settings=merged(settings, best(trials).config), trials=tuple(trials), log=log)


def _space(tune: Tuning, name: str) -> Mapping[str, Any]:
    from training.models.registry import space

    return tune.spaces.get(name, space(name))


def _log(split: Split, recipe: Recipe, shown: str, tune: Tuning) -> Path:
    """By what was learnt from, what was asked and what is tried: another of these is another log."""
    from training.identity import identity

    name, settings = models_of(recipe)[shown]
    asked = identity(split.validation, split.data, split.protocol)
    what = [split.data.name, len(split.train.events), asked, name, settings, recipe.metric]
    what += [tune.trials, tune.seed, dict(_space(tune, name))]
    return home() / "tuning" / f"{shown}-{digest_of(what)}.jsonl"
