"""Which entity of which source an item is: what joins, what stays apart, and that ids stay what they are."""

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tasks.links import links_stage
from tests.tasks.shelf import Shelf, track_id

LUNA, SOL = {"name": "Luna", "artist": "Bo"}, {"name": "Sol", "artist": "Al"}
LUNA_1, LUNA_2, LUNA_5 = ({"id": track_id(n)} | LUNA for n in (1, 2, 5))
SPELLINGS = [("Bo", "Luna"), ("BO", "LUNA"), ("The Bo", "Luna (feat. Al)")]
Groups = set[frozenset[str]]


def fill(shelf: Shelf) -> None:
    """Films and tracks that are the same, or only look so."""
    shelf.movielens(
        [(1, "Toy Story (1995)", ""), (2, "Matrix, The (1999)", ""), (3, "Nowhere (2000)", "")]
        + [(n, "Confessions of a Dangerous Mind (2002)", "") for n in (6003, 144606)],
        links=[(1, "0000001", "862"), (2, "0133093", ""), (6003, "0270288", "4912"), (144606, "9999999", "4912")],
    )
    shelf.tmdb(
        {"id": 862, "title": "Toy Story", "imdb_id": "tt0114709", "overview": "Toys."},
        {"id": 603, "title": "The Matrix", "imdb_id": "tt0133093", "overview": "A choice."},
        {"id": 4912, "title": "Confessions", "imdb_id": "tt0270288", "overview": "A host."},
        {"id": 999, "title": "Luna", "overview": "A film named like a song, by its singer."},
    )
    crew = json.dumps([{"name": "Bo", "job": "Director"}])
    shelf.csv("tmdb/credits.csv", "movie_id,cast,crew", [(999, "[]", crew)])
    shelf.spotify(LUNA_1, LUNA_2, {"id": track_id(3)} | SOL)
    shelf.mpd([LUNA_1, {"id": track_id(4), "name": "Terra", "artist": "Bo"}, LUNA_5])
    plays = [*SPELLINGS, ("Bo", "Luna (Live)"), ("Bo", "Luna - Al Remix"), ("No", "One")]
    shelf.lastfm(*(("u1", artist, track) for artist, track in plays))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    """All five sources, up to `entities`; tests look and change no row."""
    shelf = Shelf(tmp_path_factory.mktemp("world"), "movielens", "tmdb", "spotify", "mpd", "lastfm")
    fill(shelf)
    shelf.run(until="entities")
    return shelf


@pytest.fixture(scope="module")
def claims(world: Shelf) -> Callable[..., list[dict[str, Any]]]:
    """What `links` would claim with these sources in this order; `only_adds` names those that define no item."""

    def assign(*sources: str, only_adds: tuple[str, ...] = (), **changes: Any) -> list[dict[str, Any]]:
        shelf = Shelf(world.folder, *sources, **changes)
        for name, source in shelf.sources.items():
            source["items"] = name not in only_adds
        inputs = links_stage(shelf.catalogue).inputs
        assert callable(inputs)
        return inputs(world.store).to_pylist()

    return assign


def groups(rows: list[dict[str, Any]]) -> Groups:
    """The items as sets of `source:source_id`, without long zeros."""
    found: dict[str, set[str]] = {}
    for row in rows:
        if row["state"] == "accepted":
            found.setdefault(row["item_id"], set()).add(f"{row['source']}:{row['source_id'].lstrip('0')}")
    return {frozenset(members) for members in found.values()}


def together(found: Groups, *members: str) -> bool:
    return any(set(members) <= group for group in found)


# --- films


def test_films_are_joined_by_tmdb_id_or_by_imdb_id(claims) -> None:
    rows = claims("movielens", "tmdb", only_adds=("tmdb",))
    found = {(r["source"], r["source_id"]): (r["method"], r["evidence"], r["probability"]) for r in rows}
    assert found["tmdb", "862"] == ("tmdb", "tmdb:862", 1.0)  # the imdb ids differ
    assert found["tmdb", "603"] == ("imdb", "imdb:tt0133093", 1.0)  # no tmdb id is given
    assert found["movielens", "1"] == ("own", "1", 1.0)


def test_two_films_that_name_one_tmdb_film_stay_two_and_both_get_it(claims) -> None:
    found = groups(claims("movielens", "tmdb", only_adds=("tmdb",)))
    assert {"movielens:6003", "tmdb:4912"} in found
    assert {"movielens:144606", "tmdb:4912"} in found


