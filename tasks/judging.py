"""The judgement of a fitted recipe against what is served: whether they can be compared, on what, and the verdict."""

# Annotations stay text: numpy and torch are imported at their first use.
from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from storage.models import Model, Promotion, champions, promotions
from storage.store import Store
from tasks.serving import Served, stored
from tasks.settings_recipes import Recipe

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tasks.training import Fitted
    from training.contest import Guard, Question, Verdict
    from training.data import Cases, Split
    from training.evaluation import Evaluation

_LATENCY_QUERIES = 50


def trained_until(split: Split) -> str | None:
    """The time of the newest event that was learnt from or tuned on; None where the data have no honest time."""
    from training.data import NO_TIME

    newest = max(int(at.max()) for at in (split.train.events.at, split.validation.queries.at))
    if not split.data.honest_time or newest == NO_TIME:
        return None
    return datetime.fromtimestamp(newest / 1000, UTC).isoformat()


def judged(store: Store, fitted: Fitted, recipe: Recipe) -> tuple[Verdict, Question, Model | None]:
    """The verdict on a fitted model; which question was put, and the champion it was put to."""
    champion = champions(store).get(recipe.serves)
    question: Question = (
        "first" if champion is None else "not worse" if champion.facts["recipe_digest"] == recipe.digest else "better"
    )
    if (refused := _refused(store, fitted, recipe, champion, question)) is not None:
        return refused, question, champion
    found = _first(fitted, recipe) if champion is None else _contest(store, fitted, recipe, champion, question)
    return found, question, champion


def other_cases(trained: Sequence[Model], decided: Sequence[Promotion]) -> list[str]:
    """Where figures side by side are of other cases or candidates, and verdicts on other cases than the figures."""
    told: list[str] = []
    for slot in sorted({model.slot for model in trained}):
        sets = {_question(model.facts.get("asked", {})) for model in trained if model.slot == slot}
        if len(sets) > 1:
            told.append(f"{slot}: figures of {len(sets)} sets of cases; compare only those of one")
    figures: dict[str | None, Mapping[str, Any]] = {model.model_id: model.facts.get("asked", {}) for model in trained}
    for one in decided:
        asked = one.verdict.get("asked")
        if not asked:  # refused, or by hand
            continue
        sides = [name for name in (one.model_id, one.champion_id) if name]
        if others := [name for name in sides if _question(figures.get(name, {})) != _question(asked)]:
            of = f"{asked['count']} cases ({asked['cases'][:8]})"
            told.append(f"{one.model_id} was judged on {of}; the figures of {' and '.join(others)} are of others")
    return told


