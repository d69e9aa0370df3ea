"""What came to a bundle and went from it since it was made: one small file beside it, written anew as a whole."""

# Annotations stay text: numpy is imported at its first use.
from __future__ import annotations

import io
import zipfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from storage.errors import StoreError, told
from storage.folders import Home, folder_on_disk, manifest_of
from storage.lazy import np

if TYPE_CHECKING:
    from numpy.typing import NDArray

PLACE = "bundles"


def place_of(slot: str) -> str:
    """The folder of a slot's bundles."""
    return f"{PLACE}/{slot}"


@dataclass(frozen=True, kw_only=True)
class Delta:
    """Items added to a bundle, or embedded anew, and items removed from it."""

    added: tuple[str, ...] = ()
    vectors: NDArray[np.float32] = field(default_factory=lambda: np.empty((0, 0), np.float32))  # (added, D)
    titles: tuple[str, ...] = ()
    removed: frozenset[str] = frozenset()
    withdrawn: bool = False  # the bundle's files hold an item that was taken down: it goes when it is served no more


def delta_mark(store: Home, slot: str, bundle_id: str) -> str | None:
    """What changes with the delta; None where there is none."""
    return store.objects.mark(_delta(slot, bundle_id))


def delta_of(store: Home, slot: str, bundle_id: str) -> Delta:
    """What came and went since the bundle was made.

    Raises:
        StoreError: The file is damaged, or another bundle's.
    """
    name = _delta(slot, bundle_id)
    try:
        content = store.objects.read(name)
        with np.load(io.BytesIO(content), allow_pickle=False) as found:
            read = {part: found[part] for part in ("bundle", "added", "vectors", "titles", "removed", "withdrawn")}
    except FileNotFoundError:
        return Delta()
    except (ValueError, KeyError, zipfile.BadZipFile, EOFError) as exc:
        raise StoreError(f"store {store.url}: {name} is damaged ({exc}); delete it, and add anew") from exc
    if str(read["bundle"]) != bundle_id:
        raise StoreError(f"store {store.url}: {name} is of bundle {read['bundle']}; delete it")
    added, titles = (tuple(read[part].tolist()) for part in ("added", "titles"))
    removed, withdrawn = frozenset(read["removed"].tolist()), bool(read["withdrawn"])
    return Delta(added=added, vectors=read["vectors"], titles=titles, removed=removed, withdrawn=withdrawn)


def without(store: Home, slot: str, bundle_id: str, ids: Collection[str], *, withdrawn: bool = False) -> Delta:
    """These items are served by a bundle no more; under the lock."""
    before, gone = delta_of(store, slot, bundle_id), set(ids)
    there = {i: (before.vectors[at], before.titles[at]) for at, i in enumerate(before.added) if i not in gone}
    return write_delta(store, slot, bundle_id, changed_to(there, before.removed | gone, before.withdrawn or withdrawn))


def carry(store: Home, slot: str, served: str, bundle_id: str) -> None:
    """Take what came and went over from the `served` bundle to one that is served next; under the lock."""
    place = place_of(slot)
    before, own = delta_of(store, slot, served), delta_of(store, slot, bundle_id)
    if not (before.added or before.removed):
        return
    old, new = (manifest_of(store, place, name) for name in (served, bundle_id))
    there = {i: (own.vectors[at], own.titles[at]) for at, i in enumerate(own.added) if i not in before.removed}
    if old["model"] == new["model"]:  # of another model, vectors cannot be compared
        with folder_on_disk(store, place, bundle_id, only=("ids.npy",)) as folder:
            has = set(np.load(folder / "ids.npy").astype(str).tolist()) if new["created_at"] > old["created_at"] else ()
        there |= {i: (before.vectors[at], before.titles[at]) for at, i in enumerate(before.added) if i not in has}
    write_delta(store, slot, bundle_id, changed_to(there, before.removed | (own.removed - set(before.added))))


def changed_to(
    there: Mapping[str, tuple[NDArray[np.float32], str]], removed: Collection[str], withdrawn: bool = False
) -> Delta:
    """Added items by id, each with its vector, (D,), and title; and the ids of removed ones."""
    vectors = np.stack([v for v, _ in there.values()]) if there else np.empty((0, 0), np.float32)
    titles = tuple(title for _, title in there.values())
    return Delta(added=tuple(there), vectors=vectors, titles=titles, removed=frozenset(removed), withdrawn=withdrawn)


def write_delta(store: Home, slot: str, bundle_id: str, delta: Delta) -> Delta:
    """Let it take the place of what is there; returns it."""
    content = io.BytesIO()
    texts = {"added": delta.added, "titles": delta.titles, "removed": sorted(delta.removed)}
    arrays: dict[str, Any] = {name: np.array(values, np.str_) for name, values in texts.items()}
    arrays["withdrawn"] = np.array(delta.withdrawn)
    np.savez(content, bundle=np.array(bundle_id), vectors=delta.vectors.astype(np.float32), **arrays)
    put_file(store, _delta(slot, bundle_id), content.getvalue())
    return delta


def checked(ids: Sequence[str], vectors: NDArray[np.float32], titles: Sequence[str], width: int) -> Sequence[str]:
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


def _delta(slot: str, bundle_id: str) -> str:
    return f"{place_of(slot)}/{bundle_id}/delta.npz"


def put_file(store: Home, name: str, content: bytes) -> None:
    """Write a small file by one atomic step."""
    with told(store.url), store.objects.draft(str(Path(name).parent)) as draft:
        draft.write_bytes(content)
        store.objects.publish(draft, name)
