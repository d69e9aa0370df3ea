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
from storage.folders import MANIFEST, Home, drop_folder, folder_on_disk, folders, manifest_of, put_folder, sweep
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
    """A name that sorts by time, to the microsecond: 20261122T231507000000-1f2e3d4c."""
    return f"{at:%Y%m%dT%H%M%S%f}-{hashlib.sha256(f'{at.isoformat()} {salt}'.encode()).hexdigest()[:8]}"


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
    newest = [name for name in folders(store, PLACE)[-keep:] if name != served and not delta_of(store, name).withdrawn]
    return sweep(store, PLACE, [*newest, *([served] if served else []), Path(POINTER).name])


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
    withdrawn: bool = False  # the bundle's files hold an item that was taken down: it goes when it is served no more


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
            read = {name: found[name] for name in ("bundle", "added", "vectors", "titles", "removed", "withdrawn")}
    except FileNotFoundError:
        return Delta()
    except (ValueError, KeyError, zipfile.BadZipFile, EOFError) as exc:
        raise StoreError(f"store {store.url}: {_delta(bundle_id)} is damaged ({exc}); delete it, and add anew") from exc
    if str(read["bundle"]) != bundle_id:
        raise StoreError(f"store {store.url}: {_delta(bundle_id)} is of bundle {read['bundle']}; delete it")
    added, titles = (tuple(read[name].tolist()) for name in ("added", "titles"))
    removed, withdrawn = frozenset(read["removed"].tolist()), bool(read["withdrawn"])
    return Delta(added=added, vectors=read["vectors"], titles=titles, removed=removed, withdrawn=withdrawn)


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
        return _write(store, bundle.bundle_id, _of(there, before.removed - set(ids), before.withdrawn))


def remove_items(store: Home, ids: Collection[str]) -> Delta:
    """Serve these items no more, nor after the next publish or a rollback, until they are added again.

    Raises:
        NoSuchBundle: None is current.
    """
    with bundle_lock(store):
        return _without(store, find_bundle(store).bundle_id, ids)


def withdraw(store: Home, ids: Collection[str]) -> int:
    """Let go of items that were taken down; how many bundles held one.

    Bundles that are not served go whole. The served one answers without them from now on, and goes when another is
    published. Readers that have one open follow within seconds.
    """
    if not (there := folders(store, PLACE)):
        return 0
    with bundle_lock(store):
        served = (pointer(store) or {}).get("bundle")
        holding = [name for name in there if _holds(store, name, ids)]
        for name in holding:
            if name == served:
                _without(store, name, ids, withdrawn=True)
            else:
                drop_folder(store, PLACE, name)
    return len(holding)


def _holds(store: Home, bundle_id: str, ids: Collection[str]) -> bool:
    with folder_on_disk(store, PLACE, bundle_id, only=("ids.npy",), hashed=False) as folder:
        held: NDArray[np.bytes_] = np.load(folder / "ids.npy")
    asked = np.array([i.encode() for i in ids], np.bytes_)
    return bool(np.isin(asked, held).any()) or not set(ids).isdisjoint(delta_of(store, bundle_id).added)


def _without(store: Home, bundle_id: str, ids: Collection[str], *, withdrawn: bool = False) -> Delta:
    before, gone = delta_of(store, bundle_id), set(ids)
    there = {i: (before.vectors[at], before.titles[at]) for at, i in enumerate(before.added) if i not in gone}
    return _write(store, bundle_id, _of(there, before.removed | gone, before.withdrawn or withdrawn))


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


def _of(
    there: Mapping[str, tuple[NDArray[np.float32], str]], removed: Collection[str], withdrawn: bool = False
) -> Delta:
    vectors = np.stack([v for v, _ in there.values()]) if there else np.empty((0, 0), np.float32)
    titles = tuple(title for _, title in there.values())
    return Delta(added=tuple(there), vectors=vectors, titles=titles, removed=frozenset(removed), withdrawn=withdrawn)


def _write(store: Home, bundle_id: str, delta: Delta) -> Delta:
    content = io.BytesIO()
    texts = {"added": delta.added, "titles": delta.titles, "removed": sorted(delta.removed)}
    arrays: dict[str, Any] = {name: np.array(values, np.str_) for name, values in texts.items()}
    arrays["withdrawn"] = np.array(delta.withdrawn)
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
