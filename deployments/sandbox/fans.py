"""People with tastes: what somebody likes, since when, and when they sit down to watch or listen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from deployments.sandbox.dice import Dice

DAY_S = 86_400
START = 1_614_556_800  # 2021-03-01T00:00:00Z
DAYS = 3 * 365  # to 2024-02-29
END = START + DAYS * DAY_S
DRIFTING = 0.3  # share of people whose taste changes once


@dataclass(frozen=True, kw_only=True)
class Fan:
    """Somebody who rates films or plays tracks."""

    moods: tuple[tuple[int, Mapping[str, float]], ...]  # since when (unix seconds), liking of each genre in [0, 1]
    times: tuple[int, ...]  # unix seconds, ascending, all different

    def tastes(self, at: int) -> Mapping[str, float]:
        """What they like at that moment."""
        return [mood for since, mood in self.moods if since <= at][-1]


def make_fan(dice: Dice, genres: Sequence[str], *, events: int, pause_s: tuple[int, int], sitting: int) -> Fan:
    """Somebody new: tastes, perhaps a change of heart, and about `events` moments in sittings of up to `sitting`."""
    joined = dice.whole(0, DAYS // 2)
    before = _tastes(dice, genres)
    moods: list[tuple[int, Mapping[str, float]]] = [(START, before)]
    if dice.chance(DRIFTING):
        turn = dice.whole((joined + DAYS) // 2, joined + (DAYS - joined) * 3 // 4)
        moods.append((START + turn * DAY_S, _drifted(dice, before)))
    return Fan(moods=tuple(moods), times=tuple(_times(dice, joined, events, pause_s, sitting)))


def _tastes(dice: Dice, genres: Sequence[str]) -> dict[str, float]:
    """Two or three favourites, one dislike, lukewarm for the rest."""
    order = dice.shuffled(genres)
    liked = (1.0, 0.8, 0.6)[: dice.whole(2, 3)]
    levels = [*liked, *(dice.between(0.06, 0.16) for _ in order[len(liked) : -1]), 0.01]
    by_name = dict(zip(order, levels, strict=True))
    return {genre: round(by_name[genre], 3) for genre in genres}


def _drifted(dice: Dice, before: Mapping[str, float]) -> dict[str, float]:
    """The second favourite and a lukewarm genre swap places."""
    order = sorted(before, key=lambda genre: -before[genre])
    old, new = order[1], dice.pick(order[3:])
    return {**before, old: before[new], new: before[old]}


def _times(dice: Dice, joined: int, events: int, pause_s: tuple[int, int], sitting: int) -> list[int]:
    sizes: list[int] = []
    while events > 0 and len(sizes) < (DAYS - joined) // 2:
        sizes.append(min(events, dice.whole(1, sitting)))
        events -= sizes[-1]
    days = sorted(dice.numbers(joined, DAYS - 1, len(sizes)))
    times: list[int] = []
    for day, size in zip(days, sizes, strict=True):
        now = START + day * DAY_S + dice.whole(7 * 3600, 20 * 3600)  # a sitting ends before the next day's begins
        for _ in range(size):
            times.append(now)
            now += dice.whole(*pause_s)
    return times
