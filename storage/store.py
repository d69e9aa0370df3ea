"""The store: Delta tables under one URL, appended by workers, kept by the driver, read in one place."""

# Annotations stay text: pyarrow is imported at its first use.
from __future__ import annotations

import atexit
import os
import tempfile
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from functools import cache
from typing import Any
from urllib.parse import unquote

from deltalake import CommitProperties, DeltaTable, WriterProperties, write_deltalake
from deltalake.exceptions import CommitFailedError

from storage import clock
from storage.errors import StoreError, StoreTooNew, told
from storage.lazy import pa
from storage.objects import Objects, is_local
from storage.schemas import SCHEMA_VERSION, SQL_TYPES, TABLES, Table, table_of
from storage.views import columns, kept, live, view

MAX_FILES = 32  # a key scan of 100 k rows costs 0.05-0.2 s in 200 commits, 0.2-1.4 s in 2,000 (measured 2026-11)
MAX_DEAD_SHARE = 0.25  # superseded rows are hidden at once and dropped when they are this share of a table
_NO_CHANGE = {"OPTIMIZE", "VACUUM START", "VACUUM END"}
_MARK = "mediateca"  # commit metadata; "rewrite" says that no row changed
_DESCRIPTION = "store.json"
_SERVED = "mediateca.generation"  # table property: the version of a feature's rows that count, as of each table version
_BENEATH = {"raw": ("inputs",), "quarantine": ("inputs",), "interactions": ("inputs", "links")}
"""Views that others are built on."""

# Without it, checkpoints drop expired commit logs and an old release can no longer be opened (measured 2026-11).
# Column statistics would keep the smallest and largest titles, taken down or not, in the commit log for ever.
_TABLE_PROPERTIES = {"delta.enableExpiredLogCleanup": "false", "delta.dataSkippingNumIndexedCols": "0"}
_WRITER = WriterProperties(compression="ZSTD")


