"""Where a dataset's rows come from: a release of a store, or an exported folder; both give the same Arrow batches."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from numpy.typing import NDArray

ROWS = 1 << 18  # of a batch
_ORDER = {"interactions": "user_id, time, file, line"}  # the stable order of a user's history; an export has it, too
_KEYED = ("items", "users", "duplicates")  # rows of these may hold a reason in the place of a value
Equal = Mapping[str, Sequence[str]]


@dataclass(frozen=True, kw_only=True)
class Vectors:
    """One feature as it is stored."""

    version: str
    cells: tuple[str, ...]  # names of the numbers, where they have any
    batches: Iterator[pa.RecordBatch]  # item_id, value and mask, of items that have a value


class Tables(Protocol):
    """What a dataset is read from."""

    name: str
    features: tuple[str, ...]
    """Names of the features there are."""

    def has(self, table: str) -> bool:
        """Whether the table is held."""
        ...

    def scan(self, table: str, columns: Sequence[str], equal: Equal | None = None) -> Iterator[pa.RecordBatch]:
        """Rows with a value, where each column of `equal` is one of these; in the table's stable order."""
        ...

    def vectors(self, feature: str) -> Vectors:
        """The feature's vectors."""
        ...

    def fetched(self, item_ids: pa.Array) -> NDArray[np.int64]:
        """(V,) milliseconds since 1970: by when everything that sources said of an item was fetched."""
        ...


# --- a release


class ReleaseTables:
    """A release of a store, read through `Store.database`."""

    def __init__(self, store: Any, release: Any) -> None:
        """`storage.store.Store` and a `storage.releases.Release` of it."""
        self.name = f"{release.catalogue['catalogue']}-{release.release_id}"
        self.features = tuple(sorted(n.removeprefix("features/") for n in release.tables if n.startswith("features/")))
        self._store, self._release = store, release
        self._con = store.database(release.tables)

    def has(self, table: str) -> bool:
        """Whether the release holds the table."""
        return table in self._release.tables

    def scan(self, table: str, columns: Sequence[str], equal: Equal | None = None) -> Iterator[pa.RecordBatch]:
        """As in `Tables`."""
        from storage.views import columns as named
        from storage.views import quoted

        # Values stand in the query: DuckDB keeps the answer of one with parameters, and reads that in any order.
        tests = [f"{named([name])} in ({', '.join(map(quoted, values))})" for name, values in (equal or {}).items()]
        tests += ["reason is null"] if table in _KEYED else []
        order = _ORDER.get(table, columns[0])
        sql = f"select {named(columns)} from {table} where {' and '.join(tests) or 'true'} order by {order}"
        yield from self._con.sql(sql).to_arrow_reader(ROWS)

    def vectors(self, feature: str) -> Vectors:
        """As in `Tables`.

        Raises:
            MixedVersions: The vectors are of several versions.
        """
        from storage.generations import only_version
        from storage.schemas import table_of

        table = f"features/{feature}"
        version = only_version(self._con, table) or ""
        sql = f"select item_id, value, mask from {table_of(table).view} where reason is null"
        batches = self._con.sql(sql).to_arrow_reader(ROWS >> 6)
        return Vectors(version=version, cells=self._cells(feature, version), batches=iter(batches))

    def fetched(self, item_ids: pa.Array) -> NDArray[np.int64]:
        """The latest of the records an item is linked to; the release's own time where there is none."""
        found = self._con.sql(
            "select item_id, max(epoch_ms(fetched_at)) as at from links l "
            "join raw r on r.source = l.source and r.request_key = l.source_id "
            "where l.state = 'accepted' group by item_id"
        ).to_arrow_table()
        place = pc.index_in(item_ids, value_set=found["item_id"].combine_chunks())
        at = found["at"].combine_chunks().take(place)
        return _numbers(pc.fill_null(at, _milliseconds(self._release.created_at)), np.int64)

    def _cells(self, feature: str, version: str) -> tuple[str, ...]:
        """Names of the cells of `tabular`, by the very fit that its version names."""
        if feature != "tabular":
            return ()
        con = self._store.database(only=("models",))
        for (fit,) in con.sql("select parameters from models where kind = 'fit' and name = 'tabular'").fetchall():
            if version.endswith(hashlib.blake2b(fit.encode(), digest_size=6).hexdigest()):
                said = json.loads(fit)
                return (*said["numeric"], *(f"genre:{genre}" for genre in said["genres"]))
        return ()


# --- an export


class ExportTables:
    """An exported folder of plain Parquet; needs pyarrow alone."""

    def __init__(self, folder: Path) -> None:
        """The folder that `mediateca export` wrote.

        Raises:
            ValueError: It is none.
        """
        manifest = folder / "manifest.json"
        if not manifest.is_file():
            raise ValueError(f"{folder}: no manifest.json, so it is no export; make one with `mediateca export`")
        self._said: dict[str, Any] = json.loads(manifest.read_text(encoding="utf-8"))
        self.name = f"{self._said['catalogue']}-{self._said['release']}"
        self._folder = folder
        held = [str(c["folder"]) for c in self._said["configs"]]
        self.features = tuple(sorted(n.removeprefix("features/") for n in held if n.startswith("features/")))

    def has(self, table: str) -> bool:
        """Whether the export holds the table."""
        return bool(self._files(table))

    def scan(self, table: str, columns: Sequence[str], equal: Equal | None = None) -> Iterator[pa.RecordBatch]:
        """As in `Tables`; shards are named in order."""
        wanted = None
        for name, values in (equal or {}).items():
            test = ds.field(name).isin(list(values))
            wanted = test if wanted is None else wanted & test
        if table in _KEYED:
            there = ds.field("reason").is_null()
            wanted = there if wanted is None else wanted & there
        found = ds.dataset([str(file) for file in self._files(table)], format="parquet")
        yield from found.to_batches(columns=list(columns), filter=wanted, batch_size=ROWS)

    def vectors(self, feature: str) -> Vectors:
        """As in `Tables`; the export was refused where versions were mixed."""
        (config,) = (c for c in self._said["configs"] if c["folder"] == f"features/{feature}")
        said = config.get("vector", {})
        found = ds.dataset([str(file) for file in self._files(f"features/{feature}")], format="parquet")
        batches = found.to_batches(
            columns=["item_id", "value", "mask"], filter=ds.field("reason").is_null(), batch_size=ROWS >> 6
        )
        cells = tuple(str(cell["name"]) for cell in said.get("cells", ()))
        return Vectors(version=str(said.get("version", "")), cells=cells, batches=iter(batches))

    def fetched(self, item_ids: pa.Array) -> NDArray[np.int64]:
        """The release's own time: an export says of no record when it was fetched."""
        made = datetime.fromisoformat(self._said["created_at"])
        return np.full(len(item_ids), _milliseconds(made), np.int64)

    def _files(self, table: str) -> list[Path]:
        return sorted((self._folder / table).glob("*.parquet"))


def _milliseconds(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def _numbers(column: pa.Array, type_: Any) -> NDArray[Any]:
    return column.to_numpy(zero_copy_only=False).astype(type_)
