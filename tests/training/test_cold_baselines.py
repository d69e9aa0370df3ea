"""What guesses the worth of an item without events, worked by hand."""

import numpy as np
import pytest

from training.data import NO_TIME, Events, Feature, Queries, Ragged, TrainingSet
from training.models.registry import model


def training_set() -> TrainingSet:
    """Items 0, 1, 2 have 4, 2, 1 events, items 3 and 4 none; item 3 is like 0 and 1, item 4 has no content."""
    items = np.array([0, 0, 0, 0, 1, 1, 2], np.int32)
    vectors = np.array([[1, 0.1], [1, -0.1], [-1, 0], [1, 0], [0, 0]], np.float32)
    return TrainingSet(
        events=Events(
            user=np.arange(7, dtype=np.int32), item=items, at=np.full(7, NO_TIME), value=np.full(7, np.nan, np.float32)
        ),
        items=5,
        users=7,
        profiles=np.zeros((7, 2), np.int32),
        features={
            "text": Feature(name="text", values=vectors, present=np.array([1, 1, 1, 1, 0], bool), known_at="static")
        },
        creators=Ragged.of([[0], [0, 1], [1], [1], []]),
        genres=Ragged.of([[2], [2], [2], [0, 2], [1]]),
    )


def scores(name: str, histories: list[list[int]], **settings: object) -> np.ndarray:
    return model(name, **settings).fit(training_set()).score(Queries.of(histories))


def test_popularity_of_the_nearest_neighbours_is_of_items_with_events_other_than_itself() -> None:
    (row,) = scores("neighbour_popularity", [[0]], modalities=("text",), neighbours=2)
    # Of 0 they are 1 and 2, of 1: 0 and 2, of 2: 0 and 1, of 3: 0 and 1; 4 is as far from all, so the first two.
    assert row.tolist() == [1.5, 2.5, 3.0, 3.0, 3.0]


def test_popularity_of_the_creators_is_of_their_other_items_with_events() -> None:
    (row,) = scores("creator_popularity", [[0]])
    # Item 0: creator 0 has item 1 besides, 2. Item 1: 0 has 4, 1 has 1, mean 2.5. Item 2: 1 has item 1, 2. Item 3:
    # items 1 and 2, 1.5. Item 4: nobody, so 7 / 3.
    np.testing.assert_allclose(row, [2.0, 2.5, 2.0, 1.5, 7 / 3], rtol=1e-6)


def test_popularity_of_the_genres_leaves_out_a_genre_nobody_met() -> None:
    (row,) = scores("genre_popularity", [[0]])
    np.testing.assert_allclose(row, [1.5, 2.5, 3.0, 7 / 3, 7 / 3], rtol=1e-6)


def test_content_neighbours_are_scored_by_mean_or_largest_cosine() -> None:
    train = training_set()
    # Scaled on items 0, 1, 2: mean (1/3, 0), deviation (.942809, .081650).
    z = np.array([[0.7071068, 1.2247449], [0.7071068, -1.2247449], [-1.4142136, 0.0], [0.7071068, 0.0], [0.0, 0.0]])
    unit = z / np.maximum(np.linalg.norm(z, axis=1, keepdims=True), 1e-9)
    cosines = unit @ unit.T
    assert train.features["text"].values.shape == (5, 2)
    mean, largest = (scores("content_knn", [[0, 2], []], modalities=("text",), of=of) for of in ("mean", "max"))
    np.testing.assert_allclose(mean[0], (cosines[0] + cosines[2]) / 2, atol=1e-6)
    np.testing.assert_allclose(largest[0], np.maximum(cosines[0], cosines[2]), atol=1e-6)
    assert not mean[1].any()


def test_a_training_set_that_does_not_say_who_made_its_items_is_told() -> None:
    from dataclasses import replace

    with pytest.raises(ValueError, match="creator_popularity: the training set has no creators"):
        model("creator_popularity").fit(replace(training_set(), creators=None))