class Store:
    """Tables and small files under one URL; cheap to make, and made anew in every worker."""

    def __init__(self, url: str) -> None:
        """`url` is a folder or `s3://bucket/prefix`; endpoint and keys of S3 come from the AWS_* environment."""
        self.url = _checked(url)
        self.objects = Objects(self.url)

    # --- tables

    def table_url(self, name: str) -> str:
        """Where a table lies."""
        return f"{self.url}/tables/{name}"

    def tables(self) -> list[str]:
        """Names of the tables there are; empty when there is no store yet.

        Raises:
            StoreTooNew: The store was written by a newer mediateca.
            StoreError: The store's description is damaged.
        """
        description = self._description()
        if description is None:
            return []
        found = description["schema_version"]
        if found > SCHEMA_VERSION:
            raise StoreTooNew(
                f"store {self.url}: written with schema {found}, this mediateca knows {SCHEMA_VERSION}; "
                "upgrade mediateca, or name another store"
            )
        return list(description["tables"])

    def _description(self) -> dict[str, Any] | None:
        try:
            found: Any = self.objects.read_json(_DESCRIPTION)[0]
        except ValueError:
            found = {}
        if found is None or (
            isinstance(found, dict)
            and isinstance(found.get("schema_version"), int)
            and isinstance(found.get("tables"), list)
        ):
            return found
        raise StoreError(
            f"store {self.url}: its {_DESCRIPTION} is damaged. Put it back from a copy; or delete that file alone and "
            "build the same catalogue again, which writes it anew and keeps the tables beside it"
        )

    def create(self, names: Iterable[str] = (), *, owner: str | None = None) -> None:
        """Create what is missing of the standard tables and `names`; for the driver, as two creators collide.

        Args:
            names: Feature tables.
            owner: The catalogue that is built here; a store belongs to one.

        Raises:
            StoreError: The store is another catalogue's, whose items this one would remove.
        """
        there = self.tables()
        described: dict[str, Any] | None = self._description()
        had = (described or {}).get("catalogue")
        if owner and had and had != owner:
            raise StoreError(
                f"store {self.url}: belongs to the catalogue '{had}', not to '{owner}'; give each a store of its own"
            )
        wanted = [*TABLES, *names]
        missing = [name for name in dict.fromkeys(wanted) if name not in there]
        if not missing:
            return
        with told(self.url):
            for name in missing:
                DeltaTable.create(
                    self.table_url(name),
                    table_of(name).schema,
                    mode="ignore",
                    configuration=_TABLE_PROPERTIES,
                    storage_options=self._options(),
                )
            described = {"schema_version": SCHEMA_VERSION, "catalogue": had or owner}
            self.objects.write_json(_DESCRIPTION, described | {"tables": sorted({*there, *missing})})

    def open(self, name: str, version: int | None = None) -> DeltaTable:
        """The Delta table itself; for maintenance and tests. Rows are read through `database`."""
        return DeltaTable(self.table_url(name), version=version, storage_options=self._options())

    def version(self, name: str) -> int:
        """The table's newest version."""
        return self.open(name).version()

    def data_version(self, name: str) -> int:
        """The newest version that changed a row: compaction and vacuum do not count; -1 before the table is created."""
        if name not in self.tables():
            return -1
        table = self.open(name)
        for limit in (20, None):  # all of a long log only when its end holds nothing but house-keeping
            for commit in table.history(limit):
                if commit["operation"] not in _NO_CHANGE and commit.get(_MARK) != "rewrite":
                    return int(commit["version"])
        return 0

    # --- writing

    def append(self, name: str, rows: pa.Table) -> None:
        """Add rows in one commit; the only write that workers do, because appends never conflict.

        Raises:
            StoreFull, StoreReadOnly: The place cannot take them; no row of the commit is visible.
            ValueError: The columns are not the table's.
        """
        if rows.num_rows == 0:
            return
        schema = table_of(name).schema
        if set(rows.column_names) != set(schema.names):
            odd = sorted(set(rows.column_names) ^ set(schema.names))
            raise ValueError(f"table '{name}': columns {odd} are missing or unknown")
        with told(self.url):
            write_deltalake(
                self.table_url(name),
                rows.select(schema.names).cast(schema),
                mode="append",
                schema_mode="merge",  # a table that a former version made gets the columns that are new since
                storage_options=self._options(),
                writer_properties=_WRITER,
            )

    def log(self, name: str, /, **row: Any) -> None:
        """Add one row to a log table, and keep its files few; for the driver. Columns left out are null."""
        schema = table_of(name).schema
        row["computed_at"] = self.now(name)
        self.append(name, pa.table({f.name: pa.array([row.get(f.name)], f.type) for f in schema}, schema=schema))
        self.tidy(name)

    def now(self, name: str) -> datetime:
        """The time for a new row of a log: now, but after its newest row, also when the clock was set back."""
        rows = f"{table_of(name).view}__rows"
        newest = self.database(only=(name,)).sql(f"select max(computed_at) from {rows}").fetchall()[0][0]
        return max(clock.now(), newest + timedelta(microseconds=1)) if newest else clock.now()

    def rewrite(self, name: str, *, generations: Collection[str] | None = None) -> None:
        """Write the live rows anew in one commit: compaction and the dropping of dead rows; for the driver.

        Args:
            name: The table.
            generations: Of a feature: the versions that are kept; None is all there are.
        """
        schema = table_of(name).schema
        sql = f"select {columns(schema.names)} from {kept(table_of(name), generations)}"
        for last_try in (False, False, True):
            rows = self.database(only=(name,)).sql(sql).to_arrow_reader(self._rows_at_once(name))
            try:
                with told(self.url):
                    write_deltalake(
                        self.table_url(name),
                        pa.RecordBatchReader.from_batches(schema, (b.cast(schema) for b in rows)),
                        mode="overwrite",
                        storage_options=self._options(),
                        writer_properties=_WRITER,
                        commit_properties=CommitProperties(custom_metadata={_MARK: "rewrite"}),
                    )
                return
            except CommitFailedError:
                if last_try:
                    raise

    def _rows_at_once(self, name: str) -> int:
        """Rows that have about 16 MB in their files: 65,536 spectrograms are 10 GB."""
        actions = self.open(name).get_add_actions(flatten=True)
        rows, size = sum(actions["num_records"].to_pylist()), sum(actions["size_bytes"].to_pylist())
        return max(64, min(65_536, (16 << 20) * rows // max(size, 1)))

    def delete(self, name: str, where: str) -> int:
        """Delete rows, superseded ones included, in one commit; for take-downs by the driver. The number of rows."""
        for last_try in (False, False, True):
            try:
                with told(self.url):
                    return int(self.open(name).delete(where)["num_deleted_rows"] or 0)
            except CommitFailedError:
                if last_try:
                    raise
        return 0

    def tidy(self, name: str) -> bool:
        """Rewrite the table if it has many files or many dead rows; True when it was."""
        files, rows = self.size(name)
        if files > MAX_FILES or (files > 1 and self._dead_share(name, rows) > MAX_DEAD_SHARE):
            self.rewrite(name)
            return True
        return False

    def _dead_share(self, name: str, rows: int) -> float:
        # Rows of logs are few and hardly ever superseded: not worth a scan per stage.
        if table_of(name).kind == "log":
            return 0.0
        left = self.database(only=(name,)).sql(f"select count(*) from {kept(table_of(name))}").fetchall()[0][0]
        return 1 - left / max(rows, 1)

    def serve(self, name: str, generation: str) -> None:
        """Let this version of a feature's rows count from now on, and no other; one commit, for the driver.

        The table's own property, so that each table version, and with it each release, knows its generation.
        """
        for last_try in (False, False, True):
            if self.generation(name) == generation:
                return
            try:
                with told(self.url):
                    self.open(name).alter.set_table_properties({_SERVED: generation}, raise_if_not_exists=False)
            except CommitFailedError:
                if last_try:
                    raise

    def vacuum(self, name: str, keep_versions: list[int], *, retention_hours: int = 24) -> int:
        """Delete files that neither the newest nor the kept versions need; the number of files deleted."""
        with told(self.url):
            deleted = self.open(name).vacuum(
                retention_hours=retention_hours,
                dry_run=False,
                enforce_retention_duration=False,
                full=True,
                keep_versions=sorted(set(keep_versions)),
            )
        return len(deleted)

    # --- reading

    def size(self, name: str, version: int | None = None) -> tuple[int, int]:
        """Files and physical rows, dead ones included, from the commit log alone."""
        actions = self.open(name, version).get_add_actions(flatten=True)
        return actions.num_rows, sum(actions["num_records"].to_pylist())

    def size_bytes(self, name: str) -> int:
        """What its newest version takes on disk, from the commit log alone."""
        return sum(self.open(name).get_add_actions(flatten=True)["size_bytes"].to_pylist())

    def count_live(self, name: str) -> int:
        """Rows that count: newest per key, nothing removed, of the served generation."""
        counting = live(table_of(name), self.generation(name))
        return int(self.database(only=(name,)).sql(f"select count(*) from {counting}").fetchall()[0][0])

    def generation(self, name: str) -> str | None:
        """The version of a feature's rows that count; None where the newest row per key does, of whatever version."""
        return _generation(table_of(name), self.open(name)) if table_of(name).has_generations else None

    def database(self, versions: Mapping[str, int] | None = None, *, only: Iterable[str] | None = None) -> Any:
        """DuckDB over the store: a view per table, newest row per key, of features one generation. The only reader.

        Args:
            versions: Table versions to read (a release's); None reads the newest of every table, and a table that is
                not created yet is empty.
            only: The tables that are asked for, which saves opening the others; None is all there are.

        Returns:
            A `duckdb.DuckDBPyConnection`; the views are named as in `Table.view`, and a table's raw rows
            `<view>__rows`.
        """
        con = _duckdb(os.getpid()).cursor()
        there = self.tables()
        asked = [*TABLES, *there] if only is None else list(only)
        if versions is not None:
            asked = [name for name in asked if name in versions]
        names = dict.fromkeys(beneath for name in asked for beneath in (*_BENEATH.get(name, ()), name))
        known = [name for name in names if name in there]
        opened = (
            self._as_of_one_ledger(known)
            if versions is None
            else {name: self.open(name, versions.get(name)) for name in known}
        )
        for name in names:
            table = table_of(name)
            self._rows_view(con, table, opened.get(name))
            con.execute(f"create temp view {table.view} as {view(table, _generation(table, opened.get(name)))}")
            if name == "inputs":
                con.execute("create temp view inputs__current as select load_id from inputs where reason is null")
        return con

    def _as_of_one_ledger(self, names: list[str]) -> dict[str, DeltaTable]:
        """Newest versions that fit together: loaded rows count by the ledger, so it must not move in between."""
        while True:
            opened = {name: self.open(name) for name in names}
            if "inputs" not in opened or self.version("inputs") == opened["inputs"].version():
                return opened

    def _rows_view(self, con: Any, table: Table, delta: DeltaTable | None) -> None:
        view = f"{table.view}__rows"
        if delta is None or not (files := delta.file_uris()):
            con.execute(f"create temp view {view} as {table.empty_sql}")
            return
        if is_local(self.url):
            # delta-rs gives percent-encoded names.
            quoted = ", ".join("'" + unquote(path).replace("'", "''") + "'" for path in files)
            source = f"read_parquet([{quoted}], union_by_name = true)"
        else:
            source = f"{view}__files"
            con.register(source, delta.to_pyarrow_dataset(filesystem=_s3(self.table_url(table.name))))
        con.execute(f"create temp view {view} as select *{_later_columns(table, delta)} from {source}")

    def _options(self) -> dict[str, str] | None:
        """Plain http is for test servers on loopback; object_store refuses it unless told."""
        return None if is_local(self.url) else {"aws_allow_http": "true"}


def _later_columns(table: Table, delta: DeltaTable) -> str:
    """SQL: as null, the columns that came to a table after a former version of this package made it."""
    there = {f.name for f in delta.schema().fields}
    return "".join(f', null::{SQL_TYPES[c.type]} as "{c.name}"' for c in table.columns if c.name not in there)


@cache
def _duckdb(pid: int) -> Any:
    """The engine of this process, of which each reader is a cursor: its views and tables are temporary, so its own.

    An engine of its own costs a reader 24 ms of the processor, a cursor .005, and a sixth of a small build was that
    (measured 2026-11). Its memory is the process's, too: readers side by side share one limit. A fork needs another.
    """
    import duckdb

    spill = tempfile.gettempdir()  # beyond the memory limit; by default it would be the current folder
    # A cache of files would be kept for as long as the process lives.
    con = duckdb.connect(
        config={
            "memory_limit": "2GB",
            "temp_directory": spill,
            "enable_external_file_cache": False,
            "preserve_insertion_order": False,
        }
    )
    atexit.register(_duckdb.cache_clear)  # else it outlives its module, which DuckDB tells in forty lines
    con.execute("set global timezone = 'UTC'")
    return con


def _checked(url: str) -> str:
    """The URL without a slash at its end.

    Raises:
        ValueError: Neither a folder nor s3://, or a folder whose name the libraries beneath cannot open.
    """
    if is_local(url):
        if odd := sorted(set(url) & set("%[]*?#")):
            raise ValueError(f"store {url}: delta-rs cannot open a path with '{odd[0]}' in it; name another folder")
    elif not url.startswith("s3://") or not url.removeprefix("s3://").strip("/"):
        raise ValueError(f"store {url}: expected a folder or s3://bucket/prefix")
    return url.rstrip("/")


def rows_of(relation: Any) -> list[dict[str, Any]]:
    """A query's answer as Python rows, without Arrow."""
    names: list[str] = list(relation.columns)
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"two columns are called '{twice[0]}'; name one of them with `as`")
    return [dict(zip(names, row, strict=True)) for row in relation.fetchall()]


def _generation(table: Table, delta: DeltaTable | None) -> str | None:
    return delta.metadata().configuration.get(_SERVED) if delta is not None and table.has_generations else None


def _s3(url: str) -> Any:
    """The filesystem of a table on S3; a bare dataset of delta-rs aborts the interpreter at exit (delta-rs #2184)."""
    import os

    from pyarrow.fs import S3FileSystem, SubTreeFileSystem

    endpoint = os.environ.get("AWS_ENDPOINT_URL")
    return SubTreeFileSystem(
        url.removeprefix("s3://"),
        S3FileSystem(
            access_key=os.environ.get("AWS_ACCESS_KEY_ID"),
            secret_key=os.environ.get("AWS_SECRET_ACCESS_KEY"),
            session_token=os.environ.get("AWS_SESSION_TOKEN"),
            region=os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1",
            endpoint_override=endpoint,
        ),
    )
