"""The index of a bundle against faiss alone, against theory and against autofaiss; and what dimensions and codes cost.

    python -m benchmarks.ann [--vectors 200000] [--dimensions 128 384] [--encode-s 300] [--autofaiss PYTHON] [--json]
    python -m benchmarks.ann study [--vectors 50000] [--out FOLDER]

Vectors are real ones of MiniLM (overviews and titles of $MEDIATECA_REAL_DATA, as many as are encoded in --encode-s,
kept in $MEDIATECA_HOME) and, to fill, a mixture around them of intrinsic dimension 16; 128 numbers by PCA. Gaussian
ones are reported and not gated. One half of 4,000 queries, none of them indexed, tunes; the other is reported. Rates
are of one question at a time on one thread, in turns of both sides. PYTHON is the interpreter of an environment with
autofaiss, which needs numpy 1 and pyarrow 17. The study compares with the exact neighbours at full width.
"""

import argparse
import csv
import json
import os
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
from numpy.typing import NDArray

from storage import ann
from storage.ann import Exact, Wanted
from storage.bundles import publish
from storage.objects import Objects
from storage.opened_bundle import IDS, INDEX, POPULARITY, TITLES, VECTORS, OpenedBundle, Searcher
from storage.vector_index import VectorIndex
from tasks.publish_measure import Asked
from tasks.publish_parts import fitted, ids_of
from training.data import Queries

QUERIES, NEAREST, INTRINSIC = 2_000, 10, 16
WANTED = {"recall_at_10": 0.95, "rate_over_faiss": 0.9, "bytes_off_theory": 0.1, "failed_in_switches": 0}
F32 = NDArray[np.float32]


# --- vectors


def texts(folder: Path) -> list[str]:
    """Overviews of films and titles of songs, shuffled."""
    films = (folder / "tmdb-films" / "films_overview_poster.jsonl").read_text("utf-8").splitlines()
    found = [str(film["overview"]) for line in films if (film := json.loads(line)).get("overview")]
    for file in sorted((folder / "spotify-songs").glob("*.csv")):
        with file.open(encoding="utf-8", newline="") as rows:
            found += [f"{row['track_artist']}: {row['track_name']}" for row in csv.DictReader(rows)]
    found = sorted(set(found))
    return [found[at] for at in np.random.default_rng(0).permutation(len(found))]


def real(seconds: float) -> F32:
    """(n, 384): what can be encoded in so long, or was before."""
    kept = Path(os.environ.get("MEDIATECA_HOME", tempfile.gettempdir())) / "benchmarks" / "minilm.npy"
    if kept.is_file():
        return np.load(kept)
    if "MEDIATECA_REAL_DATA" not in os.environ:
        return np.empty((0, 384), np.float32)
    from featurizers.registry import featurizer

    given, encode, blocks = texts(Path(os.environ["MEDIATECA_REAL_DATA"])), featurizer("minilm"), list[F32]()
    began = time.perf_counter()
    while time.perf_counter() - began < seconds and len(blocks) * 256 < len(given):
        blocks.append(encode(given[len(blocks) * 256 :][:256]).values.astype(np.float32))
    kept.parent.mkdir(parents=True, exist_ok=True)
    np.save(kept, found := np.concatenate(blocks))
    return found


def mixture(n: int, d: int, centres: F32, seed: int = 1) -> F32:
    """(n, d) of length 1: around centres, in subspaces of 16 dimensions, 50 of them, and a hundredth of noise."""
    dice = np.random.default_rng([seed, n, d])
    bases = dice.standard_normal((50, INTRINSIC, d), np.float32) / np.sqrt(np.float32(d))
    found = np.empty((n, d), np.float32)
    for base, rows in enumerate(np.array_split(np.arange(n), 50)):
        own = centres[dice.integers(len(centres), size=len(rows))]
        found[rows] = own + dice.standard_normal((len(rows), INTRINSIC), np.float32) @ bases[base] / np.float32(4)
    found += 0.01 / np.sqrt(np.float32(d)) * dice.standard_normal(found.shape, np.float32)
    return unit(found[dice.permutation(n)])


def unit(array: F32) -> F32:
    """The rows at length 1."""
    return (array / np.linalg.norm(array, axis=1, keepdims=True)).astype(np.float32)


