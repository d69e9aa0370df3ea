"""Texts: the document as seeds S2 lists it, an overview or the reason why there is none."""

from pathlib import Path
from typing import Any

from tasks.items import DESCRIPTION
from tasks.texts import document
from tests.tasks.shelf import Shelf

FILM: dict[str, Any] = {name: None for name in DESCRIPTION} | {
    "kind": "film",
    "title": "The Matrix",
    "year": 1999,
    "genres": ["action", "science fiction"],
    "creators": ["Lana Wachowski", "Lilly Wachowski"],
    "actors": ["Keanu Reeves", "Laurence Fishburne", "Carrie-Anne Moss", "Hugo Weaving"],
    "adult": False,
    "keywords": ["simulation", "hacker"],
    "overview": "A hacker\nlearns the truth.",
    "language": "en",
}


def test_a_films_document_has_the_lines_of_seeds_s2_in_their_order() -> None:
    assert document(FILM) == (
        "Title: The Matrix\n"
        "Year: 1999\n"
        "Genres: action, science fiction\n"
        "Director: Lana Wachowski, Lilly Wachowski\n"
        "Actors: Keanu Reeves, Laurence Fishburne, Carrie-Anne Moss\n"
        "Adult: no\n"
        "Keywords: simulation, hacker\n"
        "Overview: A hacker\nlearns the truth."
    )


def test_what_is_not_known_has_no_line() -> None:
    nothing: dict[str, Any] = dict.fromkeys(DESCRIPTION)
    assert document(nothing | {"kind": "film", "title": "M", "genres": [], "actors": []}) == "Title: M"
    assert document(nothing | {"kind": "film", "title": "M", "adult": True}) == "Title: M\nAdult: yes"


def test_a_tracks_document_names_artists_and_album() -> None:
    nothing: dict[str, Any] = dict.fromkeys(DESCRIPTION)
    track = nothing | {"kind": "track", "title": "Luna", "creators": ["Bo", "Al"], "album": "Moons", "year": 2001}
    assert document(track) == "Title: Luna\nYear: 2001\nArtists: Bo, Al\nAlbum: Moons"


def texts(shelf: Shelf) -> dict[tuple[str, str], tuple[Any, ...]]:
    rows = shelf.sql(
        "select i.title, t.kind, t.value, t.language, t.reason from texts t join items i using (item_id) order by all"
    )
    return {row[:2]: row[2:] for row in rows}


def test_an_overview_that_is_taken_back_is_not_found(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, "movielens", "tmdb")
    shelf.movielens([(1, "Heat (1995)", ""), (2, "M (1931)", "")], links=[(1, "", "949"), (2, "", "832")])
    heat = {"id": 949, "title": "Heat", "original_language": "en", "overview": "A heist."}
    fritz = {"id": 832, "title": "M", "original_language": "de", "overview": "Eine Stadt."}
    shelf.tmdb(heat, fritz)
    shelf.run()
    assert texts(shelf) == {
        ("Heat", "document"): ("Title: Heat\nYear: 1995\nOverview: A heist.", "en", None),
        ("Heat", "overview"): ("A heist.", "en", None),
        ("M", "document"): ("Title: M\nYear: 1931\nOverview: Eine Stadt.", "en", None),
        ("M", "overview"): ("Eine Stadt.", "en", None),
    }
    shelf.tmdb(heat | {"overview": ""}, fritz)
    shelf.movielens([(1, "Heat (1995)", "")], links=[(1, "", "949")])
    shelf.run()
    assert (shelf.results["texts"].done, shelf.results["texts"].reasons) == (1, {"not_found": 1})
    found = texts(shelf)
    assert found["Heat", "overview"] == (None, None, "not_found")
    assert found["Heat", "document"][0] == "Title: Heat\nYear: 1995"
    assert shelf.results["texts"].removed == 2
    assert found.keys() == {("Heat", "overview"), ("Heat", "document")}
