"""Chance that falls the same way on every machine: only `random.random()` and plain arithmetic.

Python promises the sequence of `random()` alone; `gauss`, `**` and `log` may differ in the last digit from one C
library to the next, and a set's order from one run to the next. None of them is used for a world.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate
from math import fsum
from random import Random
from typing import Generic, TypeVar

T = TypeVar("T")
BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


class Dice:
    """One stream of chance; streams of different names do not disturb each other."""

    def __init__(self, seed: int | str, *names: object) -> None:
        self.random = Random("/".join(str(part) for part in (seed, *names))).random

    def chance(self, probability: float) -> bool:
        """True with that probability."""
        return self.random() < probability

    def whole(self, low: int, high: int) -> int:
        """A whole number from `low` to `high`, both included."""
        return low + int(self.random() * (high - low + 1))

    def between(self, low: float, high: float) -> float:
        """A number in [low, high)."""
        return low + (high - low) * self.random()

    def bell(self, mean: float, spread: float) -> float:
        """A roughly normal number: 12 uniform ones added up have variance 1; never more than 6 spreads away."""
        # fsum rounds once, whatever the Python version; sum() adds floats in another way since 3.12.
        return mean + spread * (fsum(self.random() for _ in range(12)) - 6.0)

    def pick(self, things: Sequence[T]) -> T:
        """One of the things, all equally likely."""
        return things[int(self.random() * len(things))]

    def shuffled(self, things: Iterable[T]) -> list[T]:
        """The things in another order."""
        order = list(things)
        for last in range(len(order) - 1, 0, -1):
            other = self.whole(0, last)
            order[last], order[other] = order[other], order[last]
        return order

    def some(self, things: Sequence[T], count: int) -> list[T]:
        """`count` different ones of the things, or all of them."""
        return self.shuffled(things)[:count]

    def base62(self, length: int = 22) -> str:
        """An id as Spotify makes them: 128 bits in base 62, so it starts with a digit up to 7."""
        return self.pick("01234567") + "".join(self.pick(BASE62) for _ in range(length - 1))

    def uuid(self) -> str:
        """An id as MusicBrainz makes them: a random UUID."""
        digits = "".join(self.pick("0123456789abcdef") for _ in range(30))
        return f"{digits[:8]}-{digits[8:12]}-4{digits[12:15]}-{self.pick('89ab')}{digits[15:18]}-{digits[18:]}"

    def numbers(self, low: int, high: int, count: int) -> list[int]:
        """`count` different whole numbers in [low, high], in the order of drawing; there must be enough of them."""
        seen: dict[int, None] = {}
        while len(seen) < count:
            seen[self.whole(low, high)] = None
        return list(seen)


class Wheel(Generic[T]):
    """Things of different weight, drawn in proportion to it."""

    def __init__(self, things: Sequence[T], weights: Iterable[float]) -> None:
        self.things = things
        self._sums = list(accumulate(weights))

    def draw(self, dice: Dice) -> T:
        """One of the things."""
        return self.things[min(bisect_right(self._sums, dice.random() * self._sums[-1]), len(self.things) - 1)]


def popularity(dice: Dice, count: int) -> list[float]:
    """Weights of `count` things by a power law, 5 / (rank + 5) from rank 0 on, in random order."""
    ranks = dice.shuffled(range(count))
    return [5.0 / (rank + 5) for rank in ranks]
