"""What a picture looks like in 147 numbers without any weights: colours, light, edges, shape.

Each number is described in docs/image-descriptors.md, under the name it has in `NAMES`.
"""

# Annotations stay text: numpy is imported at its first use.
from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from featurizers.base import FeatureBatch, FeatureSpec, MediaError
from featurizers.images import middle, normalise
from storage.lazy import np

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIZE = 256  # pixels of the shorter side: edges and sharpness of two pictures are compared at one scale
LEVELS = 4  # of each of red, green, blue
CELLS = 3  # rows and columns of the grid of the shape part
TURNS = 8  # directions of an edge, 22.5 degrees each
EDGE = 0.1  # gradient, of the range from black to white, from which a pixel lies on an edge

SCALARS = (
    "brightness",
    "contrast",
    "saturation",
    "colourfulness",
    "hue_x",
    "hue_y",
    "entropy",
    "sharpness",
    "edge_density",
    "symmetry",
    "aspect_ratio",
)
NAMES = (
    *SCALARS,
    *(f"rgb_{r}{g}{b}" for r in range(LEVELS) for g in range(LEVELS) for b in range(LEVELS)),
    *(f"shape_{y}{x}_{turn}" for y in range(CELLS) for x in range(CELLS) for turn in range(TURNS)),
)
"""The name of each cell of a vector."""


class ImageDescriptors:
    """Descriptors of the upright picture on white, scaled to `SIZE`; of a very long one the middle counts."""

    name: ClassVar[str] = "image_descriptors"
    version: ClassVar[str] = "1"
    spec: ClassVar[FeatureSpec] = FeatureSpec(
        shape=(len(NAMES),), dtype="float32", unit="see docs/image-descriptors.md", mixed=True
    )

    def __call__(self, batch: Sequence[bytes]) -> FeatureBatch:
        """Vectors of shape (B, 147) of files as stored; one that is no picture has the reason `normalise` gives."""
        values = np.zeros((len(batch), len(NAMES)), np.float32)
        errors: list[str | None] = [None] * len(batch)
        for i, data in enumerate(batch):
            try:
                values[i] = describe(normalise(data, SIZE))
            except MediaError as exc:
                errors[i] = exc.reason.value
        return FeatureBatch(values=values, errors=tuple(errors))


def describe(picture: NDArray[np.uint8]) -> NDArray[Any]:
    """The descriptors of an RGB picture, shape (height, width, 3), in the order of `NAMES`."""
    height, width, _ = picture.shape
    picture = middle(picture)
    rgb = picture.astype(np.float32) / 255
    luma = rgb @ np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601
    gradient_y, gradient_x, laplacian = _derivatives(luma)
    strength = np.hypot(gradient_x, gradient_y)
    scalars = [
        float(luma.mean()),
        float(luma.std()),
        *_colour(rgb),
        _entropy(luma),
        float(laplacian.var()),
        float((strength > EDGE).mean()),
        1 - float(np.abs(luma - luma[:, ::-1]).mean()),
        math.log2(width / height),
    ]
    return np.concatenate([scalars, _colours(picture), _shape(gradient_y, gradient_x, strength)]).astype(np.float32)


def _colour(rgb: NDArray[Any]) -> list[float]:
    """Saturation, colourfulness, and where the mean hue lies on the colour wheel."""
    red, green, blue = rgb[..., 0], rgb[..., 1], rgb[..., 2]
    high, low = rgb.max(2), rgb.min(2)
    saturation = np.divide(high - low, high, out=np.zeros_like(high), where=high > 0)
    red_green, yellow_blue = red - green, (red + green) / 2 - blue
    # Hasler and Suesstrunk, Measuring colourfulness in natural images, 2003: M(3), here of 0 to 1 instead of 0 to 255.
    spread = math.hypot(float(red_green.std()), float(yellow_blue.std()))
    offset = math.hypot(float(red_green.mean()), float(yellow_blue.mean()))
    hue_x, hue_y = red - (green + blue) / 2, (green - blue) * (math.sqrt(3) / 2)
    return [float(saturation.mean()), spread + 0.3 * offset, float(hue_x.mean()), float(hue_y.mean())]


def _entropy(luma: NDArray[Any]) -> float:
    """Bits per pixel of 256 grey levels, over 8."""
    shares = np.bincount(np.rint(luma * 255).astype(np.int64).ravel(), minlength=256) / luma.size
    shares = shares[shares > 0]
    return abs(float(-(shares * np.log2(shares)).sum())) / 8


def _derivatives(luma: NDArray[Any]) -> tuple[NDArray[Any], ...]:
    """Central differences along y and x, and the Laplacian; the border is repeated outwards."""
    wide = np.pad(luma, 1, mode="edge")
    up, down, left, right = wide[:-2, 1:-1], wide[2:, 1:-1], wide[1:-1, :-2], wide[1:-1, 2:]
    return (down - up) / 2, (right - left) / 2, up + down + left + right - 4 * luma


def _colours(picture: NDArray[np.uint8]) -> NDArray[Any]:
    """Shares of the pixels in a grid of 4 x 4 x 4 colours."""
    red, green, blue = (picture[..., channel].astype(np.int64) * LEVELS // 256 for channel in range(3))
    bins = (red * LEVELS + green) * LEVELS + blue
    return np.bincount(bins.ravel(), minlength=LEVELS**3) / bins.size


def _shape(gradient_y: NDArray[Any], gradient_x: NDArray[Any], strength: NDArray[Any]) -> NDArray[Any]:
    """How edge strength is spread over 3 x 3 cells and 8 directions (after Dalal and Triggs, 2005); sums to 1 or 0."""
    height, width = strength.shape
    turn = np.rint(np.arctan2(gradient_y, gradient_x) * (TURNS / math.pi)).astype(np.int64) % TURNS
    rows, columns = np.arange(height) * CELLS // height, np.arange(width) * CELLS // width
    bins = (rows[:, None] * CELLS + columns) * TURNS + turn
    found = np.bincount(bins.ravel(), weights=strength.ravel(), minlength=CELLS**2 * TURNS)
    total = found.sum()
    return found / total if total > 1e-6 else np.zeros_like(found)
