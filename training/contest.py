"""Whether a challenger replaces the champion: a verdict from what both answered to the same cases, with its reasons.

Three questions, one statistic, the paired 95 % interval over users of the relative difference of a metric:
`first`: nothing is served yet, the challenger must beat the best baseline; `better`: a recipe that is new or has
changed must beat the champion; `not worse`: the same recipe on a fresh release must not lose. All pass the guardrails.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from training.bootstrap import Interval, difference
from training.evaluation import Evaluation

Question = Literal["first", "better", "not worse"]


class Bounds(Protocol):
    """What is asked of a challenger; `tasks.settings_recipes.Gate` is one."""

    @property
    def better(self) -> float:
        """The lower bound lies above, where the question is whether it is better."""
        ...

    @property
    def not_worse(self) -> float:
        """The lower bound lies above, where it must not be worse."""
        ...

    @property
    def least_cases(self) -> int:
        """Fewer cases say nothing."""
        ...

    @property
    def least_people(self) -> int:
        """Cases of fewer people say nothing."""
        ...


@dataclass(frozen=True, kw_only=True)
class Guard:
    """One figure that a challenger may not spoil."""

    name: str  # coverage, cold items, unseen users, latency
    found: float | None  # None: there was nothing to measure
    bound: float | None
    at_most: bool = False  # latency; of the others more is better

    @property
    def holds(self) -> bool:
        """Whether it passes; what cannot be measured does not fail."""
        if self.found is None or self.bound is None:
            return True
        return self.found <= self.bound if self.at_most else self.found >= self.bound

    def __str__(self) -> str:
        found, bound = (f"{n:.4g}" if n is not None else "unknown" for n in (self.found, self.bound))
        return f"{self.name} {found}, {'at most' if self.at_most else 'at least'} {bound}"


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What was decided, and why."""

    promoted: bool
    question: Question
    metric: str
    cases: int
    against: str
    interval: Interval | None  # of the relative difference; None where nothing was compared
    reasons: tuple[str, ...]  # why not; empty when promoted
    guards: tuple[Guard, ...] = field(default=())

    def as_json(self) -> dict[str, Any]:
        """For tables and `--json`."""
        interval = self.interval and {"low": self.interval.low, "mean": self.interval.value, "high": self.interval.high}
        return {
            "promoted": self.promoted,
            "question": self.question,
            "metric": self.metric,
            "cases": self.cases,
            "against": self.against,
            "relative_difference": interval,
            "reasons": list(self.reasons),
            "guards": [{"name": g.name, "found": g.found, "bound": g.bound, "holds": g.holds} for g in self.guards],
        }


def judge(
    challenger: Evaluation,
    against: Mapping[str, Evaluation],
    *,
    question: Question,
    metric: str,
    bounds: Bounds,
    guards: tuple[Guard, ...] = (),
    seed: int = 0,
) -> Verdict:
    """The verdict on one challenger.

    Args:
        challenger: What it answered.
        against: The champion alone, or the baselines: the best of them counts.
        question: Which bound applies.
        metric: Of `Evaluation.values`, such as `ndcg@10`.
        bounds: What is asked.
        guards: Measured by the caller, against the champion's own figures.
        seed: Of the bootstrap.

    Raises:
        ValueError: The evaluations are of different cases.
    """
    name, rival = max(against.items(), key=lambda named: named[1].means[metric])
    interval, unit = _compared(challenger, rival, metric, seed)
    least = unit * (bounds.not_worse if question == "not worse" else bounds.better)
    reasons: list[str] = []
    if len(challenger) < bounds.least_cases:
        reasons.append(f"{len(challenger)} cases, at least {bounds.least_cases} are asked for")
    if interval.people < bounds.least_people:  # people are resampled: an interval of few of them is too narrow
        reasons.append(f"cases of {interval.people} people, at least {bounds.least_people} are asked for")
    if not interval.low > least:
        found = f"{metric} {interval.value:+.1%} against {name}"
        reasons.append(f"{found}, lower bound {interval.low:+.1%}, not above {least:+.1%}")
    reasons += [str(guard) for guard in guards if not guard.holds]
    return Verdict(
        promoted=not reasons,
        question=question,
        metric=metric,
        cases=len(challenger),
        against=name,
        interval=interval,
        reasons=tuple(reasons),
        guards=guards,
    )


def _compared(challenger: Evaluation, rival: Evaluation, metric: str, seed: int) -> tuple[Interval, float]:
    """The relative difference and 1; or, of a rival without a hit in some resample, the plain one and its mean."""
    plain = difference(challenger, rival, metric, seed=seed)
    try:
        return difference(challenger, rival, metric, relative=True, seed=seed), 1.0
    except ValueError:
        return plain, rival.means[metric]
