"""SASRec against RecTools' over MovieLens-1M: quality with intervals, and targets learnt per second.

    MEDIATECA_REAL_DATA=... python -m benchmarks.sasrec [--epochs 30] [--seeds 0 1 2] [--loss softmax bce]
        [--only speed] [--rounds 3] [--threads 1] [--peer PYTHON] [--out FOLDER] [--json]

The last item of each line of `ml-1m-sequences/train_input.txt` is test, the one before validation; both sides learn
from the rest, 50 items long, 64 wide, 2 blocks, 128 sequences per batch, without a look at validation, and are asked
after all but the last item. `training.evaluation` ranks all items but those seen; ties count against the model, and an
item that a side does not know is its last. Intervals: users drawn anew, in pairs, over the mean of the seeds.

The peer runs in an environment of its own: --peer names its python; else one is made in the folder (`rectools[torch]`).
Each fit is a process whose vectors are kept under --out: what is there is not run again, and ours goes on after a kill.
Speed: --rounds fits of --epochs epochs each, in turns, each by its fastest epoch after the first, validation and
start left out.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import venv
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import real_data
from training.data import NO_TIME, Cases, Events, Queries, Ragged, TrainingSet
from training.evaluation import evaluate

LENGTH, AT = 50, 10
SIDES = ("ours", "peer")
WANTED = {"quality": 0.98, "lower": 0.95, "speed": 1.2}
RESAMPLES = 2_000


def sequences(data: Path) -> tuple[Ragged, int]:
    """Each user's items, renumbered, and how many items there are."""
    with (data / "ml-1m-sequences" / "train_input.txt").open(encoding="ascii") as file:
        rows = [np.array(line.split(), np.int64) for line in file]
    known, values = np.unique(np.concatenate(rows), return_inverse=True)
    starts = np.cumsum([0, *map(len, rows)]).astype(np.int64)
    return Ragged(values=values.astype(np.int32), starts=starts), len(known)


def without_last(rows: Ragged, held_out: int) -> Ragged:
    """All but the last so many of each."""
    kept = np.arange(len(rows.values)) < (rows.starts[1:] - held_out)[rows.rows]
    lengths = rows.lengths - held_out
    return Ragged(values=rows.values[kept], starts=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64))


def fit_ours(job: dict[str, Any]) -> None:
    """Fit and write, in this process."""
    import torch

    from training.loop import LoopSettings
    from training.models.sasrec import Config, Sasrec

    torch.set_num_threads(job["threads"])
    given = np.load(job["sequences"])
    rows = Ragged(values=given["values"], starts=given["starts"])
    losses: dict[str, dict[str, Any]] = {"softmax": {}, "bce": {"loss": "gbce", "calibration": 0.0, "negatives": 1}}
    loop = LoopSettings(epochs=job["epochs"], seed=job["seed"], betas=(0.9, 0.98))
    model = Sasrec(Config(length=LENGTH, loop=loop, **losses[job["loss"]]), folder=Path(job["out"]).with_suffix(""))
    model.fit(training_set(without_last(rows, 2), job["items"]))
    asked = {left: model.query_vectors(queries_of(without_last(rows, left))) for left in (2, 1)}
    seconds = [epoch.seconds for epoch in model.history]
    np.savez(job["out"], validation=asked[2], test=asked[1], items=model.item_vectors(), seconds=seconds)


def training_set(rows: Ragged, items: int) -> TrainingSet:
    """Sequences alone."""
    count, users = len(rows.values), len(rows)
    at, value = np.full(count, NO_TIME), np.full(count, np.nan, np.float32)
    events = Events(user=rows.rows.astype(np.int32), item=rows.values, at=at, value=value)
    return TrainingSet(events=events, items=items, users=users, profiles=np.zeros((users, 2), np.int32))


def queries_of(rows: Ragged) -> Queries:
    """Histories alone."""
    return Queries.of([row.tolist() for row in rows])


