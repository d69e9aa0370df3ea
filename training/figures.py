"""What a report shows of one model's answers: figures with intervals beside every baseline's, and slices, as JSON.

Everything is computed where the evaluations are, once, and kept with the model; a page only shows it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from training import bootstrap
from training.evaluation import Evaluation

AT = 10
"""Where lists are cut."""


def figures(own: Evaluation, baselines: Mapping[str, Evaluation], metric: str) -> dict[str, Any]:
    """Figures of a model and of its baselines, as JSON.

    Args:
        own: What the model answered.
        baselines: What these answered to the same cases; there may be none.
        metric: By which the model is judged; also what slices are told in.

    Returns:
        `metrics`: of the model (`own`) and of `baselines`, each metric at 10 as value, low, high (95 %, over people);
        `differences`: of `metric`, relative to each baseline, None where a baseline has no hit in some resample;
        `best`: the baseline with the highest `metric`; `slices`: per slicing and part what it counts, how often, the
        model's interval and the best baseline's value; `catalogue`: coverage and popularity of own and baselines.
    """
    names = list(dict.fromkeys([*(name for name in own.values if name.endswith(f"@{AT}")), metric]))
    sides = {str(n): side for n, side in enumerate([own, *baselines.values()])}  # a baseline may be named as the model
    found = list(bootstrap.means(sides, names).values())
    best = max(baselines, key=lambda name: baselines[name].means[metric], default=None)
    return {
        "metric": metric,
        "people": found[0][metric].people,
        "metrics": {
            "own": _intervals(found[0]),
            "baselines": {name: _intervals(of) for name, of in zip(baselines, found[1:], strict=True)},
        },
        "differences": {name: _difference(own, other, metric) for name, other in baselines.items()},
        "best": best,
        "slices": _slices(own, None if best is None else baselines[best], metric),
        "catalogue": {
            "own": _catalogue(own),
            "baselines": {name: _catalogue(other) for name, other in baselines.items()},
        },
    }


def _intervals(found: Mapping[str, bootstrap.Interval]) -> dict[str, Any]:
    return {metric: _told(interval) for metric, interval in found.items()}


def _told(interval: bootstrap.Interval) -> dict[str, float]:
    return {"value": interval.value, "low": interval.low, "high": interval.high}


def _difference(own: Evaluation, other: Evaluation, metric: str) -> dict[str, float] | None:
    try:
        return _told(bootstrap.difference(own, other, metric, relative=True))
    except ValueError:  # the same cases, so it is a mean of 0 that nothing is relative to
        return None


def _slices(own: Evaluation, best: Evaluation | None, metric: str) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for slicing in own.slicings:
        for code, label in enumerate(slicing.labels):
            if count := int((slicing.codes == code).sum()):
                within = (slicing.name, label)
                found.setdefault(slicing.name, {})[label] = {
                    "of": "targets" if slicing.of_targets else "queries",
                    "count": count,
                    "own": _told(bootstrap.mean(own, metric, within=within)),
                    "best": None if best is None else float(best.measured(metric, within)[0].mean()),
                }
    return found


def _catalogue(evaluation: Evaluation) -> dict[str, Any]:
    return {name: value for name, value in evaluation.catalogue.items() if name.endswith(f"@{AT}")}
