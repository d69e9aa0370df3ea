"""Fit the matching model and write its coefficients with their provenance.

    python -m benchmarks.fit_matching [--tracks 4000] [--seed 41] [--names spotify_songs.csv] [--write]

Pairs come from searches over sandbox worlds, and over real names where a Spotify table is at hand. The weights are a
logistic regression with the signs that the evidence has by its meaning, Platt scaling and thresholds come from searches
that the weights have not seen. Labels are the generator's truth, never an answer of the model.
"""

import argparse
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from benchmarks.linking_films import film_searches
from benchmarks.linking_world import Search, invented_tracks, real_tracks, searches
from connectors.evidence import EVIDENCE, GROUPS, LENGTHS, add_consensus, evidence, sought
from connectors.scoring import COEFFICIENTS, coefficients

FOR = (
    *("title", "title_exact", "artist", "artist_titled", "artist_listed", "artists_share", "close", "near", "agree"),
    *("isrc_same", "album_same", "year_same", "song", "topic", "same_version", "consensus"),
)
AGAINST = (
    *(
        "title_part",
        "title_extra",
        "side_extra",
        "bracket_extra",
        "lead_extra",
        "number_clash",
        "artist_other",
        "artist_unseen",
    ),
    *(
        "artists_extra",
        "foreign_first",
        "far",
        "very_far",
        "isrc_other",
        "album_other",
        "year_far",
        "detail_clash",
        "live_album",
    ),
    *GROUPS,
    *(f"no_{group}" for group in GROUPS),
)
EITHER = ("no_duration", "artist_unasked")
FEATURES = (*FOR, *AGAINST, *EITHER)
PRECISION = 0.993  # of accepted links on unseen searches, which the thresholds are chosen for
# Real uploads are less tidy than generated ones; what Spotify lists is named by labels.
LEAST_ACCEPT = {"youtube": 0.9, "any": 0.9}
REVIEW = 0.3  # a link that is this probable is worth a look
RIDGE = 0.3  # of a unit prior per weight: features that a fit hardly meets stay small but keep their sign
# What speaks against a candidate weighs at least this much, in log-odds: a prior, not a fit. Generated uploads are
# marked more alike than people mark them, and a weight that such a world leaves small would let a cover through.
FLOORS: dict[str, float] = {
    **{group: 6.5 for group in GROUPS if group not in LENGTHS},
    **{f"no_{group}": 6.0 for group in GROUPS if group not in LENGTHS},
    **{"edit": 1.0, "extended": 1.5, "artist_other": 4.0, "title_extra": 6.0, "very_far": 3.0, "detail_clash": 6.0},
    # Nobody in the title, no channel, no artist: most such uploads are right, but a cover looks the same.
    "artist_unseen": 4.0,
    **{"bracket_extra": 8.0, "side_extra": 8.0, "lead_extra": 2.0, "live_album": 1.0, "foreign_first": 2.0},
}
# The other way round: what must count for a candidate, even where a generated world has little of it.
LEAST = {"isrc_same": 5.0, "title": 8.0, "title_exact": 3.0, "artist": 2.0, "close": 3.0, "artist_listed": 0.5}
# And what may not count for more: albums and years of the same recording differ between releases.
MOST = {"album_other": 0.5, "year_far": 0.5, "isrc_other": 1.0, "artists_extra": 2.0}


@dataclass(frozen=True)
class Pairs:
    """Feature rows with labels, and which search each comes from."""

    rows: NDArray[np.float64]  # pair, feature
    labels: NDArray[np.float64]
    group: NDArray[np.int64]

    @classmethod
    def of(cls, found: list[Search]) -> "Pairs":
        """The pairs of searches, as the scorer reads them."""
        rows, labels, group = list[list[float]](), list[float](), list[int]()
        for place, search in enumerate(found):
            item, said = sought(search.wanted), [offer.candidate for offer in search.offers]
            told = [evidence(item, candidate) for candidate in said]
            add_consensus(told, said)
            for offer, features in zip(search.offers, told, strict=True):
                rows.append([features.get(name, 0.0) for name in FEATURES])
                labels.append(float(offer.same))
                group.append(place)
        return cls(np.array(rows), np.array(labels), np.array(group))

    def beside(self, other: "Pairs") -> "Pairs":
        """Both together."""
        group = np.concatenate((self.group, other.group + self.group[-1] + 1))
        return Pairs(np.concatenate((self.rows, other.rows)), np.concatenate((self.labels, other.labels)), group)


def fit(pairs: Pairs, most: Mapping[str, float]) -> NDArray[np.float64]:
    """Intercept and weights, shape (1 + features)."""
    size = len(FEATURES)
    bounds: list[tuple[float | None, float | None]] = [(None, None)]
    bounds += [(LEAST.get(name, 0.0), None) for name in FOR]
    bounds += [(-most.get(name, np.inf), -FLOORS.get(name, 0.0)) for name in AGAINST] + [(None, None)] * len(EITHER)
    start = np.zeros(size + 1)
    start[1:] = [LEAST.get(name, -FLOORS.get(name, 0.0)) for name in FEATURES]

    def loss(w: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        logit = w[0] + pairs.rows @ w[1:]
        total = float(np.logaddexp(0.0, logit).sum() - (pairs.labels * logit).sum())
        error = 1.0 / (1.0 + np.exp(-np.clip(logit, -30, 30))) - pairs.labels
        slope = np.concatenate(([error.sum()], pairs.rows.T @ error + RIDGE * w[1:]))
        return total + 0.5 * RIDGE * float(w[1:] @ w[1:]), slope

    return minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 2000}).x


