"""The recommenders by name; strings, so that listing them imports none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, asdict, fields
from importlib import import_module
from typing import Any

MODELS: dict[str, str] = {
    "content_knn": "content_knn:ContentKnn",
    "creator_popularity": "attribute_popularity:CreatorPopularity",
    "genre_popularity": "attribute_popularity:GenrePopularity",
    "item_knn": "item_knn:ItemKnn",
    "most_played": "most_played:MostPlayed",
    "most_popular": "most_popular:MostPopular",
    "neighbour_popularity": "neighbour_popularity:NeighbourPopularity",
    "random": "random_order:Random",
    "recent_popularity": "recent_popularity:RecentPopularity",
    "repeat_last": "repeat_last:RepeatLast",
    "same_creator": "same_creator:SameCreator",
    "sasrec": "sasrec:Sasrec",
    "svd": "svd:Svd",
    "tfidf": "tfidf:TfIdf",
    "two_tower": "two_tower:TwoTower",
    "user_knn": "user_knn:UserKnn",
}
"""name: `module:Model` in training.models; the model's config is the module's `Config`."""


def model(name: str, **settings: Any) -> Any:
    """A recommender that is not fitted yet.

    Raises:
        ValueError: No model has that name, it has no such setting, or needs one that is not given.
    """
    found = model_class(name)
    config = import_module(found.__module__).Config
    if odd := sorted(settings.keys() - (known := [f.name for f in fields(config)])):
        raise ValueError(f"model '{name}': unknown setting '{odd[0]}'; known: {', '.join(known)}")
    needed = (f.name for f in fields(config) if f.default is MISSING and f.default_factory is MISSING)
    if (lost := next((setting for setting in needed if setting not in settings), None)) is not None:
        raise ValueError(f"model '{name}': needs the setting '{lost}'")
    try:
        return found(config(**settings))
    except TypeError as exc:  # of a value that is none of its type, or an unknown setting inside another
        raise ValueError(f"model '{name}': {str(exc).replace('.__init__()', '')}") from exc


def reseeded(name: str, settings: Mapping[str, Any], times: int) -> list[dict[str, Any]]:
    """The same settings under so many other seeds; none for a model that draws nothing.

    Raises:
        ValueError: No model has that name, or it has no such setting.
    """
    config = model(name, **settings).config
    if hasattr(config, "seed"):
        return [{**settings, "seed": config.seed + n} for n in range(1, times + 1)]
    if hasattr(config, "loop"):
        loop = asdict(config.loop)
        return [{**settings, "loop": {**loop, "seed": config.loop.seed + n}} for n in range(1, times + 1)]
    return []


def space(name: str) -> Mapping[str, Sequence[Any]]:
    """The model's `SPACE`: what is tried of its settings; `loop.learning_rate` is a setting inside another.

    Raises:
        ValueError: No model has that name.
    """
    return import_module(model_class(name).__module__).SPACE


def model_class(name: str) -> Any:
    """The class of a recommender, whose `load` reads what it saved.

    Raises:
        ValueError: No model has that name.
    """
    if name not in MODELS:
        raise ValueError(f"unknown model '{name}'; known: {', '.join(sorted(MODELS))}")
    module, _, class_name = MODELS[name].partition(":")
    return getattr(import_module(f"training.models.{module}"), class_name)
