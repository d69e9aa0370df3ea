"""What content adds to two towers: items somebody met, items nobody met, which loss, and modalities that are shuffled.

python -m benchmarks.two_tower films --store .mediateca/films --results /tmp/two-tower

A run is a file in the folder of results; what is there is not done again. `warm` is leave-one-out, `cold` five folds
of items that leave training, their cases pooled: (a) among cold items, (b) in the whole catalogue. Towers learn until
the split's validation, whose items are cold too, is no longer answered better. Intervals are of a paired bootstrap over
users, and over users and items.
"""

import argparse
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from storage.store import Store
from training.data import Cases, Dataset, Feature, Split, TrainingSet
from training.evaluation import Evaluation, digest, evaluate
from training.models.registry import model
from training.protocols import ColdItems, Loo, Prepare
from training.reading import Wanted, read_release, select_items
from training.splits import build, folds, in_catalogue

RESAMPLES = 2_000
TOP = 10


@dataclass(frozen=True, kw_only=True)
class Data:
    """What is read of a release, and how it is prepared."""

    wanted: Wanted
    prepare: Prepare = field(default_factory=Prepare)
    described: bool = False  # items without any of the features are left out
    learning_rate: float = 1e-3  # chosen of 3e-4 and 1e-3 on validation of another drawing

    def read(self, store: Path) -> Dataset:
        """From the current release."""
        data = read_release(Store(str(store)), self.wanted)
        there = np.logical_or.reduce([feature.present for feature in data.features.values()])
        return select_items(data, np.asarray(there)) if self.described else data


DATA = {
    "films": Data(
        wanted=Wanted(events="rating", items="film", features=("minilm", "image_descriptors", "tabular")),
        prepare=Prepare(least_value=3.0),
    ),
    "playlists": Data(wanted=Wanted(events="playlist", items="track", features=("tabular",)), described=True),
    "plays": Data(
        wanted=Wanted(events="play", items="track", features=("minilm", "audio_descriptors", "tabular")),
        learning_rate=3e-4,
    ),
}
"""Ratings of films; playlists of tracks with audio features (Million Playlist Dataset, Spotify); plays of a world."""

TOWERS = {"dimension": 64, "modality_dimension": 64, "history_length": 20, "pooling": "mean", "batch_size": 512}
"""Small enough for two cores."""
LOOP = {"epochs": 40, "patience": 8}
"""Few validation items are half of its cases: one lucky epoch is no reason to stop."""
PROTOCOLS = ("warm", "cold")


def contenders(
    protocol: str, modalities: tuple[str, ...], learning_rate: float
) -> dict[str, tuple[str, dict[str, Any], str | None]]:
    """Label: the model's name, its settings, and the modality whose vectors are shuffled."""
    base: dict[str, Any] = {**TOWERS, "modalities": modalities, "loop": {**LOOP, "learning_rate": learning_rate}}
    content = {**base, "id_embedding": False}
    found: dict[str, tuple[str, dict[str, Any], str | None]] = {
        "random": ("random", {}, None),
        "content_knn (mean)": ("content_knn", {"modalities": modalities, "of": "mean"}, None),
        "content_knn (max)": ("content_knn", {"modalities": modalities, "of": "max"}, None),
        "neighbour_popularity": ("neighbour_popularity", {"modalities": modalities}, None),
        "creator_popularity": ("creator_popularity", {}, None),
        "genre_popularity": ("genre_popularity", {}, None),
    }
    if protocol == "warm":
        found |= {"most_popular": ("most_popular", {}, None), "item_knn": ("item_knn", {}, None)}
        found["ids"] = ("two_tower", {**base, "modalities": ()}, None)
        found["both, in-batch only"] = ("two_tower", {**base, "log_q": False}, None)
        found["both, mixed"] = ("two_tower", {**base, "uniform_negatives": 512}, None)
    found["both"] = ("two_tower", base, None)
    found["both, no shortcut"] = ("two_tower", {**base, "shortcut": False}, None)
    found["both, longer history"] = ("two_tower", {**base, "history_length": 50}, None)
    found["content"] = ("two_tower", content, None)
    for name in modalities:
        rest = tuple(other for other in modalities if other != name)
        found[f"content, {name} shuffled"] = ("two_tower", content, name)
        if rest:
            found[f"content without {name}"] = ("two_tower", {**content, "modalities": rest}, None)
    return found


