"""TMDb's films of a world: what its files say, told in full, and films that are easily taken for others."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from math import sqrt
from typing import Any

from deployments.sandbox import film_words as words
from deployments.sandbox.dice import Dice
from deployments.sandbox.film_files import is_known, tmdb_record
from deployments.sandbox.films import Film
from deployments.sandbox.tables import FilmRow, PictureRow

WRONG = 0.02  # share of films of which TMDb says something wrong
GENRE_NAMES = {
    **{28: "Action", 12: "Adventure", 16: "Animation", 35: "Comedy", 80: "Crime", 99: "Documentary", 18: "Drama"},
    **{10751: "Family", 14: "Fantasy", 36: "History", 27: "Horror", 10402: "Music", 9648: "Mystery", 10749: "Romance"},
    **{878: "Science Fiction", 10770: "TV Movie", 53: "Thriller", 10752: "War", 37: "Western"},
}
"""TMDb's genres of films, by id."""

_ORIGINALS = dict(
    zip(
        (original for _, original, _ in words.FOREIGN_TITLES),
        "fr:FR es:ES de:DE ja:JP it:IT ru:RU pt:PT it:IT ko:KR de:DE ar:EG sv:SE hi:IN pl:PL ja:JP el:GR da:DK it:IT "
        "zh:CN fr:FR".split(),
        strict=True,
    )
)
"""Language and country of each foreign film, by its original title."""

GENRE_IDS = {name: number for number, name in GENRE_NAMES.items()}


def film_of(record: Mapping[str, Any], dice: Dice, **told: Any) -> FilmRow:
    """A film from a record of the TMDb files and what else is told; what neither says falls by chance."""
    language = told.pop("language", "en")
    genres = tuple(GENRE_NAMES[number] for number in record.get("genre_ids") or () if number in GENRE_NAMES)
    votes = int(record.get("vote_count") or 0)
    said: dict[str, Any] = {
        "movielens": None,
        "original_title": record["title"],
        "country": "US",
        "runtime": dice.whole(78, 165),
        "tagline": "",
        "keywords": (),
        "backdrop": None,
        "cast": (),
        "crew": (),
        "trailer": None,
        "collection": None,
    }
    return FilmRow(
        id=int(record["id"]),
        imdb=record.get("imdb_id"),
        title=record["title"],
        language=language,
        released=record.get("release_date") or "",
        overview=record.get("overview") or "",
        genres=genres,
        vote_average=float(record.get("vote_average") or 0.0),
        vote_count=votes,
        popularity=round(sqrt(votes) / 7 + dice.random(), 4),
        poster=record.get("poster_path"),
        **{**said, **told},
    )


def make_films_rows(
    seed: int, films: Sequence[Film], trailers: Sequence[str | None]
) -> tuple[list[FilmRow], list[PictureRow]]:
    """Films that TMDb knows, their distractors, and the posters of all."""
    rows: list[FilmRow] = []
    pictures: list[PictureRow] = []
    taken = {film.tmdb for film in films}
    for film, trailer in zip(films, trailers, strict=True):
        if not is_known(film):
            continue
        dice = Dice(seed, "tmdb film", film.movielens)
        row = _film(dice, seed, film, trailer)
        rows.append(_wrong(dice, row) if dice.chance(WRONG) else row)
        rows.extend(_others(dice, row, taken))
        for poster in (row.poster, row.backdrop):
            if poster is not None:
                pictures.append(PictureRow(id=poster, seed=f"{seed}/poster/{film.movielens}", genre=film.genres[0]))
    return rows, pictures


def _film(dice: Dice, seed: int, film: Film, trailer: str | None) -> FilmRow:
    record = tmdb_record(seed, film)
    director = (film.director.id, film.director.name, "Director", "Directing")
    writer = (film.director.id, film.director.name, "Screenplay", "Writing")
    language, country = _ORIGINALS.get(film.original or "", "en:US").split(":")
    return film_of(
        record,
        dice,
        movielens=film.movielens,
        language=language,
        country=country,
        original_title=film.original or film.title,
        tagline=dice.pick(("", f"{film.lead} is back.", "Nobody leaves early.", "It begins at home.")),
        keywords=tuple(dice.some(words.GENRES[film.genres[0]].tags, dice.whole(0, 4))),
        backdrop=f"/{dice.base62(27)}.jpg" if dice.chance(0.9) else None,
        cast=tuple((actor.id, actor.name, character) for actor, character in film.cast),
        crew=(director, writer) if film.movielens % 3 == 0 else (director,),
        trailer=trailer,
        collection=None if film.sequel_of is None else (900_000 + film.movielens, f"{film.title[:-3]} Collection"),
    )


def _wrong(dice: Dice, film: FilmRow) -> FilmRow:
    """The film with a wrong IMDb id, none, or another year."""
    what = dice.pick(("imdb", "none", "released"))
    if what == "released":
        return replace(film, released=f"{int(film.released[:4]) - dice.whole(2, 9)}{film.released[4:]}")
    return replace(film, imdb=None if what == "none" else f"tt{dice.whole(9_000_001, 9_900_000)}")


def _others(dice: Dice, film: FilmRow, taken: set[int | None]) -> Iterator[FilmRow]:
    """Remakes, documentaries about the film and shorts of the same name."""
    for kind, chance in (("remake", 0.08), ("making_of", 0.06), ("short", 0.03)):
        if not dice.chance(chance):
            continue
        number = next(n for n in iter(lambda: dice.whole(1_000_000, 1_999_999), None) if n not in taken)
        taken.add(number)
        year = int(film.released[:4]) + dice.whole(6, 30)
        yield replace(
            film,
            id=number,
            imdb=f"tt{dice.whole(10_000_000, 19_999_999)}" if dice.chance(0.6) else None,
            movielens=None,
            title=f"The Making of {film.title}" if kind == "making_of" else film.title,
            original_title=film.original_title if kind != "making_of" else f"The Making of {film.title}",
            released=f"{year}{film.released[4:]}" if kind != "making_of" else film.released,
            runtime=dice.whole(4, 20) if kind == "short" else film.runtime + dice.whole(-20, 20),
            overview=film.overview[:60],
            poster=None,
            backdrop=None,
            cast=film.cast[1:] if kind == "making_of" else (),
            crew=(),
            trailer=None,
            collection=None,
            vote_count=film.vote_count // 20,
            popularity=round(film.popularity / 9, 4),
            kind=kind,
        )
