"""Our metrics against trec_eval's, which ranks the same scores itself, in an environment of its own.

    python -m benchmarks.metrics_peer [--queries 200] [--items 800] [--peer-python PYTHON] [--json]

Queries have one to twelve targets, seen items and items that are no candidates; scores are random, rounded (many ties)
and all equal. trec_eval puts equal scores in descending order of names, so targets are named to come last. It divides
average precision by the targets, we by min(targets, k): that factor alone is taken out. The largest difference of any
query is printed per metric; above 1e-9 the command fails.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.data import Ragged
from training.metrics import per_query, ranks
from training.popularity_metrics import debiased_ndcg

KS = (1, 5, 10, 100)
LIMIT = 1e-9
KINDS = ("random", "tied", "equal")
PEER = """
import json, sys
import pytrec_eval
asked = json.load(open(sys.argv[1]))
cuts = ",".join(map(str, asked["ks"]))
measures = {f"{name}.{cuts}" for name in ("ndcg_cut", "recall", "map_cut", "success")} | {"recip_rank"}
plain = {query: dict.fromkeys(gains, 1) for query, gains in asked["targets"].items()}
json.dump({
    "plain": pytrec_eval.RelevanceEvaluator(plain, measures).evaluate(asked["scores"]),
    "graded": pytrec_eval.RelevanceEvaluator(asked["targets"], measures).evaluate(asked["scores"]),
}, open(sys.argv[2], "w"))
"""


def scores_of(kind: str, queries: int, items: int, random: np.random.Generator) -> NDArray[np.float32]:
    """(B, V)."""
    scores_BV = random.random((queries, items), np.float32)
    return {"random": scores_BV, "tied": np.round(scores_BV, 1), "equal": np.zeros_like(scores_BV)}[kind]


def as_peer(
    scores_BV: NDArray[np.float32], targets: Ragged, gains_T: NDArray[np.int64], kept_BV: NDArray[np.bool_]
) -> dict[str, Any]:
    """Scores by query and name; of equal ones the peer takes the last name first."""
    scores: dict[str, dict[str, float]] = {}
    wanted: dict[str, dict[str, int]] = {}
    for row, own in enumerate(targets):
        names = [f"other-{item}" for item in range(scores_BV.shape[1])]
        for place, item in enumerate(own):
            names[item] = f"a-{len(own) - place:03}"
        scores[str(row)] = {names[item]: float(scores_BV[row, item]) for item in np.flatnonzero(kept_BV[row])}
        gains = gains_T[targets.starts[row] : targets.starts[row + 1]].tolist()
        wanted[str(row)] = {names[item]: gain for item, gain in zip(own, gains, strict=True)}
    return {"ks": KS, "scores": scores, "targets": wanted}


def differences(kind: str, queries: int, items: int, python: str, folder: Path) -> dict[str, float]:
    """The largest of any query, per metric."""
    random = np.random.default_rng(KINDS.index(kind))
    scores_BV = scores_of(kind, queries, items, random)
    dealt = [random.permutation(items) for _ in range(queries)]
    targets = Ragged.of([row[: random.integers(1, 13)].astype(np.int32) for row in dealt])
    seen = Ragged.of([row[20 : 20 + random.integers(0, 30)].astype(np.int32) for row in dealt])
    candidates = random.random(items) < 0.9
    candidates[targets.values] = True
    kept_BV = np.repeat(candidates[None], queries, axis=0)
    kept_BV[seen.rows, seen.values] = False
    gains_T = random.integers(1, 6, len(targets.values))
    asked, answered = folder / "asked.json", folder / "answered.json"
    asked.write_text(json.dumps(as_peer(scores_BV, targets, gains_T, kept_BV)))
    subprocess.run([python, "-c", PEER, str(asked), str(answered)], check=True)
    theirs = json.loads(answered.read_text())
    return compare(ranks(scores_BV, targets, candidates, seen), gains_T, theirs)


def compare(places: Ragged, gains_T: NDArray[np.int64], theirs: dict[str, Any]) -> dict[str, float]:
    """Ours against theirs, query by query."""

    def peer(name: str, of: str = "plain") -> NDArray[np.float64]:
        return np.array([theirs[of][str(row)][name] for row in range(len(places))])

    ours = per_query(places, KS)
    share = np.bincount(places.rows, gains_T) / places.lengths
    other = {"mrr": peer("recip_rank")}
    for k in KS:
        other[f"hr@{k}"], other[f"recall@{k}"] = peer(f"success_{k}"), peer(f"recall_{k}")
        other[f"ndcg@{k}"] = peer(f"ndcg_cut_{k}")
        other[f"mrr@{k}"] = peer("recip_rank") * peer(f"success_{k}")
        other[f"map@{k}"] = peer(f"map_cut_{k}") * places.lengths / np.minimum(places.lengths, k)
        other[f"graded_ndcg@{k}"] = peer(f"ndcg_cut_{k}", "graded")
        # Debiased NDCG is graded NDCG times the query's share of weight.
        ours[f"graded_ndcg@{k}"] = debiased_ndcg(places, gains_T.astype(np.float64), k) * share.mean() / share
    return {name: float(np.abs(values - other[name]).max()) for name, values in sorted(ours.items())}


def peer_python(folder: Path) -> str:
    """A new venv with pytrec_eval in it."""
    subprocess.run([sys.executable, "-m", "venv", str(folder / "peer")], check=True)
    python = str(folder / "peer" / "bin" / "python")
    subprocess.run([python, "-m", "pip", "install", "-q", "pytrec_eval-terrier"], check=True)
    return python


def main() -> None:
    """Print the largest difference per metric and kind of scores."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--items", type=int, default=800)
    parser.add_argument("--peer-python", help="a Python that has pytrec_eval; default: a new venv")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        python = args.peer_python or peer_python(Path(place))
        found = {kind: differences(kind, args.queries, args.items, python, Path(place)) for kind in KINDS}
    if args.json:
        print(json.dumps(found))
    else:
        print(f"{args.queries} queries, {args.items} items: largest difference of any query")
        for name in found["random"]:
            print(f"{name:18}", *(f"{kind} {found[kind][name]:.1e}" for kind in KINDS), sep="  ")
    if max(max(of.values()) for of in found.values()) > LIMIT:
        sys.exit(f"a difference is above {LIMIT}")


if __name__ == "__main__":
    main()
