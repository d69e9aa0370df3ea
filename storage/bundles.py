"""Bundles: all that a service needs to recommend, in one folder that never changes, and which of them is served.

`bundles/<id>/` is written whole (`storage.folders`), then `bundles/current.json` names it: one rename on disk, one PUT
on an object store. `bundles/<id>/delta.npz` is what came and went since; it is written anew as a whole, too.
"""

# Annotations stay text: numpy is imported at its first use.
from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Collection, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from storage.errors import StoreError, told
from storage.folders import MANIFEST, Home, folder_on_disk, folders, manifest_of, put_folder, sweep
from storage.lazy import np
from storage.lock import build_lock

if TYPE_CHECKING:
    from numpy.typing import NDArray

PLACE, POINTER = "bundles", "bundles/current.json"
LOCK_WAIT_S = 60.0


class NoSuchBundle(LookupError):
    """There is no bundle of that name, or none at all."""


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """A whole bundle."""

    bundle_id: str
    manifest: Mapping[str, Any]
    current: bool = False


# --- which there are


def new_id(at: datetime, salt: str) -> str:
    """A name that sorts by time: 20261122T231507-1f2e3d4c."""
    return f"{at:%Y%m%dT%H%M%S}-{hashlib.sha256(f'{at.isoformat()} {salt}'.encode()).hexdigest()[:8]}"


def bundles(store: Home) -> list[Bundle]:
    """Every whole bundle, the oldest first."""
    served = (pointer(store) or {}).get("bundle")
    return [
        Bundle(bundle_id=name, manifest=manifest_of(store, PLACE, name), current=name == served)
        for name in folders(store, PLACE)
    ]


def find_bundle(store: Home, bundle_id: str | None = None) -> Bundle:
    """A bundle by name, the served one without.

    Raises:
        NoSuchBundle: There is none.
    """
    served = (pointer(store) or {}).get("bundle")
    wanted, known = bundle_id or served, folders(store, PLACE)
    if wanted is None or wanted not in known:
        what = f"no bundle '{wanted}'" if wanted else "no bundle is current"
        raise NoSuchBundle(f"store {store.url}: {what}; there are: {', '.join(known) or 'none yet'}")
    return Bundle(bundle_id=wanted, manifest=manifest_of(store, PLACE, wanted), current=wanted == served)


def pointer(store: Home) -> dict[str, Any] | None:
    """What `current.json` says: `bundle` and the `manifest_sha256` of it; None before the first."""
    return store.objects.read_json(POINTER)[0]


# --- switching


@contextmanager
def bundle_lock(store: Home, wait_s: float = LOCK_WAIT_S) -> Generator[None]:
    """Held while `current` or a delta changes; not the build's lock, as a build may take all night."""
    with build_lock(f"{store.url}/locks/bundles", wait_s=wait_s):
        yield


def publish(store: Home, bundle_id: str, folder: Path, about: Mapping[str, Any], *, keep: int) -> Bundle:
    """Store a finished folder as a bundle, serve it, and forget all but the `keep` newest.

    What was removed from the bundle served so far stays removed. What was added to it stays where the model is the same
    and the new bundle has not got it.

    Raises:
        StoreError: No space, no permission, or somebody else publishes.
        ValueError: `keep` is below 1.
    """
    if keep < 1:
        raise ValueError(f"keep {keep}: expected 1 or more, the one that is served")
    with bundle_lock(store):
        put_folder(store, PLACE, bundle_id, folder, about)
        carry(store, bundle_id)
        made = switch(store, bundle_id)
        forget(store, keep)
    return made


def rollback(store: Home, bundle_id: str) -> Bundle:
    """Serve an earlier bundle again; nothing is deleted, and what was removed since stays removed.

    Raises:
        NoSuchBundle: There is none of that name.
        StoreError: It is not whole, and what is served stays.
    """
    find_bundle(store, bundle_id)
    with bundle_lock(store):
        carry(store, bundle_id)
        return switch(store, bundle_id)


def switch(store: Home, bundle_id: str) -> Bundle:
    """Make `current` point at a bundle whose files were compared with its manifest; one atomic step."""
    with folder_on_disk(store, PLACE, bundle_id):
        sha256 = hashlib.sha256(store.objects.read(f"{PLACE}/{bundle_id}/{MANIFEST}")).hexdigest()
    _put(store, POINTER, json.dumps({"bundle": bundle_id, "manifest_sha256": sha256}).encode())
    return find_bundle(store, bundle_id)


def forget(store: Home, keep: int) -> int:
    """Delete all but the served and the `keep` newest bundles, and what killed publishes left; how many files.

    A reader that has one of them open goes on with it: on disk its pages stay mapped, else it has a copy.
    """
    served = (pointer(store) or {}).get("bundle")
    kept = {*folders(store, PLACE)[-keep:], served, Path(POINTER).name}
    return sweep(store, PLACE, [name for name in kept if name])


def _put(store: Home, name: str, content: bytes) -> None:
    with told(store.url), store.objects.draft(PLACE) as draft:
        draft.write_bytes(content)
        store.objects.publish(draft, name)


# --- what came and went since


@dataclass(frozen=True, kw_only=True)
class Delta:
    """Items added to a bundle, or embedded anew, and items removed from it."""

    added: tuple[str, ...] = ()
    vectors: NDArray[np.float32] = field(default_factory=lambda: np.empty((0, 0), np.float32))  # (added, D)
    titles: tuple[str, ...] = ()
    removed: frozenset[str] = frozenset()


