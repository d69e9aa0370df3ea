"""Films of TMDb: found by their IMDb id or by name, with credits, keywords, videos and posters."""

import re
from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import BaseModel, SecretStr

from connectors.base import Request, Wanted
from connectors.candidates import Candidate, year_of
from connectors.errors import AuthError, ConnectorError, NotFound
from connectors.http import Policy, PolicySettings
from connectors.json_api import ApiSettings, JsonApi, path_of
from connectors.live import offered, secret_from, settled
from connectors.tmdb_answers import error_of, poster_of
from connectors.tmdb_models import Configuration, Film, Found, Search

APPENDED = "credits,keywords,videos,external_ids"
_JWT = re.compile(r"^eyJ[\w-]+\.[\w-]+\.[\w-]+$")


class TmdbSettings(ApiSettings):
    """Where TMDb is, and who asks; `api_key` is a v3 key or a v4 read token."""

    api_key: SecretStr | None = secret_from("TMDB_API_KEY")
    api_root: str = "https://api.themoviedb.org/3/"
    language: str = "en-US"
    # "somewhere in the 40 requests per second range" (developer.themoviedb.org/docs/rate-limiting, 2026-11).
    policy: PolicySettings = PolicySettings(requests_per_second=20.0, hosts=("image.tmdb.org",))


def connect(*, policy: Policy | Mapping[str, Any] | None = None, **settings: Any) -> "Tmdb":
    """TMDb with these settings; without a policy it makes its own."""
    return Tmdb(*settled(TmdbSettings, policy, settings))


class Tmdb(JsonApi[TmdbSettings]):
    """Entities: `find` (key: an IMDb id), `search` (key: title and year), `film` (key: the id), `configuration`."""

    name: ClassVar[str] = "tmdb"
    models: ClassVar[Mapping[str, type[BaseModel]]] = {
        "find": Found,
        "search": Search,
        "film": Film,
        "configuration": Configuration,
    }

    def __init__(self, settings: TmdbSettings, policy: Policy | None = None) -> None:
        super().__init__(settings, policy)
        self._configuration: Mapping[str, Any] | None = None  # asked for once, when the first poster is wanted

    def questions(self, wanted: Wanted) -> tuple[Request, ...]:
        """The exact id first: TMDb's own, then IMDb's; else title and year, then the title alone."""
        if known := wanted.ids.get("tmdb"):
            return (Request(entity="film", key=known),)
        exact = [Request(entity="find", key=wanted.ids["imdb"])] if wanted.ids.get("imdb") else []
        title = " ".join(wanted.title.split())
        named = [search_request(title, wanted.year)] if title else []
        if title and wanted.year:
            named.append(search_request(title))
        return (*exact, *named)

    def address(self, request: Request) -> tuple[str, dict[str, str]]:
        """The path and the parameters of a question."""
        spoken = {"language": self._settings.language}
        match request.entity:
            case "find":
                return path_of("find", request.key), {"external_source": "imdb_id", **spoken}
            case "film":
                # Trailers are often marked with the language they are in, or with none.
                videos = {"include_video_language": f"{self._settings.language[:2]},null"}
                return path_of("movie", request.key), {"append_to_response": APPENDED, **videos, **spoken}
            case "search":
                return "search/movie", {"include_adult": "false", **spoken, **request.params}
            case _:
                return "configuration", {}

    def credentials(self) -> tuple[dict[str, str], dict[str, str]]:
        """A v3 key travels in the address, a v4 token in a header."""
        key = self._settings.api_key.get_secret_value() if self._settings.api_key else ""
        if not key:
            raise AuthError("tmdb: no key; set TMDB_API_KEY", source=self.name)
        return ({}, {"Authorization": f"Bearer {key}"}) if _JWT.match(key) else ({"api_key": key}, {})

    def refusal(self, status: int, body: Any, url: str) -> ConnectorError | None:
        """By TMDb's own codes."""
        return error_of(status, body, url)

    def candidates(self, entity: str, payload: Mapping[str, Any]) -> list[Candidate]:
        """The films of an answer, in TMDb's order.

        Raises:
            SchemaDrift: The answer has no list of films.
        """
        if entity == "film":
            return offered(self.name, entity, [payload], _candidate)
        return offered(self.name, entity, payload.get("movie_results" if entity == "find" else "results"), _candidate)

    def request_from(self, entity: str, payload: Mapping[str, Any]) -> Request:
        """The film that an answer of `find` names.

        Raises:
            NotFound: It names none.
            ValueError: No other entity is found by way of an answer.
        """
        if entity != "film":
            raise ValueError(f"tmdb: '{entity}' is not asked for by way of another answer")
        found = self.candidates("find", payload)
        if not found:
            raise NotFound("tmdb: no film has this id", source=self.name)
        return Request(entity="film", key=found[0].id)

    def fetch_picture(self, payload: Mapping[str, Any]) -> bytes:
        """The poster of a `film` answer, a file as TMDb scaled it.

        Raises:
            ConnectorError: `NotFound` where the film has none, and as `Policy.download`.
        """
        if not payload.get("poster_path"):
            raise NotFound("tmdb: the film has no poster", source=self.name)
        if self._configuration is None:
            self._configuration = self.lookup(Request(entity="configuration", key="configuration")).payload
        return self._policy.download(poster_of(payload, self._configuration) or "")


def search_request(title: str, year: int | None = None) -> Request:
    """The question for a film by name.

    >>> search_request("Heat", 1995).key
    'Heat (1995)'
    """
    dated = {"primary_release_year": str(year)} if year else {}
    return Request(entity="search", key=f"{title} ({year})" if year else title, params={"query": title, **dated})


def _candidate(film: Any) -> Candidate:
    crew = (film.get("credits") or {}).get("crew") or []
    runtime = film.get("runtime")
    return Candidate.of(
        {
            "id": str(film["id"]),
            "title": film["title"],
            "artists": list(dict.fromkeys(person["name"] for person in crew if person.get("job") == "Director")),
            "year": year_of(film.get("release_date")),
            "duration_ms": runtime * 60_000 if runtime else None,
            "kind": "movie",
            "views": film.get("vote_count"),
            "url": film.get("poster_path"),
        }
    )
