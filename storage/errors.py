"""What can go wrong with a store.

- `StoreError`: cannot be read or written; the message says what to do.
    - `StoreFull`: no space left where the store lies.
    - `StoreReadOnly`: the place cannot be written.
    - `StoreTooNew`: written by a newer mediateca.
    - `StoreLocked`: another build holds the store.
    - `NoSuchRelease`: the release asked for does not exist, or was retired.
"""

from collections.abc import Generator
from contextlib import contextmanager

from deltalake.exceptions import DeltaError

_FULL = ("No space left", "StorageFull", "Disk quota exceeded", "os error 28", "File too large")
_READ_ONLY = (
    "Read-only file system",
    "Permission denied",
    "PermissionDenied",
    "AccessDenied",
    "Operation not permitted",
)


class StoreError(Exception):
    """The store cannot be read or written."""


class StoreFull(StoreError):
    """No space left; nothing half-written is visible."""


class StoreReadOnly(StoreError):
    """The place where the store lies cannot be written."""


class StoreTooNew(StoreError):
    """The store's schema is newer than this code."""


class StoreLocked(StoreError):
    """Another build holds the store."""


class NoSuchRelease(StoreError):
    """The release does not exist, or was retired."""


def is_full(exc: Exception) -> bool:
    """Whether it is about a place without space left."""
    return any(mark in str(exc) for mark in _FULL)


@contextmanager
def told(url: str) -> Generator[None]:
    """Turn what the libraries say of a full or read-only place into a `StoreError` that names the store."""
    try:
        yield
    except (OSError, DeltaError) as exc:
        if is_full(exc):
            raise StoreFull(
                f"store {url}: no space left; nothing half-written is visible. Free some space and run the same "
                "command again: it goes on where it stopped"
            ) from exc
        if any(mark in str(exc) for mark in _READ_ONLY):
            raise StoreReadOnly(
                f"store {url}: cannot be written (read-only place, or no permission); "
                "make it writable, or set MEDIATECA_HOME to a folder that is"
            ) from exc
        raise
