"""The report of a trained model: one self-contained page of its figures, how it was judged, and what it answers."""

# Annotations stay text: numpy is imported at its first use.
from __future__ import annotations

from typing import Any

from storage import clock
from storage.lock import build_lock
from storage.model_pages import place_of, put_page
from storage.models import Model, champions, find_model, promotions
from storage.releases import find_release
from storage.store import Store
from tasks import model_cases, model_sections, model_shown, report_maps
from tasks.model_shown import NotShown
from tasks.recommend import titles_of
from tasks.recommend_who import Shelf
from tasks.report_gallery import Coloured, Drawn, embeddings, script_data
from tasks.report_html import number
from tasks.report_page import RIGHTS, Count, Head, page
from tasks.serving import Stored, stored

_WAIT_S = 3600.0  # a build may hold the store
_KNOWN_GENRES = 0.5  # of the items; fewer, and the map is coloured by popularity


def publish_pages(store: Store, model_id: str, *, anew: bool = True) -> str | None:
    """Draw the page of a model, and of what is served in its slot where that has none; where the model's lies.

    None where the model was trained before reports were kept. Without `anew` a page that is there stays.

    Raises:
        NoSuchRelease: Nothing is released.
        StoreError: The model's files are not there.
        StoreLocked: A build held the store for an hour.
    """
    model = find_model(store, model_id)
    champion = champions(store).get(model.slot)
    wanted = [model] if champion is None or champion.model_id == model_id else [model, champion]
    # Under the lock, so that a take-down meets the page, or the page the release that it left.
    with build_lock(store.url, wait_s=_WAIT_S):
        for one in wanted:
            if (one is model and anew) or place_of(store, one.model_id) is None:
                _publish(store, one)
    return place_of(store, model_id)


def _publish(store: Store, model: Model) -> None:
    try:
        content = draw(store, model)
    except NotShown:
        return
    put_page(store, model.model_id, content)


def draw(store: Store, model: Model) -> bytes:
    """The page of a model as its files, its row and the current release have it.

    Raises:
        NotShown: It was trained before reports were kept.
        NoSuchRelease: Nothing is released.
        StoreError: Its files are not there.
    """
    shown, release = model_shown.read(store, model), find_release(store)
    con = store.database(release.tables, only=("items",))
    decisions = [p for p in promotions(store) if p.model_id == model.model_id]
    with stored(store, model) as held:
        shelf = Shelf(held=held, titles=titles_of(store, release, held))
        drawn = _map(con, held, shown["map"])
        sections = [
            model_sections.judgement(model, decisions),
            model_sections.metrics(model, shown["figures"]),
            model_sections.slices(model, shown["figures"]),
            model_sections.popularity(model, shown["figures"]),
            model_sections.tuning(model, shown.get("tuning")),  # none in what was kept before there was any
            model_sections.learning(shown["curves"]),
            model_cases.cases(shelf, release, shown),
            drawn.html,
            model_sections.recipe(model),
        ]
    return page(_head(model, shown, decisions, release.release_id), sections, script_data(drawn.data))


def _head(model: Model, shown: dict[str, Any], decisions: Any, release_id: str) -> Head:
    facts, metric = model.facts, model.recipe["metric"]
    found = shown["figures"]["metrics"]["own"][metric]
    state, verdict, why = model_sections.verdict(model, decisions)
    return Head(
        kind="model report",
        title=model.recipe["recipe"],
        name=model.recipe["model"],
        about=model.recipe["about"],
        state=state,
        verdict=verdict,
        why=why,
        counts={
            metric: Count(f"{found['value']:.4f}", f"{found['low']:.4f} to {found['high']:.4f}"),
            "test cases": Count(number(facts["test"]["queries"]), f"of {number(shown['figures']['people'])} people"),
            "events learnt from": Count(number(facts["events"])),
            "items": Count(number(facts["items"])),
        },
        facts={
            "model": model.model_id,
            "serves": model.slot,
            "trained": f"{model.created_at:%Y-%m-%d %H:%M} UTC",
            "on release": model.release_id,
            "until": model_sections.until(model),
            "drawn": f"{clock.now():%Y-%m-%d %H:%M} UTC",
            "titles of": release_id,
        },
        footer=f"Drawn by mediateca from {model.model_id} and the titles of {release_id}. {RIGHTS}",
    )


def _map(con: Any, held: Stored, sample: dict[str, Any]) -> Drawn:
    """Items in the plane of their vectors' two largest principal components; nothing of a model without vectors."""
    vectors = held.model.item_vectors()[: len(sample["band"])] if hasattr(held.model, "item_vectors") else ()
    ids = list(held.item_ids[: len(vectors)])
    made: list[report_maps.Map] = []
    if len(vectors) > 2 and (vectors != vectors[0]).any():
        xy, explained = report_maps.project(vectors)
        name = held.row.recipe["recipe"]
        made = [report_maps.Map(name, ids, xy, explained, vectors.shape[1], len(held.item_ids))]
    bands = dict(zip(ids, (sample["bands"][n] for n in sample["band"]), strict=False))
    known = report_maps.describe(con, ids)
    with_genres = sum(bool(row["genres"]) for row in known.values())
    by = Coloured(sample["bands"][::-1], bands) if with_genres < _KNOWN_GENRES * len(known) else None
    return embeddings(
        con, made, by, of="Where the model puts items: what it recommends to one listener lies together. "
    )