class Runs:
    """Fits of both sides, kept in a folder."""

    def __init__(self, args: argparse.Namespace, out: Path) -> None:
        self.out, self.threads, self.peer = out, args.threads, args.peer
        self.rows, self.items = sequences(real_data())
        out.mkdir(parents=True, exist_ok=True)
        np.savez(out / "sequences.npz", values=self.rows.values, starts=self.rows.starts)

    def fit(self, side: str, loss: str, epochs: int, seed: int, turn: int = 0) -> dict[str, NDArray[np.float32]]:
        """Vectors and seconds of one fit."""
        name = f"{side}-{loss}-{epochs}-{seed}-{self.threads}-{turn}"
        out = self.out / f"{name}.npz"
        if not out.exists():
            job = {"sequences": str(self.out / "sequences.npz"), "items": self.items, "threads": self.threads}
            job |= {"loss": loss, "epochs": epochs, "seed": seed, "out": str(self.out / f"{name}.npz")}
            (self.out / f"{name}.json").write_text(json.dumps(job), encoding="utf-8")
            self._run(side, self.out / f"{name}.json")
            print(f"  {name}: {np.load(out)['seconds'].sum():.0f} s", file=sys.stderr)
        return dict(np.load(out))

    def _run(self, side: str, job: Path) -> None:
        if side == "ours":
            command = [sys.executable, "-m", "benchmarks.sasrec", "--fit", str(job)]
        else:
            command = [self._peer(), str(Path(__file__).with_name("sasrec_peer.py")), str(job)]
        env = os.environ | {"OMP_NUM_THREADS": str(self.threads), "MKL_NUM_THREADS": str(self.threads)}
        ran = subprocess.run(command, env=env, capture_output=True, text=True)
        if ran.returncode:
            raise RuntimeError(f"{side}: {ran.stderr[-3000:]}")

    def _peer(self) -> str:
        """Its python; an environment is made once."""
        if self.peer is None:
            self.peer = str(self.out / "peer" / "bin" / "python")
            if not Path(self.peer).exists():
                venv.create(self.out / "peer", with_pip=True)
                # torch first and pinned: a CPU build offered by find-links is taken then.
                for wanted in ("torch==2.13.0", "rectools[torch]==0.19.0"):
                    subprocess.run([self.peer, "-m", "pip", "install", "-q", wanted], check=True)
        return self.peer


class Fitted:
    """A side, as the evaluator asks it: queries are numbered by user."""

    def __init__(self, name: str, states: NDArray[np.float32], items: NDArray[np.float32]) -> None:
        self.name, self.states, self.items = name, states, items

    def score(self, queries: Queries) -> NDArray[np.float32]:
        """(B, V); an item that is not known is below all others."""
        scores = self.states[queries.user] @ self.items.T
        unknown = np.isnan(self.items[:, 0])
        scores[:, unknown] = scores[:, ~unknown].min(1, keepdims=True) - 1
        return scores


def ndcg(vectors: dict[str, NDArray[np.float32]], rows: Ragged, part: str) -> NDArray[np.float64]:
    """(U,): NDCG at 10 of the item held out, among all that were not seen."""
    left, items = {"validation": 2, "test": 1}[part], len(vectors["items"])
    history, users = without_last(rows, left), np.arange(len(rows))
    queries = replace(queries_of(history), user=users.astype(np.int32))
    targets = Ragged(values=rows.values[rows.starts[1:] - left], starts=np.arange(len(rows) + 1))
    cases = Cases(queries=queries, targets=targets, candidates=np.ones(items, np.bool_), filter_seen=True)
    model: Any = Fitted(part, vectors[part], vectors["items"])
    return evaluate(model, cases, train=training_set(history, items), ks=(AT,)).values[f"ndcg@{AT}"]


