"""Vectors to index: real ones of MiniLM, a mixture around them of stated intrinsic dimension, principal components."""

import csv
import json
import os
import tempfile
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

QUERIES, INTRINSIC = 2_000, 16
F32 = NDArray[np.float32]


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


def axes_of(array: F32) -> F32:
    """(d, d): a principal axis per column, the widest first."""
    sample = array[:: max(len(array) // 50_000, 1)].astype(np.float64)
    return np.linalg.eigh(np.cov(sample.T))[1][:, ::-1].astype(np.float32)


def projected(array: F32, d: int, axes: F32 | None = None) -> F32:
    """The first d principal components, at length 1; along these axes where they are known."""
    if d >= array.shape[1]:
        return array
    return unit(array @ (axes_of(array) if axes is None else axes)[:, :d])


def corpus(n: int, d: int, seconds: float) -> tuple[F32, int]:
    """4,000 rows more than n, real and made ones mixed, and how many are real."""
    found, total = real(seconds)[: n + 2 * QUERIES], n + 2 * QUERIES
    centres = found if len(found) else unit(np.random.default_rng(0).standard_normal((2_000, 384), np.float32))
    every = np.concatenate([found, mixture(total - len(found), 384, centres)]) if len(found) < total else found
    return projected(every[np.random.default_rng(2).permutation(total)], d), len(found)
