"""Pictures and recordings from live sources, fetched for one chunk into a folder that goes with it."""

# Annotations stay text: pyarrow is imported at its first use.
from __future__ import annotations

import json
import tempfile
import threading
from collections.abc import Iterable, Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from types import TracebackType
from typing import Any
from uuid import uuid4

from connectors.errors import NotFound
from connectors.registry import LIVE
from storage.lazy import pa
from storage.store import Store
from tasks.ask import NotAsked, connect_live, replaying
from tasks.settings import Catalogue, SourceSettings

Keys = Iterable[tuple[str, str]]  # source, and the entity's id there


def live_media(catalogue: Catalogue, kind: str) -> dict[str, SourceSettings]:
    """The live sources of a kind of media, `audio` or `image`, in the catalogue's order."""
    return {name: s for name, s in catalogue.sources.items() if s.is_live and kind in LIVE[s.connector].media}


class Downloads:
    """Fetches files of live sources; every thread has connectors of its own."""

    def __init__(self, sources: Mapping[str, SourceSettings], store: Store, kind: str, keys: Keys) -> None:
        """`keys` are those the chunk will ask for: what `raw` says of them is read at once."""
        self._sources, self.kind = sources, kind
        self._held, self._mine, self._lock = ExitStack(), threading.local(), threading.Lock()
        self._bodies = self._read(store, [key for key in keys if key[0] in sources])

    def __enter__(self) -> Downloads:
        """Open the folder."""
        self._folder = Path(self._held.enter_context(tempfile.TemporaryDirectory(prefix="mediateca-")))
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, at: TracebackType | None) -> None:
        """Delete the folder and what is in it."""
        self._held.close()

    def __contains__(self, source: str) -> bool:
        """Whether the source is one of these."""
        return source in self._sources

    def sound(self, source: str, key: str) -> Path:
        """A recording as a file, which the caller deletes when it is done with it.

        Raises:
            ConnectorError: As `LiveConnector.lookup`; `NotFound` where the source has no such file.
            NotAsked: In a replay: files are kept as what was made of them alone.
        """
        return self._asked(source).fetch_audio(key, self._new_folder())

    def picture(self, source: str, key: str) -> bytes:
        """A picture as the source sends it.

        Raises:
            ConnectorError, NotAsked: As `sound`.
        """
        connector, payload = self._asked(source), self._bodies.get((source, key))
        if payload is None:
            raise NotFound(f"{source}: nothing is known of {key}", source=source)
        return connector.fetch_picture(payload)

    def _asked(self, source: str) -> Any:
        if replaying():
            raise NotAsked("nobody is asked in a replay", source=source)
        return self._connector(source)

    def _new_folder(self) -> Path:
        folder = self._folder / uuid4().hex
        folder.mkdir()
        return folder

    def _connector(self, source: str) -> Any:
        opened: dict[str, Any] = self._mine.__dict__.setdefault("opened", {})
        if source not in opened:
            settings = self._sources[source]
            opened[source] = connect_live(settings)
            with self._lock:
                self._held.enter_context(closing(opened[source]))
        return opened[source]

    def _read(self, store: Store, keys: list[tuple[str, str]]) -> dict[tuple[str, str], Any]:
        """What was said of the entities: where their pictures lie."""
        if self.kind != "image" or not keys:
            return {}
        con = store.database(only=("raw",))
        sources, ids = zip(*keys, strict=True)
        con.register("asked", pa.table({"source": pa.array(sources), "request_key": pa.array(ids)}))
        described = ", ".join(f"('{name}', '{LIVE[s.connector].described_by}')" for name, s in self._sources.items())
        rows = con.sql(
            "select source, request_key, body from raw semi join asked using (source, request_key) "
            f"where (source, entity) in ({described}) and body is not null"
        ).fetchall()
        return {(source, key): json.loads(body) for source, key, body in rows}
