"""What dimensions and codes cost: the share of the true ten, time and bytes of {32 ... 512} x {float, SQ8, PQ}.

Vectors are a mixture of intrinsic dimension 16 around centres in 512 numbers, whose variance falls as one by the number
of the axis; fewer are its principal components, which PQ (a byte per 4 numbers) first turns by chance. The true ten are
those at 512 numbers, by exact search. Every index is searched as a whole, so that codes alone differ. Times are of the
processor, one question at a time on one thread, in turns of all indexes: a ratio is a median over turns.
"""

import statistics
import time
from pathlib import Path
from typing import Any

import faiss
import numpy as np

from benchmarks.ann_vectors import F32, QUERIES, axes_of, mixture, projected, unit
from storage import ann
from storage.ann import Exact

DIMENSIONS, KINDS = (32, 64, 128, 256, 384, 512), ("float", "SQ8", "PQ")
NEAREST, TURNS, ASKED = 10, 7, 40
_COLOURS = {"float": "#1f6feb", "SQ8": "#d1690e", "PQ": "#2a8c4a"}
Key = tuple[int, str]  # dimension, kind


def study(n: int, out: Path) -> list[dict[str, Any]]:
    """A row per dimension and kind; `out` gets the picture."""
    faiss.omp_set_num_threads(1)
    whole = mixture(n + QUERIES, 512, centres())
    truth = Exact(whole[:n], whole[n:], NEAREST, [np.empty(0, np.int64)] * QUERIES)
    axes, indexes, queries, found = axes_of(whole), dict[Key, Any](), dict[int, F32](), dict[Key, dict[str, Any]]()
    for d in DIMENSIONS:
        rows, queries[d] = np.split(projected(whole, d, axes), [n])
        for kind in KINDS:
            index = ann.build(
                rows, {"PQ": f"RR{d},PQ{d // ann.PER_PART}x8np", "float": "Flat"}.get(kind, kind), "inner_product"
            )
            _, places = index.search(queries[d], NEAREST)
            same = (truth.places[:, :, None] == places[:, None, :]).any(axis=2).mean()
            found[d, kind] = {"same_ten": round(float(same), 4), "bytes": index.sa_code_size()}
            indexes[d, kind] = index
    took = times(indexes, queries)
    for (d, kind), row in found.items():
        row["cpu_ms"] = round(statistics.median(took[d, kind]), 3)
        row["time_of_float"] = ratio(took[d, kind], took[d, "float"])
        row["time_of_float_512"] = ratio(took[d, kind], took[512, "float"])
    rows = [{"dimension": d, "kind": kind, **row} for (d, kind), row in found.items()]
    out.mkdir(parents=True, exist_ok=True)
    (out / "dimensions.svg").write_text(picture(rows))
    return rows


def centres() -> F32:
    """(2000, 512), of a variance that falls along the axes as one by their number."""
    dice = np.random.default_rng(0)
    drawn = dice.standard_normal((2_000, 512), np.float32)
    return unit((drawn / np.sqrt(1 + np.arange(512))).astype(np.float32))


def times(indexes: dict[Key, Any], queries: dict[int, F32]) -> dict[Key, list[float]]:
    """Milliseconds of the processor per question, a number per turn; the first turn warms up."""
    took: dict[Key, list[float]] = {key: [] for key in indexes}
    for turn in range(TURNS + 1):
        for key in sorted(indexes, reverse=bool(turn % 2)):
            began = time.process_time()
            for query in queries[key[0]][:ASKED]:
                indexes[key].search(query[None], NEAREST)
            took[key].append((time.process_time() - began) / ASKED * 1e3)
    return {key: values[1:] for key, values in took.items()}


def ratio(own: list[float], other: list[float]) -> float:
    """The median over turns."""
    return round(statistics.median(a / b for a, b in zip(own, other, strict=True)), 3)


# --- the picture


def picture(rows: list[dict[str, Any]]) -> str:
    """The share of the true ten by bytes of a vector, and by time; both logarithmic, a line per kind."""
    parts = [
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 900 330" font-family="sans-serif" font-size="11">',
        '<rect width="900" height="330" fill="#fff"/>',
        '<text x="50" y="14">share of the true ten, those at 512 numbers; at the points: dimensions</text>',
    ]
    parts += panel(rows, 50, "bytes", "bytes of a vector")
    parts += panel(rows, 500, "time_of_float_512", "time of a question, of that at 512 numbers, float")
    for at, (kind, colour) in enumerate(_COLOURS.items()):
        parts.append(f'<text x="{390}" y="{222 + 14 * at}" fill="{colour}">{kind}</text>')
    return "\n".join([*parts, "</svg>", ""])


def panel(rows: list[dict[str, Any]], left: int, by: str, said: str) -> list[str]:
    """One coordinate system, 380 wide, and its lines."""
    low, high = (float(np.log2(f(row[by] for row in rows))) for f in (min, max))
    parts = [f'<path d="M{left} 24V274H{left + 390}" fill="none" stroke="#888"/>']
    parts.append(f'<text x="{left + 190}" y="314" text-anchor="middle">{said}</text>')
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        parts.append(f'<text x="{left - 6}" y="{278 - 250 * share:.0f}" text-anchor="end">{share:g}</text>')
    for power in range(int(np.ceil(low)), int(high) + 1):
        x = left + 370 * (power - low) / (high - low)
        parts.append(
            f'<text x="{x:.0f}" y="290" text-anchor="middle">{2**power if power >= 0 else f"1/{2**-power}"}</text>'
        )
    for kind, colour in _COLOURS.items():
        own = [row for row in rows if row["kind"] == kind]
        xy = [(left + 370 * (np.log2(r[by]) - low) / (high - low), 274 - 250 * r["same_ten"], r) for r in own]
        points = " ".join(f"{x:.0f},{y:.0f}" for x, y, _ in xy)
        parts.append(f'<polyline fill="none" stroke="{colour}" points="{points}"/>')
        parts += [f'<text x="{x:.0f}" y="{y - 4:.0f}" fill="{colour}">{r["dimension"]}</text>' for x, y, r in xy]
    return parts
