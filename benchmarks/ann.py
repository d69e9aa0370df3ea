"""The index of a bundle against faiss alone, against theory and against autofaiss; and what dimensions and codes cost.

    python -m benchmarks.ann [--vectors 200000] [--dimensions 128 384] [--encode-s 300] [--autofaiss PYTHON] [--json]
    python -m benchmarks.ann study [--vectors 10000] [--out FOLDER]

Vectors are real ones of MiniLM (overviews and titles of $MEDIATECA_REAL_DATA, as many as are encoded in --encode-s,
kept in $MEDIATECA_HOME) and, to fill, a mixture around them of intrinsic dimension 16; 128 numbers by PCA. Gaussian
ones are reported and not gated. One half of 4,000 queries, none of them indexed, tunes; the other is reported. Rates
are of one question at a time on one thread, in turns of both sides. PYTHON is the interpreter of an environment with
autofaiss, which needs numpy 1 and pyarrow 17. The study is that of `benchmarks.ann_study`.
"""

import argparse
import json
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pyarrow as pa

from benchmarks.ann_study import study
from benchmarks.ann_vectors import F32, QUERIES, corpus, unit
from storage import ann
from storage.ann import Exact, Wanted
from storage.bundles import publish
from storage.objects import Objects
from storage.opened_bundle import IDS, INDEX, POPULARITY, TITLES, VECTORS, OpenedBundle, Searcher
from storage.vector_index import VectorIndex
from tasks.publish_measure import Asked
from tasks.publish_parts import fitted, ids_of
from training.data import Queries

NEAREST = 10
WANTED = {"recall_at_10": 0.95, "rate_over_faiss": 0.9, "bytes_off_theory": 0.1, "failed_in_switches": 0}


# --- the index of a bundle


def asked(vectors: F32) -> Asked:
    """Queries without histories."""
    nothing = [np.empty(0, np.int64)] * len(vectors)
    return Asked(queries=Queries.of([[]] * len(vectors)), vectors=vectors, seen=nothing)


def written(folder: Path, index: Any, array: F32, said: dict[str, Any]) -> dict[str, Any]:
    """A bundle's files without a model; its manifest."""
    faiss.write_index(index, str(folder / INDEX))
    if not said["exact"]:
        np.save(folder / VECTORS, array)
    np.save(folder / IDS, ids_of(tuple(f"{at:016x}" for at in range(len(array)))))
    titles = pa.table({"title": pa.nulls(len(array), pa.string())})
    with pa.ipc.new_file(str(folder / TITLES), titles.schema) as file:
        file.write_table(titles)
    (folder / POPULARITY).write_text('{"overall": [], "countries": {}}')
    return {"bundle": "b0", "model": "none", "created_at": "", "tower": None, "index": said}


def measure(array: F32, wanted: Wanted, peer: str | None) -> dict[str, Any]:
    """Build as publishing does, then compare."""
    rows, tune, report = np.split(array, [len(array) - 2 * QUERIES, len(array) - QUERIES])
    rows = np.ascontiguousarray(rows)
    began = time.perf_counter()
    index, said = fitted(rows, asked(tune), wanted)
    found: dict[str, Any] = {**said, "build_s": round(time.perf_counter() - began, 1)}
    exact = Exact(rows, report, NEAREST, asked(report).seen)
    with tempfile.TemporaryDirectory() as name:
        manifest = written(Path(name), index, rows, said)
        size = (Path(name) / INDEX).stat().st_size
        searcher = Searcher(index, None if said["exact"] else rows)
        found["recall_at_10"] = exact.recall(searcher.search(report, NEAREST)[1])
        found |= {"bytes": size, "bytes_off_theory": round(abs(size / said["theory_bytes"] - 1), 4)}
        found |= rates(OpenedBundle(Path(name), manifest), index, report)
        found["failed_in_switches"], found["asked_in_switches"] = switches(Path(name), manifest, report)
    if peer:
        found["autofaiss"] = autofaiss(peer, index, rows, size, exact, report)
    return found


def rates(bundle: OpenedBundle, index: Any, queries: F32, turns: int = 8) -> dict[str, float]:
    """Questions per second through the bundle and of faiss alone, turn by turn, and the median of the ratios."""
    faiss.omp_set_num_threads(1)
    sides: dict[str, Callable[[F32], Any]] = {
        "bundle": lambda query: bundle.search(query, NEAREST),
        "faiss": lambda query: index.search(query, NEAREST),
    }
    took: dict[str, list[float]] = {side: [] for side in sides}
    for turn in range(turns + 1):
        for side in sorted(sides, reverse=bool(turn % 2)):
            began = time.process_time()  # of the processor: others use this machine, too
            for at in range(0, QUERIES, 4):
                sides[side](queries[at : at + 1])
            if turn:  # the first one warms up
                took[side].append(time.process_time() - began)
    ratio = statistics.median(f / b for f, b in zip(took["faiss"], took["bundle"], strict=True))
    per_s = {f"{side}_per_s": round(QUERIES / 4 / statistics.median(values)) for side, values in took.items()}
    return {**per_s, "rate_over_faiss": round(ratio, 4)}


