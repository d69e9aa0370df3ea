"""Text encoding against sentence-transformers, int8 against fp32, and the stage against encoding alone.

    python -m benchmarks.texts FILE.jsonl [FILE.jsonl ...] [--texts 5000] [--rounds 2] [--threads 2] [--json]

FILEs hold a JSON object per line; its longest string is the text (overviews, lyrics, ... of mixed length). Encoding is
`minilm` of ours, in fp32 and int8, and `SentenceTransformer.encode` with the same weights, at the best of its batch
sizes as found on a sample; all cut at 512 word pieces. The stage reads the same texts from a table, encodes and commits
them. The sides take turns. A ratio above 1 is faster than the peer. Seconds are by the clock, for a quiet machine, and
of the processor, for one that others use, too; each ratio stands beside the least that is wanted.
"""

import argparse
import json
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

PEER_BATCHES = (8, 16, 32, 64, 128)
SAMPLE = 256
ALONE = 32  # texts that are encoded alone, too
NEIGHBOURS = 10
NAME = "minilm"
WANTED = {
    "fp32_over_peer": 1.0,
    "int8_over_fp32": 2.0,
    "stage_over_encoding": 0.85,
    "int8_mean_cosine": 0.99,
    "int8_same_neighbours": 0.90,
}
Took = dict[str, list[tuple[float, float]]]  # seconds by the clock and of the processor, per side and round


def read_texts(files: list[Path], most: int) -> list[str]:
    """Texts of the files, shuffled, so that lengths mix."""
    found: list[str] = []
    for file in files:
        with file.open(encoding="utf-8") as lines:
            for line in lines:
                strings = [v for v in json.loads(line).values() if isinstance(v, str) and v.strip()]
                found += [max(strings, key=len)] if strings else []
    random.Random(0).shuffle(found)
    return found[:most]


def seconds(work: Callable[[], Any]) -> tuple[float, float]:
    """How long it took by the clock, and of the processor in this process."""
    began, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - began, time.process_time() - cpu


def peer() -> Callable[[list[str], int], Any]:
    """sentence-transformers with the same weights and length."""
    from sentence_transformers import SentenceTransformer

    from featurizers.encoders import known
    from featurizers.weights import Weights, weights_folder

    model: Any = SentenceTransformer(str(weights_folder(Weights(known()[NAME].model))), local_files_only=True)
    model.max_seq_length = 512

    def encode(texts: list[str], batch_size: int) -> Any:
        return model.encode(texts, batch_size=batch_size, normalize_embeddings=True, show_progress_bar=False)

    return encode


def best_batch(encode: Callable[[list[str], int], Any], sample: list[str]) -> int:
    """The batch size at which the peer takes the least of the processor, of two turns."""
    took = {size: min(seconds(lambda s=size: encode(sample, s))[1] for _ in range(2)) for size in PEER_BATCHES}
    return min(took, key=lambda size: took[size])


def stage_seconds(texts: list[str]) -> tuple[float, float]:
    """Read, tokenise, encode, commit: the stage over a table of these texts."""
    from storage.store import Store
    from tasks.features import feature_stage
    from tasks.run_stage import run_stage
    from tasks.settings_stages import FeaturizerSettings
    from tests.tasks.plant import plant

    with tempfile.TemporaryDirectory() as folder:
        store = Store(folder)
        store.create(["texts", f"features/{NAME}"])
        rows = [{"item_id": f"i{n}", "kind": "document", "value": t, "value_hash": n} for n, t in enumerate(texts)]
        plant(store, "texts", *rows)
        stage = feature_stage(NAME, FeaturizerSettings.model_validate({NAME: {}}).encoders[NAME], store)
        done: list[int] = []
        took = seconds(lambda: done.append(run_stage(store, stage, build_id="benchmark").done))
    if done != [len(texts)]:
        raise RuntimeError(f"{done} of {len(texts)} texts were encoded")
    return took


