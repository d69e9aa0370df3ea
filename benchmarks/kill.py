"""Kill a build at random moments, finish it, and compare every table with an uninterrupted build's.

    python -m benchmarks.kill [--catalogue files|sandbox] [--kills 20] [--json]

In turns the process group is killed with SIGKILL, so also the worker processes and also inside commits and rewrites,
and the driver alone, whose workers and sandbox must notice; with `sandbox` also inside downloads. Nothing may be lost
or doubled, no media file be half-written, and no server, sandbox or worker be left behind.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.same import differences, media_faults, snapshot
from benchmarks.sandbox_catalogue import write_catalogue as live_catalogue
from storage.store import Store


def build_command(catalogue: str) -> list[str]:
    """The command that builds, as a person would run it."""
    return [sys.executable, "-m", "deployments.cli", "build", catalogue]


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


def kill_at_work(process: "subprocess.Popen[bytes]", store: Path, wait_s: float, *, alone: bool = False) -> bool:
    """Kill the group, or the driver alone, `wait_s` after its first commit; False if the build ended before."""
    before = commits(store)
    while commits(store) == before:
        if process.poll() is not None:
            return False
        time.sleep(0.01)
    try:
        process.wait(wait_s)
    except subprocess.TimeoutExpired:
        process.kill() if alone else os.killpg(process.pid, signal.SIGKILL)
        process.communicate()  # to its end: workers that outlive the driver hold the pipe until they see it
        return True
    return False


def servers(home: Path) -> list[int]:
    """Pids of local servers that belong to this MEDIATECA_HOME."""
    return [pid for pid, line, _ in _processes() if "local_server" in line and str(home) in line]


def left_behind(folder: Path, patience_s: float = 10.0) -> list[str]:
    """What still runs for a MEDIATECA_HOME beneath the folder, servers, sandboxes and workers, after a while."""
    deadline = time.monotonic() + patience_s  # workers look once a second whether their parent lives
    while True:
        mine = f"MEDIATECA_HOME={folder}/"
        found = [f"{pid}: {line[:120]}" for pid, line, said in _processes() if mine in said]
        if not found or time.monotonic() > deadline:
            return found
        time.sleep(0.2)


def _processes() -> Iterator[tuple[int, str, str]]:
    """Pid, command line and environment of each process that we may look at."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                line, said = ((folder / name).read_bytes().decode(errors="replace") for name in ("cmdline", "environ"))
            except OSError:
                continue
            yield int(folder.name), line.replace("\0", " "), said


def kill_test(folder: Path, catalogue: Path, *, kills: int, seed: int = 0) -> dict[str, Any]:
    """Build `catalogue` once undisturbed, then again and again with kills, each time to the end.

    Args:
        folder: Working folder; a home per build is made in it.
        catalogue: A YAML file that names no store of its own.
        kills: How many runs are killed in all.
        seed: Of the random moments.

    Returns:
        Commits and seconds of the undisturbed build, the commits that were made at each kill, what differs, and the
        processes left behind.
    """
    random_ = random.Random(seed)
    calm = folder / "calm"
    began = time.perf_counter()
    finish(start(catalogue, calm))
    seconds = time.perf_counter() - began
    # A killed build computes anew what was on its way; how often is no part of what it ends in.
    want = snapshot(Store(str(calm / catalogue.stem)), without=("attempt",))
    hits: list[int] = []
    found: list[str] = []
    rounds = 0
    while len(hits) < kills:
        home = folder / f"rough{rounds}"
        store = home / catalogue.stem
        rounds += 1
        # About ten kills before a store is finished, so that they fall into every stage.
        while len(hits) < kills and kill_at_work(
            start(catalogue, home), store, random_.uniform(0, seconds / 8), alone=len(hits) % 2 == 1
        ):
            hits.append(commits(store))
        finish(start(catalogue, home))
        found += differences(want, snapshot(Store(str(store)), without=("attempt",))) + media_faults(Store(str(store)))
    return {
        "kills": kills,
        "rounds": rounds,
        "seconds_undisturbed": round(seconds, 1),
        "commits_undisturbed": commits(calm / catalogue.stem),
        "commits_when_killed": hits,
        "rows": {table: len(rows) for table, rows in want.items()},
        "differences": found,
        "processes_left": left_behind(folder),
    }


def main() -> None:
    """Kill builds of a generated world of films and tracks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--catalogue", choices=("files", "sandbox"), default="files", help="what is read")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        catalogue = (write_catalogue if args.catalogue == "files" else write_live)(Path(folder))
        found = kill_test(Path(folder), catalogue, kills=args.kills, seed=args.seed)
    if args.json:
        print(json.dumps(found))
    else:
        print(
            f"{found['kills']} kills in {found['rounds']} stores; "
            f"{sum(found['rows'].values()):,} rows in {len(found['rows'])} tables"
        )
        print(f"killed with {found['commits_when_killed']} commits made, of {found['commits_undisturbed']} undisturbed")
        print("differences:", found["differences"] or "none", "| processes left:", found["processes_left"] or "none")
    sys.exit(1 if found["differences"] or found["processes_left"] else 0)


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


def write_live(folder: Path) -> Path:
    """The same over a small world that a sandbox serves; each build starts a sandbox of its own."""
    return live_catalogue(
        folder, name="killed", films=24, tracks=40, listeners=8, chunk_keys=8, audio={"length_s": 10.0}
    )


if __name__ == "__main__":
    main()
