"""Invented films, the people in them, and viewers who rate them by taste."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from deployments.sandbox import film_words as words
from deployments.sandbox.dice import Dice, Wheel, popularity
from deployments.sandbox.fans import DAY_S, START, Fan, make_fan

SEQUELS = 0.08  # share of films that continue an earlier one
COVERED = 0.87  # share of films with a TMDb id that the TMDb files know
SEQUEL_NEXT = 0.6  # how likely somebody who has just seen a film goes on with its sequel
MONTH_DAYS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
FIRST_YEAR, LAST_YEAR = 1948, 2023


@dataclass(frozen=True, kw_only=True)
class Person:
    """An invented director or actor."""

    id: int
    name: str


@dataclass(frozen=True, kw_only=True)
class Film:
    """A film as it is in truth; the files tell parts of it."""

    movielens: int
    imdb: str  # 7 digits
    tmdb: int | None  # None: links.csv has no TMDb id
    title: str  # "The Silent Harbour"
    original: str | None  # title of the original, where it is a foreign film
    released: tuple[int, int, int]  # year, month, day
    genres: tuple[str, ...]  # MovieLens names, the main one first
    listed: bool  # False: MovieLens says "(no genres listed)"
    covered: bool  # the TMDb files have it
    overview: str  # may be empty
    lead: str  # the main character
    director: Person
    cast: tuple[tuple[Person, str], ...]  # actor, character; in order of billing
    popularity: float  # (0, 1]
    quality: float  # stars above or below the average film
    sequel_of: int | None  # index of the film it continues

    @property
    def year(self) -> int:
        """Year of release."""
        return self.released[0]


@dataclass(frozen=True, kw_only=True)
class Rating:
    """One viewer's rating of one film."""

    viewer: int  # 1-based, as in MovieLens
    film: int  # index
    stars: float
    at: int  # unix seconds