def projected(array: F32, d: int) -> F32:
    """The first d principal components, at length 1."""
    if d >= array.shape[1]:
        return array
    sample = array[:: max(len(array) // 50_000, 1)].astype(np.float64)
    _, axes = np.linalg.eigh(np.cov(sample.T))
    return unit((array @ axes[:, ::-1][:, :d]).astype(np.float32))


def corpus(n: int, d: int, seconds: float) -> tuple[F32, int]:
    """4,000 rows more than n, real and made ones mixed, and how many are real."""
    found, total = real(seconds)[: n + 2 * QUERIES], n + 2 * QUERIES
    centres = found if len(found) else unit(np.random.default_rng(0).standard_normal((2_000, 384), np.float32))
    every = np.concatenate([found, mixture(total - len(found), 384, centres)]) if len(found) < total else found
    return projected(every[np.random.default_rng(2).permutation(total)], d), len(found)


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


# --- dimensions and codes


def study(n: int, out: Path) -> list[dict[str, Any]]:
    """Share of the true ten at 512 numbers, latency and bytes by dimension and kind; a table and a picture."""
    centres = unit(np.random.default_rng(0).standard_normal((2_000, 512), np.float32))
    whole = mixture(n + QUERIES, 512, centres)
    truth = Exact(whole[:n], whole[n:], NEAREST, asked(whole[n:]).seen)
    found: list[dict[str, Any]] = []
    for d in (32, 64, 128, 256, 384, 512):
        less = projected(whole, d)
        rows, queries = np.ascontiguousarray(less[:n]), np.ascontiguousarray(less[n:])
        for name, factory in {"float": "Flat", "SQ8": "SQ8", "PQ": f"PQ{d // ann.PER_PART}x8"}.items():
            index = ann.build(rows, factory, "inner_product")
            began = time.process_time()
            places = np.concatenate([index.search(query[None], NEAREST)[1] for query in queries[:200]])
            took = (time.process_time() - began) / 200 * 1e3
            _, places = index.search(queries, NEAREST)
            same = (truth.places[:, :, None] == places[:, None, :]).any(axis=2).mean()
            row = {"dimension": d, "kind": name, "same_ten": round(float(same), 4), "cpu_ms": round(took, 3)}
            found.append(row | {"bytes": index.sa_code_size()})
    out.mkdir(parents=True, exist_ok=True)
    (out / "dimensions.svg").write_text(picture(found))
    return found


def picture(rows: list[dict[str, Any]]) -> str:
    """The share of the true ten by bytes of a vector, logarithmic, a line per kind."""
    colours = {"float": "#1f6feb", "SQ8": "#d1690e", "PQ": "#2a8c4a"}
    low, high = (np.log2(f(row["bytes"] for row in rows)) for f in (min, max))
    parts = [
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 480 320" font-family="sans-serif" font-size="11">',
        '<rect width="480" height="320" fill="#fff"/><path d="M50 20V270H460" fill="none" stroke="#888"/>',
        '<text x="255" y="310" text-anchor="middle">bytes of a vector</text>',
        '<text x="50" y="14">share of the true ten (512 numbers, float)</text>',
    ]
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        parts.append(f'<text x="44" y="{274 - 250 * share:.0f}" text-anchor="end">{share:g}</text>')
    for power in range(int(low), int(high) + 1):
        parts.append(f'<text x="{50 + 400 * (power - low) / (high - low):.0f}" y="286">{2**power}</text>')
    for at, (kind, colour) in enumerate(colours.items()):
        own = [row for row in rows if row["kind"] == kind]
        xy = [(50 + 400 * (np.log2(r["bytes"]) - low) / (high - low), 270 - 250 * r["same_ten"], r) for r in own]
        parts.append(
            f'<polyline fill="none" stroke="{colour}" points="{" ".join(f"{x:.0f},{y:.0f}" for x, y, _ in xy)}"/>'
        )
        parts += [f'<text x="{x:.0f}" y="{y - 4:.0f}" fill="{colour}">{r["dimension"]}</text>' for x, y, r in xy]
        parts.append(f'<text x="400" y="{220 + 14 * at}" fill="{colour}">{kind}</text>')
    return "\n".join([*parts, "</svg>"])


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
        rows = study(args.vectors or 50_000, args.out)
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
