"""TF-IDF over what is written of an item: items whose words are those of the history.

Weights, words and lengths are those of scikit-learn's TfidfVectorizer (see tests/training/test_models_parity.py).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from training.data import Queries, TrainingSet
from training.models.files import Stored, matrix_of, parts_of
from training.models.matrices import Csr, asked, beneath, dense, popularity_steps
from training.models.weighting import unit_rows

WORD = re.compile(r"\b\w\w+\b")  # scikit-learn's: two letters or more, in any script


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of `TfIdf`."""

    fields: tuple[str, ...] = ("documents", "genres", "creators")  # of these, what the training set has
    least_documents: int = 1  # words of fewer items are left out
    most_share: float = 1.0  # words of a larger share of all items are left out
    sublinear: bool = False  # 1 + log of how often a word comes, in place of how often
    counts: bool = False  # an item met again counts again in the history
    decay: float = 1.0  # what an event of the history weighs against the one after it
    fallback: bool = True  # popularity orders the items that share no word; see `beneath`


SPACE: dict[str, tuple[Any, ...]] = {
    "least_documents": (1, 2, 5),
    "most_share": (1.0, 0.5, 0.1),
    "sublinear": (False, True),
    "decay": (1.0, 0.95, 0.8, 0.5),
}


class TfIdf(Stored):
    """The score is the sum of cosines with the history's items."""

    name: ClassVar[str] = "tfidf"
    config_type: ClassVar[type[Config]] = Config

    def fit(self, train: TrainingSet) -> Self:
        """Weigh the words of every item, those that nobody has met too.

        Raises:
            ValueError: The training set has none of the fields.
        """
        sources = {"documents": words_of(train.documents) if train.documents else None}
        sources |= {"genres": train.genres and _matrix(train.genres.values, train.genres.starts)}
        sources |= {"creators": train.creators and _matrix(train.creators.values, train.creators.starts)}
        found = [sources[name] for name in self.config.fields if sources.get(name) is not None]
        if not found:
            there = ", ".join(name for name, matrix in sources.items() if matrix is not None)
            raise ValueError(f"{self.name}: fields are {self.config.fields}; the training set has: {there or 'none'}")
        weights = self._weighted(sparse.hstack(found, format="csr"))
        self._arrays = {"popularity": popularity_steps(train.popularity()), **parts_of("words", weights)}
        return self

    def _weighted(self, counts_VW: Csr) -> Csr:
        config, items = self.config, counts_VW.shape[0]
        documents_W = np.bincount(counts_VW.indices, minlength=counts_VW.shape[1])
        chosen = (documents_W >= config.least_documents) & (documents_W <= config.most_share * items)
        counts_VW, documents_W = counts_VW[:, np.flatnonzero(chosen)], documents_W[chosen]
        if config.sublinear:
            counts_VW.data = 1 + np.log(counts_VW.data)
        counts_VW.data *= (np.log((1 + items) / (1 + documents_W)) + 1)[counts_VW.indices]
        return unit_rows(counts_VW)

    def score(self, queries: Queries) -> NDArray[np.float32]:
        """(B, V)."""
        words_VW, config = matrix_of("words", self.arrays), self.config
        history_BV = asked(queries, words_VW.shape[0], counts=config.counts, decay=config.decay)
        scores = dense(history_BV @ words_VW @ words_VW.T)
        return beneath(scores, self.arrays["popularity"]) if config.fallback else scores


def words_of(documents: Iterable[str]) -> Csr:
    """(V, W): how often each word comes in each document; words in the order in which they first came."""
    numbers: defaultdict[str, int] = defaultdict()
    numbers.default_factory = numbers.__len__
    rows = [[numbers[word] for word in WORD.findall(text.lower())] for text in documents]
    starts = np.concatenate([[0], np.cumsum([len(row) for row in rows])])
    return _matrix(np.fromiter(chain.from_iterable(rows), np.int64, int(starts[-1])), starts)


def _matrix(codes: NDArray[Any], starts: NDArray[np.int64]) -> Csr:
    """(V, codes): how often each code comes in each row."""
    shape = (len(starts) - 1, int(codes.max(initial=-1)) + 1)
    matrix = sparse.csr_array((np.ones(len(codes)), codes, starts), shape=shape)
    matrix.sum_duplicates()
    return matrix
