"""What orchestration adds: `build-features` under Prefect against the same stage functions in a plain loop.

    python -m benchmarks.overhead [--catalogue films] [--pairs 3] [--json]

Both build the catalogue from nothing, in processes of their own, in turns. The server runs before the clock starts, and
what the flow takes is measured inside its process, imports excluded on both sides.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any


def plain(catalogue: str) -> float:
    """Seconds of the plain loop: every chunk in this process, one after the other."""
    from storage.store import Store
    from tasks.plan import STEPS, stages_of
    from tasks.release import publish_release
    from tasks.run_stage import run_stage
    from tasks.settings import load_catalogue

    began = time.perf_counter()
    chosen = load_catalogue(catalogue)
    store = Store(chosen.store_url)
    store.create(stage.writes for step in STEPS for stage in stages_of(step, chosen, store))
    for step in STEPS:
        for stage in stages_of(step, chosen, store):
            run_stage(store, stage, build_id="plain")
    publish_release(chosen, store, partial=False)
    return time.perf_counter() - began


def orchestrated(catalogue: str) -> float:
    """Seconds of the flow under Prefect, on the server of PREFECT_API_URL."""
    from flows.build_features import build_features

    began = time.perf_counter()
    build_features(catalogue, quiet=True)
    return time.perf_counter() - began


def timed(which: str, catalogue: str, home: Path) -> float:
    """Run one of the two in a fresh process and a fresh store."""
    ran = subprocess.run(
        [sys.executable, "-m", "benchmarks.overhead", "--catalogue", catalogue, "--one", which],
        env=os.environ | {"MEDIATECA_HOME": str(home)},
        capture_output=True,
        text=True,
    )
    if ran.returncode:
        raise RuntimeError(ran.stderr[-2000:])
    return float(ran.stdout.strip().splitlines()[-1])


def measure(catalogue: str, pairs: int) -> dict[str, Any]:
    """Seconds of each, pair by pair, and the ratios."""
    from deployments.local_server import prefect_server

    found: dict[str, list[float]] = {"plain": [], "orchestrated": []}
    with tempfile.TemporaryDirectory() as folder, prefect_server(Path(folder)):
        for pair in range(pairs):
            order = ("plain", "orchestrated") if pair % 2 == 0 else ("orchestrated", "plain")
            for which in order:
                found[which].append(timed(which, catalogue, Path(folder) / f"{which}{pair}"))
    ratios = [b / a for a, b in zip(found["plain"], found["orchestrated"], strict=True)]
    return {
        "catalogue": catalogue,
        "plain_s": [round(s, 1) for s in found["plain"]],
        "orchestrated_s": [round(s, 1) for s in found["orchestrated"]],
        "ratio_median": round(statistics.median(ratios), 3),
        "ratio_min": round(min(ratios), 3),
        "ratio_max": round(max(ratios), 3),
    }


def main() -> None:
    """Print the ratio and its spread."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--catalogue", default="films")
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--one", choices=("plain", "orchestrated"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print({"plain": plain, "orchestrated": orchestrated}[args.one](args.catalogue))
        return
    found = measure(args.catalogue, args.pairs)
    if args.json:
        print(json.dumps(found))
    else:
        print(f"{found['catalogue']}: plain loop {found['plain_s']} s, under Prefect {found['orchestrated_s']} s")
        print(f"ratio {found['ratio_median']} (from {found['ratio_min']} to {found['ratio_max']})")


if __name__ == "__main__":
    main()
