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
    metric: float  # higher is better
    seconds: float  # to fit and evaluate


def tune(
    space: Mapping[str, Sequence[Any]],
    evaluate: Callable[[dict[str, Any]], float],
    *,
    trials: int,
    log: Path,
    seed: int = 0,
) -> Trial:
    """The best of `trials` settings, the first of equal ones; what is given, {}, is tried first.

    A space with fewer points than that is tried whole. Trials that `log` (JSON lines) holds are not run again, so that
    a run that was stopped goes on.

    Raises:
        ValueError: `trials` is below 1; a metric is not a number; the log is of another space, budget or seed.
    """
    if trials < 1:
        raise ValueError(f"tune: trials is {trials}, expected at least 1")
    done = logged(log)
    chosen = list(settings(space, trials, seed))
    if [trial.config for trial in done] != json.loads(json.dumps(chosen[: len(done)])):  # tuples are lists there
        raise ValueError(f"{log}: holds trials of another space, budget or seed; delete it, or choose another file")
    for config in chosen[len(done) :]:
        began = time.perf_counter()
        metric = float(evaluate(config))
        if not math.isfinite(metric):
            raise ValueError(f"tune: {config} gave the metric {metric}, expected a finite number")
        done.append(Trial(config=config, metric=metric, seconds=round(time.perf_counter() - began, 3)))
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a") as file:
            file.write(json.dumps(asdict(done[-1])) + "\n")
    return max(done, key=lambda trial: trial.metric)


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
