"""The report of a model: how it was judged, its figures, and how it learnt, each beside what it is compared with.

Figures are those of the model's row and of its `shown.json`; nothing is computed here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from storage.models import Model, Promotion
from tasks.report_charts import figure
from tasks.report_html import NARROW, Cell, number, section, table, text
from tasks.report_lines import Whisker, lines, whiskers

_ACCURACY = ("hr", "recall", "ndcg", "mrr", "map")
_OF_TARGETS = "target"
_SLICES = {
    "history length": "Events in the history",
    "user": "Whether training met the user",
    "country": "Whether the country is known",
    "target": "Whether the target is in the history",
    "item age": "Since the item's first event",
    "popularity": "Popularity of the target",
}
_QUESTIONS = {
    "first": "the first model of its slot must beat the best baseline",
    "better": "a recipe that is new or changed must beat what is served",
    "not worse": "the same recipe on a fresh release must not lose",
    "baseline": "the best baseline is served until something beats it",
    "by hand": "somebody decided",
}


# --- the verdict


def verdict(model: Model, decisions: Sequence[Promotion]) -> tuple[str, str, str]:
    """The colour, the verdict and the reason for it, of the newest decision on a model."""
    if not decisions:
        return "warned", "Not judged.", "The training was ended before the judgement."
    last = decisions[-1]
    said = last.verdict
    if last.question == "by hand":
        return "good", "Promoted by hand.", said.get("note") or "No note says why."
    if last.question == "baseline":
        return "good", "Served as the best baseline.", f"Nothing is served for {model.slot} that beats it."
    if not last.promoted:
        return "warned", "Not promoted.", f"{'; '.join(said['reasons'])}."
    gain = _percent(said["relative_difference"])
    return "good", "Promoted.", f"{said['metric']} {gain} against {said['against']}, over {said['cases']:,} cases."


def judgement(model: Model, decisions: Sequence[Promotion]) -> str:
    """Every decision on the model, its guardrails, and what it was asked."""
    rows = [_decision(one) for one in decisions]
    heads = ("decided", "question", "against", "cases", "difference", "promoted", "reasons")
    guards = [_guard(guard) for one in decisions for guard in one.verdict.get("guards", ())]
    parts = [
        table(heads, rows, caption="Decisions", kind="wide") if rows else "",
        _block(
            "Guardrails",
            table(("guardrail", "found", "bound", "holds"), guards, caption="Guardrails") if guards else "",
        ),
        _block("What was asked", table(("asked", "answer"), _question(model), caption="Protocol")),
    ]
    lead = (
        "The difference is relative, with its paired 95 % interval over people; its lower bound decides. Both sides "
        "answer the same cases."
    )
    return section("judgement", "Judgement", lead, *parts)


def _decision(one: Promotion) -> tuple[Any, ...]:
    said = one.verdict
    found = said.get("relative_difference")
    return (
        Cell(f'<span class="num">{one.decided_at:%Y-%m-%d}</span> {one.decided_at:%H:%M}'),
        Cell(f'{text(one.question)}<span class="note">{text(_QUESTIONS.get(one.question, ""))}</span>'),
        said.get("against"),
        said["cases"] or None,
        Cell(f"{text(said['metric'])} {_percent(found)}{_seeds(said.get('seeds'))}") if found else "",
        "yes" if one.promoted else "no",
        "; ".join(said["reasons"]) or said.get("note", ""),
    )


def _seeds(found: Mapping[str, Any] | None) -> str:
    """What the recipe came to under other seeds, where it was asked."""
    if not found:
        return ""
    values = ", ".join(f"{value:+.1%}" for value in found["values"])
    said = f"under {len(found['values'])} seeds {values}; one more lies above {found['low']:+.1%}"
    return f'<span class="note">{said}</span>'


def _guard(guard: Mapping[str, Any]) -> tuple[str, str, str, str]:
    found, bound = (f"{guard[name]:.4g}" if guard[name] is not None else "nothing to measure" for name in _FOUND)
    held = "yes" if guard["holds"] else "no"
    return guard["name"], found, bound, f"cannot be asked: {guard['unasked']}" if guard.get("unasked") else held


_FOUND = ("found", "bound")


def _question(model: Model) -> list[tuple[str, Any]]:
    """The protocol in words, and what it left out."""
    protocol, facts = model.facts["protocol"], model.facts
    options = {k: v for k, v in protocol.items() if k not in ("protocol", "filter_seen", "candidates", "prepare")}
    prepared = {k: v for k, v in (protocol.get("prepare") or {}).items() if v}
    said = ", ".join(
        f"{name} {json.dumps(value)}" for name, value in {**options, **prepared}.items() if value is not None
    )
    return [
        ("protocol", f"{protocol['protocol']}: {said}"),
        ("candidates", "cold items" if protocol.get("candidates") == "cold" else "every item"),
        ("met before", "is no candidate" if facts["filter_seen"] else "is a candidate, too"),
        ("learnt from", f"{number(facts['events'])} events until {until(model)}"),
        ("cases", number(facts["test"]["queries"])),
        ("digests", ", ".join(f"{name} {facts['asked'][name]}" for name in ("cases", "candidates", "protocol"))),
        *(("note", note) for note in facts["notes"]),
    ]


# --- figures


def metrics(model: Model, found: Mapping[str, Any]) -> str:
    """The model among its baselines, the best first."""
    metric, named = found["metric"], _named(model, found["metrics"])
    order = sorted(named, key=lambda name: -named[name][metric]["value"])
    shown = _distinct(named)
    rows = [
        (_name(model, name), *(_figure(name, m, named[name][m]) for m in shown), _against(found, name))
        for name in order
    ]
    heads = ("model", *shown, f"the model's {metric} against it")
    own = model.recipe["recipe"]
    dots = [_whisker(name, named[name][metric], "c0" if name == own else "co") for name in order]
    against = {name: found["differences"][name] for name in order if found["differences"].get(name)}
    behind = [
        Whisker(name, 100 * one["low"], 100 * one["value"], 100 * one["high"], "c1" if one["low"] <= 0 else "c0")
        for name, one in against.items()
    ]
    figures = [
        figure(f"{metric} of each", whiskers(dots, x=metric)),
        figure("The model against each", whiskers(behind, x=f"difference in {metric}, %"), _CROSSED) if behind else "",
    ]
    lead = (
        "Every target is ranked among all candidates, ties count against the model. Below a figure is its 95 % "
        "interval: 2,000 resamples of the people."
    )
    both = f'<div class="charts">{"".join(figures)}</div>'
    listed = table(heads, rows, caption="Figures beside the baselines", kind="wide")
    return section("figures", "Figures", lead, both, _block("", listed))


_CROSSED = (
    "Orange: the interval reaches 0, so the cases cannot tell the two apart, or the model is worse. Left out is what "
    "has no hit in some resample."
)


def _whisker(name: str, one: Mapping[str, float], colour: str) -> Whisker:
    return Whisker(name, one["low"], one["value"], one["high"], colour)


def _distinct(named: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Metrics of accuracy, without those that say the same: with one target each, recall is the hit rate."""
    shown: list[str] = []
    for metric in [m for m in next(iter(named.values())) if m.partition("@")[0] in _ACCURACY]:
        if not any(all(of[metric] == of[other] for of in named.values()) for other in shown):
            shown.append(metric)
    return shown


