"""Whether two pictures are one: rescaled, encoded anew, cropped by some percent, framed or marked.

A picture is a thumbnail of 64 x 64 grey levels. It is looked up by the signs of the lowest frequencies (a perceptual
hash) of 20 crops of it, so that a cropped copy meets the crop that it is; and believed by the correlation of both
thumbnails where they fit best, without the tenth of the cells that differ most, as those under a watermark do.
"""

# Annotations stay text: numpy is imported at its first use.
from __future__ import annotations

from functools import lru_cache
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

from featurizers.images import normalise
from featurizers.spectrum import fourier
from storage.lazy import np

if TYPE_CHECKING:
    from numpy.typing import NDArray

VERSION = "1"
"""Raise it whenever a cell or a key may change."""
SIDE = 64  # cells of a thumbnail's side
_DECODED = 256  # pixels of the shorter side, before it becomes a thumbnail
_WAVES = 8  # lowest frequencies of each axis: 63 signs beside the mean
_FIT = 32  # cells of a side where two thumbnails are laid over each other
_TRIMMED = 0.1  # of the cells, those that differ most
_STEPS = (0.04, 0.02, 0.01)  # of the search for where they fit, as shares of a side
_FLAT = 4.0  # grey levels of deviation: a picture with less is blank, and like any other blank one
_KEY_BITS = 20


class ImageFingerprint(NamedTuple):
    """The thumbnail of a picture, and where it can be looked up."""

    thumbnail: NDArray[np.uint8]  # (64, 64), whatever the picture's shape
    keys: NDArray[np.int64]  # sorted; copies of a picture share some of them; none of a blank picture


def image_fingerprint(data: bytes) -> ImageFingerprint:
    """The fingerprint of a picture file.

    Raises:
        MediaError: As `featurizers.images.normalise` raises it.
    """
    grey = normalise(data, _DECODED) @ np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601
    rows, columns = (_means(np.array([[0.0, 1.0]]), SIDE, n)[0] for n in grey.shape)
    thumbnail = np.rint(rows @ grey @ columns.T).astype(np.uint8)
    return ImageFingerprint(thumbnail, _keys(thumbnail))


def _means(spans: NDArray[np.float64], parts: int, cells: int) -> NDArray[np.float32]:
    """Weights (k, parts, cells) that give the means over equal parts of k stretches of a row of cells.

    `spans`, (k, 2), are the stretches' first and last place as shares of the row; what lies beyond has no weight.
    """
    edges = np.clip(spans[:, :1] + (spans[:, 1:] - spans[:, :1]) * np.linspace(0, 1, parts + 1), 0, 1) * cells
    low, high = edges[:, :-1, None], edges[:, 1:, None]
    at = np.arange(cells)
    weights = np.clip(np.minimum(high, at + 1) - np.maximum(low, at), 0, 1)
    return (weights / np.maximum(weights.sum(axis=2, keepdims=True), 1e-9)).astype(np.float32)


@lru_cache(maxsize=1)
def _crops() -> NDArray[np.float64]:
    """(20, 4): left, top, right and bottom of each crop, as shares of the sides; the first is the whole picture."""
    cuts = [[0.0] * 4, *([c] * 4 for c in (0.03, 0.06, 0.09))]
    for c in (0.04, 0.08):
        cuts += [[c * (side == at) for side in range(4)] for at in range(4)]
        cuts += [[c * (side in (at, (at + 1) % 4)) for side in range(4)] for at in range(4)]
    return np.array(cuts) * (1, 1, -1, -1) + (0, 0, 1, 1)


@lru_cache(maxsize=1)
def _hashing() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """What turns a thumbnail into the lowest frequencies of its crops: (20, 8, 64) from the left, (20, 64, 8)."""
    waves = fourier().dct(np.eye(_FIT), axis=0, norm="ortho")[:_WAVES].astype(np.float32)
    rows, columns = (waves @ _means(_crops()[:, sides], _FIT, SIDE) for sides in ([1, 3], [0, 2]))
    return rows, columns.transpose(0, 2, 1)


def _signs(thumbnail: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """(20, 63): signs of the lowest frequencies of each crop, but the mean."""
    rows, columns = _hashing()
    return (rows @ thumbnail.astype(np.float32) @ columns).reshape(len(rows), -1)[:, 1:] > 0


@lru_cache(maxsize=1)
def _chosen() -> NDArray[np.int64]:
    """(6, 20): which signs make each key; of half of them low frequencies alone, which cuts and marks move least."""
    dice = np.random.Generator(np.random.PCG64(5))
    low = np.argsort(sum(np.divmod(np.arange(1, _WAVES**2), _WAVES)), kind="stable")[:40]
    return np.array([np.sort(dice.permutation(low if at < 3 else _WAVES**2 - 1)[:_KEY_BITS]) for at in range(6)])


def _keys(thumbnail: NDArray[np.uint8]) -> NDArray[np.int64]:
    if float(thumbnail.std()) < _FLAT:
        return np.zeros(0, np.int64)
    codes = (_signs(thumbnail)[:, _chosen()] << np.arange(_KEY_BITS)).sum(axis=2)
    return np.unique(codes + (np.arange(6) << 32)).astype(np.int64)


def image_similarity(mine: NDArray[np.uint8], theirs: NDArray[np.uint8]) -> float:
    """Correlation of two thumbnails where they fit best, -1 to 1; 0 where one is blank."""
    one, other = mine.astype(np.float32), theirs.astype(np.float32)
    if min(one.std(), other.std()) < _FLAT:
        return 0.0
    differ = (_signs(mine)[:, None] != _signs(theirs)[None]).sum(axis=2)
    start, goal = (_crops()[at] for at in np.unravel_index(int(differ.argmin()), differ.shape))
    rows, columns = (_means(goal[None, sides], _FIT, SIDE)[0] for sides in ([1, 3], [0, 2]))
    wanted = (rows @ other @ columns.T).ravel()
    across, down = start[[0, 2]], start[[1, 3]]
    best = wanted
    for step in _STEPS:
        moves = step * np.array(list(product((-1, 0, 1), repeat=2)))
        fits = _means(down + moves, _FIT, SIDE) @ one
        cells = fits[:, None] @ _means(across + moves, _FIT, SIDE).transpose(0, 2, 1)[None]
        cells = cells.reshape(len(moves) ** 2, -1)
        at = int(np.argmax(_correlations(cells, wanted)))
        down, across, best = down + moves[at // len(moves)], across + moves[at % len(moves)], cells[at]
    return _trimmed(best, wanted)


def _trimmed(one: NDArray[np.floating], other: NDArray[np.floating]) -> float:
    """The correlation without the cells that differ most once both have mean 0 and deviation 1."""
    off = np.abs(_standard(one) - _standard(other))
    kept = off <= np.quantile(off, 1 - _TRIMMED)
    return float(_correlations(one[kept][None], other[kept])[0])


def _standard(cells: NDArray[np.floating]) -> NDArray[np.floating]:
    return (cells - cells.mean()) / max(float(cells.std()), 1e-6)


def _correlations(cells: NDArray[np.floating], wanted: NDArray[np.floating]) -> NDArray[np.floating]:
    centred, goal = cells - cells.mean(axis=1, keepdims=True), wanted - wanted.mean()
    return centred @ goal / np.maximum(np.linalg.norm(centred, axis=1) * np.linalg.norm(goal), 1e-9)
