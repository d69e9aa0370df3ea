"""What the report of a model shows beside its row: computed when it is trained, kept with its files as `shown.json`.

Items are places in the model's `items.parquet`: no title, and no id that is not there. It is small whatever the
catalogue is: a few hundred figures, three histories, 2,000 items of a map.
"""

# Annotations stay text: numpy is imported at its first use.
from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from storage.folders import folder_on_disk, manifest_of
from storage.lazy import np
from storage.models import PLACE, Model
from storage.store import Store

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tasks.settings_recipes import Recipe
    from tasks.training import Fitted
    from training.data import Cases, Split

FILE = "shown.json"
MAPPED = 2_000  # items of the map
LONGEST = 1_000  # events kept of a history, the newest
_QUARTERS = (0.25, 0.5, 0.75)  # of the people, by the length of their histories: whose is shown
_COUNTRIES = 2


class NotShown(ValueError):
    """A model was trained before reports were kept; the message says how to get one."""


def read(store: Store, model: Model) -> dict[str, Any]:
    """What `write` kept.

    Raises:
        NotShown: The model was trained before reports were kept.
        StoreError: Its files are not there, or were altered.
    """
    if FILE not in manifest_of(store, PLACE, model.model_id)["files"]:
        raise NotShown(
            f"{model.model_id}: was trained before reports were kept; `mediateca train --again` trains the recipe anew"
        )
    with folder_on_disk(store, PLACE, model.model_id, only=(FILE,)) as folder:
        return json.loads((folder / FILE).read_text())


def write(shown: Mapping[str, Any], folder: Path) -> None:
    """Write `shown.json` into the draft of a model's folder."""
    (folder / FILE).write_text(json.dumps(shown, separators=(",", ":")))


def shown_of(fitted: Fitted, recipe: Recipe) -> dict[str, Any]:
    """As JSON: `figures` (training.figures), `tuning`, `curves`, `cases`, `countries`, `map`."""
    from training.figures import figures

    others = {name: found for name, found in fitted.baselines.items() if found is not fitted.evaluation}
    return {
        "figures": figures(fitted.evaluation, others, recipe.metric),
        "tuning": {name: [asdict(trial) for trial in found.trials] for name, found in fitted.tuned.items()},
        "curves": [asdict(epoch) for epoch in getattr(fitted.model, "history", ())],
        "cases": [_case(fitted, row) for row in chosen(fitted.split.test)],
        "countries": _countries(fitted.split),
        "map": _mapped(fitted.split),
    }


def chosen(cases: Cases) -> list[int]:
    """The last case of three people who have a history, at the quartiles of its length: not chosen by the answers."""
    from training.evaluation import persons

    lengths, person = cases.queries.history.lengths, persons(cases)
    last = len(person) - 1 - np.unique(person[::-1], return_index=True)[1]
    last = last[lengths[last] > 0]
    order = last[np.argsort(lengths[last], kind="stable")]
    return [int(order[int(share * len(order))]) for share in _QUARTERS[: len(order)]]


def _case(fitted: Fitted, row: int) -> dict[str, Any]:
    """What was met, oldest first, what came next, and at which places the model had put that."""
    split, cases = fitted.split, fitted.split.test
    history, (gender, country) = cases.queries.history[row], cases.queries.profile[row]
    return {
        "history": history[-LONGEST:].tolist(),
        "events": len(history),
        "gender": split.data.genders[gender],
        "country": split.data.countries[country],
        "targets": cases.targets[row].tolist(),
        "places": fitted.evaluation.places[row].tolist(),
    }


def _countries(split: Split) -> list[str]:
    """Where most users who were learnt from come from."""
    codes = split.train.profiles[np.unique(split.train.events.user), 1]
    counts = np.bincount(codes, minlength=len(split.data.countries))
    order = [int(code) for code in np.argsort(-counts, kind="stable") if counts[code]]
    return [split.data.countries[code] for code in order if split.data.countries[code]][:_COUNTRIES]


def _mapped(split: Split) -> dict[str, Any]:
    """The items of the map and the band of their popularity: ids are digests, so the first ones are a sample."""
    from training.popularity_metrics import BANDS, bands

    found: NDArray[np.int64] = bands(split.train.popularity())[:MAPPED]
    return {"bands": list(BANDS), "band": found.tolist()}