def quality(runs: Runs, loss: str, epochs: int, seeds: list[int]) -> dict[str, Any]:
    """Mean NDCG@10 of both and their ratio with its 95 % interval."""
    found: dict[str, dict[str, NDArray[np.float64]]] = {side: {} for side in SIDES}
    for seed in seeds:
        for side in SIDES:
            vectors = runs.fit(side, loss, epochs, seed)
            for part in ("validation", "test"):
                found[side][part] = found[side].get(part, 0) + ndcg(vectors, runs.rows, part) / len(seeds)
    ours, peer = (found[side]["test"] for side in SIDES)
    drawn = np.random.default_rng(0).integers(len(ours), size=(RESAMPLES, len(ours)))
    ratios = ours[drawn].mean(1) / peer[drawn].mean(1)
    low, high = np.quantile(ratios, [0.025, 0.975])
    means = {part: {side: round(float(found[side][part].mean()), 5) for side in SIDES} for part in found["ours"]}
    told = {"ratio": round(float(ours.mean() / peer.mean()), 4), "low": round(low, 4), "high": round(high, 4)}
    return {"loss": loss, "epochs": epochs, "seeds": seeds, "ndcg_at_10": means} | told


def speed(runs: Runs, loss: str, epochs: int, rounds: int) -> dict[str, Any]:
    """Targets per second of both, and the ratio per round."""
    if epochs < 2:
        raise SystemExit("--only speed: the first epoch is left out: give --epochs 2 or more")
    targets = int((np.minimum(without_last(runs.rows, 2).lengths, LENGTH + 1) - 1).sum())
    rates: dict[str, list[float]] = {side: [] for side in SIDES}
    for turn in range(rounds):
        for side in SIDES if turn % 2 else SIDES[::-1]:
            seconds = runs.fit(side, loss, epochs, 0, turn)["seconds"][1:]
            rates[side].append(targets / float(seconds.min()))  # what else runs on the machine only ever adds
    ratios = [one / other for one, other in zip(*rates.values(), strict=True)]
    middle = {side: round(float(np.median(values))) for side, values in rates.items()}
    told = {"ratio": round(float(np.median(ratios)), 3), "low": round(min(ratios), 3), "high": round(max(ratios), 3)}
    return {"loss": loss, "targets_per_s": middle, "threads": runs.threads, "rounds": rounds} | told


def main() -> None:
    """Print quality or speed of both and the ratio, a line per loss."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--loss", nargs="+", choices=["softmax", "bce"], default=["softmax"])
    parser.add_argument("--only", choices=["speed", "quality"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--peer")
    parser.add_argument("--out", type=Path, default=Path(tempfile.gettempdir(), "mediateca-sasrec"))
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--fit", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.fit:
        fit_ours(json.loads(args.fit.read_text(encoding="utf-8")))
        return
    runs, found = Runs(args, args.out), dict[str, list[dict[str, Any]]]()
    if args.only != "quality":
        epochs = args.epochs if args.only else 3
        found["speed"] = [speed(runs, loss, epochs, args.rounds) for loss in args.loss]
    if args.only != "speed":
        found["quality"] = [quality(runs, loss, args.epochs, args.seeds) for loss in args.loss]
    print(json.dumps(found) if args.json else _told(found))


def _told(found: dict[str, list[dict[str, Any]]]) -> str:
    lines: list[str] = []
    for row in found.get("speed", []):
        ours, peer = (row["targets_per_s"][side] for side in SIDES)
        lines += [
            f"{row['loss']}: {ours:,} targets/s, RecTools {peer:,}; {row['threads']} threads, by the median epoch"
        ]
        lines += [f"  ratio {row['ratio']} (rounds from {row['low']} to {row['high']}; at least {WANTED['speed']})"]
    for row in found.get("quality", []):
        parts = [f"{name} {mean['ours']} : {mean['peer']}" for name, mean in row["ndcg_at_10"].items()]
        lines += [f"{row['loss']}, {row['epochs']} epochs, seeds {row['seeds']}: NDCG@10 {', '.join(parts)}"]
        wanted = f"at least {WANTED['quality']}, lower bound {WANTED['lower']}"
        lines += [f"  test ratio {row['ratio']}, 95 % {row['low']} to {row['high']} ({wanted})"]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
