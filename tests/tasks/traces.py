"""What is left of a word in the files of a store."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from storage.store import Store


def bytes_of(value: Any) -> Iterable[bytes]:
    if isinstance(value, bytes):
        yield value
    elif isinstance(value, list | tuple | dict):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from bytes_of(inner)
    elif value is not None:
        yield str(value).encode()


def files_with(store: Store, *words: str) -> list[str]:
    """Data files of any version, whether a table still names them or not, in which a word stands."""
    found: list[str] = []
    for path in sorted(Path(store.url, "tables").rglob("*.parquet")):
        name = path.relative_to(Path(store.url, "tables")).as_posix()
        # Take-downs name digests; a release holds its catalogue, where `separate:` names what people wrote there.
        if "_delta_log" in name or name.startswith(("takedowns/", "releases/")):
            continue
        cells = b"\n".join(cell for row in pq.read_table(path, partitioning=None).to_pylist() for cell in bytes_of(row))
        if any(word.lower().encode() in cells.lower() for word in words):
            found.append(name)
    return found
