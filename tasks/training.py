"""Training a recipe on a release: split, fit, evaluate beside baselines, judge against what is served, record."""

# Annotations stay text: numpy and torch are imported at their first use.
from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from storage.hashing import digest_of
from storage.lock import build_lock
from storage.models import Model, champions, find_model, models, promotions, record_model, record_promotion
from storage.store import Store
from tasks import model_shown
from tasks.judging import judged, trained_until
from tasks.serving import save
from tasks.settings_recipes import Recipe
from tasks.tuned import Tuned, check_settings, models_of, tuned

if TYPE_CHECKING:
    from training.data import Dataset, Split
    from training.evaluation import Evaluation
    from training.models.base import Recommender

Tell = Callable[[str], None]
_LOCK_WAIT_S = 3600.0  # a night's build may hold the store while a model is ready to be recorded


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A model that was trained and judged, or was there already."""

    model_id: str
    recipe: Recipe
    release_id: str
    facts: Mapping[str, Any]
    verdict: Mapping[str, Any] | None = None  # None: it was judged when it was trained
    new: bool = True

    def as_json(self) -> dict[str, Any]:
        """What `mediateca train --json` prints of a recipe."""
        return {
            "model": self.model_id,
            "recipe": self.recipe.recipe,
            "release": self.release_id,
            "new": self.new,
            "verdict": self.verdict,
            **self.facts,
        }


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """What was fitted on one split, and what it answered to its test cases."""

    split: Split
    model: Recommender
    evaluation: Evaluation
    baselines: Mapping[str, Evaluation]
    others: Mapping[str, Recommender] = field(default_factory=dict[str, Any])  # the baselines, fitted
    seconds: Mapping[str, float] = field(default_factory=dict[str, float])  # to fit, by model
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Any])  # it was fitted with, by model
    tuned: Mapping[str, Tuned] = field(default_factory=dict[str, Any])  # what was tried, where the recipe says so


def train_recipe(
    store: Store, release_id: str, recipe: Recipe, *, tell: Tell, again: bool = False, data: Dataset | None = None
) -> Trained:
    """The recipe's model of a release, trained unless it was; it is served if it wins.

    Args:
        store: The release's store; its lock is held while rows are written, not while training.
        release_id: What is learnt from.
        recipe: Model, protocol, baselines, gate.
        tell: Takes a line on what is done now.
        again: Train anew what was trained on this release.
        data: What the release holds for the recipe, where it has been read already.

    Raises:
        ValueError: The release has no such events or features, or the protocol leaves nothing to learn from.
    """
    done = _judged_before(store, recipe, release_id)
    if done and not again:
        return Trained(model_id=done.model_id, recipe=recipe, release_id=release_id, facts=done.facts, new=False)
    fitted = fit(data or read(store, release_id, recipe), recipe, tell=tell)
    tell("judge")
    verdict, question, champion = judged(store, fitted, recipe)
    trained = _recorded(store, release_id, fitted, recipe, verdict.as_json(), question, champion)
    if recipe.serves not in champions(store):
        tell("serve the best baseline")
        _serve_baseline(store, release_id, fitted, recipe)
    for one in fitted.tuned.values():
        one.log.unlink(missing_ok=True)  # the trials are kept with the model by now
    return trained


def _recorded(
    store: Store,
    release_id: str,
    fitted: Fitted,
    recipe: Recipe,
    verdict: Mapping[str, Any],
    question: str,
    champion: Model | None,
) -> Trained:
    """The model's files, then its row, then the decision: what a kill leaves without one is not served."""
    facts, shown = facts_of(fitted, recipe), model_shown.shown_of(fitted, recipe)
    model_id = f"{recipe.recipe}-{release_id}-{digest_of([recipe.digest, datetime.now(UTC)])[:8]}"
    with TemporaryDirectory(prefix="mediateca-") as draft, build_lock(store.url, wait_s=_LOCK_WAIT_S):
        save(fitted.model, fitted.split, Path(draft))
        model_shown.write(shown, Path(draft))
        store.create()
        now = champions(store).get(facts["slot"])
        if verdict["promoted"] and (now and now.model_id) != (champion and champion.model_id):
            why = f"{now.model_id if now else 'nothing'} is served by now, which it was not compared with; --again does"
            verdict = {**verdict, "promoted": False, "reasons": [why]}
        said = recipe.model_dump(mode="json")
        record_model(store, Path(draft), model_id=model_id, recipe=said, release_id=release_id, facts=facts)
        record_promotion(
            store,
            slot=facts["slot"],
            model_id=model_id,
            champion_id=champion and champion.model_id,
            recipe=recipe.recipe,
            recipe_digest=recipe.digest,
            question=question,
            promoted=bool(verdict["promoted"]),
            verdict=json.dumps(verdict),
        )
    return Trained(model_id=model_id, recipe=recipe, release_id=release_id, facts=facts, verdict=verdict)


