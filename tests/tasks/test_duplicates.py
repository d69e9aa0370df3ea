"""Items that are one recording or one work: found among others, kept up with what changes, judged by people."""

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from PIL import Image

from tasks.maintain import take_down
from tasks.plan import make_plan
from tasks.report import find_report, report_page
from tasks.review import Decided, decide, to_review
from tests.tasks.shelf import Shelf

RATE_HZ = 22_050
LONG = "Two lighthouse keepers find a piano on the beach and cannot agree who may play it first."


def tune(seed: int, *, seconds: int = 50, factor: float = 1.0) -> Any:
    """Notes in a random order, two at a time, with noise beneath; `factor` is another tempo."""
    dice = np.random.default_rng(seed)
    length = int(0.4 * RATE_HZ * factor)
    at = np.arange(length) / RATE_HZ
    parts: list[Any] = []
    for _ in range(int(seconds / 0.4)):
        chord = sum(
            np.sin(2 * np.pi * 220 * 2 ** (note / 12) * n * at) / n
            for note in dice.integers(0, 30, 2)
            for n in (1, 2, 3)
        )
        parts.append(0.1 * chord * np.linspace(1, 0.3, length))
    wave = np.concatenate(parts)
    return (wave + dice.normal(0, 0.002, len(wave))).astype(np.float32)


def picture(seed: int, size: tuple[int, int] = (200, 300)) -> Image.Image:
    """Rectangles and blobs of a few colours."""
    dice = np.random.default_rng(seed)
    small = dice.integers(0, 256, (9, 6, 3)).astype(np.uint8)
    return Image.fromarray(small).resize(size, Image.Resampling.BICUBIC)


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    """Recordings in a folder, posters of films in another, and films with overviews."""
    made = Shelf(tmp_path, "movielens", "tmdb", "music", "images", audio={"start_s": 5, "length_s": 20})
    (tmp_path / "music").mkdir()
    (tmp_path / "images").mkdir()
    song(made, "Bo - Luna.ogg", tune(1))
    song(made, "Ada - Sol.flac", tune(2))
    song(made, "Cy - Mar.flac", tune(3))
    poster(made, "z.png", picture(99))
    made.movielens([(1, "Keys (1999)", "Drama")], links=[(1, 11, 21)])
    made.tmdb({"id": 21, "title": "Keys", "overview": LONG, "release_date": "1999-01-01"})
    return made


def song(shelf: Shelf, name: str, wave: Any, rate_hz: int = RATE_HZ) -> None:
    """A file in the folder of recordings."""
    soundfile.write(shelf.folder / "music" / name, wave, rate_hz)