class _Crew:
    """The invented people; each works in a few genres only."""

    def __init__(self, seed: int, films: int) -> None:
        dice = Dice(seed, "people")
        count = max(80, films)
        ids = dice.numbers(10_000, 10_000 + 40 * count, count)
        self._everybody = [Person(id=ids[place], name=_person_name(place)) for place in range(count)]
        directors = max(24, count // 5)
        self.directors = self._by_genre(dice, self._everybody[:directors])
        self.actors = self._by_genre(dice, self._everybody[directors:])

    @staticmethod
    def _by_genre(dice: Dice, people: Sequence[Person]) -> dict[str, Wheel[Person]]:
        fame = popularity(dice, len(people))
        home = [dice.some(tuple(words.GENRES), 2) for _ in people]
        return {
            genre: Wheel(people, [f * (1.0 if genre in h else 0.03) for f, h in zip(fame, home, strict=True)])
            for genre in words.GENRES
        }


def _person_name(place: int) -> str:
    """Distinct names: a walk through first names times surnames, then with a second surname."""
    first, last = words.FIRST_NAMES, words.SURNAMES
    turn, rest = divmod(place, len(first) * len(last))
    name = f"{first[rest % len(first)]} {last[(rest * 7 + rest // len(first)) % len(last)]}"
    return f"{name}-{last[turn % len(last)]}{' ' + str(turn) if turn > len(last) else ''}" if turn else name


def make_films(seed: int, count: int) -> list[Film]:
    """That many films with distinct titles."""
    dice = Dice(seed, "film ids")
    movielens = sorted(dice.numbers(1, 12 * count, count))
    imdb = dice.numbers(100_000, 9_000_000, count)
    tmdb = dice.numbers(200, 200 + 90 * count, count)
    fame = popularity(dice, count)
    crew, taken = _Crew(seed, count), set[str]()
    films: list[Film] = []
    for place in range(count):
        dice = Dice(seed, "film", place)
        before = _continued(dice, films)
        draft = Film(
            movielens=movielens[place],
            imdb=f"{imdb[place]:07d}",
            tmdb=None if dice.chance(0.02) else tmdb[place],
            title="",
            original=None,
            released=_released(dice, None),
            genres=_genres(dice),
            listed=not dice.chance(0.02),
            covered=dice.chance(COVERED),
            overview="",
            lead=dice.pick(words.FIRST_NAMES),
            director=crew.directors["Drama"].things[0],
            cast=(),
            popularity=fame[place],
            quality=round(dice.bell(0.0, 0.35), 2),
            sequel_of=before,
        )
        draft = _sequel(dice, draft, films[before]) if before is not None else _titled(dice, draft, taken)
        taken.add(draft.title)
        films.append(_staffed(dice, draft, crew, films))
    return films


def _continued(dice: Dice, films: Sequence[Film]) -> int | None:
    """The film that the next one continues: an early enough one without a sequel, which is none itself."""
    if len(films) < 10 or not dice.chance(SEQUELS):
        return None
    place = dice.whole(0, len(films) - 1)
    done = any(film.sequel_of == place for film in films)
    free = films[place].sequel_of is None and films[place].year <= LAST_YEAR - 5 and films[place].original is None
    return place if free and not done else None


def _released(dice: Dice, after: int | None) -> tuple[int, int, int]:
    if after is None:
        back = dice.random() * dice.random()  # most films are recent
        year = LAST_YEAR - int(back * (LAST_YEAR - FIRST_YEAR + 1))
    else:
        year = after + dice.whole(2, 5)
    month = dice.whole(1, 12)
    return year, month, dice.whole(1, MONTH_DAYS[month - 1])


def _genres(dice: Dice) -> tuple[str, ...]:
    main = dice.pick(tuple(words.GENRES))
    return (main, *dice.some(words.GENRES[main].also, dice.pick((0, 1, 1, 2))))


def _titled(dice: Dice, film: Film, taken: set[str]) -> Film:
    """The film with a title nobody has yet, and an overview."""
    foreign = [row for row in words.FOREIGN_TITLES if row[2] == film.genres[0] and row[0] not in taken]
    if foreign and dice.chance(0.35):
        title, original, _ = dice.pick(foreign)
        film = replace(film, title=title, original=original)
    else:
        title = _title(dice, film.genres[0])
        for tries in range(40):
            if title not in taken:
                break
            title = _title(dice, film.genres[0]) if tries < 20 else f"{title}: {_title(dice, film.genres[0])}"
        film = replace(film, title=title)
    return replace(film, overview=_overview(dice, film, dice.pick(words.OPENINGS)))


def _title(dice: Dice, genre: str) -> str:
    vocabulary = words.GENRES[genre]
    noun, other = dice.some(vocabulary.nouns, 2)
    return dice.pick(words.TITLE_PATTERNS).format(
        adjective=dice.pick(vocabulary.adjectives),
        noun=noun,
        other=other,
        town=dice.pick(words.TOWNS),
        first=dice.pick(words.FIRST_NAMES),
        number=dice.pick(words.NUMBERS),
    )


def _sequel(dice: Dice, film: Film, before: Film) -> Film:
    """The film as the second part of another: same genres, same hero, a few years later."""
    film = replace(
        film,
        title=f"{before.title} II",
        released=_released(dice, before.year),
        genres=before.genres,
        lead=before.lead,
        popularity=before.popularity * 0.7,
        quality=round(before.quality - 0.2, 2),
    )
    opening = dice.pick(words.SEQUEL_OPENINGS).replace("{before}", before.title)
    return replace(film, overview=_overview(dice, film, opening))


def _overview(dice: Dice, film: Film, opening: str) -> str:
    """Two to four sentences in the words of the main genre; empty for a few films."""
    if dice.chance(0.025):
        return ""
    vocabulary = words.GENRES[film.genres[0]]
    turns = dice.some(words.TURNS, dice.whole(0, 2))
    lists = (vocabulary.heroes, vocabulary.places, vocabulary.goals, vocabulary.troubles, vocabulary.stakes)
    heroes, places, goals, troubles, stakes = (iter(dice.shuffled(phrases)) for phrases in lists)
    sentences: list[str] = []
    for pattern in (opening, *turns, dice.pick(words.ENDINGS)):
        phrases = {"hero": next(heroes), "place": next(places), "goal": next(goals), "trouble": next(troubles)}
        phrases |= {"stake": next(stakes), "name": film.lead}
        sentences.append(pattern.format(**phrases, **{key.title(): _capital(text) for key, text in phrases.items()}))
    return " ".join(sentences)


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def _staffed(dice: Dice, film: Film, crew: _Crew, films: Sequence[Film]) -> Film:
    """The film with a director and three to six actors; a sequel keeps most of them."""
    genre = film.genres[0]
    if film.sequel_of is not None:
        before = films[film.sequel_of]
        kept = before.cast[: max(2, len(before.cast) - 1)]
        return replace(film, director=before.director if dice.chance(0.8) else film.director, cast=kept)
    director = crew.directors[genre].draw(dice)
    actors: dict[int, Person] = {}
    size = dice.whole(3, 6)
    while len(actors) < size:
        actor = crew.actors[genre].draw(dice)
        actors[actor.id] = actor
    others = [name for name in dice.shuffled(words.FIRST_NAMES) if name != film.lead]
    roles = [f"{first} {dice.pick(words.SURNAMES)}" for first in (film.lead, *others[: size - 1])]
    return replace(film, director=director, cast=tuple(zip(actors.values(), roles, strict=True)))


def make_viewers(seed: int, count: int, films: int) -> list[Fan]:
    """People who rate between 12 and 150 films, at most half of all."""
    fans: list[Fan] = []
    for place in range(count):
        dice = Dice(seed, "viewer", place)
        eager = dice.random() * dice.random()
        events = min(12 + int(138 * eager), films // 2)
        fans.append(make_fan(dice, tuple(words.GENRES), events=events, pause_s=(40, 400), sitting=9))
    return fans


def make_ratings(seed: int, films: Sequence[Film], viewers: Sequence[Fan]) -> list[Rating]:
    """What the viewers thought, by viewer and then by film; nobody rates a film twice or before its release."""
    out = _released_at(films)
    follow = {film.sequel_of: place for place, film in enumerate(films) if film.sequel_of is not None}
    ratings: list[Rating] = []
    for number, fan in enumerate(viewers, 1):
        dice = Dice(seed, "ratings", number)
        wheels = {since: _wheel(films, mood) for since, mood in fan.moods}
        seen: dict[int, Rating] = {}
        last = -1
        for at in fan.times:
            mood = max(since for since in wheels if since <= at)
            film = follow.get(last) if dice.chance(SEQUEL_NEXT) else None
            tries = 0
            while film is None or film in seen or out[film] > at:
                film, tries = wheels[mood].draw(dice), tries + 1
                if tries > 200:  # everything that this viewer would watch is seen
                    break
            if film not in seen and out[film] <= at:
                seen[film] = Rating(viewer=number, film=film, stars=_stars(dice, films[film], fan, at), at=at)
                last = film
        ratings.extend(seen[film] for film in sorted(seen))
    return ratings


def _wheel(films: Sequence[Film], mood: dict[str, float] | object) -> Wheel[int]:
    raise NotImplementedError


def _released_at(films: Sequence[Film]) -> list[int]:
    """First moment of the release year's days, in unix seconds; years before the window count as its start."""
    return [0 for _ in films] and [START - DAY_S for _ in films]


def _stars(dice: Dice, film: Film, fan: Fan, at: int) -> float:
    raise NotImplementedError
