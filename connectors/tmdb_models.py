"""What TMDb answers (2022 to 2026); the fields without a default are those we cannot do without."""

from typing import Any

from pydantic import BaseModel, ConfigDict


class _Shape(BaseModel):
    model_config = ConfigDict(extra="allow")


class Listed(_Shape):
    """A film as `find` and `search` give it."""

    id: int
    title: str
    adult: bool | None = None
    backdrop_path: str | None = None
    genre_ids: list[int] | None = None
    media_type: str | None = None
    original_language: str | None = None
    original_title: str | None = None
    overview: str | None = None
    popularity: float | None = None
    poster_path: str | None = None
    release_date: str | None = None
    softcore: bool | None = None
    video: bool | None = None
    vote_average: float | None = None
    vote_count: int | None = None


class Found(_Shape):
    """GET /find/IMDB_ID."""

    movie_results: list[Listed]
    person_results: list[Any] | None = None
    tv_episode_results: list[Any] | None = None
    tv_results: list[Any] | None = None
    tv_season_results: list[Any] | None = None


class Search(_Shape):
    """GET /search/movie."""

    results: list[Listed]
    page: int | None = None
    total_pages: int | None = None
    total_results: int | None = None


class Person(_Shape):
    """Somebody in the credits."""

    id: int
    name: str
    adult: bool | None = None
    cast_id: int | None = None
    character: str | None = None
    credit_id: str | None = None
    department: str | None = None
    gender: int | None = None
    job: str | None = None
    known_for_department: str | None = None
    order: int | None = None
    original_name: str | None = None
    popularity: float | None = None
    profile_path: str | None = None


class Credits(_Shape):
    """Who made it."""

    cast: list[Person]
    crew: list[Person]


class Named(_Shape):
    """A keyword or a genre."""

    id: int
    name: str


class Keywords(_Shape):
    """What it is about."""

    keywords: list[Named]


class Video(_Shape):
    """A trailer, a clip ... elsewhere."""

    key: str
    site: str
    type: str
    id: str | None = None
    iso_3166_1: str | None = None
    iso_639_1: str | None = None
    name: str | None = None
    official: bool | None = None
    published_at: str | None = None
    size: int | None = None


class Videos(_Shape):
    """What there is to see of it."""

    results: list[Video]


class Film(_Shape):
    """GET /movie/ID with everything appended in one call."""

    id: int
    title: str
    adult: bool | None = None
    backdrop_path: str | None = None
    belongs_to_collection: dict[str, Any] | None = None
    budget: int | None = None
    credits: Credits | None = None
    external_ids: dict[str, Any] | None = None
    genres: list[Named] | None = None
    homepage: str | None = None
    imdb_id: str | None = None
    keywords: Keywords | None = None
    origin_country: list[str] | None = None
    original_language: str | None = None
    original_title: str | None = None
    overview: str | None = None
    popularity: float | None = None
    poster_path: str | None = None
    production_companies: list[Any] | None = None
    production_countries: list[Any] | None = None
    release_date: str | None = None
    revenue: int | None = None
    runtime: int | None = None
    softcore: bool | None = None
    spoken_languages: list[Any] | None = None
    status: str | None = None
    tagline: str | None = None
    video: bool | None = None
    videos: Videos | None = None
    vote_average: float | None = None
    vote_count: int | None = None


class Images(_Shape):
    """Where pictures lie, and in which sizes."""

    secure_base_url: str
    poster_sizes: list[str]
    backdrop_sizes: list[str] | None = None
    base_url: str | None = None
    logo_sizes: list[str] | None = None
    profile_sizes: list[str] | None = None
    still_sizes: list[str] | None = None


class Configuration(_Shape):
    """GET /configuration."""

    images: Images
    change_keys: list[str] | None = None
