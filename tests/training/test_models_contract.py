"""What holds for every recommender of the registry. A new one needs an entry in TINY, a baseline in LEARNS."""

import copy
import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from training.data import UNKNOWN, Cases, Events, Feature, Queries, Ragged, TrainingSet
from training.models.registry import MODELS, model

TINY: dict[str, dict[str, Any]] = {
    "content_knn": {"modalities": ("content",)},
    "creator_popularity": {},
    "genre_popularity": {},
    "neighbour_popularity": {"modalities": ("content",), "neighbours": 7},
    "item_knn": {"neighbours": 8},
    "most_played": {},
    "most_popular": {},
    "random": {},
    "recent_popularity": {"half_life_days": 2.0},
    "repeat_last": {},
    "same_creator": {},
    "sasrec": {
        "dimension": 16,
        "hidden": 32,
        "length": 6,
        "dropout": 0.2,
        "batch_size": 16,
        "bias": True,
        "loop": {"epochs": 45, "learning_rate": 0.01, "patience": None},
    },
    "svd": {"factors": 2},
    "tfidf": {},
    "two_tower": {
        "dimension": 16,
        "modality_dimension": 8,
        "modalities": ("content",),
        "history_length": 6,
        "heads": 2,
        "layers": 1,
        "batch_size": 32,
        "loop": {"epochs": 8, "learning_rate": 0.01, "patience": None},
    },
    "user_knn": {"neighbours": 8},
}
"""Settings with which a model learns the toys in a second."""

LEARNS: dict[str, str] = {
    "most_played": "repeats",
    "creator_popularity": "worth",
    "genre_popularity": "worth",
    "neighbour_popularity": "worth",
    "most_popular": "popularity",
    "recent_popularity": "recency",
    "repeat_last": "repeats",
    "random": "nothing",
}
"""What there is to learn for a model; `groups` where nothing is said, and `cycle` for models of SEQUENTIAL too."""
SEQUENTIAL = ("sasrec",)

GROUP, PER_GROUP = 8, 16  # items and users of each of two groups
NEW = (2 * GROUP, 2 * GROUP + 1)  # an item of each group that nobody has met
ITEMS, USERS = 2 * GROUP + 2, 2 * PER_GROUP
DAY = 86_400_000


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> None:
    torch.set_num_threads(1)


def group_of_items() -> NDArray[np.int32]:
    return np.array([0] * GROUP + [1] * GROUP + [0, 1], np.int32)


def training_set(sequences: list[list[int]]) -> TrainingSet:
    """Sequences of users 0, 1, ... at one event a day; what else is known of an item says its group."""
    history = Ragged.of(sequences)
    group = group_of_items()
    dice = np.random.default_rng(1)
    vectors = np.eye(4, dtype=np.float32)[group] + 0.1 * dice.standard_normal((ITEMS, 4)).astype(np.float32)
    there = np.arange(ITEMS) != 3  # an item without a vector
    codes = Ragged(values=group, starts=np.arange(ITEMS + 1))
    events = Events(
        user=history.rows.astype(np.int32),
        item=history.values,
        at=(np.arange(len(history.values)) - history.starts[history.rows]) * DAY,
        value=np.full(len(history.values), np.nan, np.float32),
    )
    return TrainingSet(
        events=events,
        items=ITEMS,
        users=len(sequences),
        profiles=np.tile([[1, 2]], (len(sequences), 1)).astype(np.int32),
        features={
            "content": Feature(name="content", values=vectors * there[:, None], present=there, known_at="static")
        },
        creators=codes,
        genres=codes,
        documents=tuple(f"the {('red', 'blue')[g]} film number{i}" for i, g in enumerate(group)),
        validation=Cases(
            queries=queries([row[:-1] for row in sequences], user=np.arange(len(sequences))),
            targets=Ragged.of([row[-1:] for row in sequences]),
            candidates=np.ones(ITEMS, bool),
            filter_seen=False,
        ),
    )


def queries(histories: list[list[int]], *, user: NDArray[np.int64] | None = None) -> Queries:
    """Asked the day after the last event; of unknown users unless told."""
    asked = Queries.of(histories)
    lengths, starts = asked.history.lengths, asked.history.starts
    return replace(
        asked,
        user=asked.user if user is None else user.astype(np.int32),
        history_at=(np.arange(len(asked.history.values)) - starts[asked.history.rows]) * DAY,
        at=(lengths * DAY).astype(np.int64),
        profile=np.tile([[1, 2]], (len(asked), 1)).astype(np.int32),
    )