class Folder:
    """A store without tables."""

    def __init__(self, url: str) -> None:
        self.url, self.objects = url, Objects(url)


def switches(folder: Path, manifest: dict[str, Any], queries: F32, times: int = 5) -> tuple[int, int]:
    """Questions that failed, and how many were asked, by two threads while bundles are published."""
    failed, done, stop = list[BaseException](), [0, 0], threading.Event()
    with tempfile.TemporaryDirectory() as url:
        home = Folder(url)
        publish(home, "items", "b0", folder, manifest, keep=2)
        reader = VectorIndex(url, check_every_s=0.0)

        def ask(who: int) -> None:
            while not stop.is_set():
                try:
                    reader.search(queries[done[who] % QUERIES][None], NEAREST)
                except (ValueError, RuntimeError, OSError, LookupError) as exc:
                    failed.append(exc)
                done[who] += 1

        threads = [threading.Thread(target=ask, args=(who,)) for who in range(2)]
        for thread in threads:
            thread.start()
        for turn in range(1, times + 1):
            publish(home, "items", f"b{turn}", folder, manifest | {"bundle": f"b{turn}"}, keep=1)
            time.sleep(0.2)
        stop.set()
        for thread in threads:
            thread.join()
        reader.refresh()
    return len(failed), sum(done)


PEER = """
import sys, numpy as np
from autofaiss import build_index
folder, size = sys.argv[1:]
build_index(np.load(folder + "/rows.npy"), index_path=folder + "/peer.index", index_infos_path=folder + "/i.json",
            max_index_memory_usage=size, current_memory_available="8G", metric_type="ip", nb_cores=1)
"""


def autofaiss(python: str, own: Any, rows: F32, size: int, exact: Exact, queries: F32) -> dict[str, Any]:
    """Recall of its index, of at most as many bytes, and of our own at its width."""
    with tempfile.TemporaryDirectory() as name:
        np.save(f"{name}/rows.npy", rows)
        command = [python, "-c", PEER, name, f"{size}B"]
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
        if ran.returncode:
            return {"failed": ran.stderr.strip().splitlines()[-1]}
        index: Any = faiss.read_index(f"{name}/peer.index")
        found = {"recall_at_10": exact.recall(index.search(queries, NEAREST)[1]), **ann.width_of(index)}
        if (hnsw := ann.graph(index)) is not None and ann.graph(own) is not None:
            # It searches as wide as its limit of 10 ms allows: ours is compared at the same width.
            ann.set_width(own, hnsw.efSearch)
            found["ours_as_wide"] = exact.recall(own.search(queries, NEAREST)[1])
        return found | {"bytes": Path(name, "peer.index").stat().st_size}


def main() -> None:
    """Print what was measured beside what is wanted; or the study's table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", choices=["gates", "study"], default="gates")
    parser.add_argument("--vectors", type=int)
    parser.add_argument("--dimensions", type=int, nargs="+", default=[128, 384])
    parser.add_argument("--encode-s", type=float, default=300.0)
    parser.add_argument("--autofaiss", metavar="PYTHON")
    parser.add_argument("--out", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    if args.what == "study":
        rows = study(args.vectors or 10_000, args.out)
    else:
        rows = gates(args.vectors or 200_000, args.dimensions, args.encode_s, args.autofaiss)
    if args.json:
        print(json.dumps(rows))
    elif args.what == "study":
        print("\n".join(["| " + " | ".join(rows[0]) + " |", "|" + "---|" * len(rows[0])]))
        print("\n".join("| " + " | ".join(str(value) for value in row.values()) + " |" for row in rows))
        print(f"picture: {args.out / 'dimensions.svg'}")
    else:
        print(f"wanted: {WANTED}", *(json.dumps(row) for row in rows), sep="\n")


def gates(n: int, dimensions: list[int], seconds: float, peer: str | None) -> list[dict[str, Any]]:
    """Real and filled, and Gaussian, at each dimension."""
    rows: list[dict[str, Any]] = []
    for d in dimensions:
        wanted = Wanted(least_recall=0.955, flat_up_to=0)  # so that the other half reaches 0.95, too
        array, count = corpus(n, d, seconds)
        rows.append({"vectors": n, "d": d, "real": count, "gated": True, **measure(array, wanted, peer)})
        noise = unit(np.random.default_rng(5).standard_normal((n + 2 * QUERIES, d), np.float32))
        rows.append({"vectors": n, "d": d, "real": 0, "gated": False, **measure(noise, wanted, None)})
    return rows


if __name__ == "__main__":
    main()