def _serve_baseline(store: Store, release_id: str, fitted: Fitted, recipe: Recipe) -> None:
    """Nothing was served and the model did not beat the best baseline: that one is served, and must be beaten."""
    best = max(fitted.baselines, key=lambda name: fitted.baselines[name].means[recipe.metric])
    name, settings = f"{recipe.recipe}-{best.replace('_', '-')}", dict(fitted.settings[best])
    own = recipe.model_copy(update={"recipe": name, "model": best, "settings": settings, "tune": None})
    again = replace(
        fitted,
        model=fitted.others[best],
        evaluation=fitted.baselines[best],
        seconds={**fitted.seconds, own.recipe: fitted.seconds[best]},
        settings={**fitted.settings, own.recipe: settings},
    )
    verdict = {"promoted": True, "question": "baseline", "cases": len(fitted.evaluation), "reasons": []}
    _recorded(store, release_id, again, own, verdict, "baseline", None)


def promote_by_hand(store: Store, model_id: str, *, note: str, wait_s: float = 0.0) -> Model:
    """Serve a trained model whatever it was judged to be; the decision stands in `promotions` with its note.

    Raises:
        StoreError: There is no such model.
        StoreLocked: A build holds the store.
    """
    model = find_model(store, model_id)
    champion = champions(store).get(model.slot)
    with build_lock(store.url, wait_s=wait_s):
        record_promotion(
            store,
            slot=model.slot,
            model_id=model_id,
            champion_id=champion and champion.model_id,
            recipe=model.recipe["recipe"],
            recipe_digest=model.facts["recipe_digest"],
            question="by hand",
            promoted=True,
            verdict=json.dumps({"promoted": True, "question": "by hand", "cases": 0, "reasons": [], "note": note}),
        )
    return model


def _judged_before(store: Store, recipe: Recipe, release_id: str) -> Model | None:
    """The recipe's model of the release, as the recipe is now; one that a kill kept from a decision is none."""
    decided = {p.model_id for p in promotions(store)} if recipe.serves in champions(store) else set[str]()
    said = recipe.model_dump(mode="json", exclude={"about"})
    mine = (m for m in models(store) if m.release_id == release_id and m.model_id in decided)
    # Recipes were stored without `tune` before there was one.
    return next((m for m in mine if {"tune": None, **m.recipe, "about": ""} == {**said, "about": ""}), None)


# --- fit and evaluate


def read(store: Store, release_id: str, recipe: Recipe) -> Dataset:
    """The part of a release that a recipe learns from."""
    from training.reading import Wanted, read_release

    wanted = Wanted(events=recipe.events, items=recipe.items, features=recipe.features)
    return read_release(store, wanted, release_id)


def split_of(data: Dataset, recipe: Recipe) -> Split:
    """By the recipe's protocol."""
    from training.protocols import parse
    from training.splits import build

    return build(data, parse(recipe.protocol))


def tested(model: Any, split: Split, recipe: Recipe, name: str) -> Evaluation:
    """What a model answers to the test cases."""
    from training.evaluation import evaluate

    return evaluate(model, split.test, train=split.train, ks=sorted({recipe.k, 10, 20}), name=name)


def fit(data: Dataset, recipe: Recipe, *, tell: Tell) -> Fitted:
    """The recipe's model and its baselines, tuned alike if the recipe says so, fitted on one split, asked the same."""
    from training.models.registry import model

    check_settings(recipe)
    tell("split")
    split = split_of(data, recipe)
    every, tries = models_of(recipe), dict[str, Tuned]()
    if recipe.tune:
        tries = {shown: tuned(split, recipe, shown, recipe.tune, tell=tell) for shown in every}
    settings = {shown: tries[shown].settings if tries else said for shown, (_, said) in every.items()}
    seconds: dict[str, float] = {}

    def answers(name: str, shown: str) -> tuple[Recommender, Evaluation]:
        tell(f"fit {shown}")
        began = time.perf_counter()
        fitted = model(name, **settings[shown]).fit(split.train)
        seconds[shown] = round(time.perf_counter() - began, 3)
        return fitted, tested(fitted, split, recipe, shown)

    found = {name: answers(name, name) for name in recipe.baselines}
    fitted, evaluation = answers(recipe.model, recipe.recipe)
    return Fitted(
        split=split,
        model=fitted,
        evaluation=evaluation,
        baselines={name: answered for name, (_, answered) in found.items()},
        others={name: other for name, (other, _) in found.items()},
        seconds=seconds,
        settings=settings,
        tuned=tries,
    )


def facts_of(fitted: Fitted, recipe: Recipe) -> dict[str, Any]:
    """What the row of the model says beside its recipe, as JSON."""
    from training.identity import identity

    split = fitted.split
    return {
        "slot": recipe.serves,
        "recipe_digest": recipe.digest,
        "trained_until": trained_until(split),
        "filter_seen": split.test.filter_seen,
        "events": len(split.train.events),
        "items": split.train.items,
        "test": fitted.evaluation.summary(),
        "asked": identity(split.test, split.data, split.protocol),
        "baselines": {name: found.summary()["metrics"] for name, found in fitted.baselines.items()},
        "seconds": dict(fitted.seconds),
        "tuned": {name: found.facts() for name, found in fitted.tuned.items()},
        "protocol": dict(split.protocol),
        "notes": list(split.notes),
    }