@pytest.mark.parametrize("order", [("movielens", "tmdb"), ("tmdb", "movielens")])
def test_two_films_stay_two_whoever_is_asked_first(claims, order: tuple[str, str]) -> None:
    found = groups(claims(*order))
    assert {"movielens:6003", "tmdb:4912"} in found  # its imdb id is the film's too
    assert {"movielens:144606"} in found
    assert {"movielens:1", "tmdb:862"} in found


def test_every_item_has_a_row_for_each_source_that_only_adds(claims) -> None:
    rows = claims("movielens", "spotify", "tmdb", only_adds=("tmdb",))
    items = {r["item_id"] for r in rows if r["source"] != "tmdb"}
    asked = {r["item_id"]: r["state"] for r in rows if r["source"] == "tmdb"}
    assert asked.keys() == items
    missing = [r for r in rows if r["state"] is None]
    assert {(r["source"], r["source_id"], r["entity_id"]) for r in missing} == {("tmdb", "", None)}
    assert len(missing) == 4  # Nowhere and three tracks


# --- tracks


def test_one_spotify_id_is_one_item_in_both_sources(claims) -> None:
    found = groups(claims("spotify", "mpd"))
    assert found == {
        frozenset({"spotify:1", "mpd:1"}),
        frozenset({"spotify:2"}),
        frozenset({"spotify:3"}),
        frozenset({"mpd:4"}),
        frozenset({"mpd:5"}),
    }


def test_spellings_of_a_track_are_one_item_and_other_versions_are_not(claims) -> None:
    assert groups(claims("lastfm")) == {
        frozenset({"lastfm:Bo/_/Luna", "lastfm:BO/_/LUNA", "lastfm:The+Bo/_/Luna+%28feat.+Al%29"}),
        frozenset({"lastfm:Bo/_/Luna+%28Live%29"}),
        frozenset({"lastfm:Bo/_/Luna+-+Al+Remix"}),
        frozenset({"lastfm:No/_/One"}),
    }


@pytest.mark.parametrize("order", list(itertools.permutations(("spotify", "mpd", "lastfm"))))
def test_names_join_one_item_and_two_spotify_ids_never_do(claims, order: tuple[str, ...]) -> None:
    found = groups(claims(*order))
    assert not any(together(found, f"spotify:{a}", f"{s}:{b}") for s in ("spotify", "mpd") for a, b in ((1, 2), (2, 5)))
    assert together(found, "spotify:1", "mpd:1")
    assert together(found, "lastfm:Bo/_/Luna", "lastfm:BO/_/LUNA")
    (luna,) = (group for group in found if "lastfm:Bo/_/Luna" in group)
    assert any(member.startswith(("spotify:", "mpd:")) for member in luna)
    assert frozenset({"lastfm:Bo/_/Luna+%28Live%29"}) in found


@pytest.mark.parametrize("order", [("tmdb", "spotify", "lastfm"), ("lastfm", "tmdb", "spotify")])
def test_a_film_and_a_track_of_the_same_names_stay_two(claims, order: tuple[str, ...]) -> None:
    assert frozenset({"tmdb:999"}) in groups(claims(*order))


def test_another_id_of_the_same_source_is_not_taken_for_its_name(claims) -> None:
    found = groups(claims("spotify", "mpd", only_adds=("mpd",)))
    assert {"spotify:1", "mpd:1"} in found
    assert {"spotify:2"} in found
    assert not together(found, "mpd:5")  # an id that no item has, though the name is Luna's


def test_a_source_of_names_that_only_adds_gives_all_spellings(claims) -> None:
    found = groups(claims("spotify", "lastfm", only_adds=("lastfm",)))
    assert together(found, "lastfm:Bo/_/Luna", "lastfm:BO/_/LUNA", "lastfm:The+Bo/_/Luna+%28feat.+Al%29")
    assert not together(found, "lastfm:No/_/One")


# --- separate


@pytest.mark.parametrize("order", [("movielens", "tmdb"), ("tmdb", "movielens")])
@pytest.mark.parametrize("name", ["movielens:1", "tmdb:862"])
def test_separate_undoes_a_merge_by_either_name(claims, order: tuple[str, str], name: str) -> None:
    found = groups(claims(*order, separate=[name]))
    assert {"movielens:1"} in found
    assert {"tmdb:862"} in found
    assert {"movielens:2", "tmdb:603"} in found


def test_separate_keeps_an_entity_apart_in_all_sources_of_its_ids(claims) -> None:
    found = groups(claims("lastfm", "spotify", "mpd", separate=[f"spotify:{track_id(1)}"]))
    assert {"spotify:1", "mpd:1"} in found


