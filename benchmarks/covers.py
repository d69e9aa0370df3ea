"""Covers per second: our fetch stage (fetch, verify, store) beside img2dataset with the same URLs, in turns.

    python -m benchmarks.covers [--covers 2000] [--rounds 5] [--peer-python /path/to/python] [--json]

The URLs are covers of a sandbox on loopback, drawn before the clock starts. Ours is the stage `images` as a build runs
it: the quota's ledger, retries and reasons on, each picture decoded in full, stored under its hash, a row each. Peer:
img2dataset in a venv of its own (made in the temporary folder unless `--peer-python` names one), with `resize_mode=no`,
`skip_reencode`, no EXIF, in several settings of processes and threads, of which the best counts. A rate is pictures by
the seconds between the sandbox's first and last answer (`stream`), or by those of the whole command (`whole`).
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from datetime import datetime
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pyarrow as pa
import requests

from deployments.sandbox.spotify_json import IMAGE_SIZES, images
from deployments.sandbox.stand_in import LOG, running
from deployments.sandbox.tables import AlbumRow, read_table
from deployments.sandbox.world import generate
from storage.clock import SANDBOX
from storage.hashing import digest, entity_id
from storage.schemas import table_of
from storage.store import Store
from tasks.media import media_stages
from tasks.run_stage import run_stage
from tasks.settings import Catalogue

PEERS = ((1, 16), (2, 16), (2, 64))  # processes, threads
WORKERS = 2


def catalogue(store: Path) -> Catalogue:
    """A catalogue whose pictures come from Spotify alone."""
    said = {"catalogue": "covers", "store": str(store), "sources": {"spotify": {"connector": "spotify"}}}
    return Catalogue.model_validate(said)


def fill(folder: Path, urls: Sequence[str]) -> Store:
    """A store that knows an item per URL, linked to a track whose album has that cover."""
    store = Store(str(folder))
    store.create()
    said = [json.dumps({"album": {"images": [{"url": url, "width": 300}]}}).encode() for url in urls]
    ids = [f"{n:022d}" for n in range(len(urls))]
    now = datetime.now().astimezone()
    same = {"source": "spotify", "entity": "track", "status": 200, "fetched_at": now}
    rows = [same | {"request_key": i, "body": b, "value_hash": digest(b)} for i, b in zip(ids, said, strict=True)]
    store.append("raw", pa.Table.from_pylist(rows, table_of("raw").schema))
    hashes = {"input_hash": 0, "value_hash": 0, "version": "1", "attempt": 1, "computed_at": now}
    link = {"source": "spotify", "state": "accepted", "probability": 1.0, "method": "own"} | hashes
    links = [link | {"item_id": entity_id("spotify", i), "source_id": i} for i in ids]
    store.append("links", pa.Table.from_pylist(links, table_of("links").schema))
    return store


def ours(place: Path) -> dict[str, Any]:
    """The stage as `tasks.run` runs it, in worker processes; how many pictures came."""
    chosen, store = catalogue(place), Store(str(place))
    (stage,) = media_stages(chosen)
    with ProcessPoolExecutor(WORKERS, mp_context=get_context("spawn")) as pool:
        result = run_stage(store, stage, build_id="b", submit=lambda stage, work, seconds: pool.submit(work))
    return {"pictures": result.done, "failed": dict(result.reasons)}


def peer(python: str, urls: Path, out: Path, processes: int, threads: int, count: int) -> dict[str, Any]:
    """img2dataset over the same URLs; how many pictures came."""
    flags = {
        "url_list": urls,
        "output_folder": out,
        "output_format": "files",
        "processes_count": processes,
        "thread_count": threads,
        "resize_mode": "no",
        "skip_reencode": True,
        "extract_exif": False,
        "number_sample_per_shard": -(-count // processes),
        "enable_wandb": False,
    }
    command = [python, "-m", "img2dataset.main", *(f"--{name}={value}" for name, value in flags.items())]
    script = "from img2dataset.main import main; main()"
    ran = subprocess.run([python, "-c", script, *command[3:]], capture_output=True, text=True, check=False)
    if ran.returncode:
        raise RuntimeError(f"img2dataset ended with {ran.returncode}: {ran.stderr[-1000:]}")
    stats = [json.loads(path.read_text()) for path in out.glob("*_stats.json")]
    return {"pictures": sum(one["successes"] for one in stats)}


def one_round(folder: Path, urls: Sequence[str], python: str, log: Path, turn: int) -> dict[str, dict[str, Any]]:
    """Each side once, beginning with another one at every turn; name -> pictures, rates."""
    listed = folder / "urls.txt"
    listed.write_text("\n".join(urls))
    fill(folder / f"ours{turn}", urls)
    command = [sys.executable, "-m", "benchmarks.covers", "--step", str(folder / f"ours{turn}")]

    def run_ours() -> dict[str, Any]:
        return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    sides: list[tuple[str, Any]] = [("ours", run_ours)]
    for processes, threads in PEERS:
        name = f"img2dataset {processes}x{threads}"
        out = folder / f"{name.replace(' ', '-')}-{turn}"
        sides.append((name, lambda o=out, p=processes, t=threads: peer(python, listed, o, p, t, len(urls))))
    took: dict[str, dict[str, Any]] = {}
    for name, run in sides[turn % len(sides) :] + sides[: turn % len(sides)]:
        lines, began = len(log.read_text().splitlines()), time.perf_counter()
        came = run()
        whole = time.perf_counter() - began
        at = [_second(line) for line in log.read_text().splitlines()[lines:] if '"media"' in line]
        if came["pictures"] != len(urls):
            raise RuntimeError(f"{name}: {came}, expected {len(urls)} pictures")
        took[name] = {"stream": len(urls) / (max(at) - min(at)), "whole": len(urls) / whole}
    return took


def _second(line: str) -> float:
    return datetime.fromisoformat(json.loads(line)["at"]).timestamp()


def measure(folder: Path, covers: int, rounds: int, python: str) -> dict[str, Any]:
    """Rates of every side, and ours against the best peer of each round."""
    world = folder / "world"
    generate(world, tracks=covers, films=20, listeners=1, viewers=1, playlists=1, clips=0, posters=0)
    log = folder / "log.jsonl"
    os.environ |= {LOG: str(log), "MEDIATECA_HOME": str(folder / "home")}
    with running(world) as settings:
        os.environ[SANDBOX] = json.dumps(settings)
        root = settings["spotify"]["endpoint"].removesuffix("/spotify/v1/")
        pictures = sorted({row.picture for row in read_table(world, "albums", AlbumRow)})[:covers]
        urls = [images(picture, root, IMAGE_SIZES)[1]["url"] for picture in pictures]
        with ThreadPoolExecutor(4) as pool:
            sizes = list(pool.map(lambda url: len(requests.get(url, timeout=60).content), urls))
        took = [one_round(folder, urls, python, log, turn) for turn in range(rounds)]
    found: dict[str, Any] = {"pictures": len(urls), "mean_bytes": round(statistics.mean(sizes)), "rounds": rounds}
    for kind in ("stream", "whole"):
        found[kind] = {name: spread([one[name][kind] for one in took]) for name in took[0]}
        best = [max(rate[kind] for name, rate in one.items() if name != "ours") for one in took]
        found[kind]["ratio"] = spread([one["ours"][kind] / rate for one, rate in zip(took, best, strict=True)])
    return found


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, smallest and largest."""
    return {"median": round(statistics.median(values), 2), "min": round(min(values), 2), "max": round(max(values), 2)}


def peer_python(folder: Path) -> str:
    """A new venv with img2dataset in it."""
    subprocess.run([sys.executable, "-m", "venv", str(folder / "peer")], check=True)
    python = str(folder / "peer" / "bin" / "python")
    subprocess.run([python, "-m", "pip", "install", "-q", "img2dataset"], check=True)
    return python


def main() -> None:
    """Print rates and ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--covers", type=int, default=2_000, help="at most; as many as the world's albums have")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peer-python", help="a Python that has img2dataset; default: a new venv")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--step", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.step:
        print(json.dumps(ours(args.step)))
        return
    with tempfile.TemporaryDirectory() as place:
        python = args.peer_python or peer_python(Path(place))
        found = measure(Path(place), args.covers, args.rounds, python)
    if args.json:
        print(json.dumps(found))
        return
    print(f"{found['pictures']} covers of {found['mean_bytes']:,} bytes, {found['rounds']} rounds in turns")
    for kind in ("stream", "whole"):
        for name, rate in found[kind].items():
            unit = "times the best peer" if name == "ratio" else "pictures/s"
            print(f"{kind:7} {name:18} {rate['median']:8.2f} {unit} (from {rate['min']} to {rate['max']})")


if __name__ == "__main__":
    main()
