"""Files of release reports: `reports/<sha256>.html`, one self-contained page each; rows of `reports` name them."""

import hashlib
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

from storage.errors import StoreError, told
from storage.store import Store, rows_of

_FOLDER = "reports"


def put_page(store: Store, page: bytes) -> str:
    """Store a page and return its sha256; it is there whole or not at all."""
    sha256 = hashlib.sha256(page).hexdigest()
    with told(store.url):
        store.objects.write_once(page_name(sha256), page)
    return sha256


def read_page(store: Store, sha256: str) -> bytes:
    """The page.

    Raises:
        StoreError: It is not there.
    """
    try:
        return store.objects.read(page_name(sha256))
    except FileNotFoundError as exc:
        raise StoreError(
            f"store {store.url}: the page {page_name(sha256)} is not there; copy it back from where the store is kept "
            "twice, or ask another release with --release"
        ) from exc


def page_name(sha256: str) -> str:
    """Where a page lies beneath the store."""
    return f"{_FOLDER}/{sha256}.html"


def newest_report(store: Store, version: int | None = None) -> dict[str, Any] | None:
    """The row of the newest report, or of the newest at a version of the table; None before the first."""
    con = store.database(None if version is None else {"reports": version}, only=("reports",))
    return next(iter(rows_of(con.sql("from reports"))), None)


def pages_naming(store: Store, items: Collection[str]) -> list[str]:
    """Which pages, of any release or none, name one of these items; their sha256."""
    wanted = [item.encode() for item in items]
    pages = [Path(name).stem for name in store.objects.names(_FOLDER) if name.endswith(".html")]
    return [sha256 for sha256 in pages if _names_any(read_page(store, sha256), wanted)]


def _names_any(page: bytes, items: Iterable[bytes]) -> bool:
    return any(item in page for item in items)


def sweep(store: Store, kept_versions: Iterable[int]) -> int:
    """Delete what neither the newest row of `reports` nor those of these versions name; how many files.

    For the driver, under the build lock: a build stores its page before the row that names it.
    """
    there = store.objects.names(_FOLDER)
    if not there:
        return 0
    rows = [newest_report(store, version) for version in (None, *set(kept_versions))]
    kept = {page_name(row["sha256"]) for row in rows if row and row["sha256"]}
    gone = [name for name in there if name not in kept]
    for name in gone:
        store.objects.delete(name)
    return len(gone)