def main() -> None:
    """Run what is asked for and not there yet, then print the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.two_tower", description=__doc__)
    parser.add_argument("data", choices=DATA)
    parser.add_argument("--store", type=Path, required=True, help="the store of a catalogue that was built")
    parser.add_argument("--results", type=Path, required=True)
    parser.add_argument("--features", nargs="+", help="read these of the release; default: those named above")
    parser.add_argument("--protocol", choices=PROTOCOLS, action="append", help="default: both")
    parser.add_argument("--only", action="append", help="a contender by its label; may be repeated")
    parser.add_argument("--threads", type=int, default=2)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    setting = DATA[chosen.data]
    if chosen.features:
        setting = replace(setting, wanted=replace(setting.wanted, features=tuple(chosen.features)))
    data = setting.read(chosen.store)
    for protocol in chosen.protocol or PROTOCOLS:
        labels = contenders(protocol, tuple(data.features), setting.learning_rate)
        splits = list(_splits(data, setting, protocol))
        _describe(data, protocol, splits)
        for label in [label for label in labels if not chosen.only or label in chosen.only]:
            for number, split in enumerate(splits):
                path = chosen.results / chosen.data / protocol / f"{label.replace(' ', '_')}.{number}.npz"
                if not _done(path, key := repr((digest(split.test), labels[label]))):
                    _run(path, key, split, *labels[label], cold=protocol == "cold")
        _tables(chosen.results / chosen.data / protocol, list(labels), len(splits))


def _splits(data: Dataset, setting: Data, protocol: str) -> Iterator[Split]:
    if protocol == "warm":
        yield build(data, Loo(prepare=setting.prepare))
    else:
        yield from folds(data, ColdItems(prepare=setting.prepare))


def _describe(data: Dataset, protocol: str, splits: Sequence[Split]) -> None:
    cases, events = sum(len(split.test) for split in splits), [len(split.train.events) for split in splits]
    candidates = np.mean([np.count_nonzero(split.test.candidates) for split in splits])
    present = ", ".join(f"{name} {feature.present.mean():.0%}" for name, feature in data.features.items())
    print(f"\n{protocol}: {data.items:,} items ({present}), {data.users:,} users")
    print(f"{np.mean(events):,.0f} training events")
    print(f"{cases:,} cases, {candidates:,.0f} candidates")


def _done(path: Path, key: str) -> bool:
    """Whether the same settings were asked the same cases."""
    if not path.exists():
        return False
    kept = np.load(path)
    return "item" in kept.files and str(kept["key"]) == key


def _run(
    path: Path, key: str, split: Split, name: str, settings: Mapping[str, Any], shuffled: str | None, *, cold: bool
) -> None:
    """Fit, evaluate, keep what each case was answered."""
    began = time.perf_counter()
    train = split.train
    fitted = model(name, **settings).fit(_shuffled(train, shuffled) if shuffled else train)
    found: dict[str, NDArray[Any]] = {}
    for part, cases in (("a", split.test), ("b", in_catalogue(split.test))) if cold else (("a", split.test),):
        answers = evaluate(fitted, cases, train=train, ks=(TOP,))
        found |= {f"{part}.ndcg": answers.values[f"ndcg@{TOP}"], f"{part}.hr": answers.values[f"hr@{TOP}"]}
        found[f"{part}.cold"] = _cold_share(answers, split.train)
    seconds = time.perf_counter() - began
    path.parent.mkdir(parents=True, exist_ok=True)
    targets = split.test.targets
    item = targets.values[targets.starts[:-1]]
    np.savez(path, key=key, person=_owners(split.test), item=item, seconds=seconds, **found)  # type: ignore[arg-type]
    print(f"{path.stem}: {found['a.ndcg'].mean():.4f}, {seconds:.0f} s", flush=True)


def _owners(cases: Cases) -> NDArray[np.int32]:
    return cases.queries.user if cases.origin is None else cases.origin.owner


def _cold_share(answers: Evaluation, train: TrainingSet) -> NDArray[np.float64]:
    """(B,): share of what is recommended that nobody met in training."""
    return (train.popularity()[answers.top] == 0).mean(axis=1)


def _shuffled(train: TrainingSet, name: str) -> TrainingSet:
    """The vectors of one modality dealt to other items, with their gaps."""
    order, was = np.random.default_rng(0).permutation(train.items), train.features[name]
    mixed = Feature(name=name, values=was.values[order], present=was.present[order], known_at=was.known_at)
    return replace(train, features={**train.features, name: mixed})


def _tables(folder: Path, labels: Sequence[str], count: int) -> None:
    """Means, and each contender against those it is to beat."""
    kept = {label: _pooled(folder, label, count) for label in labels}
    there = {label: values for label, values in kept.items() if values is not None}
    for label, values in there.items():
        cells = [f"{key} {values[key].mean():.4f}" for key in values if "." in key]
        print(f"| {label} | {' | '.join(cells)} | {values['seconds'].sum():.0f} s |")
    simple = [
        label for label in there if not label.startswith(("ids", "both", "content,", "content without", "random"))
    ]
    best = max((label for label in simple if label != "content"), key=lambda b: there[b]["a.ndcg"].mean(), default="")
    rivals = {"ids", "both", "content", best}
    for base in [label for label in there if label in rivals]:
        for label in [label for label in there if label.startswith(("both", "content")) and label != base]:
            ours, theirs, person = there[label]["a.ndcg"], there[base]["a.ndcg"], there[base]["person"]
            low, high = interval(ours, theirs, person)
            least, most = interval(ours, theirs, person, there[base]["item"])
            told = f"{ours.mean() / theirs.mean() - 1:+.1%} [{low:+.1%}, {high:+.1%}]"
            print(f"NDCG@{TOP} of {label} against {base}: {told}, items drawn too [{least:+.1%}, {most:+.1%}]")


def _pooled(folder: Path, label: str, count: int) -> dict[str, NDArray[Any]] | None:
    paths = [folder / f"{label.replace(' ', '_')}.{number}.npz" for number in range(count)]
    if not all(path.exists() for path in paths):
        return None
    parts = [np.load(path) for path in paths]
    return {key: np.concatenate([np.atleast_1d(part[key]) for part in parts]) for key in parts[0].files}


def interval(ours: NDArray[Any], theirs: NDArray[Any], *kinds: NDArray[Any]) -> tuple[float, float]:
    """The 95 % percentile interval of the relative difference of means.

    Whatever `kinds` tell of each case, who it is of and what was met, is drawn with all its cases; two kinds each on
    its own. Source: the pigeonhole bootstrap, Owen, Annals of Applied Statistics 2007.
    """
    dice, sums_R2 = np.random.default_rng(0), list[NDArray[Any]]()
    codes = [np.unique(kind, return_inverse=True)[1] for kind in kinds]
    both_N2 = np.stack([ours, theirs], axis=1)
    for _ in range(RESAMPLES):
        weights_N = np.ones(len(ours))
        for code in codes:
            count = int(code.max()) + 1
            weights_N *= dice.multinomial(count, np.full(count, 1 / count))[code]
        sums_R2.append(weights_N @ both_N2)
    mine, base = np.stack(sums_R2, axis=1)
    low, high = np.quantile(mine / base - 1, (0.025, 0.975))
    return float(low), float(high)


if __name__ == "__main__":
    main()
