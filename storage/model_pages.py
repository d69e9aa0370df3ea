"""Reports of trained models: `model-pages/<model_id>.html`, one self-contained page each.

A page shows titles of the release that was current when it was drawn. It names every item that it shows by its id, so
that a take-down finds it; a page that is gone is drawn anew from the release of then.
"""

from collections.abc import Collection

from storage.errors import told
from storage.store import Store

_FOLDER = "model-pages"


def put_page(store: Store, model_id: str, page: bytes) -> str:
    """Store a model's page, or store it anew; its path or URL."""
    with told(store.url):
        store.objects.write(_name(model_id), page)
    return f"{store.url}/{_name(model_id)}"


def place_of(store: Store, model_id: str) -> str | None:
    """Path or URL of a model's page; None where there is none."""
    return f"{store.url}/{_name(model_id)}" if store.objects.exists(_name(model_id)) else None


def drop_naming(store: Store, items: Collection[str]) -> int:
    """Delete every page that names one of these items; how many."""
    wanted = [item.encode() for item in items]
    gone = [name for name in store.objects.names(_FOLDER) if _names_any(store.objects.read(name), wanted)]
    for name in gone:
        store.objects.delete(name)
    return len(gone)


def sweep(store: Store, kept: Collection[str]) -> int:
    """Delete pages of all but these models; how many files."""
    names = {_name(model_id) for model_id in kept}
    gone = [name for name in store.objects.names(_FOLDER) if name not in names]
    for name in gone:
        store.objects.delete(name)
    return len(gone)


def _names_any(page: bytes, items: Collection[bytes]) -> bool:
    return any(item in page for item in items)


def _name(model_id: str) -> str:
    return f"{_FOLDER}/{model_id}.html"
