"""Memory of an embedding stage by the number of texts: it must not grow with them.

    python -m benchmarks.memory [--texts 10000 100000] [--json]

The encoder is a BERT of two layers and 16 numbers with random weights, so that the mechanism is measured: pending keys,
chunks, tokens, batches, rows, commits. Texts are made of its words, 5 to 60 each. Every size runs in a process of its
own over a table that was written before; what is told is the most memory it ever had (VmHWM).
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from storage.store import Store
from tests.featurizers.tiny import WORDS, tiny_bert
from tests.tasks.plant import plant

NAME = "mine"
WANTED = 1.25  # the most memory at the largest size over that at the smallest
WRITTEN = 10_000  # texts per commit


def write(store: Store, texts: int) -> None:
    """The table that the stage reads."""
    random_ = random.Random(0)
    store.create(["texts", f"features/{NAME}"])
    for start in range(0, texts, WRITTEN):
        rows = [
            {"item_id": f"i{n}", "kind": "document", "value": " ".join(random_.choices(WORDS[5:], k=n % 56 + 5))}
            for n in range(start, min(start + WRITTEN, texts))
        ]
        plant(store, "texts", *({"value_hash": start + at} | row for at, row in enumerate(rows)))


def run(store: Store, model: str) -> dict[str, Any]:
    """The stage over all of it; rows and MB at most."""
    from tasks.features import feature_stage
    from tasks.run_stage import run_stage
    from tasks.settings_encoders import EncoderSettings

    said = {"name": NAME, "family": "text", "model": model, "max_tokens": 64}
    stage = feature_stage(NAME, EncoderSettings.model_validate(said), store)
    done = run_stage(store, stage, build_id="benchmark").done
    status = Path("/proc/self/status").read_text(encoding="ascii")
    peak = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return {"texts": done, "peak_mb": round(int(peak.split()[1]) / 1024)}


def measure(sizes: list[int]) -> list[dict[str, Any]]:
    """A process per size."""
    found: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        model = str(tiny_bert(Path(folder, "bert")))
        for size in sizes:
            url = str(Path(folder, f"store{size}"))
            write(Store(url), size)
            command = [sys.executable, "-m", "benchmarks.memory", "--step", url, model]
            # One thread: layers of 16 numbers are not worth waking a second.
            ran = subprocess.run(command, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True)
            if ran.returncode:
                raise RuntimeError(ran.stderr[-2000:])
            found.append(json.loads(ran.stdout))
    return found


def main() -> None:
    """Print the most memory per size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--step", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.step:
        print(json.dumps(run(Store(args.step[0]), args.step[1])))
        return
    found = measure(args.texts)
    if args.json:
        print(json.dumps(found))
        return
    for row in found:
        print(f"{row['texts']:>9,} texts: {row['peak_mb']:,} MB at most")
    print(f"ratio {found[-1]['peak_mb'] / found[0]['peak_mb']:.2f}   at most {WANTED} wanted")


if __name__ == "__main__":
    main()
