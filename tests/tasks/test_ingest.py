"""Input files to rows: what is read again, what disappears, and what a killed or failed load leaves behind."""

import os
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pytest

from connectors import bulk
from connectors.errors import SchemaDrift
from connectors.movielens import MovieLens
from storage.hashing import entity_id
from storage.releases import current_release
from storage.schemas import table_of
from tasks.ingest import Loader, ingest_stage, load_parts, open_source
from tests.tasks.shelf import Shelf, track_id

MOVIES = [(1, "Heat (1995)", "Crime"), (2, "M (1931)", "Crime")]


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    """Two films and three ratings."""
    made = Shelf(tmp_path, "movielens")
    made.movielens(MOVIES, ratings=[(7, 1, 4.0, 964982703), (7, 2, 5.0, 964982704), (8, 1, 3.0, 964982705)])
    return made


def ingest(shelf: Shelf) -> tuple[int, int, int]:
    """One run: parts read, left alone, removed."""
    shelf.run(until="ingest")
    result = shelf.results["ingest"]
    return result.done, result.skipped, result.removed


def ratings(shelf: Shelf) -> list[Any]:
    return shelf.sql("select user_id, value, line from interactions order by line")


def touch(path: Path) -> None:
    stat = path.stat()
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 5_000_000_000))


def versions(shelf: Shelf) -> dict[str, int]:
    return {name: shelf.store.version(name) for name in ("inputs", "raw", "interactions", "quarantine")}


def test_rows_keep_what_the_source_said_and_where(shelf: Shelf) -> None:
    assert ingest(shelf) == (3, 0, 0)
    assert shelf.sql("select request_key, decode(body), url from raw where entity = 'movie' order by 1")[0] == (
        "1",
        '{"movieId": "1", "title": "Heat (1995)", "genres": "Crime"}',
        "movies.csv:2",
    )
    rows = shelf.sql("select user_id, source, kind, value, epoch(time), position, file from interactions order by line")
    assert rows[0] == ("movielens:7", "movielens", "rating", 4.0, 964982703.0, None, "ratings.csv")
    ledger = shelf.sql("select entity, part, records, events, rejects from inputs order by 1")
    assert ledger == [
        ("link", "links.csv@0", 0, 0, 0),
        ("movie", "movies.csv@0", 2, 0, 0),
        ("rating", "ratings.csv@0", 0, 3, 0),
    ]