def _figure(name: str, metric: str, one: Mapping[str, float], digits: int = 4) -> Cell:
    value, low, high = (f"{one[at]:.{digits}f}" for at in ("value", "low", "high"))
    said = f'<span data-figure="{text(name)} {text(metric)}">{value}</span>'
    return Cell(f'{said}<span class="note">{low} to {high}</span>')


def _against(found: Mapping[str, Any], name: str) -> str:
    one = found["differences"].get(name)
    return _percent(_interval(one)) if one else ""


def slices(model: Model, found: Mapping[str, Any]) -> str:
    """The same metric in parts of the cases, beside the best baseline."""
    metric, best = found["metric"], found["best"]
    parts = [_slice(name, of, metric, best) for name, of in found["slices"].items() if len(of) > 1]
    alone = [f"{_title(name).lower()}: {label}" for name, of in found["slices"].items() if len(of) == 1 for label in of]
    lead = (
        f"{text(metric)} in parts of the cases: small parts have wide intervals. Where a case has several targets, "
        "slices of targets count each of them."
    )
    note = f'<p class="note">The same for all: {text("; ".join(alone))}.</p>' if alone else ""
    return section("slices", "Slices", lead, f'<div class="charts">{"".join(parts)}</div>' if parts else "", note)


def _slice(name: str, of: Mapping[str, Any], metric: str, best: str | None) -> str:
    rows = [
        (
            label,
            Cell(f'{number(one["count"])}<span class="note">{text(one["of"])}</span>'),
            _figure(f"{name}={label}", metric, one["own"]),
            f"{one['best']:.4f}" if best else "",
        )
        for label, one in of.items()
    ]
    listed = table(("", "cases", "model", best or ""), rows, caption=f"{metric} by {name}")
    return f"<div><h3>{text(_title(name))}</h3>{listed}</div>"


