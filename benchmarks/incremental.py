"""What a night costs by what changed: plan, build with no change, build with 1 % changed, against the first build.

    python -m benchmarks.incremental [--keys 1000 10000 100000 1000000] [--json]

The peer is the first build of the same store: what every night costs where nothing is incremental. Titles are
generated; `features/toy` is a vector of 64 numbers that costs next to nothing, so the mechanism is measured, not an
encoder. Every step runs in a process of its own, start-up included, as a scheduler would run it. No server is started:
with nothing to do there is none, and with work its start is the same 15 s for any size.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.synthetic import movielens_folder
from storage.store import Store
from tasks.pending import last_runs
from tasks.plan import all_stages, make_plan
from tasks.release import publish_release
from tasks.run_stage import run_stage
from tasks.settings import Catalogue, load_catalogue
from tasks.stage import Stage
from tasks.vectors import vectors_table

WIDTH = 64


def toy_vectors(rows: pa.Table, store: Store) -> pa.Table:
    """A cheap stand-in for an encoder: a vector from the item's hash."""
    from featurizers.base import FeatureBatch

    seeds = np.array([hash_ % 65_536 for hash_ in rows.column("pending_hash").to_pylist()], np.float32)
    values = seeds[:, None] + np.arange(WIDTH, dtype=np.float32)
    return vectors_table("features/toy", rows, FeatureBatch(values=values, errors=(None,) * rows.num_rows))


def stages(catalogue: Catalogue, store: Store) -> list[Stage]:
    """The catalogue's stages and the stand-in."""
    toy = Stage(
        name="toy",
        version="1",
        reads=("items",),
        writes="features/toy",
        inputs="select item_id, value_hash as input_hash from items",
        load="select item_id from items",
        compute=toy_vectors,
        chunk_keys=20_000,
    )
    return [*all_stages(catalogue, store), toy]


def build(path: str) -> dict[str, Any]:
    """One build in the plain loop; rows computed and peak memory."""
    catalogue = load_catalogue(path)
    store = Store(catalogue.store_url)
    store.create(stage.writes for stage in stages(catalogue, store))
    last = last_runs(store)
    done = {}
    for stage in stages(catalogue, store):
        done[stage.name] = run_stage(store, stage, build_id=str(time.time_ns()), last=last.get(stage.name)).done
    release = publish_release(catalogue, store, partial=False)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"done": done, "release": release.release_id, "peak_mb": round(peak)}


def in_a_process(step: str, path: Path) -> dict[str, Any]:
    """Run `build` or `plan` in a fresh interpreter; its answer and its wall time."""
    began = time.perf_counter()
    ran = subprocess.run(
        [sys.executable, "-m", "benchmarks.incremental", "--step", step, str(path)], capture_output=True, text=True
    )
    if ran.returncode:
        raise RuntimeError(ran.stderr[-2000:])
    return json.loads(ran.stdout) | {"seconds": round(time.perf_counter() - began, 2)}


def plan(path: str) -> dict[str, Any]:
    """One plan; how much it would do."""
    catalogue = load_catalogue(path)
    rows = make_plan(catalogue, Store(catalogue.store_url))
    return {"up_to_date": all(row["up_to_date"] for row in rows)}


def measure(keys: int, folder: Path) -> dict[str, Any]:
    """All steps at one size."""
    data = folder / f"data{keys}"
    movielens_folder(data, films=keys)
    path = folder / f"keys{keys}.yaml"
    path.write_text(f"catalogue: keys{keys}\nsources:\n  movielens: {{connector: movielens, path: {data}}}\n", "utf-8")
    first = in_a_process("build", path)
    planned, same = in_a_process("plan", path), in_a_process("build", path)
    change_one_percent(data / "movies.csv")
    changed = in_a_process("build", path)
    return {
        "keys": keys,
        "first_s": first["seconds"],
        "plan_no_change_s": planned["seconds"],
        "build_no_change_s": same["seconds"],
        "build_1_percent_s": changed["seconds"],
        "rows_first": first["done"],
        "rows_no_change": sum(same["done"].values()),
        "rows_1_percent": changed["done"],
        "ratio_no_change": round(first["seconds"] / same["seconds"], 1),
        "ratio_1_percent": round(first["seconds"] / changed["seconds"], 1),
        "peak_mb": first["peak_mb"],
    }


def change_one_percent(movies: Path) -> None:
    """Give every hundredth film another title."""
    lines = movies.read_bytes().split(b"\n")
    for at in range(1, len(lines) - 1, 100):
        number, _, rest = lines[at].partition(b",")
        lines[at] = number + b"," + (b'"New ' + rest[1:] if rest.startswith(b'"') else b"New " + rest)
    movies.write_bytes(b"\n".join(lines))


def main() -> None:
    """Print a row per size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keys", type=int, nargs="+", default=[1_000, 10_000, 100_000, 1_000_000])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--step", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.step:
        print(json.dumps({"build": build, "plan": plan}[args.step[0]](args.step[1])))
        return
    with tempfile.TemporaryDirectory() as folder:
        os.environ["MEDIATECA_HOME"] = str(Path(folder) / "home")
        rows = [measure(keys, Path(folder)) for keys in args.keys]
    if args.json:
        print(json.dumps(rows))
        return
    names = [n for n in rows[0] if not n.startswith("rows_")]
    print("  ".join(f"{name:>17}" for name in names))
    for row in rows:
        print("  ".join(f"{row[name]:>17,}" for name in names))
        print(f"{'':>17}  rows of the 1 % build: {row['rows_1_percent']}")


if __name__ == "__main__":
    main()
