"""Bundles: all that a service needs to recommend, in one folder that never changes, and which of them is served.

A slot (track, new-track, film, ...) has bundles of its own, and one of them is served. `bundles/<slot>/<id>/` is
written whole (`storage.folders`), then `bundles/<slot>/current.json` names it: one rename on disk, one PUT on an object
store. `bundles/<slot>/<id>/delta.npz` is what came and went since; it is written anew as a whole, too.
"""

# Annotations stay text: numpy is imported at its first use.
from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from storage.bundle_delta import (
    PLACE,
    Delta,
    carry,
    changed_to,
    checked,
    delta_of,
    place_of,
    put_file,
    without,
    write_delta,
)
from storage.folders import MANIFEST, Home, drop_folder, folder_on_disk, folders, manifest_of, put_folder, sweep
from storage.lazy import np
from storage.lock import build_lock

if TYPE_CHECKING:
    from numpy.typing import NDArray

POINTER = "current.json"
LOCK_WAIT_S = 60.0
_SLOT = re.compile(r"[a-z0-9][a-z0-9_-]*")


class NoSuchBundle(LookupError):
    """There is no bundle of that name, or none at all."""


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """A whole bundle."""

    bundle_id: str
    slot: str
    manifest: Mapping[str, Any]
    current: bool = False


# --- which there are


def new_id(at: datetime, salt: str) -> str:
    """A name that sorts by time, to the microsecond: 20261122T231507000000-1f2e3d4c."""
    return f"{at:%Y%m%dT%H%M%S%f}-{hashlib.sha256(f'{at.isoformat()} {salt}'.encode()).hexdigest()[:8]}"


def slots(store: Home) -> list[str]:
    """The slots that have a bundle current, sorted."""
    ends = [Path(name).relative_to(PLACE).parts for name in store.objects.names(PLACE)]
    return sorted(parts[0] for parts in ends if len(parts) == 2 and parts[1] == POINTER)


def slot_of(store: Home, slot: str | None = None) -> str:
    """The slot that is meant: this one, else the only one there is.

    Raises:
        NoSuchBundle: There is none, or it must be said which.
    """
    if slot is not None:
        return slot
    there = slots(store)
    if len(there) == 1:
        return there[0]
    why = f"bundles of {len(there)} slots are served, {', '.join(there)}; name one" if there else _none_yet(store)
    raise NoSuchBundle(f"store {store.url}: {why}")


def _none_yet(store: Home) -> str:
    former = store.objects.exists(f"{PLACE}/{POINTER}")
    what = "its bundle was made before slots had bundles of their own" if former else "no bundle is current"
    return f"{what}; `mediateca index publish` makes one"


def bundles(store: Home, slot: str | None = None) -> list[Bundle]:
    """Every whole bundle, of this slot or of all, the oldest first."""
    return [_bundle(store, name, where) for name, where in sorted(_names(store, slot).items())]


def find_bundle(store: Home, bundle_id: str | None = None, *, slot: str | None = None) -> Bundle:
    """A bundle by name, the served one without; of this slot, the only one without.

    Raises:
        NoSuchBundle: There is none, or it must be said of which slot.
    """
    if bundle_id is None:
        slot = slot_of(store, slot)
        bundle_id = served_in(store, slot)
    known = _names(store, slot)
    if bundle_id is None or bundle_id not in known:
        what = (f"no bundle '{bundle_id}'" if bundle_id else "no bundle is current") + (
            f" for '{slot}'" if slot else ""
        )
        raise NoSuchBundle(f"store {store.url}: {what}; there are: {', '.join(sorted(known)) or 'none yet'}")
    return _bundle(store, bundle_id, known[bundle_id])


def _names(store: Home, slot: str | None) -> dict[str, str]:
    """The slot of each whole bundle."""
    return {name: one for one in (slots(store) if slot is None else [slot]) for name in folders(store, place_of(one))}


def _bundle(store: Home, name: str, slot: str) -> Bundle:
    manifest = manifest_of(store, place_of(slot), name)
    return Bundle(bundle_id=name, slot=slot, manifest=manifest, current=name == served_in(store, slot))


def pointer(store: Home, slot: str) -> dict[str, Any] | None:
    """What `current.json` of a slot says: `bundle` and the `manifest_sha256` of it; None before the first."""
    return store.objects.read_json(f"{place_of(slot)}/{POINTER}")[0]


def served_in(store: Home, slot: str) -> str | None:
    """The id of the bundle that a slot serves; None before the first."""
    said = pointer(store, slot)
    return None if said is None else str(said["bundle"])


# --- switching


@contextmanager
def bundle_lock(store: Home, wait_s: float = LOCK_WAIT_S) -> Generator[None]:
    """Held while `current` or a delta changes; not the build's lock, as a build may take all night."""
    with build_lock(f"{store.url}/locks/bundles", wait_s=wait_s):
        yield


def publish(store: Home, slot: str, bundle_id: str, folder: Path, about: Mapping[str, Any], *, keep: int) -> Bundle:
    """Store a finished folder as a bundle, serve it in its slot, and forget all but the `keep` newest of the slot.

    What was removed from the bundle served so far stays removed. What was added to it stays where the model is the same
    and the new bundle has not got it.

    Raises:
        StoreError: No space, no permission, or somebody else publishes.
        ValueError: `keep` is below 1, or the slot's name is none.
    """
    if keep < 1:
        raise ValueError(f"keep {keep}: expected 1 or more, the one that is served")
    if not _SLOT.fullmatch(slot):
        raise ValueError(f"slot '{slot}': expected small letters, digits, - and _; rename it in the recipe")
    with bundle_lock(store):
        put_folder(store, place_of(slot), bundle_id, folder, about)
        _carry(store, slot, bundle_id)
        made = switch(store, slot, bundle_id)
        forget(store, slot, keep)
        _sweep_nobodys(store)
    return made