def delta_mark(store: Home, bundle_id: str) -> str | None:
    """What changes with the delta; None where there is none."""
    return store.objects.mark(_delta(bundle_id))


def delta_of(store: Home, bundle_id: str) -> Delta:
    """What came and went since the bundle was made.

    Raises:
        StoreError: The file is damaged, or another bundle's.
    """
    try:
        content = store.objects.read(_delta(bundle_id))
        with np.load(io.BytesIO(content), allow_pickle=False) as found:
            read = {name: found[name] for name in ("bundle", "added", "vectors", "titles", "removed")}
    except FileNotFoundError:
        return Delta()
    except (ValueError, KeyError, zipfile.BadZipFile, EOFError) as exc:
        raise StoreError(f"store {store.url}: {_delta(bundle_id)} is damaged ({exc}); delete it, and add anew") from exc
    if str(read["bundle"]) != bundle_id:
        raise StoreError(f"store {store.url}: {_delta(bundle_id)} is of bundle {read['bundle']}; delete it")
    added, titles = (tuple(read[name].tolist()) for name in ("added", "titles"))
    return Delta(added=added, vectors=read["vectors"], titles=titles, removed=frozenset(read["removed"].tolist()))


def add_items(store: Home, ids: Sequence[str], vectors: NDArray[np.float32], titles: Sequence[str] = ()) -> Delta:
    """Serve these items from now on, beside those of the current bundle or in their place.

    Args:
        store: Where the bundle lies.
        ids: Of n items, which may have been removed before.
        vectors: (n, D), of the bundle's own model.
        titles: n, or none.

    Raises:
        NoSuchBundle: None is current.
        ValueError: Counts or D differ, a number is not finite, an id comes twice or is not ASCII.
    """
    with bundle_lock(store):
        bundle = find_bundle(store)
        names = _checked(ids, vectors, titles, bundle.manifest["index"]["dimension"])
        before = delta_of(store, bundle.bundle_id)
        there = {i: (before.vectors[at], before.titles[at]) for at, i in enumerate(before.added)}
        there |= {i: (vectors[at], names[at]) for at, i in enumerate(ids)}
        return _write(store, bundle.bundle_id, _of(there, before.removed - set(ids)))


def remove_items(store: Home, ids: Collection[str]) -> Delta:
    """Serve these items no more, nor after the next publish or a rollback, until they are added again.

    Raises:
        NoSuchBundle: None is current.
    """
    with bundle_lock(store):
        bundle = find_bundle(store)
        before = delta_of(store, bundle.bundle_id)
        there = {i: (before.vectors[at], before.titles[at]) for at, i in enumerate(before.added) if i not in set(ids)}
        return _write(store, bundle.bundle_id, _of(there, before.removed | set(ids)))


def carry(store: Home, bundle_id: str) -> None:
    """Take what came and went over from the served bundle to one that is served next; under the lock."""
    served = (pointer(store) or {}).get("bundle")
    if served in (None, bundle_id) or served not in folders(store, PLACE):
        return
    before, own = delta_of(store, served), delta_of(store, bundle_id)
    if not (before.added or before.removed):
        return
    old, new = (manifest_of(store, PLACE, name) for name in (served, bundle_id))
    there = {i: (own.vectors[at], own.titles[at]) for at, i in enumerate(own.added) if i not in before.removed}
    if old["model"] == new["model"]:  # of another model, vectors cannot be compared
        with folder_on_disk(store, PLACE, bundle_id, only=("ids.npy",)) as folder:
            has = set(np.load(folder / "ids.npy").astype(str).tolist()) if new["created_at"] > old["created_at"] else ()
        there |= {i: (before.vectors[at], before.titles[at]) for at, i in enumerate(before.added) if i not in has}
    _write(store, bundle_id, _of(there, before.removed | (own.removed - set(before.added))))


def _of(there: Mapping[str, tuple[NDArray[np.float32], str]], removed: Collection[str]) -> Delta:
    vectors = np.stack([v for v, _ in there.values()]) if there else np.empty((0, 0), np.float32)
    return Delta(
        added=tuple(there), vectors=vectors, titles=tuple(t for _, t in there.values()), removed=frozenset(removed)
    )


def _write(store: Home, bundle_id: str, delta: Delta) -> Delta:
    content = io.BytesIO()
    texts = {"added": delta.added, "titles": delta.titles, "removed": sorted(delta.removed)}
    arrays: dict[str, Any] = {name: np.array(values, np.str_) for name, values in texts.items()}
    np.savez(content, bundle=np.array(bundle_id), vectors=delta.vectors.astype(np.float32), **arrays)
    _put(store, _delta(bundle_id), content.getvalue())
    return delta


def _checked(ids: Sequence[str], vectors: NDArray[np.float32], titles: Sequence[str], width: int) -> Sequence[str]:
    """The titles; empty ones where none are given."""
    if vectors.shape != (len(ids), width) or (titles and len(titles) != len(ids)):
        raise ValueError(
            f"add_items: {len(ids)} ids, vectors {vectors.shape}, {len(titles)} titles; expected vectors of "
            f"({len(ids)}, {width}), and as many titles or none"
        )
    if not np.isfinite(vectors).all():
        raise ValueError("add_items: a vector has NaN or infinity; embed its item anew, or leave it out")
    if len(set(ids)) < len(ids) or not all(i and i.isascii() for i in ids):
        raise ValueError("add_items: ids must differ, be ASCII and not empty")
    return titles or [""] * len(ids)


def _delta(bundle_id: str) -> str:
    return f"{PLACE}/{bundle_id}/delta.npz"
