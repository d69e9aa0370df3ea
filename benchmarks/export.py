"""What an export costs beside plain pyarrow: the same vectors from a store to a folder, against one `write_table`.

    python -m benchmarks.export [--rows 100000] [--width 384] [--rounds 5] [--json]

Plain is `pyarrow.parquet.write_table` of the sorted vectors, in memory already, as a fixed-size list: zstd, no
dictionary, the same row groups. Chain is pyarrow alone from end to end: it reads the table's files, sorts and writes
them, with lists as they are, and neither looks for superseded rows nor hashes. Export reads the Delta table, keeps the
newest row per key, sorts by item_id, writes the shards, hashes them, and writes card and manifest. The sides take
turns. The ratio is the seconds of plain over the side's: 1 is as fast as writing alone. MB are of the float32
vectors. Look at CPU seconds where others use the machine.
"""

import argparse
import json
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from storage.releases import Release, find_release, publish
from storage.schemas import table_of
from storage.store import Store
from tasks.export import export_release
from tasks.export_rows import GROUP_BYTES

TABLE = "features/minilm"
CHUNK = 10_000  # rows per commit


def vectors(rows: int, width: int) -> pa.Table:
    """Vectors of length 1 for ids in no order, as an encoder's."""
    rng = np.random.default_rng(0)
    found = rng.standard_normal((rows, width), dtype=np.float32)
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    ids = [f"{number:016x}" for number in rng.permutation(rows)]
    return pa.table({"item_id": ids, "value": pa.FixedSizeListArray.from_arrays(pa.array(found.reshape(-1)), width)})


def released(folder: Path, given: pa.Table) -> tuple[Store, Release]:
    """A store with these vectors, and a release of them."""
    store = Store(str(folder / "store"))
    store.create([TABLE])
    schema = table_of(TABLE).schema
    for start in range(0, given.num_rows, CHUNK):
        part = given.slice(start, CHUNK)
        fixed = {"input_hash": 1, "value_hash": 1, "version": "1", "attempt": 1, "computed_at": datetime.now(UTC)}
        columns = {name: pa.array([value] * part.num_rows, schema.field(name).type) for name, value in fixed.items()}
        columns |= {"item_id": part["item_id"], "value": part["value"].cast(schema.field("value").type)}
        store.append(
            TABLE, pa.table([columns.get(f.name, pa.nulls(part.num_rows, f.type)) for f in schema], schema=schema)
        )
    nothing: dict[str, Any] = {"stages": {}, "libraries": {}, "weights": {}, "code_version": "", "catalogue_hash": ""}
    catalogue = {"catalogue": "benchmark", "about": "", "sources": {}, "featurizers": {}}
    versions, counts = {name: store.version(name) for name in ("items", TABLE)}, {TABLE: given.num_rows}
    publish(store, versions, partial=False, counts=counts, catalogue=catalogue, **nothing)
    return store, find_release(store)


def measure(rows: int, width: int, rounds: int) -> dict[str, Any]:
    """Seconds of each side by CPU and by the clock, MB/s and the ratio round by round."""
    with tempfile.TemporaryDirectory() as place:
        folder, given = Path(place), vectors(rows, width)
        store, release = released(folder, given)
        ordered, group = given.sort_by("item_id"), GROUP_BYTES // (4 * width)
        out = folder / "out"
        sides: dict[str, Callable[[], Any]] = {
            "plain": lambda: pq.write_table(
                ordered, folder / "plain.parquet", compression="zstd", use_dictionary=["item_id"], row_group_size=group
            ),
            "chain": lambda: pq.write_table(
                pq.read_table(store.open(TABLE).file_uris(), columns=["item_id", "value"]).sort_by("item_id"),
                folder / "chain.parquet",
                compression="zstd",
                use_dictionary=["item_id"],
                row_group_size=group,
            ),
            "export": lambda: export_release(store, release, out),
            "export float16": lambda: export_release(store, release, out, float16=True),
        }
        took = [{name: timed(side, out) for name, side in sides.items()} for _ in range(rounds + 1)][1:]  # warm-up
    mb = rows * width * 4 / 1e6
    found: dict[str, Any] = {"rows": rows, "width": width, "rounds": rounds, "MB": mb}
    for at, clock in enumerate(("cpu", "clock")):
        found[clock] = {
            name: {
                "s": round(statistics.median(one[name][at] for one in took), 3),
                "MB/s": round(mb / statistics.median(one[name][at] for one in took)),
                "ratio": spread([one["plain"][at] / one[name][at] for one in took]),
            }
            for name in sides
        }
    return found


def timed(side: Callable[[], Any], out: Path) -> tuple[float, float]:
    """Seconds of CPU and by the clock; the folder that was written is removed first."""
    shutil.rmtree(out, ignore_errors=True)
    cpu, clock = time.process_time(), time.perf_counter()
    side()
    return time.process_time() - cpu, time.perf_counter() - clock


def spread(values: list[float]) -> dict[str, float]:
    """Median, smallest and largest."""
    return {"median": round(statistics.median(values), 3), "min": round(min(values), 3), "max": round(max(values), 3)}


def main() -> None:
    """Print seconds, MB/s and ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--width", type=int, default=384)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    found = measure(args.rows, args.width, args.rounds)
    if args.json:
        print(json.dumps(found))
        return
    print(f"{args.rows:,} x {args.width}, {found['MB']:.0f} MB, {args.rounds} rounds in turns")
    for clock in ("cpu", "clock"):
        for name, side in found[clock].items():
            ratio = side["ratio"]
            print(
                f"{clock:5} {name:14} {side['s']:6.2f} s {side['MB/s']:5} MB/s   "
                f"{ratio['median']} (from {ratio['min']} to {ratio['max']})"
            )


if __name__ == "__main__":
    main()
