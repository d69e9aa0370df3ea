"""How often a model replaces itself: one recipe under many seeds, each judged against each other, in worlds made here.

A seed is no improvement, so a promotion is a mistake: at most 5 % under the rule for what is new.
"""

# P people, S seeds, V items

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray

from tasks.settings_recipes import Gate
from training.contest import Question, judge
from training.data import Dataset, Events, Queries, Split
from training.evaluation import Evaluation, evaluate
from training.models.base import Recommender
from training.models.registry import model
from training.protocols import Temporal
from training.splits import build

DAY_MS = 86_400_000
MOST = 0.05
Z = 1.959964  # of a two-sided 95 % interval
METRIC = "ndcg@10"
SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "sasrec": {"dimension": 16, "hidden": 32, "blocks": 1, "length": 20, "batch_size": 32},
    "two_tower": {
        "dimension": 16,
        "id_embedding": True,
        "pooling": "mean",
        "history_length": 20,
        "batch_size": 256,
        "targets_per_user": 8,
    },
}
LEARNT = {"epochs": 15, "learning_rate": 0.01, "patience": None}


@dataclass(frozen=True, kw_only=True)
class Share:
    """How many judgements promoted, and where the true share lies; pairs that share a seed are not independent."""

    promoted: float
    pairs: int
    independent: float  # judgements of their own that would be as certain
    low: float
    high: float

    @classmethod
    def of(cls, tables: Sequence[NDArray[np.bool_]]) -> Share:
        """Of a table per world, (S, S) challengers by champions: Wilson's interval, as certain as the jackknife says.

        Seeds are left out one by one; the diagonals hold False and are no pairs.
        """
        seeds, count = len(tables[0]), sum(int(table.sum()) for table in tables)
        pairs, fewer = len(tables) * seeds * (seeds - 1), 2 * (seeds - 1)
        share = count / pairs
        without = [(count - table.sum(axis=0) - table.sum(axis=1)) / (pairs - fewer) for table in tables]
        every = np.concatenate(without)
        spread = (len(every) - 1) / len(every) * float(((every - every.mean()) ** 2).sum())
        # No less certain than pairs that share no seed, no more than if none did.
        own = float(np.clip(share * (1 - share) / spread if spread else 0, len(every) // 2, pairs))
        return cls(promoted=share, pairs=pairs, independent=own, **_wilson(share, own))

    def __str__(self) -> str:
        certain = f"{self.low:.1%} to {self.high:.1%}, as certain as {self.independent:.0f} of their own"
        return f"{self.promoted:.1%} of {self.pairs} ({certain})"


def _wilson(share: float, count: float) -> dict[str, float]:
    """E. B. Wilson, 1927: for shares near 0, where a normal interval would be of no width."""
    middle, below = share + Z**2 / (2 * count), 1 + Z**2 / count
    half = Z * np.sqrt(share * (1 - share) / count + Z**2 / (4 * count**2))
    return {"low": max(0.0, float((middle - half) / below)), "high": float((middle + half) / below)}


def listening(people: int, plays: int, items: int, seed: int) -> Dataset:
    """Listeners with tastes among genres; in a genre tracks follow each other, or are drawn by their popularity."""
    dice, genres = np.random.default_rng(seed), max(2, items // 25)
    genre_V = dice.integers(genres, size=items)
    order_V = np.argsort(genre_V, kind="stable")
    start_G = np.searchsorted(genre_V[order_V], np.arange(genres + 1))
    size_G = np.maximum(np.diff(start_G), 1)
    tastes_PG = dice.dirichlet(np.full(genres, 0.2), people).cumsum(axis=1)
    place_P, now_P, heard = np.zeros(people, np.int64), np.zeros(people, np.int64), np.empty((people, plays), np.int32)
    for step in range(plays):
        other = dice.random(people) < (0.3 if step else 1.1)
        drawn = np.minimum((tastes_PG < dice.random(people)[:, None]).sum(axis=1), genres - 1)
        now_P = np.where(other, drawn, now_P)
        jumped = (dice.random(people) ** 2 * size_G[now_P]).astype(np.int64)
        place_P = np.where(other | (dice.random(people) < 0.4), jumped, place_P + 1) % size_G[now_P]
        heard[:, step] = order_V[np.minimum(start_G[now_P] + place_P, items - 1)]
    at = np.sort(dice.integers(100 * DAY_MS, size=(people, plays)), axis=1)
    return Dataset(
        name=f"world {seed}",
        item_ids=tuple(f"i{n:06d}" for n in range(items)),
        user_ids=tuple(f"u{n:06d}" for n in range(people)),
        kinds=("track",) * items,
        events=Events(
            user=np.repeat(np.arange(people), plays).astype(np.int32),
            item=heard.ravel(),
            at=at.ravel(),
            value=np.full(people * plays, np.nan, np.float32),
        ),
        met="play",
    )


def fitted(split: Split, name: str, seeds: Sequence[int]) -> Iterator[tuple[Recommender, Evaluation]]:
    """The recipe under each seed, and what it answers to the same cases."""
    for seed in seeds:
        one = model(name, **SETTINGS[name], loop={**LEARNT, "seed": seed}).fit(split.train)
        yield one, evaluate(one, split.test, train=split.train, ks=(10,), name=f"seed {seed}")


class Worse:
    """A model whose scores are blurred: what is not blurred is an improvement that was planted."""

    def __init__(self, of: Recommender, blur: float, seed: int) -> None:
        """`blur` times the spread of a query's scores is added as noise, the same for a query alone and in a batch."""
        self.name, self._of, self._blur, self._seed = "blurred", of, blur, seed

    def score(self, queries: Queries) -> NDArray[np.float32]:
        """(B, V)."""
        scores_BV = self._of.score(queries)
        noise_V = np.random.default_rng(self._seed).standard_normal(scores_BV.shape[1])
        return (scores_BV + self._blur * scores_BV.std(axis=1, keepdims=True) * noise_V).astype(np.float32)


def judged(challenger: Evaluation, champion: Evaluation, question: Question, again: Sequence[Evaluation] = ()) -> Any:
    """The verdict of the judge that serves, with the bounds that recipes have by default."""
    return judge(challenger, {"champion": champion}, question=question, metric=METRIC, bounds=Gate(), again=again)


def null_tables(answers: Sequence[Evaluation]) -> dict[str, NDArray[np.bool_]]:
    """(S, S) by rule: every seed judged against every other one, with the next seeds as its recipe's others."""
    seeds = len(answers)
    found = {rule: np.zeros((seeds, seeds), np.bool_) for rule in ("better", "better, seeds not asked", "not worse")}
    for own, other in permutations(range(seeds), 2):
        again = [answers[n] for n in _next(own, other, seeds)]
        strict = judged(answers[own], answers[other], "better", again)
        found["better"][own, other] = strict.promoted
        found["better, seeds not asked"][own, other] = strict.interval.low > Gate().better
        found["not worse"][own, other] = judged(answers[own], answers[other], "not worse").promoted
    return found


def _next(own: int, other: int, seeds: int) -> list[int]:
    """The seeds that the challenger's recipe is asked under beside its own: never the champion's."""
    after = [(own + step) % seeds for step in range(1, seeds)]
    return [n for n in after if n != other][: Gate().seeds - 1]


def power(
    split: Split, models: Sequence[Recommender], answers: Sequence[Evaluation], blur: float
) -> tuple[list[bool], list[float]]:
    """Of each seed against the blurred one before it: whether it is promoted, and by how much it is better."""
    promoted: list[bool] = []
    gains: list[float] = []
    for own in range(len(models)):
        worse = Worse(models[own - 1], blur, seed=own)
        champion = evaluate(cast(Recommender, worse), split.test, train=split.train, ks=(10,), name="blurred")
        again = [answers[n] for n in _next(own, own - 1 if own else len(models) - 1, len(models))]
        promoted.append(judged(answers[own], champion, "better", again).promoted)
        gains.append(float(np.mean([one.means[METRIC] for one in answers])) / champion.means[METRIC] - 1)
    return promoted, gains


def run(name: str, args: argparse.Namespace) -> Share:
    """Print a model's table; its share of promotions under the rule for what is new."""
    began, tables, spreads = time.perf_counter(), [], []
    promoted: dict[float, list[bool]] = {blur: [] for blur in args.blur}
    gains: dict[float, list[float]] = {blur: [] for blur in args.blur}
    for world in range(args.worlds):
        split = build(listening(args.people, args.plays, args.items, world), Temporal(per_user=10))
        models, answers = zip(*fitted(split, name, range(args.seeds)), strict=True)
        means = np.array([one.means[METRIC] for one in answers])
        spreads.append(means.std(ddof=1) / means.mean())
        tables.append(null_tables(answers))
        for blur in args.blur:
            won, gain = power(split, models, answers, blur)
            promoted[blur] += won
            gains[blur] += gain
        print(f"{name}, world {world}: {time.perf_counter() - began:.0f} s, {METRIC} {means.mean():.4f}", flush=True)
    print(f"\n{name}: {args.worlds} worlds, {args.seeds} seeds each; a seed changes {METRIC} by {np.mean(spreads):.1%}")
    shares = {rule: Share.of([table[rule] for table in tables]) for rule in tables[0]}
    for rule, share in shares.items():
        print(f"  against itself, {rule}: promoted {share}")
    for blur in args.blur:
        won, gain = np.mean(promoted[blur]), np.mean(gains[blur])
        print(f"  {gain:+.0%} planted, better: promoted {won:.0%} of {len(gains[blur])}")
    return shares["better"]


def main() -> None:
    """Judge every model against itself; fail where more than 5 % are promoted beyond doubt."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.null_test", description=__doc__)
    parser.add_argument("--models", nargs="+", choices=sorted(SETTINGS), default=sorted(SETTINGS))
    parser.add_argument("--worlds", type=int, default=3, help="default 3")
    parser.add_argument("--seeds", type=int, default=10, help="of a model in each world; default 10")
    parser.add_argument("--people", type=int, default=300, help="default 300")
    parser.add_argument("--plays", type=int, default=60, help="of each; default 60")
    parser.add_argument("--items", type=int, default=200, help="default 200")
    parser.add_argument("--blur", type=float, nargs="*", default=[0.25, 0.5, 1.0], help="of planted champions")
    args = parser.parse_args()
    torch.set_num_threads(1)  # models so small are slower on more
    shares = {name: run(name, args) for name in args.models}
    if bad := [name for name, share in shares.items() if share.low > MOST]:
        sys.exit(f"{', '.join(bad)}: promoted against itself in more than {MOST:.0%} of runs")


if __name__ == "__main__":
    main()