def quality(exact: Any, rough: Any, alone: Any) -> dict[str, float]:
    """How near int8 is to fp32: cosines, the share of nearest neighbours that stay; and alone to in a batch."""
    cosines = (exact * rough).sum(axis=1)
    same = [len(set(a) & set(b)) / NEIGHBOURS for a, b in zip(nearest(exact), nearest(rough), strict=True)]
    return {
        "int8_mean_cosine": round(float(cosines.mean()), 4),
        "int8_least_cosine": round(float(cosines.min()), 4),
        "int8_same_neighbours": round(statistics.mean(same), 4),
        "int8_alone_1_minus_cosine": float(max(0.0, 1 - (alone * rough[: len(alone)]).sum(axis=1).min())),
    }


def nearest(vectors: Any) -> list[list[int]]:
    """The nearest others of each vector of length 1."""
    found: list[list[int]] = []
    for start in range(0, len(vectors), 1_000):
        near = vectors[start : start + 1_000] @ vectors.T
        near[np.arange(len(near)), np.arange(start, start + len(near))] = -2
        found += np.argpartition(-near, NEIGHBOURS, axis=1)[:, :NEIGHBOURS].tolist()
    return found


def measure(texts: list[str], rounds: int) -> dict[str, Any]:
    """Texts per second of each side, ratios round by round, and how near int8 is."""
    from featurizers.hf_int8 import can_int8
    from featurizers.registry import featurizer

    fp32, int8, encode = featurizer(NAME), featurizer(NAME, precision="int8"), peer()
    sample = texts[: min(SAMPLE, max(ALONE, len(texts) // 8))]
    stage_seconds(sample)  # warm, as the others by what follows
    best = best_batch(encode, sample)
    gap = 1 - (fp32(sample).values * encode(sample, best)).sum(axis=1).min()
    found: dict[str, Any] = {"texts": len(texts), "characters": quantiles([len(text) for text in texts])}
    found |= {"peer_batch_size": best, "largest_1_minus_cosine": float(gap)}
    sides: dict[str, Callable[[], tuple[float, float]]] = {
        "fp32": lambda: seconds(lambda: fp32(texts)),
        "peer": lambda: seconds(lambda: encode(texts, best)),
        "stage": lambda: stage_seconds(texts),
    }
    if can_int8():
        alone = np.vstack([int8([text]).values for text in texts[:ALONE]])
        found |= quality(fp32(texts).values, int8(texts).values, alone)
        sides["int8"] = lambda: seconds(lambda: int8(texts))
    took: Took = {name: [] for name in sides}
    for turn in range(rounds):
        for name in (list(sides) * 2)[turn % len(sides) :][: len(sides)]:
            took[name].append(sides[name]())
    return found | ratios(took, len(texts))


def ratios(took: Took, texts: int) -> dict[str, Any]:
    """Texts per second, and the ratios by both clocks."""
    found: dict[str, Any] = {}
    for at, clock in enumerate(("clock", "cpu")):
        times = {name: [turn[at] for turn in turns] for name, turns in took.items()}
        found[f"{clock}_texts_per_second"] = {n: round(texts / statistics.median(t), 1) for n, t in times.items()}
        pairs = {"fp32_over_peer": ("peer", "fp32"), "stage_over_encoding": ("fp32", "stage")}
        pairs |= {"int8_over_fp32": ("fp32", "int8")} if "int8" in times else {}
        for name, (slow, fast) in pairs.items():
            found[f"{clock}_{name}"] = spread([a / b for a, b in zip(times[slow], times[fast], strict=True)])
    return found


def quantiles(lengths: list[int]) -> dict[float, int]:
    """5, 50 and 95 %."""
    return {q: int(np.quantile(lengths, q)) for q in (0.05, 0.5, 0.95)}


def spread(values: list[float]) -> dict[str, float]:
    """Median, smallest and largest."""
    return {"median": round(statistics.median(values), 3), "min": round(min(values), 3), "max": round(max(values), 3)}


def main() -> None:
    """Print texts per second and ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--texts", type=int, default=5_000)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    import torch

    torch.set_num_threads(args.threads)
    found = measure(read_texts(args.files, args.texts), args.rounds)
    if args.json:
        print(json.dumps(found))
        return
    for name, value in found.items():
        wanted = WANTED.get(name.removeprefix("clock_").removeprefix("cpu_"))
        print(f"{name:28} {value}{'' if wanted is None else f'   at least {wanted} wanted'}")


if __name__ == "__main__":
    main()
