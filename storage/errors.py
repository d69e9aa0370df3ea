"""What can go wrong with a store.

- `StoreError`: cannot be read or written; the message says what to do.
    - `StoreFull`: no space left where the store lies.
    - `StoreReadOnly`: the place cannot be written.
    - `NoPlace`: what is named as the place can be no folder.
    - `StoreTooNew`: written by a newer mediateca.
    - `StoreLocked`: another build holds the store.
    - `NoSuchRelease`: the release asked for does not exist, or was retired.
    - `MixedVersions`: vectors of several versions stand where one is read.
"""

import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

_FULL = ("No space left", "StorageFull", "Disk quota exceeded", "os error 28", "File too large")
_READ_ONLY = (
    "Read-only file system",
    "Permission denied",
    "PermissionDenied",
    "AccessDenied",
    "Operation not permitted",
)
_ELSEWHERE = "set MEDIATECA_HOME, or the catalogue's `store:`, to a folder that can be written"


class StoreError(Exception):
    """The store cannot be read or written."""


class StoreFull(StoreError):
    """No space left; nothing half-written is visible."""


class StoreReadOnly(StoreError):
    """The place where the store lies cannot be written."""


class NoPlace(StoreError):
    """What is named as the place is a file, or lies where no folder can be made."""


class StoreTooNew(StoreError):
    """The store's schema is newer than this code."""


class StoreLocked(StoreError):
    """Another build holds the store."""


class NoSuchRelease(StoreError):
    """The release does not exist, or was retired."""


class MixedVersions(StoreError):
    """Vectors of several versions, which no distance compares."""


def is_full(exc: Exception) -> bool:
    """Whether it is about a place without space left."""
    return any(mark in str(exc) for mark in _FULL)


def is_read_only(exc: Exception) -> bool:
    """Whether it is about a place that cannot be written."""
    return any(mark in str(exc) for mark in _READ_ONLY)


def free_bytes(place: Path) -> int:
    """Space left on the disk of a folder, or of the nearest one above it that is there."""
    there = next(folder for folder in (place, *place.absolute().parents) if folder.exists())
    return shutil.disk_usage(there).free


def free_space(url: str) -> str:
    """The same in words, for a message: " (0.3 MB free)"; empty where nobody can tell."""
    try:
        return f" ({free_bytes(Path(url)) / 1e6:.1f} MB free)" if "://" not in url else ""
    except OSError:
        return ""


@contextmanager
def told(url: str, what: str = "store") -> Generator[None]:
    """Turn what the system says of a full, read-only or impossible place into a `StoreError` that names it.

    Args:
        url: The place.
        what: What lies there.
    """
    from deltalake.exceptions import DeltaError  # not above: who reads a bundle needs no tables

    try:
        yield
    except (OSError, DeltaError) as exc:
        if is_full(exc):
            raise StoreFull(
                f"{what} {url}: no space left{free_space(url)}; nothing half-written is visible. Free some space and "
                "run the same command again: it goes on where it stopped"
            ) from exc
        if is_read_only(exc):
            raise StoreReadOnly(
                f"{what} {url}: cannot be written (read-only place, or no permission); "
                "make it writable, or set MEDIATECA_HOME to a folder that is"
            ) from exc
        raise


def make_folder(folder: Path, what: str = "store") -> None:
    """Make the folder where it is not there yet, and those above it.

    Raises:
        StoreFull, StoreReadOnly: The place cannot take it.
        NoPlace: It, or one above it, is a file, or lies where the system makes no folders.
    """
    try:
        with told(str(folder), what):
            folder.mkdir(parents=True, exist_ok=True)
    except (NotADirectoryError, FileExistsError) as exc:
        file = next(path for path in (folder, *folder.parents) if path.exists())
        raise NoPlace(f"{what} {folder}: '{file}' is a file, not a folder; {_ELSEWHERE}") from exc
    except OSError as exc:  # /proc, a name that is too long
        raise NoPlace(f"{what} {folder}: no folder can be made there ({exc.strerror}); {_ELSEWHERE}") from exc
