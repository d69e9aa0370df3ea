"""Equal chances: every model is tried with so many settings on validation, each try a line of a log."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

GRID = 10_000
"""Spaces with at most so many points are shuffled whole; of larger ones points are drawn until they differ."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One setting, tried."""

    config: Mapping[str, Any]  # what differs from what was given
    metric: float | None  # higher is better; None: it failed
    seconds: float  # to fit and evaluate
    error: str = ""  # why it failed: settings that do not go together, or a loss that is no number


def best(trials: Sequence[Trial]) -> Trial:
    """The one with the highest metric, the first of equal ones."""
    return max(trials, key=lambda trial: -math.inf if trial.metric is None else trial.metric)


def tune(
    space: Mapping[str, Sequence[Any]],
    evaluate: Callable[[dict[str, Any]], float],
    *,
    trials: int,
    log: Path,
    seed: int = 0,
) -> list[Trial]:
    """So many settings, what is given, {}, first; `best` chooses among them.

    A space with fewer points than that is tried whole. Trials that `log` (JSON lines) holds are not run again, so that
    a run that was stopped goes on. One that fails is a trial, too, unless it is the first.

    Raises:
        ValueError: `trials` is below 1; the log is of another space, budget or seed; what is given fails.
    """
    if trials < 1:
        raise ValueError(f"tune: trials is {trials}, expected at least 1")
    chosen = list(settings(space, trials, seed))
    held = {_said(trial.config): trial for trial in logged(log)}
    if not held.keys() <= {_said(config) for config in chosen}:
        raise ValueError(f"{log}: holds trials of another space, budget or seed; delete it, or choose another file")
    return [held.get(_said(config)) or _tried(config, evaluate, log) for config in chosen]


def _said(config: Mapping[str, Any]) -> str:
    return json.dumps(config)  # tuples are lists there


def _tried(config: dict[str, Any], evaluate: Callable[[dict[str, Any]], float], log: Path) -> Trial:
    began, metric, error = time.perf_counter(), None, ""
    try:
        metric = float(evaluate(config))
        if not math.isfinite(metric):
            raise ValueError(f"tune: {config} gave the metric {metric}, expected a finite number")
    except ValueError as exc:
        if not config:
            raise
        metric, error = None, str(exc)
    trial = Trial(config=config, metric=metric, seconds=round(time.perf_counter() - began, 3), error=error)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a") as file:
        file.write(json.dumps(asdict(trial)) + "\n")
    return trial


def settings(space: Mapping[str, Sequence[Any]], trials: int, seed: int) -> Iterator[dict[str, Any]]:
    """What is given ({}), then different points of the space in an order that the seed decides, `trials` in all."""
    yield {}
    size = math.prod(len(choices) for choices in space.values()) if space else 0
    dice = np.random.default_rng(seed)
    points: Iterator[tuple[Any, ...]]
    if size <= GRID:
        grid = list(product(*space.values())) if space else []
        points = (grid[place] for place in dice.permutation(size))
    else:
        points = _drawn(list(space.values()), dice)
    for point, _ in zip(points, range(trials - 1), strict=False):
        yield dict(zip(space, point, strict=True))


def merged(settings: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with what a trial changes; `loop.epochs` is a setting inside another.

    >>> merged({"k": 1, "loop": {"epochs": 9}}, {"k": 2, "loop.patience": 3})
    {'k': 2, 'loop': {'epochs': 9, 'patience': 3}}
    """
    found = dict(settings)
    for name, value in config.items():
        outer, _, inner = name.partition(".")
        found[outer] = merged(found.get(outer, {}), {inner: value}) if inner else value
    return found


def logged(log: Path) -> list[Trial]:
    """What the log holds; a last line that a kill cut short is removed."""
    if not log.exists():
        return []
    whole, end, _ = log.read_text().rpartition("\n")
    log.write_text(whole + end)
    return [Trial(**json.loads(line)) for line in whole.splitlines()]


def _drawn(choices: list[Sequence[Any]], dice: np.random.Generator) -> Iterator[tuple[Any, ...]]:
    """Points that differ, without end; of a space with more points than anybody tries."""
    seen: set[tuple[int, ...]] = set()
    while True:
        places = tuple(int(dice.integers(len(values))) for values in choices)
        if places not in seen:
            seen.add(places)
            yield tuple(values[place] for values, place in zip(choices, places, strict=True))