def rollback(store: Home, bundle_id: str, *, slot: str | None = None) -> Bundle:
    """Serve an earlier bundle of its slot again; nothing is deleted, and what was removed since stays removed.

    Raises:
        NoSuchBundle: There is none of that name.
        StoreError: It is not whole, and what is served stays.
    """
    slot = find_bundle(store, bundle_id, slot=slot).slot
    with bundle_lock(store):
        _carry(store, slot, bundle_id)
        return switch(store, slot, bundle_id)


def _carry(store: Home, slot: str, bundle_id: str) -> None:
    served = served_in(store, slot)
    if served is not None and served != bundle_id and served in folders(store, place_of(slot)):
        carry(store, slot, served, bundle_id)


def switch(store: Home, slot: str, bundle_id: str) -> Bundle:
    """Make `current` point at a bundle whose files were compared with its manifest; one atomic step."""
    place = place_of(slot)
    with folder_on_disk(store, place, bundle_id):
        sha256 = hashlib.sha256(store.objects.read(f"{place}/{bundle_id}/{MANIFEST}")).hexdigest()
    said = {"bundle": bundle_id, "manifest_sha256": sha256}
    put_file(store, f"{place}/{POINTER}", json.dumps(said).encode())
    return find_bundle(store, bundle_id, slot=slot)


def forget(store: Home, slot: str, keep: int) -> int:
    """Delete all but the served and the `keep` newest of a slot, and what killed publishes left; how many files.

    A reader that has one of them open goes on with it: on disk its pages stay mapped, else it has a copy.
    """
    place, served = place_of(slot), served_in(store, slot)
    newest = [n for n in folders(store, place)[-keep:] if n != served and not delta_of(store, slot, n).withdrawn]
    return sweep(store, place, [*newest, *([served] if served else []), POINTER])


def _sweep_nobodys(store: Home) -> None:
    """Delete what is of no slot: a first publish that was killed, and bundles made before there were slots."""
    sweep(store, PLACE, slots(store))


# --- what came and went since


def add_items(
    store: Home,
    ids: Sequence[str],
    vectors: NDArray[np.float32],
    titles: Sequence[str] = (),
    *,
    slot: str | None = None,
) -> Delta:
    """Serve these items from now on, beside those of the current bundle or in their place.

    Args:
        store: Where the bundle lies.
        ids: Of n items, which may have been removed before.
        vectors: (n, D), of the bundle's own model.
        titles: n, or none.
        slot: Whose bundle; default: the only one there is.

    Raises:
        NoSuchBundle: None is current, or it must be said of which slot.
        ValueError: Counts or D differ, a number is not finite, an id comes twice or is not ASCII.
    """
    with bundle_lock(store):
        bundle = find_bundle(store, slot=slot)
        names = checked(ids, vectors, titles, bundle.manifest["index"]["dimension"])
        before = delta_of(store, bundle.slot, bundle.bundle_id)
        there = {i: (before.vectors[at], before.titles[at]) for at, i in enumerate(before.added)}
        there |= {i: (vectors[at], names[at]) for at, i in enumerate(ids)}
        changed = changed_to(there, before.removed - set(ids), before.withdrawn)
        return write_delta(store, bundle.slot, bundle.bundle_id, changed)


def remove_items(store: Home, ids: Collection[str], *, slot: str | None = None) -> Delta:
    """Serve these items in a slot no more, nor after the next publish or a rollback, until they are added again.

    Raises:
        NoSuchBundle: None is current, or it must be said of which slot.
    """
    with bundle_lock(store):
        bundle = find_bundle(store, slot=slot)
        return without(store, bundle.slot, bundle.bundle_id, ids)


def withdraw(store: Home, ids: Collection[str]) -> int:
    """Let go of items that were taken down, in every slot; how many bundles held one.

    Bundles that are not served go whole. The served one answers without them from now on, and goes when another is
    published. Readers that have one open follow within seconds.
    """
    if not store.objects.names(PLACE):
        return 0
    with bundle_lock(store):
        _sweep_nobodys(store)
        return sum(_withdrawn(store, slot, ids) for slot in slots(store))


def _withdrawn(store: Home, slot: str, ids: Collection[str]) -> int:
    place, served = place_of(slot), served_in(store, slot)
    holding = [name for name in folders(store, place) if _holds(store, slot, name, ids)]
    for name in holding:
        if name == served:
            without(store, slot, name, ids, withdrawn=True)
        else:
            drop_folder(store, place, name)
    return len(holding)


def _holds(store: Home, slot: str, bundle_id: str, ids: Collection[str]) -> bool:
    with folder_on_disk(store, place_of(slot), bundle_id, only=("ids.npy",), hashed=False) as folder:
        held: NDArray[np.bytes_] = np.load(folder / "ids.npy")
    asked = np.array([i.encode() for i in ids], np.bytes_)
    return bool(np.isin(asked, held).any()) or not set(ids).isdisjoint(delta_of(store, slot, bundle_id).added)
