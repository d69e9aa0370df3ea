"""A bundle as it is asked: its index mapped, its user tower run by onnxruntime. Loads neither torch nor a database.

# B queries, k answers, D width, n items of the index
"""

# Annotations stay text: numpy, pyarrow, faiss and onnxruntime are imported at their first use.
from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from copy import copy
from functools import cached_property
from importlib import import_module
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from storage import ann
from storage.bundle_delta import Delta
from storage.errors import StoreError
from storage.lazy import np, pa

if TYPE_CHECKING:
    from numpy.typing import NDArray

RESCORED = 4  # of a quantised index so many times k are scored again by the original vectors
INDEX, IDS, VECTORS, TITLES = "index.faiss", "ids.npy", "vectors.npy", "titles.arrow"
TOWER, POPULARITY = "user_tower.onnx", "popularity.json"


class Found(NamedTuple):
    """Answers, the best first; where there are fewer than k, '' with -inf."""

    ids: NDArray[np.str_]  # (B, k)
    scores: NDArray[np.float32]  # (B, k): inner products


class Searcher:
    """An index with its vectors where it is quantised, by places 0 ... n-1; safe in threads."""

    def __init__(
        self,
        index: Any,
        vectors: NDArray[np.float32] | None = None,
        removed: NDArray[np.int64] | None = None,
    ) -> None:
        """`vectors` are (n, D), for a quantised index; places in `removed` are never found."""
        self.index, self._vectors, self._gone, self._count = index, vectors, 0, int(index.ntotal)
        self._selector: Any = None
        if removed is not None and len(removed):
            faiss, self._gone = _faiss(), len(removed)
            self._batch = faiss.IDSelectorBatch(removed)  # held here, as the C++ side keeps bare pointers
            self._selector = faiss.IDSelectorNot(self._batch)

    def without(self, removed: NDArray[np.int64]) -> Searcher:
        """The same index, in which these places are never found."""
        return Searcher(self.index, self._vectors, np.unique(removed))

    def search(
        self, queries: NDArray[np.float32], k: int, seen: list[NDArray[np.int64]] | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Scores and places, (B, k) each, the best first; -inf and -1 where the index has no more.

        Args:
            queries: (B, D).
            k: How many.
            seen: B lists of places that are no answers; so many more are fetched, and wider until k are left.
        """
        left, seen, wide = self._count - self._gone, seen or [], 1
        most = max(map(len, seen), default=0)
        while True:
            scores, places = self._fetch(queries, min((k + most) * wide, left), wide)
            if not most and places.shape[1] == k and (places[:, -1] >= 0).all():  # the usual case; -1 come last
                return scores, places
            places[ann.excluded(places, seen, self._count)] = -1
            need = np.minimum(k, left - np.array([len(row) for row in seen] or [0]))
            if ((places >= 0).sum(axis=1) >= need).all() or wide >= self._widest(k + most, left):
                break
            wide *= 4
        order = np.argsort(places < 0, axis=1, kind="stable")[:, :k]
        return self._padded(np.take_along_axis(scores, order, 1), np.take_along_axis(places, order, 1), k)

    def _widest(self, size: int, left: int) -> float:
        """From here on a search looks at everything."""
        ivf = ann.lists(self.index)
        return max(left / size, ivf.nlist / ivf.nprobe if ivf is not None else 1.0)

    def _fetch(
        self, queries: NDArray[np.float32], size: int, wide: int
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        if not size:
            return np.empty((len(queries), 0), np.float32), np.empty((len(queries), 0), np.int64)
        given = self._parameters(wide, size)
        if self._vectors is None:
            return self.index.search(queries, size, params=given)
        _, places = self.index.search(queries, min(RESCORED * size, self._count), params=given)
        scores = np.einsum("bd,bkd->bk", queries, self._vectors[places])
        scores[places < 0] = -np.inf
        best = np.argsort(-scores, axis=1, kind="stable")[:, :size]
        return np.take_along_axis(scores, best, 1), np.take_along_axis(places, best, 1)

    def _parameters(self, wide: int, size: int) -> Any:
        """How this search differs from what the index keeps; None where it does not."""
        if self._selector is None and wide == 1:
            return None
        faiss, chosen = _faiss(), {} if self._selector is None else {"sel": self._selector}
        if (hnsw := ann.graph(self.index)) is not None:
            return faiss.SearchParametersHNSW(efSearch=max(hnsw.efSearch * wide, size), **chosen)
        if (ivf := ann.lists(self.index)) is None:
            return faiss.SearchParameters(**chosen)
        inner = faiss.SearchParametersIVF(nprobe=min(ivf.nprobe * wide, ivf.nlist), **chosen)
        if isinstance(self.index, faiss.IndexPreTransform):
            return faiss.SearchParametersPreTransform(index_params=inner)
        return inner

    @staticmethod
    def _padded(
        scores: NDArray[np.float32], places: NDArray[np.int64], k: int
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        missing = ((0, 0), (0, k - places.shape[1]))
        places = np.pad(places, missing, constant_values=-1)
        scores = np.pad(scores, missing, constant_values=-np.inf)
        return np.where(places >= 0, scores, -np.inf).astype(np.float32), places


def searcher_of(folder: Path, *, exact: bool) -> Searcher:
    """The index of a folder, mapped: of a large graph a query touches a small part.

    Args:
        folder: With index.faiss, and vectors.npy where the index is quantised.
        exact: Whether the index holds the vectors as they are.
    """
    faiss = _faiss()
    index = faiss.read_index(str(folder / INDEX), faiss.IO_FLAG_MMAP_IFC)
    return Searcher(index, None if exact else _mapped(folder / VECTORS))


class OpenedBundle:
    """One bundle with what came and went since; nothing of it changes, so threads may share it."""

    def __init__(
        self, folder: Path, manifest: Mapping[str, Any], delta: Delta | None = None, *, holds: object = None
    ) -> None:
        """Map the files of a folder, as long as `holds` is held.

        Raises:
            StoreError: Its parts are of different bundles.
        """
        self.folder, self.manifest, self._holds = folder, manifest, holds
        self._ids = _mapped(folder / IDS)  # (n,) bytes, sorted
        self._searcher = searcher_of(folder, exact=manifest["index"]["exact"])
        self._titles = pa.ipc.open_file(pa.memory_map(str(folder / TITLES))).read_all().column("title")
        self._popular: Mapping[str, Any] = json.loads((folder / POPULARITY).read_text())
        self._refuse_mixed()
        self._width = int(manifest["index"]["dimension"])
        self._apply(delta or Delta())

    def with_delta(self, delta: Delta) -> OpenedBundle:
        """The same bundle, with other additions and removals."""
        changed = copy(self)
        changed._apply(delta)
        return changed

    def _apply(self, delta: Delta) -> None:
        self.delta, self._added = delta, np.array(delta.added, np.str_)
        hidden = self.places([*delta.removed, *delta.added])
        self._searcher = self._searcher.without(hidden[hidden >= 0])
        if delta.added and delta.vectors.shape != (len(delta.added), self._searcher.index.d):
            raise StoreError(
                f"bundle {self.manifest['bundle']}: added vectors are {delta.vectors.shape}; add them anew"
            )

    def _refuse_mixed(self) -> None:
        index, said = self._searcher.index, self.manifest["index"]
        found = {"index": index.ntotal, "ids": len(self._ids), "titles": len(self._titles)}
        if set(found.values()) != {said["count"]} or index.d != said["dimension"]:
            raise StoreError(
                f"bundle {self.manifest['bundle']}: its parts are of different bundles ({found}, width {index.d}; the "
                f"manifest says {said['count']} items of {said['dimension']}); publish anew"
            )

    # --- items

    def places(self, ids: Sequence[str]) -> NDArray[np.int64]:
        """(len(ids),): where in the index each lies, as the user tower counts items too; -1 where it is not there."""
        asked = np.array([i.encode() for i in ids], np.bytes_)
        if not len(asked) or not len(self._ids):
            return np.full(len(asked), -1, np.int64)
        at = np.minimum(np.searchsorted(self._ids, asked), len(self._ids) - 1)
        return np.where(self._ids[at] == asked, at, -1).astype(np.int64)

    def titles(self, ids: Sequence[str]) -> list[str | None]:
        """Their titles; None of an item that is not there."""
        new = dict(zip(self.delta.added, self.delta.titles, strict=True))
        places = self.places(ids).tolist()
        own = [None if at < 0 else self._titles[at].as_py() for at in places]
        return [new.get(i) or title for i, title in zip(ids, own, strict=True)]

    # --- asking

    def search(self, vectors: NDArray[np.float32], k: int, exclude: Sequence[Collection[str]] | None = None) -> Found:
        """The k items of the highest inner product with each query's vector.

        Args:
            vectors: (B, D), of this bundle's own user tower.
            k: How many.
            exclude: B collections of item ids that are no answers, such as what was seen.

        Raises:
            ValueError: The shape differs from (B, D), a number is not finite, or `exclude` has not B collections.
        """
        self._check(vectors, k, exclude)
        own = [self._known(row) for row in exclude] if exclude else None
        scores, places = self._searcher.search(vectors, k, own)
        ids = self._named(places)
        return Found(ids, scores) if not len(self._added) else self._merged(ids, scores, vectors, exclude)

    def _check(self, vectors: NDArray[np.float32], k: int, exclude: Sequence[Collection[str]] | None) -> None:
        width = self._width
        if vectors.ndim != 2 or vectors.shape[1] != width or vectors.dtype != np.float32 or k < 1:
            raise ValueError(
                f"search: {vectors.dtype} vectors of shape {vectors.shape}, k {k}; expected float32 of (B, {width}) and"
                " k >= 1"
            )
        # Of one number first, which takes a third of the time: NaN and infinity outlast any sum.
        if not isfinite(vectors.sum()) and not np.isfinite(vectors).all():
            raise ValueError("search: a query has NaN or infinity; look at what its user tower was given")
        if exclude is not None and len(exclude) != len(vectors):
            raise ValueError(f"search: exclude has {len(exclude)} collections for {len(vectors)} queries")

    def _known(self, ids: Collection[str]) -> NDArray[np.int64]:
        places = np.unique(self.places(list(ids)))
        return places[places >= 0]

    def _named(self, places: NDArray[np.int64]) -> NDArray[np.str_]:
        ids = self._ids[places].astype(np.str_)
        if (none := places < 0).any():
            ids[none] = ""
        return ids

    def _merged(
        self,
        ids: NDArray[np.str_],
        scores: NDArray[np.float32],
        vectors: NDArray[np.float32],
        exclude: Sequence[Collection[str]] | None,
    ) -> Found:
        """With the added items, which are few enough to be compared with all of."""
        k, more = ids.shape[1], vectors @ self.delta.vectors.T
        for row, gone in enumerate(exclude or ()):
            more[row, [at for at, i in enumerate(self.delta.added) if i in gone]] = -np.inf
        named = np.broadcast_to(self._added, more.shape)
        every, names = np.concatenate([scores, more], 1), np.concatenate([ids, named], 1)
        best = np.argsort(-every, axis=1, kind="stable")[:, :k]
        top, chosen = np.take_along_axis(every, best, 1), np.take_along_axis(names, best, 1)
        chosen[np.isneginf(top)] = ""
        return Found(chosen, top)

    def query(self, history: Sequence[str], gender: str = "", country: str = "") -> NDArray[np.float32]:
        """(1, D): what the user tower makes of a listener, on no more than the processor.

        Args:
            history: Item ids, the oldest first; those the model does not know are left out.
            gender: As the data had it; unknown ones count as none.
            country: Likewise.

        Raises:
            ValueError: None of the items is known; `recommend` then answers with what is popular.
        """
        if (tower := self.manifest["tower"]) is None:
            raise ValueError(f"query: bundle {self.manifest['bundle']} is an index alone, without a user tower")
        places = self.places(history)
        known = places[places >= 0]
        if not len(known):
            raise ValueError(f"query: none of {len(history)} items of the history is known; see `popular`")
        return run_tower(self._tower, known, self._profile(gender, country), tower["history"])

    def _profile(self, gender: str, country: str) -> NDArray[np.int64]:
        tower = self.manifest["tower"]
        named = zip((gender, country), (tower["genders"], tower["countries"]), strict=True)
        return np.array([[codes.index(name) if name in codes else 0 for name, codes in named]], np.int64)

    @cached_property
    def _tower(self) -> Any:
        return tower_session(self.folder)

    def warm(self) -> OpenedBundle:
        """Load the user tower now and not with the first question; returns itself."""
        if self.manifest["tower"] is not None:
            _ = self._tower
        return self

    def popular(self, k: int, country: str = "", exclude: Collection[str] = ()) -> Found:
        """What most listeners of a country have met, else of all countries; scores are shares of the listeners."""
        rows = self._popular["countries"].get(country) or self._popular["overall"]
        gone = {*exclude, *self.delta.removed}
        left = [(i, share) for i, share in rows if i not in gone][:k]
        ids, scores = [i for i, _ in left], [share for _, share in left]
        missing = k - len(left)
        return Found(np.array([ids + [""] * missing]), np.array([scores + [-np.inf] * missing], np.float32))

    def recommend(
        self, history: Sequence[str], gender: str = "", country: str = "", *, k: int = 10, seen: bool = False
    ) -> tuple[Found, str]:
        """The k items for a listener, (1, k), and who answered: model, country or overall.

        Args:
            history: Item ids, the oldest first.
            gender: As the data had it.
            country: Likewise.
            k: How many.
            seen: Whether items of the history may be answers (music: listeners repeat).
        """
        gone = () if seen else history
        if (self.places(history) >= 0).any():
            return self.search(self.query(history, gender, country), k, [gone]), "model"
        return self.popular(k, country, gone), "country" if self._popular["countries"].get(country) else "overall"


def tower_session(folder: Path) -> Any:
    """The user tower, ready to run."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1  # a service has its own threads
    return onnxruntime.InferenceSession(str(folder / TOWER), options, providers=["CPUExecutionProvider"])


def run_tower(session: Any, history: NDArray[np.int64], profile: NDArray[np.int64], length: int) -> NDArray[np.float32]:
    """(1, D); of the places of a history, the oldest first, the last `length`, padded behind with -1."""
    known = history[-length:]
    padded = np.full((1, length), -1, np.int64)
    padded[0, : len(known)] = known
    given = {"items": padded, "lengths": np.array([len(known)], np.int64), "profile": profile}
    return session.run(["vector"], given)[0]


def _mapped(path: Path) -> NDArray[Any]:
    """An array of a file, mapped; a plain view, as numpy's own class of mapped arrays is slow to index."""
    return np.load(path, mmap_mode="r", allow_pickle=False).view(np.ndarray)


def _faiss() -> Any:
    """Not typed: its stubs lack the parameters of searches (1.15)."""
    return import_module("faiss")
