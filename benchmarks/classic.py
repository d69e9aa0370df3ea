"""The classic models against implicit, SciPy and scikit-learn (and RecTools, where it is installed) on MovieLens files.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python -m benchmarks.classic ratings.csv [ml-100k.inter ...]
        [--titles movies.csv] [--neighbours 20] [--factors 64] [--rounds 3] [--json]

Files have a user, an item, then whatever else, after a header; `.csv` with commas, else tabs. All is on one thread: the
peers are told so, and the variables tell BLAS. Fits are timed in turns; ours begin with events, the peers' with a
matrix made before; `ratio` is the median of ours : theirs. User-KNN here looks for neighbours when asked, so its fit
tells little. Differences of scores are relative above 1; `top10` is the share of users with the same ten items, equal
scores (1e-6) excepted. KNN is compared with all neighbours, where no tie decides who is one, and with `--neighbours`,
where scores differ as far as ties at the edge do: which of equally near ones implicit keeps depends on its heap.
"""

import argparse
import json
import statistics
import time
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from implicit.nearest_neighbours import BM25Recommender, CosineRecommender, TFIDFRecommender
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import svds
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from threadpoolctl import threadpool_limits

from training.data import NO_TIME, Events, Queries, Ragged, TrainingSet
from training.models.registry import model

KNN: dict[str, Any] = {"cosine": CosineRecommender, "tfidf": TFIDFRecommender, "bm25": BM25Recommender}
Scores = NDArray[np.float64]
Run = Callable[[], Any]  # fits; what it returns knows how to score


def read(path: Path, titles: Path | None) -> TrainingSet:
    """Users and items as numbers; the titles and genres of a MovieLens file as documents."""
    sep = "," if path.suffix == ".csv" else "\t"
    rows = [line.split(sep) for line in path.read_text().splitlines()[1:]]
    (_, user), (items, item) = (np.unique([row[c] for row in rows], return_inverse=True) for c in (0, 1))
    order = np.argsort(user, kind="stable")
    users, known = int(user.max()) + 1, dict[str, str]()
    if titles:
        known = dict(line.split(",", 1) for line in titles.read_text().splitlines()[1:])  # type: ignore[misc]
    return TrainingSet(
        events=Events(
            user=user[order].astype(np.int32),
            item=item[order].astype(np.int32),
            at=np.full(len(user), NO_TIME),
            value=np.full(len(user), np.nan, np.float32),
        ),
        items=len(items),
        users=users,
        profiles=np.zeros((users, 2), np.int32),
        documents=tuple(known.get(str(name), "") for name in items) if titles else (),
    )


class Side:
    """Both sides of one comparison: how each fits, how each scores everybody."""

    def __init__(self, name: str, ours: Run, theirs: Run, score: Callable[[Any], Scores], *, timed: bool) -> None:
        self.name, self.ours, self.theirs, self.score, self.timed = name, ours, theirs, score, timed


def sides(train: TrainingSet, neighbours: int, factors: int) -> list[Side]:
    """All that are compared."""
    cells = (train.events.user, train.events.item)
    met = sparse.csr_matrix((np.ones(len(train.events)), cells), shape=(train.users, train.items))
    found: list[Side] = []
    for kind in KNN:
        for k in (neighbours, None):
            found += [_knn("item_knn", kind, k, train, met), _knn("user_knn", kind, k, train, met)]
    ours = _ours("svd", train, factors=factors)
    whole = {"scipy svds": lambda: _factors(met, factors)}
    whole["sklearn TruncatedSVD arpack"] = lambda: _truncated(met, factors)
    if find_spec("rectools"):
        whole["rectools PureSVD"] = lambda: _pure_svd(train, factors)
    found += [Side(f"svd : {peer}", ours, fit, lambda f: met @ f[1] @ f[0], timed=True) for peer, fit in whole.items()]
    if train.documents:
        vectors = lambda: TfidfVectorizer().fit_transform(train.documents)  # noqa: E731
        ours = _ours("tfidf", train, fields=("documents",))
        found.append(Side("tfidf : sklearn", ours, vectors, lambda x: (met @ x @ x.T).toarray(), timed=True))
    return found


def _ours(name: str, train: TrainingSet, **settings: Any) -> Run:
    return lambda: model(name, fallback=False, **settings).fit(train)


