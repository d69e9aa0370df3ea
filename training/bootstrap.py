"""Intervals of means and of differences of two models, by resampling people: their events hang together.

Sizes: U people, B queries (or targets), R resamples, C columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from training.evaluation import Evaluation
from training.metrics import Floats

CHUNK_DRAWS = 2**22
"""People drawn at a time: 32 MB of numbers, as much again of weights."""

Side = Evaluation | Sequence[Evaluation]
"""One model; or one recipe by several seeds, whose values are averaged query by query."""


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A figure and its percentile interval."""

    value: float
    low: float
    high: float
    level: float
    people: int
    seeds: tuple[float, ...] = ()  # the figure by each seed: the interval is of people, not of seeds

    def as_json(self) -> dict[str, object]:
        """As JSON."""
        return asdict(self)


def mean(
    side: Side,
    metric: str,
    *,
    within: tuple[str, str] | None = None,
    resamples: int = 2_000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """The mean of a metric over the queries (or over a slice: see `Evaluation.measured`).

    Raises:
        ValueError: No such metric or slice; nothing in it; evaluations of different cases.
    """
    values, person = _measured(side, metric, within)
    drawn_RC, people = resampled(np.stack([values, np.ones(len(values))], axis=1), person, resamples, seed)
    seeds = tuple(float(one.measured(metric, within)[0].mean()) for one in _evaluations(side))
    return _interval(float(values.mean()), drawn_RC[:, 0] / drawn_RC[:, 1], level, people, seeds)


def means(
    sides: Mapping[str, Evaluation],
    metrics: Sequence[str],
    *,
    resamples: int = 2_000,
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, dict[str, Interval]]:
    """`mean` of each metric of each side, over one draw of people for all.

    Raises:
        ValueError: No such metric; evaluations of different cases.
    """
    if len({evaluation.cases for evaluation in sides.values()}) != 1:
        raise ValueError(f"{', '.join(sides) or 'no model'}: expected evaluations of one set of cases")
    cells = [(name, metric, side.measured(metric)[0]) for name, side in sides.items() for metric in metrics]
    person = next(iter(sides.values())).person
    columns_BC = np.stack([*(values for _, _, values in cells), np.ones(len(person))], axis=1)
    drawn_RC, people = resampled(columns_BC, person, resamples, seed)
    found: dict[str, dict[str, Interval]] = {name: {} for name in sides}
    for (name, metric, values), drawn_R in zip(cells, drawn_RC.T, strict=False):
        value = float(values.mean())
        found[name][metric] = _interval(value, drawn_R / drawn_RC[:, -1], level, people, (value,))
    return found


def difference(
    side: Side,
    base: Side,
    metric: str,
    *,
    relative: bool = False,
    within: tuple[str, str] | None = None,
    resamples: int = 2_000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Mean of a side minus that of a base over the same people in each resample; relative: over the base's mean.

    Raises:
        ValueError: Different cases; no such metric or slice; relative to a base whose mean is 0 in a resample.
    """
    (ours, person), (theirs, _) = _measured(side, metric, within), _measured(base, metric, within)
    if len({evaluation.cases for evaluation in (*_evaluations(side), *_evaluations(base))}) > 1:
        raise ValueError(f"{_name(side)} and {_name(base)} answered different cases; evaluate both on the same")
    drawn_RC, people = resampled(np.stack([ours, theirs, np.ones(len(ours))], axis=1), person, resamples, seed)
    value, below = float(ours.mean() - theirs.mean()), drawn_RC[:, 2]
    if relative:
        if theirs.mean() <= 0 or drawn_RC[:, 1].min() <= 0:
            raise ValueError(f"{_name(base)} has {metric} 0 for too many to be relative to; take relative=False")
        value, below = value / float(theirs.mean()), drawn_RC[:, 1]
    return _interval(value, (drawn_RC[:, 0] - drawn_RC[:, 1]) / below, level, people)


def resampled(values_BC: Floats, person: NDArray[np.int64], resamples: int, seed: int) -> tuple[Floats, int]:
    """(R, C): sums of columns over people drawn with replacement, as many as there are; and how many there are.

    The same seed draws the same people, whatever the columns. Memory does not grow with the number of resamples.
    """
    _, codes = np.unique(person, return_inverse=True)
    people = int(codes.max()) + 1
    sums_UC = np.stack([np.bincount(codes, column, people) for column in values_BC.T], axis=1)
    random, drawn = np.random.default_rng(seed), np.empty((resamples, values_BC.shape[1]))
    rows = max(1, CHUNK_DRAWS // people)
    for start in range(0, resamples, rows):
        count = min(rows, resamples - start)
        # Counting draws is 20 times as fast as Generator.multinomial and the same distribution.
        draws = random.integers(people, size=(count, people)) + people * np.arange(count)[:, None]
        weights_RU = np.bincount(draws.ravel(), minlength=count * people).reshape(count, people)
        drawn[start : start + count] = weights_RU @ sums_UC
    return drawn, people


def _interval(value: float, drawn: Floats, level: float, people: int, seeds: tuple[float, ...] = ()) -> Interval:
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2]).tolist()
    return Interval(value=value, low=low, high=high, level=level, people=people, seeds=seeds)


def _evaluations(side: Side) -> Sequence[Evaluation]:
    return (side,) if isinstance(side, Evaluation) else side


def _name(side: Side) -> str:
    return " + ".join(dict.fromkeys(evaluation.model for evaluation in _evaluations(side)))


def _measured(side: Side, metric: str, within: tuple[str, str] | None) -> tuple[Floats, NDArray[np.int64]]:
    evaluations = _evaluations(side)
    if len({evaluation.cases for evaluation in evaluations}) != 1:
        raise ValueError(f"{_name(side) or 'no model'}: expected evaluations of one set of cases, one per seed")
    measured = [evaluation.measured(metric, within) for evaluation in evaluations]
    if not len(measured[0][0]):
        raise ValueError(f"{_name(side)}: nothing is in the slice {within}; leave it out")
    return np.mean([values for values, _ in measured], axis=0), measured[0][1]