def test_files_that_did_not_change_are_not_opened(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    ingest(shelf)

    def opened(*_: Any) -> str:
        raise AssertionError("a file was read")

    monkeypatch.setattr(MovieLens, "digest", opened)
    monkeypatch.setattr(MovieLens, "_read", opened)
    shelf.run(until="ingest")
    assert shelf.results["ingest"].status == "up_to_date"


def test_a_touched_file_of_the_same_content_is_not_loaded_again(shelf: Shelf) -> None:
    ingest(shelf)
    before = versions(shelf)
    touch(shelf.folder / "films" / "movies.csv")
    assert ingest(shelf) == (0, 3, 0)
    assert versions(shelf) == before


def test_appended_lines_cost_the_part_they_touch(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "PART_BYTES", 40)
    assert ingest(shelf) == (5, 0, 0)  # movies, links, three parts of ratings
    path = shelf.folder / "films" / "ratings.csv"
    with path.open("a", encoding="utf-8") as file:
        file.write("9,2,1.5,964982706\n")
    assert ingest(shelf) == (1, 4, 0)
    assert [line for *_, line in ratings(shelf)] == [2, 3, 4, 5]
    with path.open("a", encoding="utf-8") as file:
        file.write("9,1,2.5,964982707\n9,1,2.5,964982708\n")
    done, _, removed = ingest(shelf)
    assert (done <= 2, removed) == (True, 0)
    assert [(user, line) for user, _, line in ratings(shelf)][-3:] == [("movielens:9", n) for n in (5, 6, 7)]


def test_a_row_that_is_gone_or_moved_is_so_downstream(shelf: Shelf) -> None:
    ingest(shelf)
    shelf.movielens(MOVIES[::-1], ratings=[(8, 1, 3.0, 964982705), (7, 1, 4.0, 964982703)])
    assert ingest(shelf) == (2, 1, 0)
    assert ratings(shelf) == [("movielens:8", 3.0, 2), ("movielens:7", 4.0, 3)]
    assert shelf.sql("select request_key, url from raw where entity = 'movie' order by 1") == [
        ("1", "movies.csv:3"),
        ("2", "movies.csv:2"),
    ]


def test_a_file_that_is_gone_takes_its_rows_along_and_brings_them_back(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, "tmdb")
    shelf.sources["tmdb"]["items"] = True
    shelf.tmdb({"id": 1, "title": "A"})
    second = shelf.tmdb({"id": 2, "title": "B"}, {"id": 1, "title": "A"}, file="more.jsonl")
    names = "select source_id from entities order by 1"
    shelf.run(until="entities")
    assert shelf.sql(names) == ["1", "2"]
    text = second.read_text(encoding="utf-8")
    second.unlink()
    shelf.run(until="entities")
    assert shelf.results["ingest"].removed == 1
    assert shelf.sql(names) == ["1"]
    second.write_text(text, encoding="utf-8")
    shelf.run(until="entities")
    assert shelf.sql(names) == ["1", "2"]


def test_rows_that_cannot_be_read_are_kept_aside_until_the_file_is_mended(shelf: Shelf) -> None:
    path = shelf.folder / "films" / "ratings.csv"
    good = path.read_text(encoding="utf-8")
    path.write_text(good.replace("7,2,5.0", "7,2,five") + "8,2\n", encoding="utf-8")
    ingest(shelf)
    assert shelf.sql("select source, file, line, reason, text from quarantine order by line") == [
        ("movielens", "ratings.csv", 3, "bad_value", "7,2,five,964982704"),
        ("movielens", "ratings.csv", 5, "bad_row", "8,2"),
    ]
    assert [line for *_, line in ratings(shelf)] == [2, 4]
    path.write_text(good, encoding="utf-8")
    ingest(shelf)
    assert shelf.sql("from quarantine") == []
    assert [line for *_, line in ratings(shelf)] == [2, 3, 4]


def test_a_load_that_was_killed_is_invisible_and_goes_with_the_next_rewrite(shelf: Shelf) -> None:
    """A kill between the side tables and the ledger."""
    shelf.store.create()
    stage = ingest_stage(shelf.catalogue)
    assert callable(stage.inputs)
    load_parts(stage.inputs(shelf.store), shelf.store, sources=dict(shelf.catalogue.sources))
    assert shelf.sql("select count(*) from interactions__rows") == [3]
    assert shelf.sql("select count(*) from interactions") == [0]
    assert ingest(shelf) == (3, 0, 0)
    assert len(ratings(shelf)) == 3
    for name in ("raw", "interactions"):
        shelf.store.rewrite(name)
    assert shelf.store.size("interactions") == (1, 3)
    assert len(ratings(shelf)) == 3


def test_rows_of_a_load_that_the_ledger_does_not_name_are_not_read(shelf: Shelf) -> None:
    ingest(shelf)
    schema = table_of("interactions").schema
    row = {"user_id": "x", "entity_id": "y", "source": "s", "kind": "rating", "file": "f", "line": 1}
    row["load_id"] = uuid4().hex
    shelf.store.append("interactions", pa.Table.from_pylist([row], schema=schema))
    assert len(ratings(shelf)) == 3


def test_a_file_that_lost_a_column_stops_the_build_and_the_release_stays(shelf: Shelf) -> None:
    first = shelf.build()
    shelf.csv("films/ratings.csv", "userId,movie,rating,timestamp", [(1, 1, 4.0, 964982703)])
    said = r"movielens: 'ratings.csv' has no column 'movieId' \(nearest: 'movie'\); found: userId, movie, rating"
    with pytest.raises(SchemaDrift, match=said):
        shelf.build()
    assert current_release(shelf.store) == first
    assert len(ratings(shelf)) == 3


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"path": "nowhere"}, "movielens: there is no '.*nowhere'; expected a folder or a file; check `path`"),
        (
            {"options": {"rating": "a.csv"}},
            "movielens: unknown option 'rating'; did you mean 'ratings'",
        ),
        ({"options": {"ratings": "a.csv"}}, r"movielens: no a.csv in '.*films'; give the unpacked folder"),
    ],
)
def test_a_source_that_is_not_there_is_said_to_be(shelf: Shelf, settings: dict[str, Any], said: str) -> None:
    shelf.sources["movielens"] |= settings
    with pytest.raises(ValueError, match=said):
        shelf.run(until="ingest")


def test_a_source_that_leaves_the_catalogue_takes_its_rows_along(tmp_path: Path, shelf: Shelf) -> None:
    shelf.sources |= Shelf(tmp_path, "mpd").sources
    shelf.mpd([{"id": track_id(1), "name": "Luna", "artist": "Bo"}])
    ingest(shelf)
    assert shelf.sql("select distinct source from interactions order by 1") == ["movielens", "mpd"]
    shelf.sources.pop("mpd")
    assert ingest(shelf) == (0, 3, 1)
    assert shelf.sql("select distinct source from interactions order by 1") == ["movielens"]


def test_what_was_taken_down_is_left_out_and_people_of_the_same_number_are_not(tmp_path: Path) -> None:
    """User 1 and film 1 share a number, not a fate; tags are about films."""
    shelf = Shelf(tmp_path, "movielens")
    shelf.write("films/movies.dat", "1::Heat (1995)::Crime\n2::M (1931)::Crime\n")
    shelf.write("films/users.dat", "1::F::25::10::48067\n")
    shelf.write("films/ratings.dat", "1::1::5::978300760\n1::2::5::978300761\n")
    shelf.csv("films/tags.csv", "userId,movieId,tag,timestamp", [(2, 1, "heist", 978300762), (1, 2, "city", 978300763)])
    shelf.store.create()
    heat = entity_id("movielens", "1")
    shelf.store.log("takedowns", entity_id=heat, item_id=heat, note="")
    ingest(shelf)
    assert shelf.sql("select entity, request_key from raw order by all") == [
        ("movie", "2"),
        ("tag", "1/2/3"),
        ("user", "1"),
    ]
    assert [line for *_, line in ratings(shelf)] == [2]


def test_many_records_go_out_in_bounded_pieces(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.ingest._FLUSH_EVENTS", 2)
    shelf.store.create()
    loader, connector = Loader(shelf.store), open_source(shelf.catalogue.sources["movielens"])
    counts = [
        loader.load("movielens", "movielens", connector.pages(part.entity, keys=(part,))) for part in connector.parts()
    ]
    assert shelf.store.size("interactions") == (1, 3)  # before the flush
    loader.flush()
    assert [count["records"] for count in counts] == [2, 0, 0]
    assert sum(count["events"] for count in counts) == 3
    assert shelf.store.size("raw")[1] == 2