def test_separate_keeps_a_film_without_what_a_source_adds(claims) -> None:
    found = groups(claims("movielens", "tmdb", only_adds=("tmdb",), separate=["tmdb:862"]))
    assert {"movielens:1"} in found
    assert {"movielens:2", "tmdb:603"} in found


# --- ids over time


def test_chunk_size_and_source_order_of_rows_change_nothing(tmp_path: Path) -> None:
    found: list[Any] = []
    for chunk_keys in (None, 3):
        shelf = Shelf(
            tmp_path / str(chunk_keys), "movielens", "tmdb", "spotify", "mpd", "lastfm", chunk_keys=chunk_keys
        )
        fill(shelf)
        shelf.run(until="links")
        found.append(
            shelf.sql("select * exclude (version, computed_at) from links order by item_id, source, source_id")
        )
    assert found[0] == found[1]
    assert len(found[0]) > 20


def test_ids_survive_runs_and_sources_that_come_later_or_first(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, "spotify")
    fill(shelf)
    shelf.run(until="links")
    before = shelf.linked()
    shelf.sources = Shelf(tmp_path, "lastfm", "spotify", "mpd").sources
    shelf.run(until="links")
    after = shelf.linked()
    assert before.items() <= after.items()
    luna = after["lastfm:Bo/_/Luna"]
    assert luna in (before[f"spotify:{track_id(n)}"] for n in (1, 2))
    shelf.write("spotify/tracks.csv", (tmp_path / "spotify" / "tracks.csv").read_text(encoding="utf-8") + "\n")
    shelf.run(until="links")
    assert shelf.results["links"].done == 0
    assert shelf.linked() == after


def plays(shelf: Shelf) -> dict[str, str]:
    """Entity of each play to the item it counts for."""
    return dict(shelf.sql("select entity_id, item_id from interactions where source = 'lastfm'"))


def test_a_merge_is_an_alias_that_separate_undoes_and_may_be_redone(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, "spotify", "lastfm", separate=["lastfm:Bo/_/Luna"])
    shelf.spotify(LUNA_1)
    shelf.lastfm(("u1", "Bo", "Luna"))
    shelf.run(until="links")
    apart = shelf.linked()
    song, name = apart[f"spotify:{track_id(1)}"], apart["lastfm:Bo/_/Luna"]
    assert song != name
    assert plays(shelf) == {name: name}
    for separate in ([], ["lastfm:Bo/_/Luna"], []):
        shelf.changes["separate"] = separate
        shelf.run(until="links")
        assert set(shelf.linked().values()) == ({song, name} if separate else {song})
        assert plays(shelf) == {name: name if separate else song}


def test_an_item_keeps_its_id_when_the_entity_that_gave_it_is_gone(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, "lastfm")
    shelf.lastfm(("u1", "Bo", "Luna"), ("u1", "BO", "LUNA"))
    shelf.run(until="links")
    (item,) = set(shelf.linked().values())
    (other,) = shelf.sql(f"select source_id from entities where entity_id <> '{item}'")
    artist, _, track = other.split("/")
    shelf.lastfm(("u1", artist, track))
    shelf.run(until="links")
    assert shelf.linked() == {f"lastfm:{other}": item}
    shelf.lastfm(("u1", "Bo", "Luna"), ("u1", "BO", "LUNA"))
    shelf.run(until="entities")
    inputs = links_stage(shelf.catalogue).inputs
    assert callable(inputs)
    assert inputs(shelf.store).column("item_id").to_pylist() == [item, item]


def test_ids_of_any_shape_are_linked(tmp_path: Path) -> None:
    names = [
        ("Björk", "Jóga"),
        ("坂本龍一", "戦場のメリークリスマス"),
        ("!!!", "???"),
        ("It's", "o'clock"),
        ("💿", "🎵"),
    ]
    names += [("x" * 3000, "y" * 3000), ("a|b", "c|d"), ("100%", "_"), ('"', "\\")]
    shelf = Shelf(tmp_path, "lastfm", "mpd")
    shelf.lastfm(*(("u1", artist, track) for artist, track in names))
    shelf.mpd(
        [{"id": track_id(1), "name": "Joga", "artist": "Bjork"}, {"id": track_id(2), "name": "???", "artist": "!!!"}]
    )
    shelf.run(until="links")
    found = shelf.linked()
    assert len(found) == len(names) + 2
    assert len(set(found.values())) == len(names) + 1  # Björk's; names of marks alone identify nothing
    assert found["lastfm:Bj%C3%B6rk/_/J%C3%B3ga"] == found[f"mpd:{track_id(1)}"]