def poster(shelf: Shelf, name: str, image: Image.Image, **how: Any) -> None:
    """A file in the folder of pictures."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG" if name.endswith("jpg") else "PNG", **how)
    (shelf.folder / "images" / name).write_bytes(buffer.getvalue())


def found(shelf: Shelf) -> set[tuple[str, str, str, str]]:
    """Titles of both items, relation and methods."""
    rows = shelf.sql(
        "select i.title, j.title, relation, array_to_string(methods, '+') from duplicates d "
        "join items i on i.item_id = item_a join items j on j.item_id = item_b"
    )
    return {(min(a, b), max(a, b), relation, methods) for a, b, relation, methods in rows}


def test_a_copy_of_a_recording_is_found_and_another_take_is_not(shelf: Shelf) -> None:
    song(shelf, "Eve - Moon.ogg", np.concatenate([np.zeros(3 * RATE_HZ, "f4"), 0.3 * tune(1)]))  # later, quieter
    song(shelf, "Ada - Sol again.flac", tune(2, factor=1.06))
    shelf.build()
    assert found(shelf) == {("Luna", "Moon", "same_recording", "audio")}
    assert shelf.sql("select component = item_a, component_size, state from duplicates") == [(True, 2, "accepted")]


def test_one_title_by_one_creator_is_one_work(shelf: Shelf) -> None:
    song(shelf, "Bo - Luna (Live).flac", tune(9))
    song(shelf, "Zed - Luna.flac", tune(10))
    song(shelf, "Bo - Intro.flac", tune(11))
    song(shelf, "Bo - Intro (Live).flac", tune(12))
    shelf.build()
    assert found(shelf) == {("Luna", "Luna (Live)", "same_work", "title_creator")}


def test_only_what_is_new_is_looked_up_and_what_goes_leaves_no_pair(shelf: Shelf) -> None:
    shelf.build()
    assert found(shelf) == set()
    shelf.run()
    assert {name: shelf.results[name].done for name in ("fingerprints.sound", "lookalikes", "duplicates")} == {
        "fingerprints.sound": 0,
        "lookalikes": 0,
        "duplicates": 0,
    }
    assert [row["stage"] for row in make_plan(shelf.catalogue, shelf.store) if not row["up_to_date"]] == []
    song(shelf, "Eve - Moon.mp3", tune(1))
    shelf.run()
    assert shelf.results["fingerprints.sound"].done == shelf.results["lookalikes"].done == 1
    assert found(shelf) == {("Luna", "Moon", "same_recording", "audio")}
    song(shelf, "Eve - Moon.mp3", tune(17))  # another recording in the same place
    shelf.run()
    assert shelf.results["lookalikes"].done == 1
    assert found(shelf) == set()


def test_pictures_cropped_and_encoded_anew_are_one_but_blank_ones_are_not(shelf: Shelf) -> None:
    whole = picture(1)
    poster(shelf, "a.png", whole)
    poster(shelf, "b.jpg", whole.crop((8, 6, 196, 296)).resize((100, 150)), quality=40)
    poster(shelf, "c.png", picture(2))
    poster(shelf, "blank.png", Image.new("RGB", (90, 120), "white"))
    poster(shelf, "blank too.png", Image.new("RGB", (91, 120), "white"))
    shelf.build()
    assert found(shelf) == {("a", "b", "same_recording", "image")}


def test_boilerplate_connects_nothing_and_a_remake_is_the_same_work(shelf: Shelf) -> None:
    none = "No overview found. You can help by adding one to this database of films."
    films = [
        ("Keys", 1999, LONG),
        ("Keys!", 2000, LONG.upper()),
        ("Keys", 1950, LONG),
        ("A", 1990, none),
        ("B", 1990, none),
    ]
    films += [("C", 1991, none), ("D", 1992, none), ("D", 1992, none), ("E", 1993, "Short."), ("E", 1993, "Short.")]
    shelf.movielens(
        [(n, f"{title} ({year})", "Drama") for n, (title, year, _) in enumerate(films, 1)],
        links=[(n, 10 + n, 20 + n) for n in range(1, len(films) + 1)],
    )
    shelf.tmdb(
        *(
            {"id": 20 + n, "title": t, "overview": o, "release_date": f"{y}-01-01"}
            for n, (t, y, o) in enumerate(films, 1)
        )
    )
    shelf.build()
    assert found(shelf) == {
        ("Keys", "Keys!", "same_recording", "text"),
        ("Keys", "Keys!", "same_work", "text"),
        ("Keys", "Keys", "same_work", "text"),
    }


def test_a_large_component_goes_to_review_and_people_part_it(shelf: Shelf) -> None:
    shelf.changes["duplicates"] = {"review_above": 2}
    song(shelf, "Eve - Moon.mp3", tune(1))
    song(shelf, "Flo - Lune.mp3", tune(1))
    shelf.build()
    assert shelf.sql("select state, component_size from duplicates") == [("review", 3)] * 3
    asked = [pair for pair in to_review(shelf.store, shelf.catalogue) if pair.source == "same_recording"]
    assert len(asked) == 3
    wrong = shelf.item("Lune")
    said = [
        Decided(item_id=p.item_id, source=p.source, source_id=p.source_id, decision="reject")
        for p in asked
        if wrong in (p.item_id, p.source_id)
    ]
    misspelt = replace(said[0], source_id="nowhere")
    with pytest.raises(ValueError, match="nothing was decided\nno item 'nowhere'"):
        decide(shelf.store, shelf.catalogue, [misspelt])
    assert decide(shelf.store, shelf.catalogue, said) == 2
    shelf.run()
    assert sorted(shelf.sql("select state from duplicates")) == ["accepted", "rejected", "rejected"]
    assert to_review(shelf.store, shelf.catalogue) == []


def test_off_leaves_no_row_and_a_take_down_no_trace(shelf: Shelf) -> None:
    song(shelf, "Eve - Moon.mp3", tune(1))
    shelf.build()
    gone = shelf.item("Moon")
    take_down(shelf.store, [gone])
    for table in ("fingerprints", "lookalikes", "duplicates"):
        assert [row for row in shelf.sql(f"select * from {table}__rows") if gone in str(row)] == []
    shelf.changes["duplicates"] = {"find": False}
    shelf.run()
    assert shelf.sql("select count(*) from fingerprints") == [0]
    assert shelf.sql("select count(*) from lookalikes") == [0]


def test_the_report_shows_pairs_and_the_checks_hold(shelf: Shelf) -> None:
    shelf.changes["duplicates"] = {"review_above": 2}
    for name in ("Eve - Moon.mp3", "Flo - Lune.mp3"):
        song(shelf, name, tune(1))
    song(shelf, "Bo - Luna (Live).flac", tune(9))
    shelf.build()
    checks = dict(shelf.sql("select check_name, success from validations where table_name = 'duplicates'"))
    assert checks == {"ordered": True, "items_known": True, "components_reviewed": False, "share_of_doubles": True}
    content = report_page(shelf.store, find_report(shelf.store)).decode()
    assert 'id="duplicates"' in content
    assert "same recording" in content
    assert "title_creator" in content