def _knn(name: str, kind: str, k: int | None, train: TrainingSet, met: Any) -> Side:
    of_items = name == "item_knn"
    size = train.items if of_items else train.users
    learn_from = met if of_items else met.T.tocsr()

    def theirs() -> Any:
        peer = KNN[kind](K=k or size, num_threads=1)
        peer.fit(learn_from, show_progress=False)
        return peer.similarity

    score = (lambda near: (met @ near).toarray()) if of_items else (lambda near: (near @ met).toarray())
    label = f"{name} {kind} K={k or 'all'} : implicit"
    return Side(label, _ours(name, train, weighting=kind, neighbours=k or size), theirs, score, timed=bool(k))


def _factors(met: Any, factors: int) -> tuple[Any, Any]:
    right = np.asarray(svds(met, k=factors)[2])
    return right, right.T


def _truncated(met: Any, factors: int) -> tuple[Any, Any]:
    right = np.asarray(TruncatedSVD(factors, algorithm="arpack", random_state=0).fit(met).components_)
    return right, right.T


def _pure_svd(train: TrainingSet, factors: int) -> tuple[Any, Any]:
    import pandas as pd
    from rectools import Columns  # type: ignore[import-not-found]
    from rectools.dataset import Dataset  # type: ignore[import-not-found]
    from rectools.models import PureSVDModel  # type: ignore[import-not-found]

    rows = {Columns.User: train.events.user, Columns.Item: train.events.item, Columns.Weight: 1.0}
    data = Dataset.construct(pd.DataFrame({**rows, Columns.Datetime: "2000-01-01"}))
    fitted = PureSVDModel(factors=factors).fit(data)
    right = np.zeros((factors, train.items))
    scaled = fitted.item_factors.T  # rows of S V'
    right[:, data.item_id_map.external_ids] = scaled / np.linalg.norm(scaled, axis=1, keepdims=True)
    return right, right.T


def compare(side: Side, train: TrainingSet, rounds: int) -> dict[str, Any]:
    """Seconds in turns, then scores."""
    pairs: list[tuple[float, float]] = []
    ours = theirs = None
    for turn in range(rounds if side.timed else 1):
        runs = [(0, side.ours), (1, side.theirs)]
        took = [0.0, 0.0]
        for which, run in runs if turn % 2 else runs[::-1]:
            began = time.perf_counter()
            result = run()
            took[which] = time.perf_counter() - began
            ours, theirs = (result, theirs) if which == 0 else (ours, result)
        pairs.append((took[0], took[1]))
    row: dict[str, Any] = {"what": side.name}
    if side.timed:
        row |= {"ours_s": statistics.median(a for a, _ in pairs), "theirs_s": statistics.median(b for _, b in pairs)}
        row["ratio"] = statistics.median(a / b for a, b in pairs)
    return row | differences(ours, side.score(theirs), train)


def differences(ours: Any, theirs: Scores, train: TrainingSet) -> dict[str, float]:
    """The largest one, and how many users have the same ten items."""
    history: Ragged = train.events.histories(train.users)
    got = ours.score(Queries.of([row.tolist() for row in history])).astype(np.float64)
    off = np.abs(got - theirs) / np.maximum(1, np.abs(theirs))
    return {"largest_difference": float(off.max()), "top10": float(np.mean(same_top(got, theirs, 10)))}


def same_top(ours: Scores, theirs: Scores, k: int) -> NDArray[np.bool_]:
    """(B,): whether every item of our k has at least their k-th score, up to what float32 rounds away."""
    kth = -np.partition(-theirs, k - 1, axis=1)[:, k - 1]
    chosen = np.argpartition(-ours, k - 1, axis=1)[:, :k]
    least = np.take_along_axis(theirs, chosen, axis=1).min(axis=1)
    return least >= kth - 1e-6 * np.maximum(1, np.abs(kth))


def main() -> None:
    """A line per comparison and file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--titles", type=Path)
    parser.add_argument("--neighbours", type=int, default=20)
    parser.add_argument("--factors", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    warnings.simplefilter("ignore")  # implicit's, of matrices that are not CSR
    for path in args.files:
        train = read(path, args.titles)
        with threadpool_limits(1):
            rows = [compare(side, train, args.rounds) for side in sides(train, args.neighbours, args.factors)]
        if args.json:
            print(json.dumps({"file": path.name, "threads": 1, "rows": rows}))
            continue
        print(f"{path.name}: {train.users:,} users, {train.items:,} items, {len(train.events):,} events; one thread")
        for row in rows:
            seconds = "{ours_s:7.3f} : {theirs_s:<7.3f} s, {ratio:5.2f}".format(**row) if "ratio" in row else " " * 26
            found = "difference {largest_difference:.1e}, top 10 {top10:.4f}".format(**row)
            print(f"  {row['what']:<42} {seconds}  {found}", flush=True)


if __name__ == "__main__":
    main()
