"""TMDb v3: find, search, films with what is appended, configuration."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deployments.sandbox.protocol import Answer, Ask, unknown_key
from deployments.sandbox.search import Index
from deployments.sandbox.tables import FilmRow, read_table
from deployments.sandbox.tmdb_json import CONFIGURATION, appended, film_full, film_short

PAGE = 20
_ERRORS = {
    6: (404, "Invalid id: The pre-requisite id is invalid or not found."),
    7: (401, "Invalid API key: You must be granted a valid key."),
    11: (500, "Internal error: Something went wrong, contact TMDb."),
    22: (400, "Invalid page: Pages start at 1 and max at 500. They are expected to be an integer."),
    25: (429, "Your request count (41) is over the allowed limit of 40."),
    34: (404, "The resource you requested could not be found."),
    43: (502, "Couldn't connect to the backend server."),
    46: (503, "The API is undergoing maintenance. Try again later."),
}
_BY_STATUS = {429: 25, 500: 11, 502: 43, 503: 46}


class TmdbService:
    """The sandbox's TMDb."""

    name = "tmdb"
    drifting: tuple[str, ...] = ("poster_path", "release_date", "movie_results")

    def __init__(self, world: Path) -> None:
        self._films = read_table(world, "films", FilmRow)
        self._by_id = {film.id: film for film in self._films}
        self._by_imdb = {film.imdb: film for film in self._films if film.imdb}
        names = (_names(film) for film in self._films)
        self._index = Index(names, (min(1.0, film.popularity / 30) for film in self._films))

    def label(self, ask: Ask) -> str:
        """The endpoint without ids."""
        name = re.sub(r"/(tt)?\d+", "/{id}", ask.path.removeprefix("/3/"))
        return name if re.fullmatch(r"configuration|search/movie|find/{id}|movie/{id}(/[a-z_]+)?", name) else "unknown"

    def credential(self, ask: Ask) -> str:
        """The v3 key, or the v4 token."""
        return ask.bearer or ask.query.get("api_key", "")

    def refuse(self, ask: Ask, status: int, headers: Mapping[str, str]) -> Answer:
        """TMDb's error object."""
        return error(_BY_STATUS.get(status, 11), status=status, headers=headers)

    def answer(self, ask: Ask) -> Answer:
        """One endpoint's answer."""
        if unknown_key(self.credential(ask)):
            return error(7)
        parts = ask.path.strip("/").split("/")
        match parts:
            case ["3", "configuration"]:
                base = f"{ask.root.removeprefix('http://').removeprefix('https://')}/media/image.tmdb.org/t/p/"
                scheme = ask.root.split(":", maxsplit=1)[0]
                links = {"base_url": f"http://{base}", "secure_base_url": f"{scheme}://{base}"}
                return Answer(payload={**CONFIGURATION, "images": {**links, **CONFIGURATION["images"]}})
            case ["3", "find", number]:
                return self._find(ask, number)
            case ["3", "search", "movie"]:
                return self._search(ask)
            case ["3", "movie", number, *rest]:
                return self._movie(ask, number, rest)
            case _:
                return error(34)

    def _find(self, ask: Ask, number: str) -> Answer:
        if ask.query.get("external_source") != "imdb_id":
            return Answer(
                status=400, payload={"success": False, "status_code": 5, "status_message": "Invalid parameters."}
            )
        film = self._by_imdb.get(number)
        if ask.wrong and film is not None:
            film = self._films[(self._films.index(film) + 1) % len(self._films)]
        found = [] if film is None else [{**film_short(film), "media_type": "movie"}]
        others = ("person_results", "tv_results", "tv_episode_results", "tv_season_results")
        return Answer(payload={"movie_results": found, **{name: [] for name in others}})

    def _search(self, ask: Ask) -> Answer:
        page = ask.number("page", 1)
        if page is None or not 1 <= page <= 500:
            return error(22)
        found = [self._films[place] for place in self._index.find(ask.query.get("query", ""), least=0.6)]
        if year := ask.query.get("primary_release_year") or ask.query.get("year"):
            found = [film for film in found if film.released[:4] == year]
        if ask.wrong:
            found = [self._films[(self._films.index(film) + 1) % len(self._films)] for film in found]
        shown = [film_short(film) for film in found[PAGE * (page - 1) : PAGE * page]]
        pages = -(-len(found) // PAGE)
        return Answer(payload={"page": page, "results": shown, "total_pages": pages, "total_results": len(found)})

    def _movie(self, ask: Ask, number: str, rest: list[str]) -> Answer:
        if not number.isdigit() or number == "0":
            return error(6)
        film = self._by_id.get(int(number))
        if film is None:
            return error(34)
        if rest:
            said = appended(film, rest[0])
            return error(34) if said is None or len(rest) > 1 else Answer(payload={"id": film.id, **said})
        extra: dict[str, Any] = {}
        for name in ask.query.get("append_to_response", "").split(","):
            said = appended(film, name.strip())
            if said is not None:  # names that TMDb does not know are passed over
                extra[name.strip()] = said
        return Answer(payload={**film_full(film), **extra})


def error(code: int, *, status: int | None = None, headers: Mapping[str, str] | None = None) -> Answer:
    """An error as TMDb writes it, with a code of its own."""
    usual, message = _ERRORS[code]
    said = {"success": False, "status_code": code, "status_message": message}
    return Answer(status=status or usual, payload=said, headers=headers or {})


def _names(film: FilmRow) -> str:
    return film.title if film.title == film.original_title else f"{film.title} {film.original_title}"