def _title(name: str) -> str:
    return f"Vector of {name.removeprefix('feature ')}" if name.startswith("feature ") else _SLICES.get(name, name)


# --- popularity


def popularity(model: Model, found: Mapping[str, Any]) -> str:
    """How popular what is recommended is, against what is consumed; coverage and novelty."""
    catalogue, named = _named(model, found["catalogue"]), _named(model, found["metrics"])
    own, best = model.recipe["recipe"], found["best"]
    shift = catalogue[own]["popularity@10"]
    drawn = {"consumed": shift["consumed"], f"{own} recommends": shift["recommended"]}
    if best:
        drawn[f"{best} recommends"] = catalogue[best]["popularity@10"]["recommended"]
    series = {name: [(n, share) for n, share in enumerate(shares)] for name, shares in drawn.items()}
    chart = lines(series, x="training events of the item, from", y="share", ticks=_doublings(shift["from"]), zero=True)
    heads = ("model", "coverage", "novelty, bits", "novelty, linear", "shift", "distance", "debiased ndcg")
    rows = [
        (
            _name(model, name),
            Cell(f'<span data-figure="{text(name)} coverage@10">{of["coverage@10"]:.4f}</span>'),
            _figure(name, "novelty_bits@10", named[name]["novelty_bits@10"], 2),
            _figure(name, "novelty_linear@10", named[name]["novelty_linear@10"]),
            f"{of['popularity@10']['shift']:+.3f}",
            f"{of['popularity@10']['distance']:.3f}",
            _figure(name, "debiased_ndcg@10", named[name]["debiased_ndcg@10"]),
        )
        for name, of in catalogue.items()
    ]
    lead = (
        "A recommender that personalises follows what people consume: its line lies on theirs. One that plays safe "
        "lies to the right. Shift and distance are in doublings of popularity: of the mean, and of what would have to "
        "move. Coverage is the share of the candidates that are in anybody's ten."
    )
    listed = table(heads, rows, caption="Popularity, coverage and novelty of ten recommended items", kind="wide")
    density = figure("Popularity recommended and consumed", chart)
    return section("popularity", "Popularity", lead, f'<div class="charts">{density}</div>', _block("", listed))


