"""A release as plain Parquet shards, with a card and checksums; readable without anything of ours."""

# Annotations stay text: numpy is imported at its first use.
from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from storage.lazy import np, pa, pq
from storage.releases import Release
from storage.schemas import ATTEMPT_COLUMNS, table_of
from storage.store import Store

SHARD_BYTES = 256 << 20
_BATCH_ROWS = 16_384
_TABLES = ("items", "interactions", "users", "texts", "links")
_ORDER = {"interactions": "user_id, time, file, line"}  # the stable order of a user's history
_KEPT = ("reason", "detail")  # of the attempt columns: why a row has no value


def export_release(store: Store, release: Release, folder: Path, *, float16: bool = False) -> dict[str, Any]:
    """Write the release to `folder`; it appears there whole or not at all.

    Args:
        store: The release's store.
        release: What to write.
        folder: Must not exist, or be empty.
        float16: Vectors in half precision.

    Returns:
        The release's name, the files with rows and checksums, and the bytes in all.

    Raises:
        ValueError: The folder is not empty.
    """
    folder = folder.absolute()
    if folder.exists() and not (folder.is_dir() and next(folder.iterdir(), None) is None):
        raise ValueError(f"{folder} is not an empty folder; name a new one")
    building = folder.with_name(f".{folder.name}.building")
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(parents=True)
    con = store.database(release.tables)
    names = [n for n in release.tables if n in _TABLES or n.startswith("features/")]
    files = [file for name in names for file in _write_table(con, name, building / name, float16=float16)]
    (building / "README.md").write_text(_card(release, names, files), encoding="utf-8")
    found = [_described(path, rows, building) for path, rows in files]
    sums = [f"{f['sha256']}  {f['file']}" for f in [*found, _described(building / "README.md", 0, building)]]
    (building / "SHA256SUMS").write_text("\n".join(sums) + "\n", encoding="utf-8")
    if folder.exists():
        folder.rmdir()
    building.rename(folder)
    return {"release": release.release_id, "files": found, "bytes": sum(f["bytes"] for f in found)}


def _write_table(con: Any, name: str, folder: Path, *, float16: bool) -> list[tuple[Path, int]]:
    table = table_of(name)
    dropped = [c for c in ATTEMPT_COLUMNS if c not in _KEPT and c in table.names]
    dropped += ["load_id"] if table.kind == "loaded" else []
    order = _ORDER.get(name, ", ".join(table.key))
    width = 0
    if name.startswith("features/"):
        width = con.sql(f"select coalesce(max(len(value)), 0) from {table.view}").fetchall()[0][0]
    reader = con.sql(f"select * exclude ({', '.join(dropped)}) from {table.view} order by {order}").to_arrow_reader(
        _BATCH_ROWS
    )
    folder.mkdir(parents=True)
    return list(_shards(reader, folder, width, pa.float16() if float16 else pa.float32()))


def _shards(reader: pa.RecordBatchReader, folder: Path, width: int, type_: pa.DataType) -> Iterator[tuple[Path, int]]:
    number, rows, writer, path = 0, 0, None, folder
    for batch in reader:
        table = _fixed(pa.Table.from_batches([batch]), width, type_) if width else pa.Table.from_batches([batch])
        if writer is None:
            path = folder / f"part-{number:05d}.parquet"
            writer, rows, number = pq.ParquetWriter(path, table.schema, compression="zstd"), 0, number + 1
        writer.write_table(table)
        rows += table.num_rows
        if path.stat().st_size > SHARD_BYTES:
            writer.close()
            writer = None
            yield path, rows
    if writer is not None:
        writer.close()
        yield path, rows
    elif number == 0:
        path = folder / "part-00000.parquet"
        pq.write_table(reader.schema.empty_table(), path)
        yield path, 0


def _fixed(table: pa.Table, width: int, type_: pa.DataType) -> pa.Table:
    """The table with `value` as a fixed-size list, as arrays and tensors are read."""
    column = table.column("value").combine_chunks()
    values = np.zeros((len(column), width), np.float32)
    there = column.is_valid().to_numpy(zero_copy_only=False)
    values[there] = column.flatten().to_numpy(zero_copy_only=False).reshape(-1, width)
    flat = pa.array(values.astype(type_.to_pandas_dtype()).reshape(-1), type_)
    fixed = pa.FixedSizeListArray.from_arrays(flat, width, mask=pa.array(~there))
    return table.set_column(table.schema.get_field_index("value"), pa.field("value", fixed.type), fixed)


def _described(path: Path, rows: int, root: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        checksum = hashlib.file_digest(file, "sha256").hexdigest()
    return {"file": path.relative_to(root).as_posix(), "rows": rows, "bytes": path.stat().st_size, "sha256": checksum}


def _card(release: Release, names: list[str], files: list[tuple[Path, int]]) -> str:
    rows: dict[str, int] = {}
    for name in names:
        rows[name] = sum(n for path, n in files if path.parent.as_posix().endswith(f"/{name}"))
    configs = "\n".join(f"- config_name: {table_of(n).view}\n  data_files: {n}/*.parquet" for n in names)
    listed = "\n".join(f"| `{n}` | {rows[n]:,} | {table_of(n).about} |" for n in names)
    catalogue = release.catalogue
    sources = "\n".join(
        f"- `{name}` (connector {source['connector']})" for name, source in catalogue["sources"].items()
    )
    return f"""---
configs:
{configs}
---
# {catalogue["catalogue"]}, release {release.release_id}

{catalogue["about"]}

Published {release.created_at:%Y-%m-%d %H:%M:%S} UTC by mediateca {release.code_version}.
Catalogue hash {release.catalogue_hash}.

Rows with a `reason` have no value and say why; `detail` is free text. Vectors are fixed-size lists. Check the files
with `sha256sum -c SHA256SUMS`. The licences of the sources hold for what came from them.

| table | rows | what |
|---|---|---|
{listed}

Sources:
{sources}
"""
