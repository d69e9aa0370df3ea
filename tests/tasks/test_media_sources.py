"""Files of media folders to items: what joins, what stays apart, and which file an item's sound or picture is."""

import os
from pathlib import Path
from typing import Any

import pytest

from tasks.media_sources import media_path, media_roots, wanted_media
from tests.tasks.shelf import Shelf, track_id


def files(shelf: Shelf, *names: str) -> None:
    for name in names:
        shelf.write(name, f"the content of {name}")


def wanted(shelf: Shelf, entity: str) -> list[dict[str, Any]]:
    sql = wanted_media(shelf.catalogue, entity)
    return shelf.store.database(only=("links", "raw")).sql(sql).to_arrow_table().to_pylist()


def chosen(shelf: Shelf, entity: str) -> dict[str, str]:
    """Title of each item that has such a file, and `source:file`."""
    titles = dict(shelf.sql("select item_id, title from items"))
    return {titles[row["item_id"]]: f"{row['source']}:{row['file']}" for row in wanted(shelf, entity)}


def test_every_file_of_a_folder_is_an_item_or_a_refusal(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, "music", "images")
    files(shelf, "music/a.mp3", "music/a.flac", "music/sub/a.mp3", "music/cover.jpg", "music/.x.mp3")
    files(shelf, "images/a.jpg", "images/other.png", "images/sub/a.jpg", "images/notes.txt")
    shelf.run(until="items")
    refused = set(shelf.sql("select source || ':' || file from quarantine where line = 0 and reason = 'not_media'"))
    assert refused == {"music:cover.jpg", "music:.x.mp3", "images:notes.txt"}
    members = shelf.members()
    assert {len(group) for group in members} == {1, 2}
    assert {member for group in members for member in group} | refused == {
        "music:a.mp3", "music:a.flac", "music:sub/a.mp3", "music:cover.jpg", "music:.x.mp3",
        "images:a.jpg", "images:other.png", "images:sub/a.jpg", "images:notes.txt",
    }  # fmt: skip
    # The picture goes to one of the two recordings of its name; the recordings stay two.
    assert frozenset({"music:sub/a.mp3", "images:sub/a.jpg"}) in members
    assert {"images:a.jpg"} not in members
    assert len([group for group in members if group & {"music:a.mp3", "music:a.flac"}]) == 2
    kinds = dict(shelf.sql("select title, kind from items where title = 'other'"))
    assert kinds == {"other": "picture"}


def test_files_of_one_name_in_two_folders_are_two_items(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, "music", "more-music")
    files(shelf, "music/01.mp3", "more/01.mp3", "music/Ann - Blue.mp3", "more/Ann - Blue.flac")
    shelf.run(until="items")
    assert shelf.members() == {
        frozenset({"music:01.mp3"}),
        frozenset({"more-music:01.mp3"}),
        frozenset({"music:Ann - Blue.mp3", "more-music:Ann - Blue.flac"}),  # the same artist and title
    }


def test_an_item_takes_the_file_of_the_first_source_and_of_one_source_the_first(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, "music", "more-music")
    files(shelf, "music/Ann - Blue.mp3", "more/a/Ann - Blue.mp3", "more/Bo - Luna.mp3")
    shelf.run(until="items")
    assert chosen(shelf, "audio") == {"Blue": "music:Ann - Blue.mp3", "Luna": "more-music:Bo - Luna.mp3"}
    shelf.sources = dict(reversed(shelf.sources.items()))
    shelf.run(until="items")
    assert chosen(shelf, "audio") == {"Blue": "more-music:a/Ann - Blue.mp3", "Luna": "more-music:Bo - Luna.mp3"}
    assert wanted(shelf, "image") == []


def test_a_changed_file_has_another_hash_and_a_touched_one_the_same(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, "music")
    files(shelf, "music/a.mp3", "music/b.mp3")
    shelf.run(until="items")
    before = {row["file"]: row["value_hash"] for row in wanted(shelf, "audio")}
    os.utime(tmp_path / "music" / "a.mp3", ns=(1, 1))
    shelf.write("music/b.mp3", "another recording")
    shelf.run(until="items")
    after = {row["file"]: row["value_hash"] for row in wanted(shelf, "audio")}
    assert after["a.mp3"] == before["a.mp3"]
    assert after["b.mp3"] != before["b.mp3"]
    assert shelf.results["ingest"].done == 1


def test_the_path_of_a_wanted_file_is_where_it_lies(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, "music")
    names = ["50% off [1]/two\nlines.mp3", 'it\'s "one".mp3', "狐.mp3"]
    files(shelf, *(f"music/{name}" for name in names))
    shelf.run(until="items")
    roots = media_roots(shelf.catalogue, "audio")
    found = {media_path(roots, row["source"], row["file"]).read_text() for row in wanted(shelf, "audio")}
    assert found == {f"the content of music/{name}" for name in names}


def test_an_entity_that_is_no_media_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="unknown media entity 'sound'; known: audio, image"):
        wanted_media(Shelf(tmp_path, "music").catalogue, "sound")


def test_posters_attach_to_films_by_their_number_and_define_no_item(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, "movielens", "images")
    shelf.sources["images"] |= {"items": False, "options": {"ids": "movielens"}}
    shelf.movielens([(1, "Heat (1995)", "Crime"), (2, "M (1931)", ""), (3, "Jaws (1975)", "")])
    files(shelf, "images/0001.jpg", "images/1_big.jpg", "images/3.jpg", "images/99.jpg", "images/notes.txt")
    shelf.run(until="items")
    assert sorted(shelf.sql("select title from items")) == ["Heat", "Jaws", "M"]
    assert chosen(shelf, "image") == {"Heat": "images:0001.jpg", "Jaws": "images:3.jpg"}
    methods = dict(shelf.sql("select source_id, method from links where source = 'images' and state = 'accepted'"))
    assert methods == {"0001.jpg": "movielens", "3.jpg": "movielens"}
    # Another meaning of the names is read from the same files.
    shelf.sources["images"]["options"] = {"ids": "tmdb"}
    shelf.run(until="items")
    assert chosen(shelf, "image") == {}


def test_recordings_and_covers_attach_to_tracks_by_spotify_id(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, "spotify", "music", "images")
    for name in ("music", "images"):
        shelf.sources[name] |= {"items": False, "options": {"ids": "spotify"}}
    shelf.spotify(
        {"id": track_id(1), "name": "Blue", "artist": "Ann"}, {"id": track_id(2), "name": "Luna", "artist": "Bo"}
    )
    files(shelf, f"music/{track_id(1)}.ogg", f"images/{track_id(1)}.png", f"images/{track_id(2)}.png")
    shelf.run(until="items")
    assert chosen(shelf, "audio") == {"Blue": f"music:{track_id(1)}.ogg"}
    assert chosen(shelf, "image") == {"Blue": f"images:{track_id(1)}.png", "Luna": f"images:{track_id(2)}.png"}


def test_a_file_that_is_gone_is_no_item_and_no_refusal_any_more(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, "music")
    files(shelf, "music/a.mp3", "music/b.mp3", "music/c.txt", "music/d.txt")
    shelf.run(until="items")
    for name in ("a.mp3", "c.txt"):
        (tmp_path / "music" / name).unlink()
    shelf.run(until="items")
    assert shelf.sql("select title from items") == ["b"]
    assert shelf.sql("select file from quarantine") == ["d.txt"]
