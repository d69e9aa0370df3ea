"""One row per item: who may say what of it, and that a change costs its own item only."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from storage.store import Store
from tasks.items import DESCRIPTION, Members, describe_users
from tasks.settings import Catalogue
from tests.tasks.shelf import SOURCES, Shelf, track_id


def members(*sources: str, **fields: list[str]) -> Members:
    given = {name: SOURCES[name] | ({"fields": fields[name]} if name in fields else {}) for name in sources}
    return Members(Catalogue.model_validate({"catalogue": "shelf", "sources": given}))


def entity(source: str, **said: Any) -> dict[str, Any]:
    return {name: None for name in DESCRIPTION} | {"source": source} | said


def test_the_first_source_that_knows_a_field_gives_it() -> None:
    merged = members("movielens", "tmdb").merge(
        [
            entity("movielens", title="Toy Story", genres=["comedy"], creators=[], adult=None),
            entity("tmdb", title="TOY STORY", genres=["drama"], creators=["Ann"], adult=False, year=1995),
        ]
    )
    assert (merged["title"], merged["genres"], merged["year"]) == ("Toy Story", ["comedy"], 1995)
    assert (merged["creators"], merged["adult"]) == (["Ann"], False)


def test_what_nobody_knows_is_null_and_never_an_empty_list() -> None:
    merged = members("movielens", "tmdb").merge(
        [entity("movielens", genres=[]), entity("tmdb", genres=[], keywords=[])]
    )
    assert (merged["genres"], merged["keywords"], merged["title"]) == (None, None, None)


def test_false_and_zero_are_values() -> None:
    merged = members("spotify", "mpd").merge(
        [entity("spotify", explicit=False, attributes=[("key", 0.0)]), entity("mpd", explicit=True)]
    )
    assert (merged["explicit"], merged["attributes"]) == (False, {"key": 0.0})


def test_fields_limit_what_a_source_may_say() -> None:
    rule = members("movielens", "tmdb", tmdb=["keywords", "attributes"])
    said = entity("tmdb", title="A", overview="B", keywords=["toys"], attributes=[("budget", 1.0)])
    merged = rule.merge([entity("movielens"), said])
    assert (merged["title"], merged["overview"]) == (None, None)
    assert (merged["keywords"], merged["attributes"]) == (["toys"], {"budget": 1.0})


def test_numbers_of_all_sources_stand_together_and_the_first_wins() -> None:
    merged = members("spotify", "mpd").merge(
        [
            entity("spotify", attributes=[("tempo", 120.0), ("key", 5.0)]),
            entity("mpd", attributes=[("tempo", 99.0), ("age", 1.0)]),
        ]
    )
    assert list(merged["attributes"].items()) == [("age", 1.0), ("key", 5.0), ("tempo", 120.0)]


@pytest.mark.parametrize("changed", [members("tmdb", "movielens"), members("movielens", "tmdb", tmdb=["overview"])])
def test_order_and_fields_are_part_of_the_version(changed: Members) -> None:
    assert changed.version != members("movielens", "tmdb").version
    assert members("movielens", "tmdb").version == members("movielens", "tmdb").version


def stored(shelf: Shelf) -> dict[str, Any]:
    rows = shelf.sql("select title, year, creators, duration_ms, genres, computed_at from items")
    return {row[0]: row[1:] for row in rows}


def test_a_changed_record_recomputes_its_item_and_no_other(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, "movielens", "tmdb")
    shelf.movielens(
        [(1, "Toy Story (1995)", "Comedy"), (2, "Heat (1995)", "(no genres listed)")],
        links=[(1, "", "862"), (2, "", "949")],
        ratings=[(7, 1, 4.0, 964982703)],
    )
    films = [{"id": 862, "title": "T", "runtime": 81, "genre_ids": [35]}, {"id": 949, "title": "H", "runtime": 170}]
    shelf.tmdb(*films)
    shelf.run(until="texts")
    before = stored(shelf)
    assert before["Toy Story"][:-1] == (1995, None, 4_860_000, ["comedy"])
    assert before["Heat"][:-1] == (1995, None, 10_200_000, None)
    shelf.tmdb(films[0], films[1] | {"runtime": 171})
    shelf.run(until="texts")
    done = {name: result.done for name, result in shelf.results.items()}
    assert done == {"ingest": 1, "entities": 1, "links": 0, "items": 1, "users": 0, "texts": 1}
    after = stored(shelf)
    assert after["Toy Story"] == before["Toy Story"]
    assert after["Heat"][2] == 10_260_000

    shelf.sources["tmdb"]["fields"] = ["overview"]
    shelf.movielens([(2, "Heat (1995)", "Crime")], links=[(2, "", "949")], ratings=[(7, 2, 4.0, 964982703)])
    shelf.run()
    assert {name: row[:-1] for name, row in stored(shelf).items()} == {"Heat": (1995, None, None, ["crime"])}
    assert shelf.sql("select user_id from users") == ["movielens:7"]


def test_users_are_those_who_acted_and_those_with_a_profile(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, "lastfm", "mpd", "spotify")
    shelf.lastfm(("user_1", "Bo", "Luna"), ("user_9", "Bo", "Sol"), profiles="user_1\tf\t23\tIceland\tAug 13, 2006\n"
                 "user_2\t\t\t\t\n")  # fmt: skip
    shelf.mpd([{"id": track_id(1), "name": "Luna", "artist": "Bo"}])
    shelf.spotify({"id": track_id(1), "name": "Luna", "artist": "Bo", "playlist_id": "p1"})
    shelf.run()
    rows = shelf.sql("select user_id, source, gender, age, country, registered from users order by user_id")
    assert rows == [
        ("lastfm:user_1", "lastfm", "f", 23, "Iceland", "Aug 13, 2006"),
        ("lastfm:user_2", "lastfm", None, None, None, None),
        ("lastfm:user_9", "lastfm", None, None, None, None),
        ("mpd:0", "mpd", None, None, None, None),
        ("spotify:p1", "spotify", None, None, None, None),
    ]


@pytest.mark.parametrize("age", ["", "0", "-1", "²", "abc", "99999999999", None, "2 3"])
def test_an_age_that_is_none_is_unknown(age: str | None) -> None:
    import json

    row = {"user_id": "s:1", "source": "s", "body": json.dumps({"age": age, "gender": "M"}).encode()}
    (user,) = describe_users(pa.Table.from_pylist([row]), Store("unused")).to_pylist()
    assert (user["age"], user["gender"], user["reason"]) == (None, "m", None)