def _question(asked: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(asked.get(part) for part in ("cases", "candidates", "filter_seen"))


def _first(fitted: Fitted, recipe: Recipe) -> Verdict:
    """Against the best baseline."""
    verdict = _verdict(
        fitted.evaluation, fitted.baselines, recipe=recipe, question="first", guards=(_latency(fitted, recipe),)
    )
    return _asked(verdict, fitted.split, fitted.split.test)


def _contest(store: Store, fitted: Fitted, recipe: Recipe, champion: Model, question: Question) -> Verdict:
    """Against the champion, on what is later than both; what is new must beat the baselines of today, too."""
    from training.evaluation import evaluate

    split, cases = fitted.split, _later(fitted.split, champion)

    def ask(model: Any, name: str) -> Evaluation:
        return evaluate(model, cases, train=split.train, ks=(recipe.k,), name=name)

    mine = ask(fitted.model, recipe.recipe)
    with stored(store, champion) as held:
        served = Served(held, split.data)
        rivals = {champion.model_id: ask(served, champion.model_id)}
    guards = (*_guards(split, cases, mine, rivals[champion.model_id], served.knows, recipe), _latency(fitted, recipe))
    if question == "better":
        rivals |= {name: ask(other, name) for name, other in fitted.others.items()}
    found = _verdict(mine, rivals, recipe=recipe, question=question, guards=guards)
    if question == "better" and found.promoted:  # else its other seeds cannot help it
        again = _under_other_seeds(fitted, recipe, ask)
        found = _verdict(mine, rivals, recipe=recipe, question=question, guards=guards, again=again)
    return _asked(found, split, cases)


def _verdict(mine: Evaluation, rivals: Mapping[str, Evaluation], *, recipe: Recipe, **more: Any) -> Verdict:
    from training.contest import judge

    return judge(mine, rivals, metric=recipe.metric, bounds=recipe.gate, **more)


def _under_other_seeds(fitted: Fitted, recipe: Recipe, ask: Callable[[Any, str], Evaluation]) -> list[Evaluation]:
    """What the recipe answers, fitted anew: which seed is served is luck, and a recipe is no better by luck."""
    from training.models.registry import model, reseeded

    others = reseeded(recipe.model, fitted.settings[recipe.recipe], recipe.gate.seeds - 1)
    return [ask(model(recipe.model, **settings).fit(fitted.split.train), recipe.recipe) for settings in others]


def _asked(verdict: Verdict, split: Split, cases: Cases) -> Verdict:
    from training.identity import identity

    return replace(verdict, asked=identity(cases, split.data, split.protocol))


def _refused(
    store: Store, fitted: Fitted, recipe: Recipe, champion: Model | None, question: Question
) -> Verdict | None:
    """Why the two cannot be compared, as a verdict; None where they can."""
    from training.contest import Verdict

    why = None
    if champion is not None:
        until, mine = champion.facts["trained_until"], trained_until(fitted.split)
        if odd := _differs(fitted, recipe, champion):
            why = f"{champion.model_id} answers another question ({odd} differs); give the recipe a `slot` of its own"
        elif until is None or mine is None:
            why = "the data have no honest time, so no case is later than what both were trained on; promote by hand"
        elif mine < until:
            why = f"it was trained until {mine}, {champion.model_id} until {until}; train on a newer release"
        elif len(_later(fitted.split, champion)) == 0:
            why = f"no case is later than {until}, until when {champion.model_id} was trained"
        elif question == "better" and (last := _last_test(store, recipe)):
            why = f"it was tested on {last:%Y-%m-%d}; one such test in {recipe.gate.days_between:g} days"
    if why is None:
        return None
    against = champion.model_id if champion else ""
    return Verdict(
        promoted=False,
        question=question,
        metric=recipe.metric,
        cases=0,
        against=against,
        interval=None,
        reasons=(why,),
    )


def _last_test(store: Store, recipe: Recipe) -> datetime | None:
    """When the recipe was last asked whether it is better, if that is too short ago for another try."""
    after = datetime.now(UTC) - timedelta(days=recipe.gate.days_between)
    tries = (
        p for p in promotions(store) if p.recipe == recipe.recipe and p.question == "better" and p.verdict["cases"]
    )
    return max((p.decided_at for p in tries if p.decided_at > after), default=None)


def _differs(fitted: Fitted, recipe: Recipe, champion: Model) -> str | None:
    """What makes the two answer different questions, if anything."""
    for name in ("events", "items", "metric"):
        if champion.recipe[name] != getattr(recipe, name):
            return name
    mine, theirs = fitted.split.protocol, champion.facts["protocol"]
    if mine["protocol"] != theirs["protocol"] or mine.get("candidates") != theirs.get("candidates"):
        return "protocol"
    return "filter_seen" if fitted.split.test.filter_seen != champion.facts["filter_seen"] else None


def _later(split: Split, champion: Model) -> Cases:
    """The cases later than all that either has learnt from."""
    from storage.lazy import np

    untils = (champion.facts["trained_until"], trained_until(split))
    until = max(datetime.fromisoformat(str(at)).timestamp() * 1000 for at in untils)
    return split.test.take(np.flatnonzero(split.test.queries.at > until))


def _guards(
    split: Split, cases: Cases, mine: Evaluation, theirs: Evaluation, knows: NDArray[Any], recipe: Recipe
) -> tuple[Guard, ...]:
    """Coverage, and the metric on items and on users that training never met, beside the champion's.

    Items that the champion's catalogue does not have are left out: it ranks them last, and shares of 0 ask nothing.
    """
    from storage.lazy import np
    from training.contest import Guard

    first, gate, train = cases.targets.values[cases.targets.starts[:-1]], recipe.gate, split.train
    cold = train.popularity()[first] == 0
    unseen = ~np.isin(cases.queries.user, train.events.user)
    spread, theirs_spread = (float(len(np.unique(e.top[e.top >= 0]))) for e in (mine, theirs))
    ours, others = mine.values[recipe.metric], theirs.values[recipe.metric]

    def part(name: str, rows: NDArray[Any], known: NDArray[Any], share: float) -> Guard:
        asked = rows & known
        if not rows.any():
            return Guard(name=name, found=None, bound=None, unasked="there is no such case")
        if not asked.any():
            why = f"the champion knows no answer to any of the {rows.sum()} cases"
            return Guard(name=name, found=float(ours[rows].mean()), bound=None, unasked=why)
        found, bound = float(ours[asked].mean()), share * float(others[asked].mean())
        why = "" if bound or not share else f"the champion answers none of the {asked.sum()} cases"
        return Guard(name=name, found=found, bound=bound, unasked=why)

    return (
        Guard(name="items in the lists", found=spread, bound=gate.coverage * theirs_spread),
        part("cold items", cold, knows[first], gate.cold),
        part("unseen users", unseen, np.ones_like(unseen), gate.unseen),
    )


def _latency(fitted: Fitted, recipe: Recipe) -> Guard:
    """95 % of single questions are answered within so many milliseconds."""
    from storage.lazy import np
    from training.contest import Guard

    queries = fitted.split.test.queries
    took: list[float] = []
    for row in range(min(_LATENCY_QUERIES, len(queries))):
        one = queries.take(np.array([row]))
        began = time.perf_counter()
        fitted.model.score(one)
        took.append((time.perf_counter() - began) * 1000)
    found = float(np.percentile(took, 95)) if took else None
    return Guard(name="milliseconds", found=found, bound=recipe.gate.latency_ms, at_most=True)