def platt(logit: NDArray[np.float64], labels: NDArray[np.float64]) -> tuple[float, float]:
    """Slope and offset that calibrate the logits on unseen pairs."""

    def loss(ab: NDArray[np.float64]) -> float:
        scaled = ab[0] * logit + ab[1]
        return float(np.logaddexp(0.0, scaled).sum() - (labels * scaled).sum())

    slope, offset = minimize(loss, np.array([1.0, 0.0]), method="Nelder-Mead").x
    return float(slope), float(offset)


def gathered(seed: int, count: int, names: Path | None, source: str) -> list[Search]:
    """Searches over a world of that seed, and as many over real names."""
    found = list(searches(invented_tracks(seed, count), seed, source))
    if names:
        found += searches(real_tracks(names, seed, count), seed + 1, source)
    return found


def main() -> None:
    """Fit one model per source and one for all; print scores; write the file if told to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tracks", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=41)
    parser.add_argument("--names", type=Path, help="A Spotify table of TidyTuesday, for real names.")
    parser.add_argument("--films", type=Path, help="Folder with movielens-small and tmdb-films; fits TMDb, too.")
    parser.add_argument("--write", action="store_true", help="Replace connectors/scoring.json.")
    args = parser.parse_args()
    learn = {s: Pairs.of(gathered(args.seed, args.tracks, args.names, s)) for s in ("youtube", "spotify")}
    check = {s: Pairs.of(gathered(args.seed + 1000, args.tracks // 2, args.names, s)) for s in learn}
    learn["any"], check["any"] = (found["youtube"].beside(found["spotify"]) for found in (learn, check))
    if args.films:
        learn["tmdb"] = Pairs.of(film_searches(args.films, args.seed, (0.0, 0.7)))
        check["tmdb"] = Pairs.of(film_searches(args.films, args.seed + 1000, (0.7, 1.0)))
    models: dict[str, Any] = {}
    scores: dict[str, Any] = {}
    for source, pairs in learn.items():
        models[source], scores[source] = _fitted(source, pairs, check[source])
    if args.write:
        _write(models, scores, args)
    for source, said in scores.items():
        print(source, json.dumps(said))
    for name in FEATURES:
        print(f"{name:16}", *(f"{models[source]['weights'][name]:8.2f}" for source in scores))


def _fitted(source: str, pairs: Pairs, unseen: Pairs) -> tuple[dict[str, Any], dict[str, Any]]:
    """One source's model, and its scores on searches that it has not seen."""
    weights = fit(pairs, {} if source == "tmdb" else MOST)  # a film of another year is another film
    logit = weights[0] + unseen.rows @ weights[1:]
    slope, offset = platt(logit, unseen.labels)
    chance = 1.0 / (1.0 + np.exp(-np.clip(slope * logit + offset, -30, 30)))
    model = {
        "intercept": round(float(weights[0]), 4),
        "weights": {name: round(float(w), 4) for name, w in zip(FEATURES, weights[1:], strict=True)},
        "slope": round(slope, 4),
        "offset": round(offset, 4),
    }
    said = _scores(chance, unseen, _threshold(source, chance, unseen))
    return model, said | {"fitted_pairs": len(pairs.labels), "fitted_searches": len(np.unique(pairs.group))}


def _threshold(source: str, chance: NDArray[np.float64], pairs: Pairs) -> float:
    """The lowest probability, up to 0.98, from which on links are as precise as they have to be."""
    for accept in np.arange(LEAST_ACCEPT.get(source, 0.85), 0.981, 0.01):
        if _scores(chance, pairs, float(accept))["precision"] >= PRECISION:
            return round(float(accept), 2)
    return 0.98


def _scores(chance: NDArray[np.float64], pairs: Pairs, accept: float) -> dict[str, Any]:
    """Of accepting the likeliest candidate of each search."""
    starts = np.flatnonzero(np.diff(pairs.group, prepend=-1))
    ends = np.append(starts[1:], len(pairs.group))
    best = np.array([start + chance[start:end].argmax() for start, end in zip(starts, ends, strict=True)])
    possible = sum(bool(pairs.labels[start:end].any()) for start, end in zip(starts, ends, strict=True))
    taken = pairs.labels[best][chance[best] >= accept]
    return {
        "accept": accept,
        "precision": round(float(taken.mean()), 4) if len(taken) else 0.0,
        "recall": round(float(taken.sum()) / max(possible, 1), 4),
        "brier": round(float(((chance - pairs.labels) ** 2).mean()), 5),
        "pairs": len(pairs.labels),
    }


def _write(models: dict[str, Any], scores: dict[str, Any], args: argparse.Namespace) -> None:
    chosen = {source: {"accept": said["accept"], "review": REVIEW} for source, said in scores.items()}
    said = {
        "fitted": datetime.now(UTC).date().isoformat(),
        "script": "python -m benchmarks.fit_matching",
        "seeds": [args.seed, args.seed + 1, args.seed + 1000, args.seed + 1001],
        "tracks_per_world": args.tracks,
        "names": "sandbox world and TidyTuesday Spotify table" if args.names else "sandbox world",
        "labels": "truth of the generator deployments/sandbox/distractors.py; for tmdb the ids of MovieLens",
        "code": EVIDENCE,
        "unseen_scores": scores,
        "floors": "least weight of version words and of other artists, see benchmarks/fit_matching.py",
    }
    if "tmdb" not in models:  # films need real tables: where they are not at hand, what was fitted last stays
        models["tmdb"], chosen["tmdb"] = (coefficients()[name]["tmdb"] for name in ("models", "thresholds"))
    text = json.dumps({"provenance": said, "thresholds": chosen, "models": models}, indent=1)
    COEFFICIENTS.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
