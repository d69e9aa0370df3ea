"""`mediateca train`, `evaluate` and `recommend`: recommenders of a release, how good they are, and what they say."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from deployments.cli_common import CatalogueArg, JsonOption, built, print_json, print_table, printable, tell, write_file
from deployments.cli_promoted import promoting

if TYPE_CHECKING:
    from tasks.recommend import Answer
    from tasks.training import Trained

_SHOWN = 5  # of a history
Release = Annotated[str | None, typer.Option("--release", help="Default: the current release.")]
Recipes = Annotated[
    list[str] | None, typer.Option("--recipe", help="A shipped recipe or a YAML file; default: the catalogue's own.")
]


def train(
    catalogue: CatalogueArg,
    recipe: Recipes = None,
    release_id: Release = None,
    again: Annotated[bool, typer.Option("--again", help="Train anew what was trained on this release.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Train recommenders on a release, evaluate them beside baselines, and serve those that win.

    A recipe that fails stops none after it; the exit code is then 1.

    Example: `mediateca train demo --recipe next-track`
    """
    from storage.errors import StoreError
    from storage.models import champions
    from storage.releases import find_release
    from tasks.model_report import publish_pages
    from tasks.settings_recipes import load_recipe
    from tasks.training import train_recipe

    chosen, store = built(catalogue)
    release = find_release(store, release_id)
    names = recipe or chosen.recipes
    if not names:
        raise ValueError(f"the catalogue '{chosen.catalogue}' names no recipe under `training:`; pass --recipe")
    recipes = [load_recipe(name) for name in names]
    say = (lambda line: None) if as_json else tell
    rows, failed = list[dict[str, Any]](), dict[str, Exception]()
    with promoting(catalogue, chosen, store, quiet=as_json):
        for one in recipes:
            try:
                found = train_recipe(
                    store, release.release_id, one, tell=lambda line, r=one: say(f"{r.recipe}: {line}"), again=again
                )
            except (ValueError, StoreError) as exc:  # of this recipe: those after it are tried, too
                failed[one.recipe] = exc
                rows.append({"recipe": one.recipe, "release": release.release_id, "error": str(exc)})
                continue
            page = publish_pages(store, found.model_id, anew=found.new)
            rows.append(found.as_json() | {"report": page})
            if not as_json:
                _show(found)
                typer.echo(f"report: {page or 'none, it was trained before reports were kept; --again trains it anew'}")
        if as_json:
            print_json(rows)
        else:
            for slot, model in sorted(champions(store).items()):
                typer.secho(f"{slot}: {model.model_id} is served; `mediateca recommend` asks it", bold=True)
    if failed:
        _fail(failed, len(recipes))


def _fail(failed: dict[str, Exception], tried: int) -> NoReturn:
    """The error of a recipe that was alone, else those of all, once the others are done."""
    if tried == 1:
        raise next(iter(failed.values()))
    for name, exc in failed.items():
        typer.secho(f"{name}: {exc}", fg="red", err=True)
    tell(f"{len(failed)} of {tried} recipes failed, the others are done; run it again when these are mended")
    raise typer.Exit(1)


def _show(trained: "Trained") -> None:
    """The model's figures among those of its baselines, and whether it is served."""
    from tasks.model_sections import in_words

    metric, facts = trained.recipe.metric, trained.facts
    named = {**facts["baselines"], trained.recipe.recipe: facts["test"]["metrics"]}
    best_first = sorted(named.items(), key=lambda one: -one[1][metric])
    rows = [
        {"model": name, **{m: f"{v:.4f}" for m, v in found.items() if _shown(m)}, "s to fit": facts["seconds"][name]}
        for name, found in best_first
    ]
    cases, protocol = facts["test"]["queries"], facts["protocol"]["protocol"]
    title = f"{trained.model_id}: {facts['events']:,} events, {facts['items']:,} items, {protocol}, {cases:,} cases"
    print_table(title, rows)
    for note in facts["notes"]:
        tell(f"note: {note}")
    for name, found in facts.get("tuned", {}).items():
        tried = "1 trial" if found["trials"] == 1 else f"{found['trials']} trials"
        tried += f" ({found['failed']} failed)" if found["failed"] else ""
        gain = f"{metric} {found['given']:.4f} -> {found['best']:.4f} on validation"
        tell(f"tuned: {name}, {tried}, {gain}, changed {in_words(found['changed'])}")
    _say_verdict(trained)