def _doublings(starts: Sequence[int]) -> list[tuple[float, str]]:
    every = -(-len(starts) // 8)
    return [(n, number(start)) for n, start in enumerate(starts) if n % every == 0]


# --- tuning


def tuning(model: Model, found: Mapping[str, Sequence[Mapping[str, Any]]] | None) -> str:
    """What was tried of each model on the validation cases, where the recipe says so."""
    if not found:
        return ""
    metric, own = model.recipe["metric"], model.recipe["recipe"]
    order = sorted(found, key=lambda name: -_best(found[name])["metric"])
    drawn = {name: _best_so_far(found[name]) for name in (own, *(n for n in order if n != own)) if name in found}
    chart = lines(dict(list(drawn.items())[:_DRAWN]), x="trial", y=f"best {metric} so far")
    heads = ("model", "trials", "as the recipe says", "best", "changed", "seconds")
    rows = [
        (
            _name(model, name),
            len(found[name]),
            f"{found[name][0]['metric']:.4f}",
            Cell(f"{_best(found[name])['metric']:.4f}{_failed(found[name])}"),
            in_words(_best(found[name])["config"]),
            number(sum(trial["seconds"] for trial in found[name]), 1),
        )
        for name in order
    ]
    lead = (
        f"Each was tried with equally many settings, by {text(metric)} on the validation cases, which the test does "
        "not hold; one with fewer has no more settings to try. The first trial is what the recipe says."
    )
    listed = table(heads, rows, caption="Trials of each model", kind="wide")
    figures = f'<div class="charts">{figure(f"{metric} on validation", chart)}</div>'
    return section("tuning", "Tuning", lead, figures, _block("", listed))


_DRAWN = 4  # lines that can be told apart


def in_words(config: Mapping[str, Any]) -> str:
    """What a trial changed.

    >>> in_words({"dimension": 64, "loop.epochs": 9})
    'dimension 64, loop.epochs 9'
    """
    return ", ".join(f"{name} {value}" for name, value in config.items()) or "nothing"


def _best(trials: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    return max((trial for trial in trials if trial["metric"] is not None), key=lambda trial: trial["metric"])


def _failed(trials: Sequence[Mapping[str, Any]]) -> str:
    why = [f"{in_words(trial['config'])}: {trial['error']}" for trial in trials if trial["metric"] is None]
    return f'<span class="note">{len(why)} failed: {text("; ".join(why))}</span>' if why else ""


def _best_so_far(trials: Sequence[Mapping[str, Any]]) -> list[tuple[float, float]]:
    return [(n, _best(trials[:n])["metric"]) for n in range(1, len(trials) + 1)]


# --- learning


def learning(curves: Sequence[Mapping[str, Any]]) -> str:
    """Loss and validation by epoch, where the model has epochs."""
    if not curves:
        return ""
    loss = [(one["epoch"] + 1.0, one["loss"]) for one in curves]
    score = [(one["epoch"] + 1.0, one["score"]) for one in curves if one["score"] is not None]
    figures = [figure("Training loss", lines({"loss": loss}, x="epoch", y="loss", first=0))]
    if score:
        best = max(score, key=lambda point: point[1])
        note = f"The weights of epoch {best[0]:.0f} are kept: {best[1]:.4f}"
        figures.append(figure("Validation", lines({"score": score}, x="epoch", y="higher is better", first=1), note))
    seconds = sum(one["seconds"] for one in curves)
    lead = f"{len(curves)} epochs, {number(seconds, 1)}{NARROW}s of training in all."
    return section("learning", "Learning", lead, f'<div class="charts">{"".join(figures)}</div>')


# --- the recipe


def recipe(model: Model) -> str:
    """What was trained, key by key."""
    rows = [(name, json.dumps(value, ensure_ascii=False)) for name, value in model.recipe.items() if value]
    seconds = [(name, number(value, 3)) for name, value in model.facts["seconds"].items()]
    return section(
        "recipe",
        "Recipe",
        "",
        table(("key", "value"), rows, caption="Recipe", kind="rows"),
        _block("Seconds to fit", table(("model", "seconds"), seconds, caption="Seconds to fit")),
    )


# --- words


def until(model: Model) -> str:
    """Up to when the model has learnt."""
    at = model.facts["trained_until"]
    return f"{datetime.fromisoformat(at):%Y-%m-%d %H:%M} UTC" if at else "no honest time"


def _named(model: Model, found: Mapping[str, Any]) -> dict[str, Any]:
    """The model and its baselines by name; a baseline of the model's own name is the model."""
    return {model.recipe["recipe"]: found["own"]} | {
        name: of for name, of in found["baselines"].items() if name != model.recipe["recipe"]
    }


def _name(model: Model, name: str) -> Cell:
    return Cell(f"<strong>{text(name)}</strong>" if name == model.recipe["recipe"] else text(name))


def _interval(one: Mapping[str, float]) -> dict[str, float]:
    return {"low": one["low"], "mean": one["value"], "high": one["high"]}


def _percent(found: Mapping[str, float] | None) -> str:
    return "" if found is None else f"{found['mean']:+.1%} ({found['low']:+.1%} to {found['high']:+.1%})"


def _block(title: str, inner: str) -> str:
    head = f"<h3>{text(title)}</h3>" if title else ""
    return f'<div class="block">{head}{inner}</div>' if inner else ""
