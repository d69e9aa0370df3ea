"""The reader that a service imports: follows `current` of a slot, and answers while a switch goes on.

Loads numpy, pyarrow, faiss and onnxruntime, and neither torch nor a database.
"""

# Annotations stay text: numpy is imported for them alone.
from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Collection, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, NamedTuple

from storage.bundle_delta import delta_mark, delta_of, place_of
from storage.bundles import POINTER, NoSuchBundle, pointer, slot_of
from storage.errors import StoreError
from storage.folders import MANIFEST, folder_on_disk, manifest_of
from storage.objects import Objects
from storage.opened_bundle import Found, OpenedBundle

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_TRIES = 3  # a bundle may be swept between the pointer that named it and its opening
_log = logging.getLogger(__name__)


class _Served(NamedTuple):
    bundle: OpenedBundle
    pointer: dict[str, Any]
    delta: str | None  # its mark


class VectorIndex:
    """The bundle that a slot serves, whichever it is; safe in threads.

    A switch is looked for by a question, at most every `check_every_s`, and followed beside it: no question waits, and
    one that is being answered ends on the bundle it began with. A bundle that is not whole is not switched to.
    """

    def __init__(self, url: str, slot: str | None = None, *, check_every_s: float = 5.0, hashed: bool = True) -> None:
        """Open what is current.

        Args:
            url: Of the store: a folder, or `s3://bucket/prefix`.
            slot: What is recommended: track, new-track, film, ...; default: the only one there is now.
            check_every_s: How old an answer's bundle may be, while questions come.
            hashed: Compare the sha256 of a bundle's files when it is opened; sizes are compared always.

        Raises:
            NoSuchBundle: None is published yet, or it must be said of which slot.
            StoreError: What is current is not whole.
        """
        self.url, self.objects = url, Objects(url)
        self.slot = slot_of(self, slot)
        self._every_s, self._hashed = check_every_s, hashed
        self._following = threading.Lock()
        self._served = self._opened()
        self._checked_at = time.monotonic()

    def current(self) -> OpenedBundle:
        """The bundle to ask: hold it for a whole answer, as a query's vector belongs to the index of its bundle."""
        if time.monotonic() - self._checked_at > self._every_s and self._following.acquire(blocking=False):
            self._checked_at = time.monotonic()
            threading.Thread(target=self._follow, daemon=True).start()
        return self._served.bundle

    def search(self, vectors: NDArray[np.float32], k: int, exclude: Sequence[Collection[str]] | None = None) -> Found:
        """As `OpenedBundle.search`, of what is current."""
        return self.current().search(vectors, k, exclude)

    def recommend(
        self, history: Sequence[str], gender: str = "", country: str = "", *, k: int = 10, seen: bool = False
    ) -> tuple[Found, str]:
        """As `OpenedBundle.recommend`, of what is current."""
        return self.current().recommend(history, gender, country, k=k, seen=seen)

    def refresh(self) -> bool:
        """Look for a switch now, and follow it; whether there was one.

        Raises:
            StoreError: What is current is not whole; what was served stays.
        """
        with self._following:
            return self._switched()

    def _follow(self) -> None:
        try:
            self._switched()
        except (StoreError, NoSuchBundle, OSError, ValueError, RuntimeError) as exc:  # faiss: RuntimeError
            _log.warning("%s; still serving bundle %s", exc, self._served.pointer["bundle"])
        finally:
            self._following.release()

    def _switched(self) -> bool:
        now, served = pointer(self, self.slot), self._served
        if now is not None and now != served.pointer:
            self._served = self._opened()
            return True
        mark = delta_mark(self, self.slot, served.pointer["bundle"])
        if mark == served.delta:
            return False
        delta = delta_of(self, self.slot, served.pointer["bundle"])
        self._served = served._replace(bundle=served.bundle.with_delta(delta), delta=mark)
        return True

    def _opened(self) -> _Served:
        for _ in range(_TRIES):
            now = pointer(self, self.slot)
            if now is None:
                raise NoSuchBundle(
                    f"store {self.url}: no bundle is current for '{self.slot}'; `publish-index` makes one"
                )
            try:
                return self._open(now)
            except StoreError:
                if pointer(self, self.slot) == now:
                    raise
        raise StoreError(f"store {self.url}: {POINTER} of '{self.slot}' changed {_TRIES} times while it was read")

    def _open(self, now: dict[str, Any]) -> _Served:
        name, place = str(now["bundle"]), place_of(self.slot)
        manifest = manifest_of(self, place, name)
        said = hashlib.sha256(self.objects.read(f"{place}/{name}/{MANIFEST}")).hexdigest()
        if said != now["manifest_sha256"]:
            raise StoreError(f"store {self.url}: the manifest of bundle {name} was altered; roll back, or publish anew")
        files = ExitStack()  # of an object store a copy, which goes when nobody holds the bundle any more
        folder = files.enter_context(folder_on_disk(self, place, name, hashed=self._hashed))
        mark = delta_mark(self, self.slot, name)  # before the delta is read: one that changes in between is read again
        bundle = OpenedBundle(folder, manifest, delta_of(self, self.slot, name), holds=files)
        return _Served(bundle.warm(), now, mark)
