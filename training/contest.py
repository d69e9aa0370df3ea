"""Whether a challenger replaces the champion: a verdict from what both answered to the same cases, with its reasons.

Three questions, one statistic, the paired 95 % interval over users of the relative difference of a metric:
`first`: nothing is served yet, the challenger must beat the best baseline; `better`: a recipe that is new or has
changed must beat the champion; `not worse`: the same recipe on a fresh release must not lose. All pass the guardrails.

That interval is of people, for two models as they are. Under another seed a recipe gives another model, and where seeds
differ by more than people, a recipe often "beats" itself: 28 % of the time with a small SASRec, 2 % as it is judged now
(`python -m benchmarks.null_test`). So `better` also asks the challenger's recipe under further seeds: the champion must
lie below what one more would show.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

import numpy as np
from scipy.special import stdtrit

from training.bootstrap import Interval, difference
from training.evaluation import Evaluation

Question = Literal["first", "better", "not worse"]
CERTAIN = 0.95
"""One more seed of the challenger's recipe would lie above the bound of `Seeds` with this probability."""


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
class Seeds:
    """The challenger's recipe under several seeds, in units of the interval: differences from the same rival."""

    values: tuple[float, ...]  # the challenger's own first
    low: float  # one more seed would lie above

    @classmethod
    def of(cls, values: Sequence[float]) -> Seeds:
        """A prediction by Student's t: exact for a rival that is one more seed, if models spread normally."""
        count, spread = len(values), float(np.std(values, ddof=1))
        margin = float(stdtrit(count - 1, CERTAIN)) * spread * float(np.sqrt(1 + 1 / count))
        return cls(values=tuple(values), low=float(np.mean(values)) - margin)


@dataclass(frozen=True, kw_only=True)
class Guard:
    """One figure that a challenger may not spoil."""

    name: str  # coverage, cold items, unseen users, latency
    found: float | None  # None: there was nothing to measure
    bound: float | None
    at_most: bool = False  # latency; of the others more is better
    unasked: str = ""  # why this guard says nothing, where it does

    @property
    def holds(self) -> bool:
        """Whether it passes; what cannot be measured does not fail."""
        if self.found is None or self.bound is None:
            return True
        return self.found <= self.bound if self.at_most else self.found >= self.bound

    def __str__(self) -> str:
        if self.unasked:
            return f"{self.name} cannot be asked: {self.unasked}"
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
    seeds: Seeds | None = None  # None: the recipe was not asked under others
    asked: Mapping[str, Any] = field(default_factory=dict[str, Any])  # digests: `training.identity`

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
            "asked": dict(self.asked),
            "seeds": self.seeds and {"values": list(self.seeds.values), "low": self.seeds.low},
            "guards": [
                {"name": g.name, "found": g.found, "bound": g.bound, "holds": g.holds, "unasked": g.unasked}
                for g in self.guards
            ],
        }


def judge(
    challenger: Evaluation,
    against: Mapping[str, Evaluation],
    *,
    question: Question,
    metric: str,
    bounds: Bounds,
    guards: tuple[Guard, ...] = (),
    again: Sequence[Evaluation] = (),
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
        again: What the challenger's recipe answered under other seeds; none: seeds are not asked.
        seed: Of the bootstrap.

    Raises:
        ValueError: The evaluations are of different cases, or of different candidates.
    """
    _refuse_others(challenger, (*against.values(), *again))
    name, rival = max(against.items(), key=lambda named: named[1].means[metric])
    interval = _compared(challenger, rival, metric, seed)
    least = bounds.not_worse if question == "not worse" else bounds.better
    reasons: list[str] = []
    if len(challenger) < bounds.least_cases:
        reasons.append(f"{len(challenger)} cases, at least {bounds.least_cases} are asked for")
    if interval.people < bounds.least_people:  # people are resampled: an interval of few of them is too narrow
        reasons.append(f"cases of {interval.people} people, at least {bounds.least_people} are asked for")
    if not interval.low > least:
        found = f"{metric} {interval.value:+.1%} against {name}"
        reasons.append(f"{found}, lower bound {interval.low:+.1%}, not above {least:+.1%}")
    seeds = _under_seeds((challenger, *again), rival, metric) if again else None
    if seeds and not seeds.low > least:
        mean = float(np.mean(seeds.values))
        found = f"{metric} {mean:+.1%} against {name} as the mean of {len(seeds.values)} seeds"
        reasons.append(f"{found}, lower bound of one more {seeds.low:+.1%}, not above {least:+.1%}")
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
        seeds=seeds,
    )


def _refuse_others(challenger: Evaluation, others: Sequence[Evaluation]) -> None:
    """Ranks among other candidates, or of other cases, are no answer to the same question."""
    for other in others:
        if other.candidates != challenger.candidates:
            raise ValueError(
                f"{challenger.model} and {other.model} ranked different candidates ({challenger.candidates}, "
                f"{other.candidates}); evaluate both on one split"
            )
        if other.cases != challenger.cases:
            raise ValueError(f"{challenger.model} and {other.model} answered different cases; expected the same")


def _under_seeds(ours: Sequence[Evaluation], rival: Evaluation, metric: str) -> Seeds:
    base = rival.means[metric]
    return Seeds.of([(one.means[metric] - base) / (base or 1.0) for one in ours])


def _compared(challenger: Evaluation, rival: Evaluation, metric: str, seed: int) -> Interval:
    """The relative difference; to the mean of all where the rival has no hit in some resample, plain where in none."""
    plain = difference(challenger, rival, metric, seed=seed)
    try:
        return difference(challenger, rival, metric, relative=True, seed=seed)
    except ValueError:
        base = rival.means[metric] or 1.0
        return replace(plain, value=plain.value / base, low=plain.low / base, high=plain.high / base)
