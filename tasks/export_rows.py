"""Rows of a release in the order and the types in which they are exported, a row group at a time."""

# Annotations stay text: numpy and pyarrow are imported at their first use.
from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from storage.lazy import np, pa, pc
from storage.media import MediaFiles
from storage.schemas import ATTEMPT_COLUMNS, Column, Table, table_of
from tasks.features import read_file

ROWS = 65_536  # of a row group, at most
GROUP_BYTES = 32 << 20  # of a row group of vectors or spectrograms
SORT_BYTES = 128 << 20  # sorted in memory at once
FILES = 100  # of a row group of media: a reader that wants one file reads them all
FILES_BYTES = 64 << 20
_KEPT = ("reason", "detail")  # of the attempt columns: why a row has no value
_ORDER = {"interactions": "user_id, time, file, line"}  # the stable order of a user's history
_INNER = ("load_id",)
_ITEM = Column("item_id", "string", required=True, about="the item, aliases resolved; may be in no row of items")


@dataclass(frozen=True, kw_only=True)
class MediaConfig:
    """Media files of one kind as a config of their own."""

    kind: str  # of `media`
    name: str  # of the config, and its folder
    column: str
    feature: dict[str, Any]  # as `datasets` writes it into Parquet metadata
    about: str


MEDIA = (
    MediaConfig(
        kind="audio_window",
        name="audio",
        column="audio",
        feature={"_type": "Audio", "sampling_rate": 22_050},
        about="audio windows: FLAC, 24 bits, mono, 22,050 Hz",
    ),
    MediaConfig(
        kind="audio_native",
        name="audio_native",
        column="audio",
        feature={"_type": "Audio"},
        about="the same windows at their native rate and channels: FLAC, 24 bits",
    ),
    MediaConfig(kind="image", name="images", column="image", feature={"_type": "Image"}, about="pictures, as received"),
)


@dataclass
class Lost:
    """Media files that rows name and that could not be exported."""

    counts: Counter[str] = field(default_factory=lambda: Counter[str]())  # gone, damaged


# --- tables


def columns_of(table: Table) -> list[Column]:
    """The columns of a table that are exported, in order."""
    kept = [c for c in table.columns if (c.name not in ATTEMPT_COLUMNS or c.name in _KEPT) and c.name not in _INNER]
    return [_ITEM, *kept] if table.name == "interactions" else kept


def schema_of(table: Table, *, width: int = 0, values: pa.DataType | None = None) -> pa.Schema:
    """Arrow types as exported, each column with its description.

    `attributes` become a list of pairs: `datasets` 5 refuses maps. Vectors become fixed-size lists.

    Args:
        table: The table.
        width: Numbers per vector; 0 is unknown, and leaves lists as they are.
        values: Type of a vector's numbers; None is float32.
    """
    types = {f.name: f.type for f in table.schema} | {"item_id": pa.string()}
    fields: list[pa.Field] = []
    for column in columns_of(table):
        type_ = types[column.name]
        if column.type == "numbers":
            type_ = pa.list_(pa.struct([("name", pa.string()), ("value", pa.float64())]))
        elif column.type in ("floats", "bools") and width:
            numbers = (values or pa.float32()) if column.type == "floats" else pa.bool_()
            type_ = pa.list_(numbers, width)
        fields.append(pa.field(column.name, type_, metadata={"description": column.about}))
    return pa.schema(fields)


def table_rows(con: Any, table: Table, schema: pa.Schema) -> Iterator[pa.Table]:
    """A plain table's rows, sorted by its key, a user's history by time."""
    order = _ORDER.get(table.name, ", ".join(table.key))
    pairs = [c.name for c in columns_of(table) if c.type == "numbers"]
    cells = [f"list_transform(map_entries({n}), lambda e: {{name: e.key, value: e.value}}) as {n}" for n in pairs]
    chosen = ", ".join([f'"{c.name}"' for c in columns_of(table) if c.name not in pairs] + cells)
    for batch in con.sql(f"select {chosen} from {table.view} order by {order}").to_arrow_reader(ROWS):
        yield pa.Table.from_batches([batch]).select(schema.names).cast(schema)


