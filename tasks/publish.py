"""Publishing: the items of a release, embedded by a model, become the bundle that is served, or nothing changes."""

# Annotations stay text: numpy is imported at its first use.
from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from storage import bundles
from storage.ann import Wanted
from storage.bundles import Bundle
from storage.clock import now
from storage.errors import StoreError
from storage.generations import only_version
from storage.lazy import np
from storage.opened_bundle import searcher_of
from storage.releases import Release
from storage.store import Store
from tasks.publish_measure import Asked, asked_of, measured
from tasks.publish_parts import check_vectors, fitted, tower_of, write_parts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from training.data import Dataset, Queries
    from training.models.base import Served

FORMAT = 1
KEEP = 3


class Unpublishable(StoreError):
    """What should be published fails a check; what is served stays."""


@dataclass(frozen=True, kw_only=True)
class Publishing:
    """How to publish."""

    index: Wanted = field(default_factory=Wanted)
    filter_seen: bool = True  # films: seen ones are no answers; music: listeners repeat
    kind: str | None = None  # of the items that the model recommends: track, film, ...; None: all of the release
    keep: int = KEEP  # bundles, the served one among them
    seed: int = 0  # of the queries that measure


def publish_bundle(
    store: Store,
    release: Release,
    model: Served,
    *,
    slot: str,
    model_id: str,
    data: Dataset,
    queries: Queries | None = None,
    how: Publishing | None = None,
) -> Bundle:
    """Embed all items, build and measure the index, check everything, then serve it by one atomic step.

    Args:
        store: Where to.
        release: What the items and features are of.
        model: Trained; its item vectors are in the order of `data.item_ids`.
        slot: What it recommends: track, new-track, film, ...
        model_id: Names it; vectors of different names are never compared.
        data: The release as training read it.
        queries: Held out, one half to widen the search by, the other to report; default: moments of users' histories.
        how: Limits of memory and recall, the seen filter, how many bundles to keep.

    Raises:
        Unpublishable: Items, vectors, revisions, the user tower or the recall are not as they must be.
        StoreError: No space or permission, or somebody else publishes.
    """
    how = how or Publishing()
    features = revisions(store, release, data)
    check_items(store, release, data, how.kind)
    vectors = np.ascontiguousarray(model.item_vectors(), np.float32)
    try:
        check_vectors(vectors, data.items)
        asked = asked_of(model, data, queries, filter_seen=how.filter_seen, seed=how.seed)
        with TemporaryDirectory(prefix="mediateca-") as name:
            about = _filled(Path(name), store, release, model, data, vectors, asked, how)
            bundle_id = bundles.new_id(at := now(), f"{slot} {model_id}")
            said = {"bundle": bundle_id, "format": FORMAT, "created_at": at.isoformat(), "release": release.release_id}
            about = {**said, "slot": slot, "model": model_id, "features": features, **about}
            return bundles.publish(store, slot, bundle_id, Path(name), about, keep=how.keep)
    except ValueError as exc:
        raise Unpublishable(f"publish {model_id} of {release.release_id}: {exc}") from exc


def _filled(
    folder: Path,
    store: Store,
    release: Release,
    model: Served,
    data: Dataset,
    vectors: NDArray[np.float32],
    asked: tuple[Asked, Asked],
    how: Publishing,
) -> dict[str, Any]:
    """All files of a bundle but its manifest; what the manifest says of them."""
    tuning, report = asked
    index, said = fitted(vectors, tuning, how.index)
    write_parts(folder, index, model, data, vectors, exact=said["exact"])
    (folder / "scaler.json").write_text(_scalers(store, release))
    searcher = searcher_of(folder, exact=said["exact"])
    new = _new_items(data)
    return {
        "metric": "inner_product",
        "index": said,
        "tower": tower_of(folder, data, model, report),
        "filter_seen": how.filter_seen,
        "measured": measured(searcher, vectors, report, new) | {"tuned_on": len(tuning.vectors)},
    }


# --- checks against the release


def revisions(store: Store, release: Release, data: Dataset) -> dict[str, str]:
    """The revision of each feature the model has read.

    Raises:
        Unpublishable: The release has another one than the data.
        MixedVersions: It has several.
    """
    found: dict[str, str] = {}
    for name, feature in data.features.items():
        table = f"features/{name}"
        if table not in release.tables:
            raise Unpublishable(
                f"publish {release.release_id}: it has no {table}, which the model reads; build it anew"
            )
        version = only_version(store.database(release.tables, only=(table,)), table)
        if version != feature.version:
            raise Unpublishable(
                f"publish {release.release_id}: {table} is of version {version}, the model has read {feature.version}; "
                "train on this release"
            )
        found[name] = feature.version
    return found


def check_items(store: Store, release: Release, data: Dataset, kind: str | None = None) -> None:
    """Raise Unpublishable unless the model's items are those of the release, or of one kind of it, each once."""
    con = store.database(release.tables, only=("items",))
    rows = con.execute("select item_id from items where kind = coalesce(?, kind) or ?", [kind, kind is None]).fetchall()
    table, own = {item for (item,) in rows}, set(data.item_ids)
    if odd := sorted(table ^ own):
        where = "the release alone" if odd[0] in table else "the model alone"
        raise Unpublishable(
            f"publish {release.release_id}: {len(odd):,} items differ between the release ({len(table):,}) and the "
            f"model ({len(own):,}), such as {odd[0]} in {where}; train on this release"
        )
    if any(a >= b for a, b in zip(data.item_ids, data.item_ids[1:], strict=False)):
        raise Unpublishable(f"publish {release.release_id}: item_ids of the data are not sorted, or one comes twice")


def _new_items(data: Dataset) -> NDArray[np.bool_]:
    """(V,): items that nobody has met yet."""
    return np.bincount(data.events.item, minlength=data.items) == 0


def _scalers(store: Store, release: Release) -> str:
    """JSON: what was fitted for features, by name."""
    versions = release.tables if "models" in release.tables else None
    sql = "select name, config, parameters from models where kind = 'fit' order by name, computed_at"
    rows = store.database(versions, only=("models",)).sql(sql).fetchall()
    return json.dumps({name: {"config": json.loads(c), "parameters": json.loads(p)} for name, c, p in rows})