def _shown(metric: str) -> bool:
    name, _, k = metric.partition("@")
    return name in ("hr", "ndcg", "mrr") and k in ("10", "20")


def _say_verdict(trained: "Trained") -> None:
    verdict = trained.verdict
    if verdict is None:
        typer.echo(f"{trained.model_id} was trained on this release before; --again trains it anew")
    elif verdict["promoted"]:
        found = verdict["relative_difference"]
        gain = f"{verdict['metric']} {found['mean']:+.1%} ({found['low']:+.1%} to {found['high']:+.1%})"
        typer.secho(f"promoted: {gain} against {verdict['against']}", fg="green")
    else:
        typer.secho(f"not promoted: {'; '.join(verdict['reasons'])}", fg="yellow")
    for guard in (verdict or {}).get("guards", ()):
        if guard["unasked"]:
            tell(f"note: {guard['name']} could not be asked: {guard['unasked']}")


def evaluate(
    catalogue: CatalogueArg,
    model_id: Annotated[
        str | None, typer.Argument(metavar="[MODEL]", help="One model alone, by its id; default: all.")
    ] = None,
    html: Annotated[
        Path | None, typer.Option("--html", help="Draw the model's report to this file: one page for a browser.")
    ] = None,
    again: Annotated[
        bool,
        typer.Option("--again", help="Ask MODEL, or those served, the test once more; exit code 1: other figures."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show what is served, each model's figures beside its baselines', and how every trained model was judged.

    With --html, a report of MODEL, or of the only one that is served: figures with intervals, slices, learning curves,
    a map of the items, and what it recommends. With --again the release is split once more and the stored weights are
    asked; what they answer stands beside the figures that were kept.

    Example: `mediateca evaluate demo`
    """
    from storage.model_pages import place_of
    from storage.models import champions, find_model, models, promotions
    from tasks.judging import other_cases

    _, store = built(catalogue)
    trained, decided = models(store), promotions(store)
    served, verdicts = champions(store), {p.model_id: p for p in decided}
    if html is not None:
        _draw(store, model_id, served, html)
    if again:
        return _ask_again(store, [find_model(store, model_id)] if model_id else list(served.values()), as_json)
    rows = [
        _judged(model, served, verdicts.get(model.model_id)) | {"report": place_of(store, model.model_id)}
        for model in ([find_model(store, model_id)] if model_id else trained)
    ]
    if as_json:
        print_json(rows)
    elif not rows:
        typer.echo("no model yet; `mediateca train` makes one")
    else:
        hidden = ("metrics", "baselines", "trained_until", "reasons", "asked", "judged_on", "report")
        print_table("", [{n: v for n, v in row.items() if n not in hidden} for row in rows])
        shown = {row["model"] for row in rows}
        for line in other_cases(trained, [p for p in decided if p.model_id in shown]):
            tell(f"note: {line}")
        if model_id:
            typer.echo(f"report: {html or rows[0]['report'] or 'none; --html FILE draws it'}")


def _ask_again(store: Any, asked: list[Any], as_json: bool) -> None:
    """Kept figures beside today's; the exit code is 1 where they differ."""
    from tasks.recheck import recheck

    if not asked:
        raise ValueError("nothing is served yet; `mediateca train` makes a model")
    found = [recheck(store, model) for model in asked]
    if as_json:
        print_json([one.as_json() for one in found])
    for one in found if not as_json else ():
        metric, others = one.model.recipe["metric"], "" if one.same_cases else "; the cases are others than those asked"
        what = f"{one.model.model_id}: {metric} {one.kept[metric]:.4f} is kept, {one.now[metric]:.4f} is answered"
        said = f"{what}, largest difference of any metric {one.difference:.1e}{others}"
        typer.secho(said, fg=None if one.holds else "red")
    if not all(one.holds for one in found):
        raise typer.Exit(1)


def _draw(store: Any, model_id: str | None, served: dict[str, Any], html: Path) -> None:
    """The report of a model, or of the only champion, to a file."""
    from storage.models import find_model
    from tasks.model_report import draw

    if model_id is None and len(served) != 1:
        known = ", ".join(model.model_id for model in served.values()) or "nothing; `mediateca train` makes one"
        raise ValueError(f"--html needs one model; name it, such as one that is served: {known}")
    model = find_model(store, model_id) if model_id else next(iter(served.values()))
    write_file("evaluate --html", html, draw(store, model))


def _judged(model: Any, served: dict[str, Any], verdict: Any) -> dict[str, Any]:
    metric, baselines = model.recipe["metric"], model.facts["baselines"]
    best = max(baselines, key=lambda name: baselines[name][metric])
    said = verdict.verdict if verdict else {"promoted": False, "reasons": []}
    return {
        "served for": model.slot if model.slot in served and served[model.slot].model_id == model.model_id else "",
        "model": model.model_id,
        metric: f"{model.facts['test']['metrics'][metric]:.4f}",
        "cases": model.facts.get("asked", {}).get("cases", "")[:8],
        "best baseline": f"{best} {baselines[best][metric]:.4f}",
        "verdict": said.get("question", "") if said["promoted"] else "not promoted",
        "reasons": said["reasons"],
        "trained_until": model.facts["trained_until"],
        "asked": model.facts.get("asked"),
        "judged_on": said.get("asked"),
        "metrics": model.facts["test"]["metrics"],
        "baselines": baselines,
    }


def promote(
    catalogue: CatalogueArg,
    model_id: Annotated[str, typer.Argument(metavar="MODEL", help="As `mediateca evaluate` names it.")],
    note: Annotated[str, typer.Option(help="Why; it is kept with the decision.")] = "",
) -> None:
    """Serve a trained model by hand, whatever it was judged to be: a new one, or a former one again.

    Example: `mediateca promote demo next-track-v1-0a1b2c3d --note "back to the former one"`
    """
    from tasks.training import promote_by_hand

    chosen, store = built(catalogue)
    with promoting(catalogue, chosen, store):
        model = promote_by_hand(store, model_id, note=note)
        typer.secho(f"served: {model.model_id}, for {model.slot}", fg="green", bold=True)


def recommend(
    catalogue: CatalogueArg,
    user: Annotated[str | None, typer.Argument(metavar="[USER]", help="user_id, such as lastfm:user_000001.")] = None,
    item: Annotated[list[str] | None, typer.Option("--item", help="An item_id or a title met; repeat it.")] = None,
    slot: Annotated[
        str | None, typer.Option("--of", help="A slot: track, new-track, film, ...; default: each that is served.")
    ] = None,
    country: Annotated[str | None, typer.Option(help="Instead of the user's own.")] = None,
    gender: Annotated[str | None, typer.Option(help="Instead of the user's own.")] = None,
    k: Annotated[int, typer.Option("-k", help="How many, 1 to 1,000.")] = 10,
    release_id: Release = None,
    as_json: JsonOption = False,
) -> None:
    """Recommend items to a user of the release, or to a history given by --item; says which model answered, and why.

    Without a history the most popular items of the country answer, else those of everybody.

    Example: `mediateca recommend demo lastfm:user_000001 -k 5`
    """
    from storage.models import champions
    from storage.releases import find_release
    from tasks.recommend import recommend as answer_of
    from tasks.recommend_who import Asked

    _, store = built(catalogue)
    release = find_release(store, release_id)
    asked = Asked(user=user, items=tuple(item or ()), country=country, gender=gender)
    slots = [slot] if slot else sorted(champions(store)) or ["all"]
    found = [answer_of(store, release, name, asked, k=k) for name in slots]
    if as_json:
        print_json([{"of": name, **one.as_json()} for name, one in zip(slots, found, strict=True)])
        return
    for name, one in zip(slots, found, strict=True):
        _show_answer(name, one)


def _show_answer(slot: str, answer: "Answer") -> None:
    if answer.history:
        more = f", and {len(answer.history) - _SHOWN} before" if len(answer.history) > _SHOWN else ""
        typer.echo(printable(f"after {', '.join(answer.history[-_SHOWN:])}{more}"))
    for note in answer.notes:
        tell(f"note: {note}")
    rows = [{"title": r["title"], "score": f"{r['score']:.3f}", "why": r["why"]} for r in answer.rows]
    index = f"index {answer.index}" if answer.index else "no index"
    print_table(f"{slot}: by {answer.by}, model {answer.model_id}, release {answer.release_id}, {index}", rows)
