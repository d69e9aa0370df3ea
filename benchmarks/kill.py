"""Kill a build at random moments, finish it, and compare every table with an uninterrupted build's.

    python -m benchmarks.kill [--kills 20] [--json]

The process group is killed with SIGKILL, so also the worker processes and also inside commits and rewrites. Nothing may
be lost or doubled, and no server may be left behind.
"""

import argparse
import hashlib
import json
import math
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from storage.media import media_name
from storage.schemas import LOGS, table_of
from storage.store import Store, rows_of
from tasks.maintain import vacuum

# When a row was written, how long it took, and by which load, differs from run to run; all else must not.
_TIMES = {"computed_at", "load_id", "retry_at", "fetched_at", "seconds"}
# Digests of the vectors in an index, whose last bits may differ, and of `seconds`; of versions, which count commits; of
# a page that says when it was drawn.
_DIGESTS = {
    "indexes": {"input_hash", "value_hash", "index_sha256"},
    "validations": {"input_hash", "value_hash"},
    "reports": {"input_hash", "value_hash", "sha256", "size_bytes"},
}
TOLERANCE = 1e-5


def build_command(catalogue: str) -> list[str]:
    """The command that builds, as a person would run it."""
    return [sys.executable, "-m", "deployments.cli", "build", catalogue]


def snapshot(store: Store) -> dict[str, list[dict[str, Any]]]:
    """Every table's rows in the order of their keys, without times."""
    con, found = store.database(), {}
    for name in store.tables():
        if name not in LOGS:
            table = table_of(name)
            kept = [c for c in table.names if c not in _TIMES | _DIGESTS.get(name, set())]
            sql = f"select {', '.join(kept)} from {table.view} order by {', '.join(table.key)}"
            found[name] = con.sql(sql).to_arrow_table().to_pylist()
    return found


def differences(want: dict[str, list[dict[str, Any]]], got: dict[str, list[dict[str, Any]]]) -> list[str]:
    """What differs, in words; empty when nothing does."""
    found = [f"{name}: table missing" for name in want.keys() - got.keys()]
    for name in want.keys() & got.keys():
        if len(want[name]) != len(got[name]):
            found.append(f"{name}: {len(want[name])} rows wanted, {len(got[name])} found")
            continue
        odd = [(a, b) for a, b in zip(want[name], got[name], strict=True) if not _same(a, b)]
        if odd:
            a, b = odd[0]
            cells = {column: (a[column], b[column]) for column in a if not _same(a[column], b[column])}
            found.append(f"{name}: {len(odd)} rows differ, first {a[table_of(name).key[0]]}: {cells}"[:500])
    return found


def media_faults(store: Store) -> list[str]:
    """Media files that are not what their name says, missing, or left over after house-keeping."""
    vacuum(store)
    rows = rows_of(store.database(only=("media",)).sql("select sha256, format from media where sha256 is not null"))
    named = {media_name(row["sha256"], row["format"]): row["sha256"] for row in rows}
    there = store.objects.names("media")
    whole = {n for n in named.keys() & there.keys() if hashlib.sha256(store.objects.read(n)).hexdigest() == named[n]}
    faults = {"missing": named.keys() - there.keys(), "left over": there.keys() - named.keys()}
    faults["half-written"] = named.keys() & there.keys() - whole
    return [f"media: {len(names)} files {what}, first {min(names)}" for what, names in faults.items() if names]


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, dict):
        # Vectors may differ in the last bits with the batch they were computed in, and so may their digest.
        skip = {"value_hash"} if isinstance(a.get("value"), list) else set()
        return a.keys() == b.keys() and all(_same(a[k], b[k]) for k in a.keys() - skip)
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(map(_same, a, b))
    if isinstance(a, str) and isinstance(b, str) and a != b and a.startswith("{") and b.startswith("{"):
        return _same(json.loads(a), json.loads(b))  # what a check observed
    if isinstance(a, float) and isinstance(b, float):
        return math.isclose(a, b, abs_tol=TOLERANCE, rel_tol=TOLERANCE)
    return a == b