# --- features


def width_of(con: Any, table: Table) -> int:
    """Numbers per vector; 0 where no row has one."""
    # By the key of one row that has a vector: through the view itself DuckDB reads all vectors for the first one.
    one = f"select item_id, computed_at from {table.view} where reason is null limit 1"
    sql = f"select len(value) from {table.view}__rows semi join ({one}) using (item_id, computed_at) limit 1"
    found = con.sql(sql).fetchall()
    return int(found[0][0]) if found else 0


def feature_rows(con: Any, table: Table, schema: pa.Schema, place: Path) -> Iterator[pa.Table]:
    """A feature's rows, sorted by item_id.

    DuckDB sorts 2 GB of spectrograms within its 1 GB neither in memory nor on disk (measured 2026-11), so it gives the
    sorted keys, and the rows as they come: each goes to its range of keys, and each range is sorted alone.
    """
    row_bytes = _row_bytes(con, table, schema)
    keys = con.sql(f"select item_id, computed_at from {table.view} order by item_id").to_arrow_table()
    ranges = Ranges(place, keys.num_rows, max(1, SORT_BYTES // row_bytes))
    group = max(1, min(ROWS, GROUP_BYTES // row_bytes))
    names = ", ".join(f'"{name}"' for name in (*schema.names, "computed_at"))
    for batch in con.sql(f"select {names} from {table.view}__rows").to_arrow_reader(group):
        rows, at = _placed(pa.Table.from_batches([batch]), keys)
        ranges.add(as_fixed(rows, schema, table.name).append_column("place", at))
    for rows in ranges:
        for start in range(0, rows.num_rows, group):
            yield rows.slice(start, group)


def _row_bytes(con: Any, table: Table, schema: pa.Schema) -> int:
    type_ = schema.field("value").type
    if pa.types.is_fixed_size_list(type_):
        return 64 + type_.list_size * type_.value_type.bit_width // 8 + type_.list_size // 8  # vector and mask
    if not pa.types.is_binary(type_):
        return 64
    most = con.sql(f"select max(bands::bigint * frames) from {table.view}").fetchall()[0][0]
    return 64 + int(most or 0)


def _placed(rows: pa.Table, keys: pa.Table) -> tuple[pa.Table, pa.ChunkedArray]:
    """The rows that count, and their places among the sorted keys."""
    at = pc.index_in(rows["item_id"], value_set=keys["item_id"].combine_chunks())  # null: removed
    newest = pc.fill_null(pc.equal(rows["computed_at"], keys["computed_at"].take(at.combine_chunks())), False)
    if pc.all(newest).as_py():  # by far the most common, and a copy less
        return rows, at
    return rows.filter(newest), at.filter(newest)


class Ranges:
    """Rows by ranges of their `place`, read back in order, once; more than one range lie in files of their own."""

    def __init__(self, folder: Path, places: int, size: int) -> None:
        """`places` in all, `size` of them to a range."""
        self._folder, self._size = folder, size
        self._whole: list[pa.Table] | None = [] if places <= size else None
        self._writers: dict[int, pa.RecordBatchWriter] = {}

    def _path(self, number: int) -> Path:
        return self._folder / f"{number}.arrow"

    def add(self, rows: pa.Table) -> None:
        """Give each row to its range."""
        if self._whole is not None:
            self._whole.append(rows)
            return
        number = rows["place"].to_numpy() // self._size
        for one in (int(one) for one in np.unique(number)):
            if one not in self._writers:
                self._folder.mkdir(exist_ok=True)
                self._writers[one] = pa.ipc.new_stream(str(self._path(one)), rows.schema)
            self._writers[one].write_table(rows.filter(pa.array(number == one)))

    def __iter__(self) -> Iterator[pa.Table]:
        """The ranges, each sorted and without its places; its file is gone then."""
        if self._whole is not None:
            rows, self._whole = self._whole, []
            yield from [_sorted(pa.concat_tables(rows))] if rows else []
            return
        for number in sorted(self._writers):
            self._writers[number].close()
            with pa.memory_map(str(self._path(number))) as file, pa.ipc.open_stream(file) as stream:
                yield _sorted(stream.read_all())
            self._path(number).unlink()
        self._folder.rmdir()


def _sorted(rows: pa.Table) -> pa.Table:
    return rows.combine_chunks().take(pc.sort_indices(rows["place"])).drop_columns("place")


def as_fixed(rows: pa.Table, schema: pa.Schema, name: str) -> pa.Table:
    """The rows in the types of `schema`; lists become fixed-size lists, as arrays and tensors are read.

    Raises:
        ValueError: Vectors of several lengths, or numbers that half precision cannot hold.
    """
    columns = [
        _fixed(rows[f.name].combine_chunks(), f.type, name) if pa.types.is_fixed_size_list(f.type) else rows[f.name]
        for f in schema
    ]
    return pa.Table.from_arrays(columns, names=schema.names).cast(schema)


def _fixed(column: pa.Array, type_: pa.FixedSizeListType, name: str) -> pa.Array:
    width = type_.list_size
    if column.null_count == len(column):
        return pa.nulls(len(column), type_)
    if lengths := set(pc.unique(pc.list_value_length(column)).to_pylist()) - {None, width}:
        raise ValueError(f"{name}: vectors of {width} and of {lengths.pop()} numbers; build the catalogue again")
    numbers = column.flatten().to_numpy(zero_copy_only=False).reshape(-1, width)
    if pa.types.is_float16(type_.value_type):
        numbers = _halved(numbers, name)
    if not column.null_count:
        return pa.FixedSizeListArray.from_arrays(pa.array(numbers.reshape(-1)), width)
    there = column.is_valid().to_numpy(zero_copy_only=False)
    values = np.zeros((len(column), width), numbers.dtype)
    values[there] = numbers
    return pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), width, mask=pa.array(~there))


def _halved(numbers: Any, name: str) -> Any:
    with np.errstate(over="ignore"):
        half = numbers.astype(np.float16)
    if (lost := np.isinf(half) & np.isfinite(numbers)).any():
        found = float(numbers[lost][0])
        raise ValueError(f"{name}: {found:g} is beyond half precision (65,504 at most); export without --float16")
    return half


# --- media files


def media_schema(config: MediaConfig) -> pa.Schema:
    """`item_id` and the file; `datasets` knows the feature by the metadata."""
    said = {"item_id": {"dtype": "string", "_type": "Value"}, config.column: config.feature}
    file = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    return pa.schema(
        [
            pa.field("item_id", pa.string(), metadata={"description": "the item"}),
            pa.field(config.column, file, metadata={"description": "the file and a name for it"}),
        ],
        metadata={"huggingface": json.dumps({"info": {"features": said}})},
    )


def media_rows(con: Any, config: MediaConfig, schema: pa.Schema, files: MediaFiles, lost: Lost) -> Iterator[pa.Table]:
    """Files of one kind, sorted by item_id; those that are gone or damaged are left out and counted."""
    sql = f"select item_id, sha256, format from media where kind = '{config.kind}' and reason is null order by item_id"
    ids: list[str] = []
    found: list[dict[str, Any]] = []
    size = 0
    for batch in con.sql(sql).to_arrow_reader(1_000):
        for row in batch.to_pylist():
            data = read_file(files, row)
            if data is None or hashlib.sha256(data).hexdigest() != row["sha256"]:
                lost.counts["gone" if data is None else "damaged"] += 1
                continue
            ids.append(row["item_id"])
            found.append({"bytes": data, "path": f"{row['item_id']}.{row['format']}"})
            size += len(data)
            if len(ids) >= FILES or size >= FILES_BYTES:
                yield pa.table([pa.array(ids), pa.array(found, schema.field(1).type)], schema=schema)
                ids, found, size = [], [], 0
    if ids:
        yield pa.table([pa.array(ids), pa.array(found, schema.field(1).type)], schema=schema)


def tables_of(names: list[str]) -> list[Table]:
    """The tables of a release that are exported."""
    first = [n for n in ("items", "interactions", "users", "texts", "links", "media", "duplicates") if n in names]
    return [table_of(n) for n in [*first, *sorted(n for n in names if n.startswith("features/"))]]
