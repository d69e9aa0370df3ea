"""Drawn covers and posters: colours and shapes by genre, their places by chance, in whole numbers throughout."""

# Annotations stay text: numpy is imported at its first use.
from __future__ import annotations

from typing import TYPE_CHECKING

from deployments.sandbox.dice import Dice
from storage.lazy import np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]
    Mask = NDArray[np.bool_]

COVER = (128, 128)  # pixels, width and height
POSTER = (120, 180)

Colour = tuple[int, int, int]
# Top, bottom and shapes; then the shape.
GENRES: dict[str, tuple[Colour, Colour, Colour, str]] = {
    "pop": ((255, 140, 180), (255, 220, 120), (90, 60, 200), "disc"),
    "rap": ((30, 30, 34), (90, 80, 60), (230, 190, 60), "block"),
    "rock": ((60, 10, 10), (10, 10, 10), (220, 40, 30), "ray"),
    "latin": ((255, 170, 40), (230, 60, 60), (20, 150, 120), "disc"),
    "r&b": ((70, 20, 80), (20, 10, 40), (220, 130, 160), "wave"),
    "edm": ((10, 20, 60), (10, 160, 200), (240, 60, 240), "ray"),
    "Action": ((40, 40, 50), (200, 90, 20), (250, 200, 40), "ray"),
    "Animation": ((120, 210, 255), (160, 240, 140), (255, 90, 90), "disc"),
    "Comedy": ((255, 240, 120), (255, 190, 60), (40, 120, 220), "disc"),
    "Crime": ((20, 24, 34), (70, 70, 80), (180, 20, 30), "block"),
    "Documentary": ((210, 205, 190), (150, 160, 150), (60, 80, 90), "block"),
    "Drama": ((90, 80, 110), (190, 160, 140), (240, 230, 210), "wave"),
    "Fantasy": ((60, 30, 110), (80, 160, 120), (240, 220, 130), "disc"),
    "Horror": ((8, 8, 10), (50, 0, 0), (160, 170, 150), "ray"),
    "Romance": ((255, 200, 210), (220, 110, 130), (255, 250, 240), "wave"),
    "Sci-Fi": ((4, 8, 30), (20, 70, 110), (120, 240, 250), "disc"),
    "Thriller": ((16, 26, 30), (60, 90, 90), (230, 230, 60), "block"),
    "War": ((80, 80, 50), (50, 40, 30), (190, 60, 30), "block"),
    "Western": ((240, 190, 110), (150, 70, 30), (70, 30, 20), "wave"),
}
OTHER = ((120, 130, 140), (60, 70, 80), (230, 230, 230), "wave")


def draw(dice: Dice, genre: str, size: tuple[int, int]) -> Pixels:
    """A picture of that genre: height x width x 3, RGB."""
    (width, height), (top, bottom, ink, shape) = size, GENRES.get(genre, OTHER)
    y, x = np.mgrid[0:height, 0:width]
    share = (y * 256 // height)[:, :, None]
    picture = (np.array(top) * (256 - share) + np.array(bottom) * share) >> 8
    for _ in range(dice.whole(3, 6)):
        strength = dice.whole(90, 200)
        mask = _mask(dice, shape, x, y)
        picture[mask] = (picture[mask] * (256 - strength) + np.array(ink) * strength) >> 8
    shift = np.array([dice.whole(-24, 24) for _ in range(3)])  # no two pictures of a genre have quite the same colours
    return np.clip(picture + shift, 0, 255).astype(np.uint8)


def _mask(dice: Dice, shape: str, x: NDArray[np.int64], y: NDArray[np.int64]) -> Mask:
    """Where one shape lies."""
    height, width = x.shape
    cx, cy, size = dice.whole(0, width), dice.whole(0, height), dice.whole(width // 8, width // 3)
    if shape == "disc":
        return (x - cx) ** 2 + (y - cy) ** 2 < size**2
    if shape == "block":
        return (abs(x - cx) < size) & (abs(y - cy) < dice.whole(size // 2, 2 * size))
    if shape == "ray":
        slope = dice.whole(-6, 6)
        return abs((x - cx) * 4 - (y - cy) * slope) < size
    hill = (x - cx) ** 2 * dice.whole(1, 4) // width
    return (y > cy - size + hill) & (y < cy - size + hill + size // 2 + 2)