def start(catalogue: Path, home: Path) -> "subprocess.Popen[bytes]":
    """A build in a process group of its own."""
    # Small as it is, the work goes to worker processes: they are killed, too.
    env = os.environ | {"MEDIATECA_HOME": str(home), "MEDIATECA_WORKERS": "2"}
    return subprocess.Popen(
        build_command(str(catalogue)),
        env=env,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def finish(process: "subprocess.Popen[bytes]") -> None:
    """Wait for a build that must succeed."""
    _, err = process.communicate()
    if process.returncode:
        raise RuntimeError(f"the build failed: {err.decode(errors='replace')[-2000:]}")


def commits(store: Path) -> int:
    """Commits made to all tables so far."""
    return sum(1 for _ in store.glob("tables/**/_delta_log/*.json"))


def kill_at_work(process: "subprocess.Popen[bytes]", store: Path, wait_s: float) -> bool:
    """Kill the group `wait_s` after its first commit; False if the build ended before."""
    before = commits(store)
    while commits(store) == before:
        if process.poll() is not None:
            return False
        time.sleep(0.01)
    try:
        process.wait(wait_s)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return True
    return False


def servers(home: Path) -> list[int]:
    """Pids of local servers that belong to this MEDIATECA_HOME."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                line = (folder / "cmdline").read_bytes().decode(errors="replace")
            except OSError:
                continue
            if "local_server" in line and str(home) in line:
                found.append(int(folder.name))
    return found


def kill_test(folder: Path, catalogue: Path, *, kills: int, seed: int = 0) -> dict[str, Any]:
    """Build `catalogue` once undisturbed, then again and again with kills, each time to the end.

    Args:
        folder: Working folder; a home per build is made in it.
        catalogue: A YAML file that names no store of its own.
        kills: How many runs are killed in all.
        seed: Of the random moments.

    Returns:
        Commits and seconds of the undisturbed build, the commits that were made at each kill, what differs, and servers
        left behind.
    """
    random_ = random.Random(seed)
    calm = folder / "calm"
    began = time.perf_counter()
    finish(start(catalogue, calm))
    seconds = time.perf_counter() - began
    want = snapshot(Store(str(calm / catalogue.stem)))
    hits: list[int] = []
    found: list[str] = []
    rounds = 0
    while len(hits) < kills:
        home = folder / f"rough{rounds}"
        store = home / catalogue.stem
        rounds += 1
        # About ten kills before a store is finished, so that they fall into every stage.
        while len(hits) < kills and kill_at_work(start(catalogue, home), store, random_.uniform(0, seconds / 8)):
            hits.append(commits(store))
        finish(start(catalogue, home))
        found += differences(want, snapshot(Store(str(store)))) + media_faults(Store(str(store)))
    time.sleep(1)
    return {
        "kills": kills,
        "rounds": rounds,
        "seconds_undisturbed": round(seconds, 1),
        "commits_undisturbed": commits(calm / catalogue.stem),
        "commits_when_killed": hits,
        "rows": {table: len(rows) for table, rows in want.items()},
        "differences": found,
        "servers_left": servers(folder),
    }


def main() -> None:
    """Kill a build of a generated world of films and tracks."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        catalogue = write_catalogue(Path(folder))
        found = kill_test(Path(folder), catalogue, kills=args.kills, seed=args.seed)
    if args.json:
        print(json.dumps(found))
    else:
        print(
            f"{found['kills']} kills in {found['rounds']} stores; "
            f"{sum(found['rows'].values()):,} rows in {len(found['rows'])} tables"
        )
        print(f"killed with {found['commits_when_killed']} commits made, of {found['commits_undisturbed']} undisturbed")
        print("differences:", found["differences"] or "none", "| servers left:", found["servers_left"] or "none")
    sys.exit(1 if found["differences"] or found["servers_left"] else 0)


def write_catalogue(folder: Path, *, films: int = 120, tracks: int = 150, chunk_keys: int = 12) -> Path:
    """A catalogue over a generated world with so small chunks that commits and rewrites are many."""
    from deployments.sandbox.world import generate
    from tasks.settings import SHIPPED

    world = folder / "world"
    generate(world, films=films, tracks=tracks)
    shipped = (SHIPPED / "demo-files.yaml").read_text(encoding="utf-8")
    text = shipped.replace("${MEDIATECA_HOME}/worlds/demo-files", str(world))
    head, _, rest = text.partition("world:\n")
    text = head + rest.partition("\n")[2]  # without `world:` and its path: the files are there
    path = folder / "killed.yaml"
    text = text.replace("catalogue: demo-files", f"catalogue: killed\nchunk_keys: {chunk_keys}")
    path.write_text(text, encoding="utf-8")
    return path


if __name__ == "__main__":
    main()
