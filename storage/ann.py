"""FAISS indexes: which kind a size, a memory limit and a recall call for; built, widened, held against exact search."""

# Annotations stay text: numpy and faiss are imported at their first use.
from __future__ import annotations

import math
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from storage.lazy import np

if TYPE_CHECKING:
    from numpy.typing import NDArray

LINKS, EF_CONSTRUCTION = 32, 80
EF_SEARCH, MOST_EF_SEARCH = 64, 1_024  # doubled from the first to the last until the recall suffices
PROBES = 8  # lists of an IVF index, doubled up to all of them
OPQ_ROUNDS = 10
PER_PART = 4  # numbers that a byte of PQ stands for
LEAST_FOR_PQ = 10_000  # its 256 centres want 39 vectors each (faiss.ClusteringParameters)
_BLOCK_ROWS = 16_384


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What an index should find, and what it may take.

    Of quantised kinds the original vectors lie on disk beside the index and are read for the few that are scored again;
    they do not count as memory.
    """

    least_recall: float = 0.95
    memory_bytes: int = 8 << 30
    flat_up_to: int = 50_000  # vectors that are searched exactly


class Kind(NamedTuple):
    """A kind of index for so many vectors."""

    name: str  # flat, hnsw, hnsw_sq8, ivf_sq8, ivf_pq
    factory: str  # as faiss.index_factory reads it
    bytes: int  # by theory: codes, links, centres

    @property
    def exact(self) -> bool:
        """Whether it holds the vectors as they are, and not their codes."""
        return self.name in ("flat", "hnsw")


def kinds(n: int, d: int) -> dict[str, Kind]:
    """Every kind there is for n vectors of d numbers, from the quickest search to the smallest.

    Links: 2M of level 0, 4 bytes each, so 8M a vector (https://github.com/facebookresearch/faiss/wiki/Faiss-indexes).
    """
    lists, parts = _lists(n), max(d // PER_PART, 1)
    ivf = 8 * n + 4 * d * lists  # places, centres
    found = [
        Kind("hnsw", f"HNSW{LINKS},Flat", n * (4 * d + 8 * LINKS)),
        Kind("hnsw_sq8", f"HNSW{LINKS},SQ8", n * (d + 8 * LINKS)),
        Kind("flat", "Flat", 4 * d * n),
        Kind("ivf_sq8", f"IVF{lists},SQ8", n * d + ivf),
    ]
    if n >= LEAST_FOR_PQ and d >= PER_PART:
        size = n * parts + ivf + 4 * d * d + 1024 * d
        # np: no polysemous training, 1.5 s a part, of which no search here makes use (filters by Hamming distance).
        found.append(Kind("ivf_pq", f"OPQ{parts}_{parts * PER_PART},IVF{lists},PQ{parts}x8np", size))
    return {kind.name: kind for kind in found}


def _lists(n: int) -> int:
    """About 4 sqrt(n), a power of 2, with 39 vectors in each to learn its centre from."""
    return max(1, min(2 ** round(math.log2(4 * math.sqrt(n))), n // 39))


def choose(n: int, d: int, wanted: Wanted) -> list[Kind]:
    """The kinds to try, in order: the quickest that the memory takes, then exact search, which finds all.

    Raises:
        ValueError: The memory takes none.
    """
    there = kinds(n, d)
    fitting = [kind for kind in there.values() if kind.bytes <= wanted.memory_bytes]
    if not fitting:
        least = min(there.values(), key=lambda kind: kind.bytes)
        raise ValueError(
            f"index of {n:,} x {d}: the smallest kind, {least.name}, takes {least.bytes / 1e6:,.1f} MB, allowed are "
            f"{wanted.memory_bytes / 1e6:,.1f} MB; raise memory_bytes, or train fewer dimensions"
        )
    flat = [kind for kind in fitting if kind.name == "flat"]
    if flat and n <= wanted.flat_up_to:
        return flat
    quick = [kind for kind in fitting if kind.name != "flat"][:1]
    return [*quick, *flat]


# --- building


def build(array: NDArray[np.float32], factory: str, metric: str, order: NDArray[np.int64] | None = None) -> Any:
    """A `faiss.Index` that holds the rows of (n, d), in `order` where it is given; equal input, equal index.

    Args:
        array: The vectors.
        factory: As `faiss.index_factory` reads it.
        metric: inner_product, cosine (of vectors of length 1) or l2.
        order: Which row comes at which place.
    """
    import faiss

    n, d = array.shape
    index = faiss.index_factory(d, factory, faiss.METRIC_L2 if metric == "l2" else faiss.METRIC_INNER_PRODUCT)
    if (hnsw := graph(index)) is not None:
        hnsw.efConstruction = EF_CONSTRUCTION
    with one_thread():
        if not index.is_trained:
            _shorten(index)
            _cluster_on_gpus(index, d)
            index.train(array)
        for start in range(0, n, _BLOCK_ROWS):
            rows = slice(start, start + _BLOCK_ROWS)
            index.add(array[rows] if order is None else array[order[rows]])
    return index


def _shorten(index: Any) -> None:
    """A rotation is learned in 10 rounds, not 50: 4,000 x 16 takes 20 s else, and what is found is scored again."""
    import faiss

    if isinstance(index, faiss.IndexPreTransform):
        chain: Any = index.chain
        rotation: Any = faiss.downcast_VectorTransform(chain.at(0))
        rotation.niter = OPQ_ROUNDS


def _cluster_on_gpus(index: Any, d: int) -> None:
    """Centres of an IVF index are looked for on the GPUs where this faiss knows any; most of its training is that."""
    import faiss

    if (ivf := lists(index)) is not None and faiss.get_num_gpus():
        # Kept by the Python object: the C++ side holds a bare pointer.
        index.helper = ivf.clustering_index = faiss.index_cpu_to_all_gpus(faiss.IndexFlatL2(d))


@contextmanager
def one_thread() -> Generator[None]:
    """The graph of an HNSW index depends on the order in which threads link their vectors; one has one order.

    20,000 x 384: 3.4 s with one thread, 5.7 to 7.2 s with two on two busy cores (measured 2026-11-22).
    """
    import faiss

    had = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(had)


def graph(index: Any) -> Any:
    """Its `hnsw`, None where it has none."""
    return getattr(index, "hnsw", None)


def lists(index: Any) -> Any:
    """Its IVF part, None where it has none."""
    import faiss

    return faiss.try_extract_index_ivf(index)


# --- widening


def widen(index: Any, recall: Callable[[Any], float], least: float) -> float:
    """Double efSearch or nprobe, which the index keeps, until the recall suffices or the limit is reached.

    Returns:
        The recall it came to.
    """
    start = EF_SEARCH if graph(index) is not None else PROBES
    most = MOST_EF_SEARCH if graph(index) is not None else getattr(lists(index), "nlist", start)
    width = set_width(index, min(start, most))
    while (measured := recall(index)) < least and width < most:
        width = set_width(index, min(2 * width, most))
    return measured


def set_width(index: Any, width: int) -> int:
    """How much of the index a search looks at: efSearch of a graph, nprobe of lists; nothing of a flat one."""
    if graph(index) is not None:
        graph(index).efSearch = width
    elif (ivf := lists(index)) is not None:
        ivf.nprobe = width
    return width


def width_of(index: Any) -> dict[str, int]:
    """The same in words, for a manifest."""
    if graph(index) is not None:
        return {"M": LINKS, "efConstruction": EF_CONSTRUCTION, "efSearch": graph(index).efSearch}
    return {} if (ivf := lists(index)) is None else {"nlist": ivf.nlist, "nprobe": ivf.nprobe}


# --- against exact search


def near_enough(scores: NDArray[np.float32], limits: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which answers are as good as the last exact one: by score, so which of several equal vectors is no matter."""
    return scores >= limits - 1e-6 * (1 + np.abs(limits))


class Exact:
    """The k best by inner product of some queries, without what each has seen."""

    def __init__(
        self, array: NDArray[np.float32], queries: NDArray[np.float32], k: int, seen: list[NDArray[np.int64]]
    ) -> None:
        """Search exactly, once.

        Args:
            array: (n, d).
            queries: (B, d).
            k: How many answers count.
            seen: B lists of places that are no answers.
        """
        import faiss

        self._array, self._queries = array, queries
        most = min(k + max(map(len, seen), default=0), len(array))
        scores, places = faiss.knn(queries, array, most, metric=faiss.METRIC_INNER_PRODUCT)
        places[excluded(places, seen, len(array))] = -1
        first = np.argsort(places < 0, axis=1, kind="stable")[:, :k]
        self.places: NDArray[np.int64] = np.take_along_axis(places, first, 1)  # (B, k); -1: there are no more
        best = np.where(self.places >= 0, np.take_along_axis(scores, first, 1), np.inf)
        self.limits: NDArray[np.float32] = best.min(axis=1, keepdims=True)

    def recall(self, found: NDArray[np.int64], among: NDArray[np.bool_] | None = None) -> float | None:
        """The share of the exact answers that were found, ties by score; None where there is none.

        Args:
            found: (B, k) places, -1 is none.
            among: (n,): of these answers alone, such as new items; here by place, as a tie may be with another item.
        """
        asked = self.places >= 0
        if among is not None:
            asked &= among[self.places]
            hit = (self.places[:, :, None] == found[:, None, :]).any(axis=2) & asked
        else:
            scores = np.einsum("bd,bkd->bk", self._queries, self._array[found])
            hit = near_enough(scores, self.limits) & (found >= 0)
        total = int(asked.sum())
        return round(min(float(hit.sum()) / total, 1.0), 6) if total else None


def excluded(places: NDArray[np.int64], seen: list[NDArray[np.int64]], n: int) -> NDArray[np.bool_]:
    """(B, k): which answers are in the row's own list of places below n; -1 is in none."""
    if not any(map(len, seen)):
        return np.zeros(places.shape, np.bool_)
    rows = np.repeat(np.arange(len(seen)), [len(row) for row in seen])
    keys = rows * n + np.concatenate(seen)
    own = np.arange(len(places))[:, None] * n + places
    return (places >= 0) & np.isin(own, keys)
