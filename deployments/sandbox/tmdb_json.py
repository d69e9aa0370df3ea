"""TMDb's objects as its API v3 writes them."""

from typing import Any

from deployments.sandbox.dice import Dice
from deployments.sandbox.service_films import GENRE_IDS
from deployments.sandbox.tables import FilmRow

CONFIGURATION: dict[str, Any] = {
    "change_keys": "adult budget cast crew genres homepage images imdb_id keywords overview runtime title".split(),
    "images": {
        "backdrop_sizes": ["w300", "w780", "w1280", "original"],
        "logo_sizes": ["w45", "w92", "w154", "w185", "w300", "w500", "original"],
        "poster_sizes": ["w92", "w154", "w185", "w342", "w500", "w780", "original"],
        "profile_sizes": ["w45", "w185", "h632", "original"],
        "still_sizes": ["w92", "w185", "w300", "original"],
    },
}
_LANGUAGES = {
    **{"en": ("English", "English"), "fr": ("French", "Français"), "es": ("Spanish", "Español")},
    **{"de": ("German", "Deutsch"), "ja": ("Japanese", "日本語"), "it": ("Italian", "Italiano")},
    **{"ru": ("Russian", "Pусский"), "pt": ("Portuguese", "Português"), "ko": ("Korean", "한국어/조선말")},
    **{"ar": ("Arabic", "العربية"), "sv": ("Swedish", "svenska"), "hi": ("Hindi", "हिन्दी"), "pl": ("Polish", "Polski")},
    **{"el": ("Greek", "ελληνικά"), "da": ("Danish", "Dansk"), "zh": ("Mandarin", "普通话")},
}
_COUNTRIES = {
    **{"US": "United States of America", "FR": "France", "ES": "Spain", "DE": "Germany", "JP": "Japan", "IT": "Italy"},
    **{"RU": "Russia", "PT": "Portugal", "KR": "South Korea", "EG": "Egypt", "SE": "Sweden", "IN": "India"},
    **{"PL": "Poland", "GR": "Greece", "DK": "Denmark", "CN": "China"},
}


def film_short(film: FilmRow) -> dict[str, Any]:
    """A film as searches name it."""
    return {
        "adult": False,
        "backdrop_path": film.backdrop,
        "genre_ids": [GENRE_IDS[name] for name in film.genres],
        "id": film.id,
        "original_language": film.language,
        "original_title": film.original_title,
        "overview": film.overview,
        "popularity": film.popularity,
        "poster_path": film.poster,
        "release_date": film.released,
        "title": film.title,
        "video": False,
        "vote_average": film.vote_average,
        "vote_count": film.vote_count,
    }


def film_full(film: FilmRow) -> dict[str, Any]:
    """A whole film, without what can be appended."""
    short = film_short(film)
    del short["genre_ids"]
    english, own = _LANGUAGES.get(film.language, (film.language, film.language))
    collection = None
    if film.collection is not None:
        number, name = film.collection
        collection = {"id": number, "name": name, "poster_path": film.poster, "backdrop_path": film.backdrop}
    dice = Dice("tmdb", "company", film.id)
    company = {"id": dice.whole(2, 90_000), "logo_path": f"/{dice.base62(27)}.png", "name": "Salt & Sons Pictures"}
    return {
        **short,
        "belongs_to_collection": collection,
        "budget": dice.whole(0, 90) * 1_000_000,
        "genres": [{"id": GENRE_IDS[name], "name": name} for name in film.genres],
        "homepage": "",
        "imdb_id": film.imdb,
        "origin_country": [film.country],
        "production_companies": [{**company, "origin_country": film.country}],
        "production_countries": [{"iso_3166_1": film.country, "name": _COUNTRIES.get(film.country, film.country)}],
        "revenue": dice.whole(0, 300) * 1_000_000,
        "runtime": film.runtime,
        "spoken_languages": [{"english_name": english, "iso_639_1": film.language, "name": own}],
        "status": "Released",
        "tagline": film.tagline,
    }


def appended(film: FilmRow, name: str) -> dict[str, Any] | None:
    """What `append_to_response` adds under that name; None where TMDb has no such thing."""
    match name:
        case "credits":
            return {"cast": _cast(film), "crew": _crew(film)}
        case "keywords":
            return {"keywords": [{"id": _number("keyword", word), "name": word} for word in film.keywords]}
        case "videos":
            return {"results": [_trailer(film)] if film.trailer else []}
        case "external_ids":
            links = {"wikidata_id": None, "facebook_id": None, "instagram_id": None, "twitter_id": None}
            return {"imdb_id": film.imdb, **links}
        case "images":
            posters = [_image(film.poster, 2000, 3000)] if film.poster else []
            backdrops = [_image(film.backdrop, 3840, 2160)] if film.backdrop else []
            return {"backdrops": backdrops, "logos": [], "posters": posters}
        case "release_dates":
            return {"results": [{"iso_3166_1": film.country, "release_dates": [_release(film)]}]}
        case _:
            return None


def _number(*names: object) -> int:
    return Dice("tmdb", *names).whole(10, 250_000)


def _person(number: int, name: str, department: str) -> dict[str, Any]:
    dice = Dice("tmdb", "person", number)
    return {
        "adult": False,
        "gender": dice.whole(0, 3),
        "id": number,
        "known_for_department": department,
        "name": name,
        "original_name": name,
        "popularity": round(dice.between(0.05, 8.0), 4),
        "profile_path": None,
    }


def _cast(film: FilmRow) -> list[dict[str, Any]]:
    return [
        {
            **_person(number, name, "Acting"),
            "cast_id": place + 1,
            "character": character,
            "credit_id": f"{_number(film.id, number, place):024x}",
            "order": place,
        }
        for place, (number, name, character) in enumerate(film.cast)
    ]


def _crew(film: FilmRow) -> list[dict[str, Any]]:
    return [
        {
            **_person(number, name, department),
            "credit_id": f"{_number(film.id, number, job):024x}",
            "department": department,
            "job": job,
        }
        for number, name, job, department in film.crew
    ]


def _trailer(film: FilmRow) -> dict[str, Any]:
    return {
        "iso_639_1": "en",
        "iso_3166_1": "US",
        "name": "Official Trailer",
        "key": film.trailer,
        "site": "YouTube",
        "size": 1080,
        "type": "Trailer",
        "official": True,
        "published_at": f"{film.released or '2000-01-01'}T16:00:00.000Z",
        "id": f"{_number(film.id, 'trailer'):024x}",
    }


def _image(path: str, width: int, height: int) -> dict[str, Any]:
    return {
        "aspect_ratio": round(width / height, 3),
        "height": height,
        "iso_639_1": None,
        "file_path": path,
        "vote_average": 0.0,
        "vote_count": 0,
        "width": width,
    }


def _release(film: FilmRow) -> dict[str, Any]:
    return {
        "certification": "",
        "descriptors": [],
        "iso_639_1": "",
        "note": "",
        "release_date": f"{film.released or '2000-01-01'}T00:00:00.000Z",
        "type": 3,
    }
