"""Stored models, with what their numbers stand for, asked about another release than they were trained on."""

# Annotations stay text: numpy and pyarrow are imported at their first use.
from __future__ import annotations

import json
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from storage.folders import folder_on_disk
from storage.lazy import np, pa, pq
from storage.models import PLACE, Model
from storage.store import Store

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from training.data import Dataset, Queries, Split
    from training.models.base import Recommender

FALLBACK = 1_000
"""Items kept of each country's most popular ones, and of all."""
_ITEMS, _CODES, _POPULAR, _MODEL = "items.parquet", "codes.json", "popular.json", "model"
_BELOW = 1.0  # under the lowest score of what the model knows


@dataclass(frozen=True, kw_only=True)
class Stored:
    """A model of the store."""

    row: Model
    model: Any  # a training.models.base.Recommender
    item_ids: tuple[str, ...]  # V, in the model's numbering
    genders: tuple[str, ...]  # what the codes of profiles stand for; 0 is unknown
    countries: tuple[str, ...]
    popular: Mapping[str, Sequence[int]]  # country, or "" for all: items, the most popular first


def save(model: Recommender, split: Split, folder: Path) -> None:
    """Write a fitted model with what its numbers stand for."""
    (folder / _MODEL).mkdir()
    model.save(folder / _MODEL)
    data = split.data
    # No titles: those of an item that is taken down would stay here.
    pq.write_table(pa.table({"item_id": pa.array(data.item_ids)}), folder / _ITEMS, compression="zstd")
    (folder / _CODES).write_text(json.dumps({"genders": data.genders, "countries": data.countries}))
    (folder / _POPULAR).write_text(json.dumps(popular_of(split)))


def popular_of(split: Split) -> dict[str, list[int]]:
    """The most popular items of the training part, by country and under "" of everybody; ties by item number."""
    train, data = split.train, split.data
    of_event = train.profiles[train.events.user, 1]
    found = {"": _most(train.popularity())}
    for code, country in enumerate(data.countries):
        if country:
            counts = np.bincount(train.events.item[of_event == code], minlength=train.items)
            found[country] = _most(counts)
    return {country: items for country, items in found.items() if items}


def _most(counts: NDArray[np.int64]) -> list[int]:
    order = np.argsort(-counts, kind="stable")[:FALLBACK]
    return order[counts[order] > 0].tolist()


@contextmanager
def stored(store: Store, model: Model) -> Generator[Stored]:
    """A model of the store, loaded.

    Raises:
        StoreError: Its files are not there, or were altered.
    """
    from training.models.registry import model_class

    with folder_on_disk(store, PLACE, model.model_id) as folder:
        items = pq.read_table(folder / _ITEMS)
        codes: dict[str, Any] = json.loads((folder / _CODES).read_text())
        yield Stored(
            row=model,
            model=model_class(model.recipe["model"]).load(folder / _MODEL),
            item_ids=tuple(items["item_id"].to_pylist()),
            genders=tuple(codes["genders"]),
            countries=tuple(codes["countries"]),
            popular=json.loads((folder / _POPULAR).read_text()),
        )


class Served:
    """A stored model in the numbers of a dataset: items by their ids, profiles by their names."""

    def __init__(self, held: Stored, data: Dataset) -> None:
        """Nothing of the model is copied."""
        own = {name: n for n, name in enumerate(held.item_ids)}
        self.name, self._model = held.row.model_id, held.model
        # (V,): the model's number of each item of the dataset; -1 is unknown to it
        self._known = np.array([own.get(name, -1) for name in data.item_ids], np.int32)
        self._profiles = (_codes(data.genders, held.genders), _codes(data.countries, held.countries))

    @property
    def knows(self) -> NDArray[np.bool_]:
        """(V,): the items of the dataset that the model's catalogue has."""
        return self._known >= 0

    def score(self, queries: Queries) -> NDArray[np.float32]:
        """(B, V) over the dataset's items; those that the model does not know come last."""
        scores, there = self._model.score(self._translated(queries)), self._known >= 0
        out = np.empty((len(queries), len(self._known)), np.float32)
        out[:, there] = scores[:, self._known[there]]
        out[:, ~there] = scores.min(axis=1, keepdims=True) - _BELOW
        return out

    def _translated(self, queries: Queries) -> Queries:
        """The queries in the model's numbers; what it does not know is left out of histories."""
        from training.data import UNKNOWN, Ragged

        items = self._known[queries.history.values]
        kept = items >= 0
        lengths = np.bincount(queries.history.rows[kept], minlength=len(queries))
        starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        codes = [mapped[queries.profile[:, n]] for n, mapped in enumerate(self._profiles)]
        return replace(
            queries,
            user=np.full(len(queries), UNKNOWN, np.int32),
            history=Ragged(values=items[kept], starts=starts),
            history_at=queries.history_at[kept],
            profile=np.stack(codes, axis=1).astype(np.int32),
        )


def _codes(names: tuple[str, ...], own: tuple[str, ...]) -> NDArray[np.int32]:
    """(len(names),): the model's code of each name; 0 where it has none."""
    return np.array([own.index(name) if name in own else 0 for name in names], np.int32)
