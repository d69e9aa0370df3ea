"""Viewers who rate invented films by taste."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import fsum

from deployments.sandbox import film_words as words
from deployments.sandbox.dice import Dice, Wheel
from deployments.sandbox.fans import Fan, make_fan
from deployments.sandbox.films import Film

SEQUEL_NEXT = 0.6  # how likely somebody who has just seen a film goes on with its sequel
FIRST_PART_FIRST = 0.8  # how likely somebody who picks a sequel sees the first part instead, if they have not yet
TRIES = 100  # then all that this viewer would care to watch has been seen


@dataclass(frozen=True, kw_only=True)
class Rating:
    """One viewer's rating of one film."""

    viewer: int  # 1-based, as in MovieLens
    film: int  # index
    stars: float
    at: int  # unix seconds


@dataclass(frozen=True, kw_only=True)
class Tag:
    """One viewer's word for one film."""

    viewer: int
    film: int
    text: str
    at: int


def make_viewers(seed: int, count: int, films: int) -> list[Fan]:
    """People who rate 12 to 150 films each, at most half of all."""
    fans: list[Fan] = []
    for number in range(1, count + 1):
        dice = Dice(seed, "viewer", number)
        events = min(12 + int(138 * dice.random() * dice.random()), films // 2)
        fans.append(make_fan(dice, tuple(words.GENRES), events=events, pause_s=(40, 400), sitting=9))
    return fans


def make_ratings(seed: int, films: Sequence[Film], viewers: Sequence[Fan]) -> list[Rating]:
    """What the viewers thought, by viewer, then by film; nobody rates a film twice, or before its release."""
    ratings: list[Rating] = []
    shelf = _Shelf(films)
    for number, fan in enumerate(viewers, 1):
        dice = Dice(seed, "ratings", number)
        seen: dict[int, Rating] = {}
        last, wheel, mood = -1, None, None
        for at in fan.times:
            if fan.tastes(at) is not mood or wheel is None:
                mood = fan.tastes(at)
                wheel = shelf.wheel(mood)
            film = shelf.next_film(dice, wheel, seen, last, at)
            if film is not None:
                seen[film] = Rating(viewer=number, film=film, stars=_stars(dice, films[film], fan.tastes(at)), at=at)
                last = film
        ratings.extend(seen[film] for film in sorted(seen))
    return ratings


class _Shelf:
    """The films as one viewer meets them."""

    def __init__(self, films: Sequence[Film]) -> None:
        self._films = films
        self._places = range(len(films))
        self._genres = dict.fromkeys(film.genres for film in films)
        self._out = [int(datetime(*film.released, tzinfo=UTC).timestamp()) for film in films]
        self._sequels = {film.sequel_of: place for place, film in enumerate(films)}

    def wheel(self, mood: Mapping[str, float]) -> Wheel[int]:
        """The films in proportion to fame and, more so, to taste."""
        likes = {genres: 0.05 + _liking(genres, mood) for genres in self._genres}
        return Wheel(self._places, [film.popularity * likes[film.genres] * likes[film.genres] for film in self._films])

    def next_film(self, dice: Dice, wheel: Wheel[int], seen: Mapping[int, Rating], last: int, at: int) -> int | None:
        """What somebody sees next: the sequel of what they saw last, or something to their taste."""
        sequel = self._sequels.get(last)
        if sequel is not None and sequel not in seen and self._out[sequel] <= at and dice.chance(SEQUEL_NEXT):
            return sequel
        for _ in range(TRIES):
            film = wheel.draw(dice)
            before = self._films[film].sequel_of
            if before is not None and before not in seen and dice.chance(FIRST_PART_FIRST):
                film = before
            if film not in seen and self._out[film] <= at:
                return film
        return None


def _liking(genres: tuple[str, ...], mood: Mapping[str, float]) -> float:
    """Mean liking of a film's genres, the main one counted twice; second genres without a taste are neutral."""
    levels = [mood.get(genre, 0.3) for genre in (genres[0], *genres)]
    return fsum(levels) / len(levels)


def _stars(dice: Dice, film: Film, mood: Mapping[str, float]) -> float:
    """Half a star to five, in halves: liking, the film's quality, and chance."""
    stars = dice.bell(2.3 + 2.1 * _liking(film.genres, mood) + film.quality, 0.5)
    return min(5.0, max(0.5, int(2 * stars + 0.5) / 2))


def make_tags(seed: int, films: Sequence[Film], ratings: Sequence[Rating]) -> list[Tag]:
    """One tag for about every twelfth rating, a minute after it, from the words of the film's main genre."""
    dice = Dice(seed, "tags")
    return [
        Tag(
            viewer=rating.viewer,
            film=rating.film,
            text=dice.pick(words.GENRES[films[rating.film].genres[0]].tags),
            at=rating.at + 60,
        )
        for rating in ratings
        if dice.chance(0.08)
    ]
