"""A split as a folder of JSON and plain arrays, so that two models are scored on the very same cases."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training import leaks
from training.data import Cases, Dataset, Events, Feature, Origin, Queries, Ragged, Split
from training.splits import known_features, training_set

_SAID, _ARRAYS, _VERSION = "split.json", "split.npz", 2
_TEXTS = ("name", "item_ids", "user_ids", "titles", "kinds", "genders", "countries", "honest_time", "met", "notes")
_OF_ITEMS = ("years", "recordings", "works", "profiles")
_LISTS = ("creators", "genres")
_EVENTS = ("user", "item", "at", "value")
Arrays = dict[str, NDArray[Any]]


def save(split: Split, folder: Path) -> None:
    """Write the split into an empty folder: events, cases, candidates and what is known of items; features are not.

    Raises:
        ValueError: The folder is not empty.
        Leak: The split is not fit to be scored on.
    """
    leaks.check(split)
    folder.mkdir(parents=True, exist_ok=True)
    if next(folder.iterdir(), None) is not None:
        raise ValueError(f"{folder}: not empty; name a new folder for the split")
    data, events = split.data, split.data.events
    arrays: Arrays = {f"events.{name}": getattr(events, name) for name in _EVENTS}
    arrays |= {name: array for name in _OF_ITEMS if (array := getattr(data, name)) is not None}
    for name in _LISTS:
        arrays |= _ragged(name, getattr(data, name))
    arrays |= _cases("validation", split.validation) | _cases("test", split.test)
    if split.places is not None:
        arrays["places"] = split.places
    np.savez_compressed(folder / _ARRAYS, allow_pickle=False, **arrays)
    said: dict[str, Any] = {"version": _VERSION, "protocol": dict(split.protocol), "notes": split.notes}
    said |= {"filter_seen": split.test.filter_seen, "data": {name: getattr(data, name) for name in _TEXTS}}
    (folder / _SAID).write_text(json.dumps(said, ensure_ascii=False) + "\n", encoding="utf-8")


def load(folder: Path, features: Mapping[str, Feature] | None = None) -> Split:
    """The split that `save` wrote; `features` of the same items are joined as they were known before the targets.

    Raises:
        Leak: The folder was changed so that training knows what is asked for.
        ValueError: It is no split, of another version, or the features are of other items.
    """
    said = _said(folder)
    with np.load(folder / _ARRAYS, allow_pickle=False) as file:
        arrays: Arrays = {name: file[name] for name in file.files}
    data = _dataset(said["data"], arrays, features or {})
    validation, test = (_read_cases(part, arrays, said["filter_seen"]) for part in ("validation", "test"))
    places = arrays["places"]
    split = Split(
        protocol=said["protocol"],
        data=data,
        train=training_set(data, places, known_features(data, validation, test), validation),
        validation=validation,
        test=test,
        notes=tuple(said["notes"]),
        places=places,
    )
    leaks.check(split)
    return split


def _said(folder: Path) -> dict[str, Any]:
    if not (folder / _SAID).is_file():
        raise ValueError(f"{folder}: no {_SAID}, so it holds no split; write one with `stored.save`")
    said: dict[str, Any] = json.loads((folder / _SAID).read_text(encoding="utf-8"))
    if said["version"] != _VERSION:
        raise ValueError(f"{folder}: a split of version {said['version']}, expected {_VERSION}; build it anew")
    return said


def _dataset(said: Mapping[str, Any], arrays: Arrays, features: Mapping[str, Feature]) -> Dataset:
    texts = {name: tuple(said[name]) if isinstance(said[name], list) else said[name] for name in _TEXTS}
    lists: dict[str, Any] = {name: _read_ragged(name, arrays) for name in _LISTS}
    data = Dataset(
        **texts,
        events=Events(**{name: arrays[f"events.{name}"] for name in _EVENTS}),
        **{name: arrays.get(name) for name in _OF_ITEMS},
        **lists,
    )
    for feature in features.values():
        if len(feature.present) != data.items:
            raise ValueError(
                f"feature '{feature.name}': of {len(feature.present):,} items, the split has {data.items:,}; "
                f"read it from the same release, {data.name}"
            )
    return replace(data, features=features)


def _cases(part: str, cases: Cases) -> Arrays:
    queries, origin = cases.queries, cases.origin
    found = _ragged("history", queries.history) | _ragged("targets", cases.targets)
    found |= {"user": queries.user, "history_at": queries.history_at, "at": queries.at, "profile": queries.profile}
    found |= {"candidates": cases.candidates}
    if origin is not None:
        found |= {f"origin.{name}": getattr(origin, name) for name in ("owner", "history", "targets")}
    return {f"{part}.{name}": array for name, array in found.items()}


def _read_cases(part: str, arrays: Arrays, filter_seen: bool) -> Cases:
    mine = {name.removeprefix(f"{part}."): array for name, array in arrays.items() if name.startswith(f"{part}.")}
    history, targets = (_filled(name, mine) for name in ("history", "targets"))
    alone = {name: mine[name] for name in ("user", "history_at", "at", "profile")}
    return Cases(
        queries=Queries(history=history, **alone),
        targets=targets,
        candidates=mine["candidates"],
        filter_seen=filter_seen,
        origin=Origin(**{name: mine[f"origin.{name}"] for name in ("owner", "history", "targets")}),
    )


def _ragged(name: str, rows: Ragged | None) -> Arrays:
    if rows is None:
        return {}
    found: Arrays = {f"{name}.values": rows.values, f"{name}.starts": rows.starts}
    return found if rows.until is None else found | {f"{name}.until": rows.until}


def _read_ragged(name: str, arrays: Arrays) -> Ragged | None:
    return _filled(name, arrays) if f"{name}.values" in arrays else None


def _filled(name: str, arrays: Arrays) -> Ragged:
    return Ragged(**{part: arrays.get(f"{name}.{part}") for part in ("values", "starts", "until")})  # type: ignore[arg-type]