@cache
def groups() -> TrainingSet:
    """A checkerboard: each user met six of the eight items of one group, in any order, low numbers most often."""
    dice = np.random.default_rng(0)
    often = np.linspace(3, 1, GROUP) / np.linspace(3, 1, GROUP).sum()
    rows = [dice.choice(GROUP, 6, replace=False, p=often) + GROUP * (u % 2) for u in range(USERS)]
    return training_set([row.tolist() for row in rows])


@cache
def cycle() -> TrainingSet:
    """After an item comes the next higher one, after the last the first."""
    items = 2 * GROUP
    return training_set([[(start + step) % items for step in range(6)] for start in range(items) for _ in range(2)])


@cache
def fitted(name: str, toy: Any = groups) -> Any:
    return model(name, **TINY[name]).fit(toy())


HISTORIES = [[0, 2, 4], [9, 11], [], [1], [NEW[0]], [0, 9, 0, 0, 12], list(range(ITEMS)) * 4, [5, ITEMS + 3]]
"""Of all lengths; with an item nobody has met, repeats, more events than any in training, an item of later."""

every_model = pytest.mark.parametrize("name", sorted(MODELS))


def test_every_model_has_tiny_settings() -> None:
    assert TINY.keys() == MODELS.keys(), "a registered model needs an entry in TINY, and the other way round"


@every_model
def test_learns_what_there_is_to_learn(name: str) -> None:
    check = {
        "groups": learns_groups,
        "popularity": learns_popularity,
        "repeats": learns_repeats,
        "recency": learns_recency,
        "worth": learns_worth,
        "nothing": learns_nothing,
    }
    check[LEARNS.get(name, "groups")](fitted(name))


def learns_groups(fit: Any) -> None:
    scores = fit.score(queries([[0, 2, 4], [9, 11, 13]]))
    own, other = [1, 3, 5, 6, 7], [8, 10, 12, 14, 15]
    assert scores[0, own].min() > scores[0, other].max()
    assert scores[1, other].min() > scores[1, own].max()


def learns_popularity(fit: Any) -> None:
    popularity = groups().popularity()
    scores = fit.score(queries([[0, 2], []]))
    assert (
        np.sign(np.subtract.outer(scores[0], scores[0])) == np.sign(np.subtract.outer(popularity, popularity))
    ).all()


def learns_worth(fit: Any) -> None:
    """What nobody has met is worth what the eight others of its group are, on average."""
    (scores,) = fit.score(queries([[0]]))
    np.testing.assert_allclose(scores[list(NEW)], groups().popularity().sum() / (2 * GROUP), rtol=0.2)


def learns_repeats(fit: Any) -> None:
    (scores,) = fit.score(queries([[9, 0, 9]]))
    assert scores[[9, 0]].min() > np.delete(scores, [9, 0]).max()


def learns_recency(fit: Any) -> None:
    events, (score,) = groups().events, fit.score(queries([[0, 1, 2]]))
    before = events.at < 3 * DAY
    weights = np.exp2((events.at - 3 * DAY) / (2 * DAY)) * before
    sums = np.bincount(events.item, weights, minlength=ITEMS)
    np.testing.assert_allclose(score[sums > 0], np.log2(sums[sums > 0]), rtol=1e-6)
    assert score[sums == 0].max(initial=-np.inf) < score[sums > 0].min()


