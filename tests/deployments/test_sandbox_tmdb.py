"""The sandbox's TMDb and its pictures, asked over HTTP."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from deployments.sandbox.serve import serve
from deployments.sandbox.server import Sandbox
from deployments.sandbox.tables import FilmRow, FilmTruth, read_table


@pytest.fixture(scope="module")
def running(small_world: Path) -> Iterator[Sandbox]:
    with serve(small_world) as sandbox:
        yield sandbox


def get(sandbox: Sandbox, path: str, **query: str) -> tuple[int, Any]:
    said = requests.get(f"{sandbox.url}/tmdb/3/{path}", params={"api_key": "sandbox", **query}, timeout=5)
    return said.status_code, said.json()


def test_find_by_imdb_id_finds_the_film_wherever_tmdb_says_nothing_wrong(running: Sandbox, small_world: Path) -> None:
    films = {row.id: row for row in read_table(small_world, "films", FilmRow)}
    for true in read_table(small_world, "truth_films", FilmTruth):
        _, said = get(running, f"find/{true.imdb}", external_source="imdb_id")
        found = [film["id"] for film in said["movie_results"]]
        right = true.tmdb is not None and films[true.tmdb].imdb == true.imdb
        assert found == ([true.tmdb] if right else [])


def test_search_finds_remakes_and_the_year_tells_them_apart(running: Sandbox, small_world: Path) -> None:
    rows = read_table(small_world, "films", FilmRow)
    remake = next(row for row in rows if row.kind == "remake")
    film = next(row for row in rows if row.kind == "film" and row.title == remake.title)
    _, every = get(running, "search/movie", query=film.title)
    _, dated = get(running, "search/movie", query=film.title, year=film.released[:4])
    assert {film.id, remake.id} <= {found["id"] for found in every["results"]}
    assert [found["id"] for found in dated["results"] if found["title"] == film.title] == [film.id]


def test_a_film_comes_with_what_is_appended_and_nothing_else(running: Sandbox, small_world: Path) -> None:
    film = read_table(small_world, "films", FilmRow)[0]
    _, said = get(running, f"movie/{film.id}", append_to_response="credits,keywords,videos,nonsense")
    assert [person["name"] for person in said["credits"]["cast"]] == [name for _, name, _ in film.cast]
    assert {"keywords", "videos"} <= said.keys()
    assert not {"nonsense", "images"} & said.keys()


def test_posters_come_from_the_address_of_the_configuration(running: Sandbox, small_world: Path) -> None:
    film = next(row for row in read_table(small_world, "films", FilmRow) if row.poster)
    _, configuration = get(running, "configuration")
    base = configuration["images"]["secure_base_url"]
    poster = requests.get(f"{base}w342{film.poster}", timeout=5)
    assert poster.headers["content-type"] == "image/jpeg"
    assert poster.content[:2] == b"\xff\xd8"
    assert requests.get(f"{base}w342/nothing.jpg", timeout=5).status_code == 404


@pytest.mark.parametrize(
    ("path", "key", "status", "code"),
    [
        ("movie/0", "sandbox", 404, 6),
        ("movie/999999999", "sandbox", 404, 34),
        ("nothing", "sandbox", 404, 34),
        ("configuration", "invalid", 401, 7),
        ("configuration", "", 401, 7),
        ("search/movie?page=501", "sandbox", 400, 22),
    ],
)
def test_errors_have_tmdb_s_codes(running: Sandbox, path: str, key: str, status: int, code: int) -> None:
    said = get(running, path, api_key=key)
    assert (said[0], said[1]["status_code"], said[1]["success"]) == (status, code, False)
