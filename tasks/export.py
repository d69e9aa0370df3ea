"""A release as plain Parquet shards, with a card and checksums; readable without anything of ours."""

# Annotations stay text: pyarrow is imported at its first use.
from __future__ import annotations

import json
import shutil
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

from storage.errors import StoreFull, is_full
from storage.generations import only_version
from storage.lazy import pa
from storage.media import MediaFiles
from storage.releases import Release
from storage.schemas import Table
from storage.store import Store
from tasks import export_facts
from tasks.export_card import card
from tasks.export_files import Shards, Written, write_text
from tasks.export_rows import (
    MEDIA,
    Lost,
    MediaConfig,
    columns_of,
    feature_rows,
    media_rows,
    media_schema,
    schema_of,
    table_rows,
    tables_of,
    width_of,
)

MANIFEST, CARD, SUMS = "manifest.json", "README.md", "SHA256SUMS"
_LOCK = ".lock"


class Progress(Protocol):
    """Hears how far an export is; `tasks.progress.Bars` is one."""

    def begin(self, stage: str, keys: int) -> None:
        """A config of so many rows begins."""

    def advance(self, keys: int) -> None:
        """So many more rows are written."""

    def drop(self) -> None:
        """The config is written."""


def export_release(
    store: Store,
    release: Release,
    folder: Path,
    *,
    float16: bool = False,
    media: bool = True,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Write the release to `folder`; it appears there whole or not at all.

    Args:
        store: The release's store.
        release: What to write.
        folder: Must not exist, or be empty.
        float16: Vectors in half precision.
        media: Recordings and pictures, too; what is known of them is written either way.
        progress: Told how far it is.

    Returns:
        The manifest: release, coverage, sources, configs, files with rows and checksums, and the bytes in all.

    Raises:
        ValueError: The folder is not empty, another export is writing it, or a number does not fit float16.
        MixedVersions: A feature's vectors are of several versions.
        StoreFull: No space left; nothing is left behind.
    """
    with _building(folder.absolute()) as building:
        made = _Export(store, release, building, float16=float16, progress=progress)
        for table in tables_of(list(release.tables)):
            made.table(table)
        for config in MEDIA if media and "media" in release.tables else ():
            made.media(config)
        return made.finish()


class _Export:
    """One export on its way: writes a config at a time, and keeps what the card will say of it."""

    def __init__(
        self, store: Store, release: Release, place: Path, *, float16: bool, progress: Progress | None
    ) -> None:
        self._store, self._release, self._place = store, release, place
        self._float16, self._progress = float16, progress
        self._con = store.database(release.tables)
        self._configs: list[dict[str, Any]] = []
        self._files: list[Written] = []
        self._lost: dict[str, dict[str, int]] = {}

    def table(self, table: Table) -> None:
        """One table of the release."""
        feature = table.name.removeprefix("features/") if table.name.startswith("features/") else None
        version = only_version(self._con, table.name) if feature else None
        is_vector = feature is not None and any(c.type == "floats" for c in columns_of(table))
        width = width_of(self._con, table) if is_vector else 0
        schema = schema_of(table, width=width, values=pa.float16() if self._float16 else None)
        said: dict[str, Any] = {"config": table.view, "folder": table.name, "about": table.about}
        if feature:
            said["about"] = export_facts.about(self._release, feature) or table.about
        if feature and is_vector:
            said["vector"] = export_facts.vector(self._store, self._release, feature, width, version)
        schema = schema.with_metadata({"mediateca": json.dumps(self._marks(said), ensure_ascii=False)})
        if feature is None:
            rows = table_rows(self._con, table, schema)
        else:
            rows = feature_rows(self._con, table, schema, self._place / ".ranges")
        self._write(said, schema, rows, self._release.counts.get(table.name, 0))

    def media(self, config: MediaConfig) -> None:
        """The files of one kind, where the release has any."""
        wanted = f"select count(*) from media where kind = '{config.kind}' and reason is null"
        count = int(self._con.sql(wanted).fetchall()[0][0])
        if not count:
            return
        said: dict[str, Any] = {"config": config.name, "folder": config.name, "about": config.about}
        schema, lost = media_schema(config), Lost()
        rows = media_rows(self._con, config, schema, MediaFiles(self._store.url), lost)
        self._write(said, schema, rows, count, blobs=True)
        if lost.counts:
            self._lost[config.name] = dict(lost.counts)

    def finish(self) -> dict[str, Any]:
        """Card, manifest and checksums; the manifest."""
        manifest = self._manifest()
        examples = export_facts.examples(self._con) if "items" in self._release.tables else []
        texts = [
            write_text(self._place, CARD, card(manifest | {"examples": examples})),
            write_text(self._place, MANIFEST, json.dumps(manifest, indent=1, ensure_ascii=False) + "\n"),
        ]
        sums = "".join(f"{file.sha256}  {file.file}\n" for file in [*self._files, *texts])
        write_text(self._place, SUMS, sums)
        return manifest

    def _write(
        self, said: dict[str, Any], schema: pa.Schema, rows: Iterable[pa.Table], expected: int, *, blobs: bool = False
    ) -> None:
        if self._progress:
            self._progress.begin(said["config"], expected)
        with Shards(self._place, said["folder"], schema, blobs=blobs) as shards:
            for group in rows:
                shards.write(group)
                if self._progress:
                    self._progress.advance(group.num_rows)
        if self._progress:
            self._progress.drop()
        said |= {"rows": sum(f.rows for f in shards.files), "bytes": sum(f.bytes for f in shards.files)}
        self._configs.append(said | {"columns": export_facts.columns(schema)})
        self._files += shards.files

    def _marks(self, said: dict[str, Any]) -> dict[str, Any]:
        """What each file says of itself in its Parquet metadata."""
        release = self._release
        known = {"catalogue": release.catalogue["catalogue"], "release": release.release_id, "table": said["folder"]}
        return known | {name: said[name] for name in ("about", "vector") if name in said}

    def _manifest(self) -> dict[str, Any]:
        return {
            **export_facts.provenance(self._release),
            "vectors": "float16" if self._float16 else "float32",
            "coverage": export_facts.coverage(self._con, list(self._release.tables)),
            "sources": export_facts.sources(self._con, self._release),
            "configs": self._configs,
            "media_left_out": self._lost,
            "files": [asdict(file) for file in self._files],
            "bytes": sum(file.bytes for file in self._files),
        }


# --- the folder


@contextmanager
def _building(folder: Path) -> Generator[Path]:
    """A hidden folder beside the final one, which gets its name at the end; removed when something fails.

    What a killed export left is removed by the next one to the same place.
    """
    _refuse(folder)
    building = folder.with_name(f".{folder.name}.building")
    with _told(folder), _lock(folder, building):
        try:
            yield building
            (building / _LOCK).unlink(missing_ok=True)
            _refuse(folder)
            building.replace(folder)  # over an empty folder, too
        except BaseException:
            shutil.rmtree(building, ignore_errors=True)
            raise


def _refuse(folder: Path) -> None:
    if folder.is_symlink() or folder.exists():
        if not folder.is_symlink() and folder.is_dir() and next(folder.iterdir(), None) is None:
            return
        raise ValueError(f"{folder} is not an empty folder; name a new one")


@contextmanager
def _lock(folder: Path, building: Path) -> Generator[None]:
    """One export at a time to one place; the kernel drops the lock of a killed one."""
    from filelock import FileLock, Timeout

    try:
        building.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        if is_full(exc):
            raise  # `_told` says it
        raise ValueError(f"export to {folder}: no folder can be made there ({exc.strerror}); name another one") from exc
    lock = FileLock(building / _LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout as exc:
        raise ValueError(f"{folder}: another export is writing there; wait for it, or name another folder") from exc
    try:
        for left in building.iterdir():
            if left.name != _LOCK:
                shutil.rmtree(left) if left.is_dir() else left.unlink()
        yield
    finally:
        lock.release()


@contextmanager
def _told(folder: Path) -> Generator[None]:
    """Say of a full disk what fits an export, which starts anew, unlike a build."""
    import duckdb

    try:
        yield
    except (OSError, duckdb.Error) as exc:
        if not is_full(exc):
            raise
        raise StoreFull(
            f"export to {folder}: no space left; nothing was written under that name. Free some space, name a folder "
            "on another disk, or leave out the recordings and pictures with --no-media"
        ) from exc
