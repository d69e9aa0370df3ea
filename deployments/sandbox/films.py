"""Invented films, and the people who made them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from deployments.sandbox import film_words as words
from deployments.sandbox.dice import Dice, Wheel, popularity

SEQUELS = 0.08  # share of films that continue an earlier one
COVERED = 0.87  # share of films with a TMDb id that the TMDb files know
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
    """A name nobody else has: a walk through first names times surnames, then through double-barrelled surnames."""
    first, last = words.FIRST_NAMES, words.SURNAMES
    turn, rest = divmod(place, len(first) * len(last))
    name = f"{first[rest % len(first)]} {last[(rest * 7 + rest // len(first)) % len(last)]}"
    second, again = last[turn % len(last)], turn // len(last)
    return name if turn == 0 else f"{name}-{second}{' ' + str(again + 1) if again else ''}"


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
        genres = _genres(dice)
        draft = Film(
            movielens=movielens[place],
            imdb=f"{imdb[place]:07d}",
            tmdb=None if dice.chance(0.02) else tmdb[place],
            title="",
            original=None,
            released=_released(dice, None),
            genres=genres,
            listed=not dice.chance(0.02),
            covered=dice.chance(COVERED),
            overview="",
            lead=dice.pick(words.FIRST_NAMES),
            director=crew.directors[genres[0]].draw(dice),
            cast=(),
            popularity=fame[place],
            quality=round(dice.bell(0.0, 0.35), 2),
            sequel_of=_continued(dice, films),
        )
        film = _new(dice, draft, crew, taken) if draft.sequel_of is None else _sequel(dice, draft, films)
        taken.add(film.title)
        films.append(film)
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


def _new(dice: Dice, film: Film, crew: _Crew, taken: set[str]) -> Film:
    """The film with a title nobody has yet, an overview and actors."""
    foreign = [row for row in words.FOREIGN_TITLES if row[2] == film.genres[0] and row[0] not in taken]
    if foreign and dice.chance(0.15):
        title, original, _ = dice.pick(foreign)
        film = replace(film, title=title, original=original)
    else:
        film = replace(film, title=_new_title(dice, film.genres[0], taken))
    return replace(film, overview=_overview(dice, film, dice.pick(words.OPENINGS)), cast=_cast(dice, film, crew))


def _new_title(dice: Dice, genre: str, taken: set[str]) -> str:
    for tries in range(40):
        title = _title(dice, genre) if tries < 20 else f"{_title(dice, genre)}: {_title(dice, genre)}"
        if title not in taken:
            return title
    return f"{_title(dice, genre)} No. {len(taken)}"  # all the others end in a word


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


def _sequel(dice: Dice, film: Film, films: Sequence[Film]) -> Film:
    """The film as the second part of an earlier one: same genres, hero and most actors, a few years later."""
    before = films[film.sequel_of or 0]
    film = replace(
        film,
        title=f"{before.title} II",
        released=_released(dice, before.year),
        genres=before.genres,
        lead=before.lead,
        director=before.director if dice.chance(0.8) else film.director,
        cast=before.cast[: max(3, len(before.cast) - 1)],
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


def _cast(dice: Dice, film: Film, crew: _Crew) -> tuple[tuple[Person, str], ...]:
    """Three to six actors with their characters; the lead comes first."""
    actors: dict[int, Person] = {}
    size = dice.whole(3, 6)
    while len(actors) < size:
        actor = crew.actors[film.genres[0]].draw(dice)
        actors[actor.id] = actor
    others = [name for name in dice.shuffled(words.FIRST_NAMES) if name != film.lead]
    roles = [f"{first} {dice.pick(words.SURNAMES)}" for first in (film.lead, *others[: size - 1])]
    return tuple(zip(actors.values(), roles, strict=True))
