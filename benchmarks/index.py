"""Exact search against HNSW over the same vectors, as the index stage builds both: what `index.flat_up_to` decides.

    python -m benchmarks.index [--vectors 10000 100000] [--dimension 384] [--rounds 5] [--json]

Clustered, invented vectors of length 1, metric cosine. Seconds to build are without the measuring of recall. Queries
are asked one at a time on one thread, as `mediateca neighbors` asks, in turns of both; ratios are flat : hnsw.
"""

import argparse
import json
import statistics
import time
from typing import Any

import faiss
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from storage import ann
from tasks.index import Recall, Vectors, filled
from tasks.settings_stages import IndexSettings

QUERIES = 200  # per turn
PER_CLUSTER, SPREAD = 100, 1.0  # two of a cluster have a cosine of about 0.5, as near overviews have in MiniLM


def clustered(n: int, d: int, seed: int = 0) -> Vectors:
    """Vectors of length 1 around centres; ids in the order of the rows."""
    dice = np.random.default_rng([seed, n, d])
    centres = dice.standard_normal((max(n // PER_CLUSTER, 1), d), np.float32)
    array = np.empty((n, d), np.float32)
    for start in range(0, n, 65_536):
        block = array[start : start + 65_536]
        block[:] = centres[dice.integers(len(centres), size=len(block))]
        block += SPREAD * dice.standard_normal(block.shape, np.float32)
        block /= np.linalg.norm(block, axis=1, keepdims=True)
    return Vectors("1", pa.array(np.char.mod("%012d", np.arange(n))), array, np.arange(n))


def measure(n: int, d: int, rounds: int) -> dict[str, Any]:
    """Build both, then ask both."""
    vectors, settings = clustered(n, d), IndexSettings()
    (flat, flat_s), (hnsw, hnsw_s) = (_timed(vectors, kind == "flat") for kind in ("flat", "hnsw"))
    recall = Recall(vectors, settings)
    found = {"flat": recall.of(flat), "hnsw": ann.widen(hnsw, recall.of, settings.least_recall)}
    rates = _rates(flat, hnsw, vectors.array, rounds)
    ratios = [f / h for f, h in zip(rates["flat"], rates["hnsw"], strict=True)]
    return {
        "vectors": n,
        "dimension": d,
        "build_s": {"flat": round(flat_s, 2), "hnsw": round(hnsw_s, 2)},
        "build_ratio": round(flat_s / hnsw_s, 5),
        "recall_at_10": found,
        "ef_search": hnsw.hnsw.efSearch,
        "queries_per_s": {kind: round(statistics.median(values)) for kind, values in rates.items()},
        "queries_ratio_median": round(statistics.median(ratios), 4),
        "queries_ratio_min": round(min(ratios), 4),
        "queries_ratio_max": round(max(ratios), 4),
    }


def _timed(vectors: Vectors, flat: bool) -> tuple[Any, float]:
    began = time.perf_counter()
    index = filled(vectors, "cosine", flat=flat)
    return index, time.perf_counter() - began


def _rates(flat: Any, hnsw: Any, array: NDArray[np.float32], rounds: int) -> dict[str, list[float]]:
    """Queries per second of each, turn by turn."""
    faiss.omp_set_num_threads(1)
    dice = np.random.default_rng(1)
    rates: dict[str, list[float]] = {"flat": [], "hnsw": []}
    for turn in range(rounds + 1):
        queries = array[dice.integers(len(array), size=QUERIES)]
        for kind, index in (("flat", flat), ("hnsw", hnsw)) if turn % 2 else (("hnsw", hnsw), ("flat", flat)):
            began = time.perf_counter()
            for query in queries:
                index.search(query[None], 11)
            if turn:  # the first one warms up
                rates[kind].append(QUERIES / (time.perf_counter() - began))
    return rates


def main() -> None:
    """Print both and the ratios, a line per size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vectors", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--dimension", type=int, default=384)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    rows = [measure(n, args.dimension, args.rounds) for n in args.vectors]
    if args.json:
        print(json.dumps(rows))
        return
    for row in rows:
        print(f"{row['vectors']:,} x {row['dimension']}, flat : hnsw (efSearch {row['ef_search']})")
        for name, unit in (("build_s", "s to build"), ("recall_at_10", "recall@10"), ("queries_per_s", "queries/s")):
            print(f"  {row[name]['flat']:>10,} : {row[name]['hnsw']:<10,} {unit}")
        low, mid, high = (row[f"queries_ratio_{which}"] for which in ("min", "median", "max"))
        print(f"  ratio of queries/s {mid} (from {low} to {high}), of seconds to build {row['build_ratio']}")


if __name__ == "__main__":
    main()
