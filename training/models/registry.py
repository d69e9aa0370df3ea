"""The recommenders by name; strings, so that listing them imports none."""

from __future__ import annotations

from importlib import import_module
from typing import Any

MODELS: dict[str, str] = {}
"""name: `module:Model` in training.models; the model's config is the module's `Config`."""


def model(name: str, **settings: Any) -> Any:
    """A recommender that is not fitted yet.

    Raises:
        ValueError: No model has that name, or it has no such setting.
    """
    if name not in MODELS:
        raise ValueError(f"unknown model '{name}'; known: {', '.join(sorted(MODELS))}")
    module_name, _, class_name = MODELS[name].partition(":")
    module = import_module(f"training.models.{module_name}")
    try:
        return getattr(module, class_name)(module.Config(**settings))
    except TypeError as exc:
        raise ValueError(f"model '{name}': {exc}; its settings are those of {module.Config.__qualname__}") from exc
