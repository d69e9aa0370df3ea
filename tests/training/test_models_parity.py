"""The classic models against those of `implicit` and scikit-learn, on a small generated matrix."""

import warnings
from typing import Any

import numpy as np
import pytest
from implicit.nearest_neighbours import BM25Recommender, CosineRecommender, TFIDFRecommender
from numpy.typing import NDArray
from scipy import sparse
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer

from training.data import NO_TIME, Events, Queries, TrainingSet
from training.models.files import matrix_of
from training.models.registry import model

PEERS = {"cosine": CosineRecommender, "tfidf": TFIDFRecommender, "bm25": BM25Recommender}
USERS, ITEMS = 60, 40
DOCUMENTS = ("A film, a FILM about films!", "Été à l'île; 2 of 12", "", "about x y zz", "of of of the été")


def training_set() -> TrainingSet:
    """Skewed popularity; repeats; one item and one user without events."""
    dice = np.random.default_rng(3)
    user = np.sort(dice.integers(0, USERS - 1, 900)).astype(np.int32)
    item = np.minimum(dice.geometric(0.1, 900) - 1, ITEMS - 2).astype(np.int32)
    events = Events(user=user, item=item, at=np.full(900, NO_TIME), value=np.full(900, np.nan, np.float32))
    documents = tuple(DOCUMENTS[i % 5] + f" word{i % 7}" * (i % 3) for i in range(ITEMS))
    return TrainingSet(
        events=events, items=ITEMS, users=USERS, profiles=np.zeros((USERS, 2), np.int32), documents=documents
    )


def counted(train: TrainingSet) -> sparse.csr_matrix:
    """(U, V): events."""
    cells = (train.events.user, train.events.item)
    return sparse.csr_matrix((np.ones(len(train.events)), cells), shape=(USERS, ITEMS))


def asked(train: TrainingSet) -> Queries:
    """Everybody, with all they met."""
    return Queries.of([row.tolist() for row in train.events.histories(USERS)])


def learnt(weighting: str, matrix: Any, neighbours: int) -> Any:
    """The peer, fitted; users without events divide zero by zero there."""
    peer = PEERS[weighting](K=neighbours, num_threads=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        peer.fit(matrix, show_progress=False)
    return peer


def equal(ours: NDArray[Any], theirs: NDArray[Any], within: float = 1e-6) -> None:
    assert np.ptp(theirs) > 0, "compared nothing"
    np.testing.assert_allclose(ours, theirs, rtol=within, atol=within)


@pytest.mark.parametrize("weighting", PEERS)
def test_item_knn_of_all_neighbours_scores_as_implicit(weighting: str) -> None:
    train = training_set()
    settings = {"neighbours": ITEMS, "weighting": weighting, "counts": True, "fallback": False}
    ours = model("item_knn", **settings).fit(train).score(asked(train))
    equal(ours, (counted(train) @ learnt(weighting, counted(train), ITEMS).similarity).toarray())


@pytest.mark.parametrize("weighting", PEERS)
def test_item_knn_has_the_neighbours_of_implicit(weighting: str) -> None:
    train, k = training_set(), 6
    fitted = model("item_knn", neighbours=k, weighting=weighting, counts=True).fit(train)
    ours = matrix_of("neighbours", fitted.arrays).toarray()
    theirs = learnt(weighting, counted(train), k).similarity.toarray()
    equal(np.sort(ours, axis=1), np.sort(theirs, axis=1))
    kth = np.sort(theirs, axis=1)[:, -k, None]
    clear = (np.abs(theirs - kth) > 1e-6) & (np.abs(ours - kth) > 1e-6)  # equal ones at the edge may be others
    equal(ours * clear, theirs * clear)


@pytest.mark.parametrize("weighting", PEERS)
def test_user_knn_folded_in_scores_as_implicit_with_users_for_items(weighting: str) -> None:
    train = training_set()
    settings = {"neighbours": USERS, "weighting": weighting, "counts": True, "fallback": False}
    ours = model("user_knn", **settings).fit(train).score(asked(train))
    theirs = learnt(weighting, counted(train).T.tocsr(), USERS).similarity @ counted(train)
    equal(ours, theirs.toarray())


def test_svd_reconstructs_as_scikit_learn() -> None:
    train = training_set()
    ours = model("svd", factors=5, counts=True, fallback=False).fit(train).score(asked(train))
    peer = TruncatedSVD(5, algorithm="arpack", random_state=0)
    equal(ours, peer.fit_transform(counted(train)) @ peer.components_, within=1e-4)


@pytest.mark.parametrize(
    ("settings", "theirs"),
    [
        ({}, {}),
        ({"sublinear": True}, {"sublinear_tf": True}),
        ({"least_documents": 5, "most_share": 0.5}, {"min_df": 5, "max_df": 0.5}),
    ],
)
def test_tfidf_scores_as_scikit_learn(settings: dict[str, Any], theirs: dict[str, Any]) -> None:
    train = training_set()
    fitted = model("tfidf", fields=("documents",), counts=True, fallback=False, **settings).fit(train)
    words = TfidfVectorizer(**theirs).fit_transform(train.documents)
    equal(fitted.score(asked(train)), (counted(train) @ words @ words.T).toarray())


def test_shrinkage_is_added_to_the_product_of_lengths() -> None:
    # Item 0 has users 0, 1; item 1 users 0, 1, 2, 3: dot 2, lengths sqrt(2) and 2.
    user, item = np.array([0, 0, 1, 1, 2, 3], np.int32), np.array([0, 1, 0, 1, 1, 1], np.int32)
    events = Events(user=user, item=item, at=np.full(6, NO_TIME), value=np.full(6, np.nan, np.float32))
    train = TrainingSet(events=events, items=2, users=4, profiles=np.zeros((4, 2), np.int32))
    scores = model("item_knn", shrink=3.0).fit(train).score(Queries.of([[0]]))
    np.testing.assert_allclose(scores, [[2 / (2 + 3), 2 / (2 * np.sqrt(2) + 3)]], rtol=1e-6)


def test_of_equal_neighbours_the_more_popular_are_kept() -> None:
    # Item 0 has cosine 1 / sqrt(2) with itself excepted: items 1 and 2 are met by user 0 and one other each, 3 thrice.
    pairs = [(0, 0), (0, 1), (0, 2), (0, 3), (1, 2), (2, 1), (3, 3), (4, 3)]
    user, item = (np.array(column, np.int32) for column in zip(*pairs, strict=True))
    events = Events(user=user, item=item, at=np.full(8, NO_TIME), value=np.full(8, np.nan, np.float32))
    train = TrainingSet(events=events, items=4, users=5, profiles=np.zeros((5, 2), np.int32))
    (scores,) = model("item_knn", neighbours=2, fallback=False).fit(train).score(Queries.of([[0]]))
    np.testing.assert_allclose(scores, [1, 1 / np.sqrt(2), 0, 0], rtol=1e-6)


def test_what_nobody_is_near_comes_below_by_popularity() -> None:
    train = training_set()
    settings = {"neighbours": 3}
    bare = model("item_knn", fallback=False, **settings).fit(train).score(asked(train))
    whole = model("item_knn", **settings).fit(train).score(asked(train))
    np.testing.assert_array_equal(whole[bare != 0], bare[bare != 0])
    popularity = train.popularity()
    for row, said in zip(whole, bare != 0, strict=True):
        assert row[~said].max(initial=-1) < row[said].min(initial=1)
        below = np.flatnonzero(~said)
        order = np.sign(np.subtract.outer(popularity[below], popularity[below]))
        assert (np.sign(np.subtract.outer(row[below], row[below])) == order).all()
