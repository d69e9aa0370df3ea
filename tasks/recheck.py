"""A stored model asked its test once more: the figures that are kept of it are checked, not believed."""

# Annotations stay text: torch is imported at its first use.
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from storage.models import Model
from storage.store import Store
from tasks.serving import Served, stored
from tasks.settings_recipes import Recipe
from tasks.training import read, split_of, tested

if TYPE_CHECKING:
    from training.data import Dataset

SAME = 1e-3
"""Figures may differ by so much: another machine adds in another order, and a place or two changes."""


@dataclass(frozen=True, kw_only=True)
class Recheck:
    """What a model answers now beside what is kept."""

    model: Model
    same_cases: bool  # people, targets, candidates and protocol are those that the figures are of
    kept: Mapping[str, float]
    now: Mapping[str, float]

    @property
    def difference(self) -> float:
        """The largest of any metric."""
        return max(abs(self.now[name] - value) for name, value in self.kept.items())

    @property
    def holds(self) -> bool:
        """Whether the kept figures are what anybody gets who asks."""
        return self.same_cases and self.difference <= SAME

    def as_json(self) -> dict[str, Any]:
        """For scripts."""
        return {
            "model": self.model.model_id,
            "release": self.model.release_id,
            "holds": self.holds,
            "same_cases": self.same_cases,
            "difference": self.difference,
            "kept": dict(self.kept),
            "now": dict(self.now),
        }


def recheck(store: Store, model: Model, data: Dataset | None = None) -> Recheck:
    """Split the model's release as its recipe says, load its weights, and ask it the test cases.

    Args:
        store: Of the release and of the model.
        model: Its row.
        data: What the release holds for the recipe, where it has been read already.

    Raises:
        StoreError: Its release or its files are not there any more, or were altered.
    """
    from training.identity import identity

    recipe = Recipe.model_validate(model.recipe)
    split = split_of(data or read(store, model.release_id, recipe), recipe)
    with stored(store, model) as held:
        found = tested(Served(held, split.data), split, recipe, model.model_id)
    return Recheck(
        model=model,
        same_cases=identity(split.test, split.data, split.protocol) == model.facts.get("asked"),
        kept=model.facts["test"]["metrics"],
        now=found.summary()["metrics"],
    )
