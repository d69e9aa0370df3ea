"""Text encoding against sentence-transformers, and the stage against encoding alone.

    python -m benchmarks.texts FILE.jsonl [FILE.jsonl ...] [--texts 5000] [--rounds 3] [--threads 2] [--json]

FILEs hold a JSON object per line; its longest string is the text (overviews, lyrics, ... of mixed length). Encoding is
`minilm` of ours and `SentenceTransformer.encode` with the same weights, at the best of its batch sizes as found on a
sample; both cut at 512 word pieces. The stage reads the same texts from a table, encodes and commits them. The sides
take turns; ratios are of seconds by the clock, so run it on a quiet machine. A ratio above 1 is faster than the peer.
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
NAME = "minilm"


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


def seconds(work: Callable[[], Any]) -> float:
    """How long it took, by the clock."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def peer() -> tuple[Any, Callable[[list[str], int], Any]]:
    """sentence-transformers with the same weights and length."""
    from sentence_transformers import SentenceTransformer

    from featurizers.encoders import known
    from featurizers.weights import Weights, weights_folder

    model: Any = SentenceTransformer(str(weights_folder(Weights(known()[NAME].model))), local_files_only=True)
    model.max_seq_length = 512

    def encode(texts: list[str], batch_size: int) -> Any:
        return model.encode(texts, batch_size=batch_size, normalize_embeddings=True, show_progress_bar=False)

    return model, encode


def stage_seconds(texts: list[str], folder: Path) -> float:
    """Read, tokenise, encode, commit: the stage over a table of these texts."""
    from storage.store import Store
    from tasks.features import feature_stage
    from tasks.settings_stages import FeaturizerSettings
    from tasks.stage import run_stage
    from tests.tasks.plant import plant

    store = Store(str(folder / "store"))
    store.create(["texts", f"features/{NAME}"])
    rows = [{"item_id": f"i{n}", "kind": "document", "value": text, "value_hash": n} for n, text in enumerate(texts)]
    plant(store, "texts", *rows)
    settings = FeaturizerSettings.model_validate({NAME: {}}).encoders[NAME]
    began = time.perf_counter()
    done = run_stage(store, feature_stage(NAME, settings, store), build_id="benchmark").done
    if done != len(texts):
        raise RuntimeError(f"{done} of {len(texts)} texts were encoded")
    return time.perf_counter() - began


def measure(texts: list[str], rounds: int) -> dict[str, Any]:
    """Texts per second of each side, and the ratios round by round."""
    from featurizers.registry import featurizer

    ours = featurizer(NAME)
    _, encode = peer()
    sample = texts[:SAMPLE]
    ours(sample)  # warm
    encode(sample, 32)
    batches = {size: min(seconds(lambda s=size: encode(sample, s)) for _ in range(2)) for size in PEER_BATCHES}
    best = min(batches, key=lambda size: batches[size])
    gap = 1 - (ours(sample).values * encode(sample, best)).sum(axis=1).min()
    took: dict[str, list[float]] = {"ours": [], "peer": [], "stage": []}
    for turn in range(rounds):
        sides: list[tuple[str, Callable[[], float]]] = [
            ("ours", lambda: seconds(lambda: ours(texts))),
            ("peer", lambda: seconds(lambda: encode(texts, best))),
            ("stage", lambda: _in_a_folder(texts)),
        ]
        for name, side in sides[turn % 3 :] + sides[: turn % 3]:
            took[name].append(side())
    return {
        "texts": len(texts),
        "characters": {q: int(np.quantile([len(t) for t in texts], q)) for q in (0.05, 0.5, 0.95)},
        "peer_batch_size": best,
        "largest_1_minus_cosine": float(gap),
        "per_second": {name: round(len(texts) / statistics.median(times), 1) for name, times in took.items()},
        "ours_over_peer": spread([p / o for o, p in zip(took["ours"], took["peer"], strict=True)]),
        "stage_over_encoding": spread([o / s for o, s in zip(took["ours"], took["stage"], strict=True)]),
    }


def _in_a_folder(texts: list[str]) -> float:
    with tempfile.TemporaryDirectory() as folder:
        return stage_seconds(texts, Path(folder))


def spread(values: list[float]) -> dict[str, float]:
    """Median, smallest and largest."""
    return {"median": round(statistics.median(values), 3), "min": round(min(values), 3), "max": round(max(values), 3)}


def main() -> None:
    """Print texts per second and ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--texts", type=int, default=5_000)
    parser.add_argument("--rounds", type=int, default=3)
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
        print(f"{name:24} {value}")


if __name__ == "__main__":
    main()