def learns_nothing(fit: Any) -> None:
    scores = fit.score(queries([[u % ITEMS, u // ITEMS] for u in range(ITEMS**2)]))
    places = (scores > scores[:, :1]).sum(axis=1)
    # 324 draws from 0 ... 17: the mean is 8.5 with a standard error of 0.29.
    assert abs(places.mean() - (ITEMS - 1) / 2) < 1.2


@pytest.mark.parametrize("name", sorted(set(SEQUENTIAL) & MODELS.keys()))
def test_a_sequential_model_learns_what_comes_next(name: str) -> None:
    scores = fitted(name, cycle).score(queries([[4, 5, 6], [14, 15], [1, 2, 3, 4, 5]]))
    assert scores.argmax(axis=1).tolist() == [7, 0, 6]


@every_model
def test_scores_are_finite_for_every_item_and_any_query(name: str) -> None:
    scores = fitted(name).score(queries(HISTORIES))
    assert scores.shape == (len(HISTORIES), ITEMS)
    assert scores.dtype == np.float32
    assert np.isfinite(scores).all()


@every_model
def test_queries_of_no_time_and_no_profile_are_answered(name: str) -> None:
    assert np.isfinite(fitted(name).score(Queries.of(HISTORIES))).all()


@every_model
def test_no_queries_get_no_rows(name: str) -> None:
    assert fitted(name).score(queries([])).shape == (0, ITEMS)


@every_model
def test_a_refit_gives_the_same_scores(name: str) -> None:
    again = model(name, **TINY[name]).fit(groups())
    np.testing.assert_array_equal(again.score(queries(HISTORIES)), fitted(name).score(queries(HISTORIES)))


@every_model
def test_saved_and_loaded_again_gives_the_same_scores(name: str, tmp_path: Path) -> None:
    fitted(name).save(tmp_path / "kept")
    loaded = type(fitted(name)).load(tmp_path / "kept")
    np.testing.assert_array_equal(loaded.score(queries(HISTORIES)), fitted(name).score(queries(HISTORIES)))
    assert {path.suffix for path in (tmp_path / "kept").iterdir()} == {".json", ".safetensors"}
    assert loaded.config == fitted(name).config
    for path in (tmp_path / "kept").glob("*.json"):
        json.loads(path.read_text())


@every_model
def test_a_query_alone_scores_as_in_a_batch(name: str) -> None:
    batch = fitted(name).score(queries(HISTORIES))
    alone = np.concatenate([fitted(name).score(queries([history])) for history in HISTORIES])
    np.testing.assert_allclose(alone, batch, rtol=1e-5, atol=1e-5)


@every_model
def test_the_order_of_queries_does_not_matter(name: str) -> None:
    asked, order = queries(HISTORIES), np.array([5, 0, 7, 6, 2, 1, 4, 3])
    there = fitted(name).score(asked)[order]
    np.testing.assert_allclose(fitted(name).score(asked.take(order)), there, rtol=1e-5, atol=1e-5)


@every_model
def test_what_a_user_met_later_changes_nothing(name: str) -> None:
    """Training holds all of a user's events; who asks with the first three is told what those three say."""
    events = groups().events.histories(USERS)
    first = [events[u][:3].tolist() for u in range(4)]
    known = queries(first, user=np.arange(4))
    if name != "random":  # which is told apart by who asks
        unknown = replace(known, user=np.full(4, UNKNOWN, np.int32))
        np.testing.assert_allclose(fitted(name).score(known), fitted(name).score(unknown), rtol=1e-5, atol=1e-5)
    beside = queries([*first, *(events[u].tolist() for u in range(4))], user=np.tile(np.arange(4), 2))
    np.testing.assert_allclose(fitted(name).score(beside)[:4], fitted(name).score(known), rtol=1e-5, atol=1e-5)


@every_model
def test_what_is_passed_in_stays_as_it_was(name: str) -> None:
    train, asked = groups(), queries(HISTORIES)
    before = copy.deepcopy((train, asked))
    model(name, **TINY[name]).fit(train).score(asked)
    assert arrays_of((train, asked)) == arrays_of(before)


def arrays_of(thing: Any) -> list[bytes]:
    """Every array in it, as bytes."""
    if isinstance(thing, np.ndarray):
        return [thing.tobytes()]
    if isinstance(thing, tuple | list):
        return [found for part in thing for found in arrays_of(part)]
    if isinstance(thing, dict):
        return arrays_of(list(thing.values()))
    return arrays_of(list(vars(thing).values())) if hasattr(thing, "__dataclass_fields__") else []


@every_model
def test_asked_before_it_is_fitted_it_says_so(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name}.*fit"):
        model(name, **TINY[name]).score(queries([[0]]))


@every_model
def test_what_an_index_serves_is_the_score(name: str) -> None:
    fit = fitted(name)
    if not hasattr(fit, "item_vectors"):
        pytest.skip("no retriever")
    product = fit.query_vectors(queries(HISTORIES)) @ fit.item_vectors().T
    np.testing.assert_allclose(product, fit.score(queries(HISTORIES)), rtol=1e-5, atol=1e-5)
