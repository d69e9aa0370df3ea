"""Trained recommenders: files in `models/<model_id>/`, a row of `models` each, and which of them are served."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from storage.errors import StoreError
from storage.folders import put_folder
from storage.store import Store, rows_of

PLACE = "models"
_KIND = "recommender"


@dataclass(frozen=True, kw_only=True)
class Model:
    """One row of `models`, its JSON parsed."""

    model_id: str
    recipe: Mapping[str, Any]  # as it was read
    release_id: str
    facts: Mapping[str, Any]  # slot, recipe_digest, trained_until, cases, metrics, baselines, seconds
    created_at: datetime

    @property
    def slot(self) -> str:
        """What it competes to serve: track, new-track, film, ..."""
        return str(self.facts["slot"])


@dataclass(frozen=True, kw_only=True)
class Promotion:
    """One row of `promotions`, its JSON parsed."""

    promotion_id: str
    slot: str
    model_id: str
    champion_id: str | None
    recipe: str
    recipe_digest: str
    question: str
    promoted: bool
    verdict: Mapping[str, Any]
    decided_at: datetime


def record_model(
    store: Store, folder: Path, *, model_id: str, recipe: Mapping[str, Any], release_id: str, facts: Mapping[str, Any]
) -> None:
    """Store the files of a trained model, then its row: a killed process leaves files that `sweep` removes."""
    put_folder(store, PLACE, model_id, folder, {"model_id": model_id, "release_id": release_id})
    store.log(
        "models",
        model_id=model_id,
        kind=_KIND,
        name=recipe["recipe"],
        config=json.dumps(recipe),
        parameters=json.dumps(facts),
        release_id=release_id,
    )


def models(store: Store) -> list[Model]:
    """All trained recommenders, oldest first."""
    if "models" not in store.tables():
        return []
    con = store.database(only=("models",))
    rows = rows_of(con.sql(f"from models where kind = '{_KIND}' order by computed_at, model_id"))
    return [
        Model(
            model_id=row["model_id"],
            recipe=json.loads(row["config"]),
            release_id=row["release_id"],
            facts=json.loads(row["parameters"]),
            created_at=row["computed_at"],
        )
        for row in rows
    ]


def find_model(store: Store, model_id: str) -> Model:
    """A model by its id.

    Raises:
        StoreError: There is none of that id.
    """
    known = models(store)
    for model in known:
        if model.model_id == model_id:
            return model
    names = ", ".join(m.model_id for m in known[-5:]) or "none; `mediateca train` makes one"
    raise StoreError(f"store {store.url}: no model '{model_id}'; the newest: {names}")


def record_promotion(store: Store, **row: Any) -> None:
    """Add one decision; `verdict` is JSON already."""
    decided = datetime.now(UTC)
    name = f"{decided:%Y%m%dT%H%M%S%f}-{row['model_id']}"
    store.log("promotions", promotion_id=name, decided_at=decided, **row)


def promotions(store: Store) -> list[Promotion]:
    """All decisions, oldest first."""
    if "promotions" not in store.tables():
        return []
    con = store.database(only=("promotions",))
    rows = rows_of(con.sql("select * exclude (computed_at) from promotions order by decided_at, promotion_id"))
    return [Promotion(**{**row, "verdict": json.loads(row["verdict"])}) for row in rows]


def champions(store: Store) -> dict[str, Model]:
    """What is served in each slot: the model of the newest decision that promoted one."""
    newest = {p.slot: p.model_id for p in promotions(store) if p.promoted}
    known = {model.model_id: model for model in models(store)}
    return {slot: known[name] for slot, name in newest.items() if name in known}
