"""Media files: pictures and recordings named by the hash of their bytes, beside the tables of a store."""

import hashlib
import re
from collections.abc import Iterable

from storage.errors import told
from storage.objects import Objects
from storage.store import Store

_SHA256 = re.compile(r"[0-9a-f]{64}")
_FORMAT = re.compile(r"[a-z0-9]{1,8}")


class MediaFiles:
    """Files under `media/ab/cd/<sha256>.<format>`, written once, whole or not at all; rows of `media` name them."""

    def __init__(self, url: str) -> None:
        """`url` is the store's."""
        self._objects = Objects(url)

    def put(self, data: bytes, format: str) -> str:
        """Store the file and return its sha256; the same bytes are stored once.

        Raises:
            StoreFull, StoreReadOnly: The place cannot take it; nothing half-written is visible.
        """
        sha256 = hashlib.sha256(data).hexdigest()
        with told(self._objects.url):
            self._objects.write_once(media_name(sha256, format), data)
        return sha256

    def read(self, sha256: str, format: str) -> bytes:
        """The file's bytes.

        Raises:
            FileNotFoundError: It is not there.
        """
        return self._objects.read(media_name(sha256, format))

    def exists(self, sha256: str, format: str) -> bool:
        """Whether the file is there."""
        return self._objects.exists(media_name(sha256, format))

    def delete(self, sha256: str, format: str) -> None:
        """Remove the file if it is there; for the driver, once no row refers to it."""
        self._objects.delete(media_name(sha256, format))


def sweep(store: Store, kept_versions: Iterable[int]) -> int:
    """Delete what neither the newest rows of `media` nor those of these versions name; how many files.

    For the driver, under the build lock: a build stores a file before the row that names it. A folder of 1/256 of the
    files at a time, so that memory is bounded. Drafts that a killed build left go too.
    """
    kept = [store.database({"media": version}, only=("media",)) for version in set(kept_versions)]
    kept.append(store.database(only=("media",)))
    gone = 0
    for start in (f"{n:02x}" for n in range(256)):
        there = store.objects.names(f"media/{start}")
        named = f"select sha256, format from media where starts_with(sha256, '{start}')"
        needed = {media_name(*row) for con in kept for row in con.sql(named).fetchall()} if there else set[str]()
        for name in there.keys() - needed:
            store.objects.delete(name)
            gone += 1
    return gone


def media_name(sha256: str, format: str) -> str:
    """Where a file lies beneath the store.

    Raises:
        ValueError: Not a lower-case sha256, or not a short lower-case ending such as `flac`.
    """
    if not _SHA256.fullmatch(sha256):
        raise ValueError(f"media file '{sha256}': expected 64 hex digits, lower case")
    if not _FORMAT.fullmatch(format):
        raise ValueError(f"media format '{format}': expected a lower-case file ending such as flac, jpeg")
    return f"media/{sha256[:2]}/{sha256[2:4]}/{sha256}.{format}"
