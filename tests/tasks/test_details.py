"""Details of linked entities: taken from answers that hold them, asked in batches, and again when they are old."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import tasks.entities
from connectors import registry
from tests.tasks import fake_live
from tests.tasks.fake_live import WORLD, World, described
from tests.tasks.shelf import Shelf, run_one, track_id

LUNA = {"id": "L", "title": "Luna", "artists": ["Bo"], "duration_ms": 200_000}
SOL = {"id": "S", "title": "Sol", "artists": ["Al"], "duration_ms": 200_000}


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    """Two tracks in a file, which a live source has."""
    monkeypatch.setitem(registry.LIVE, "fake", fake_live.LIVE)
    monkeypatch.setitem(tasks.entities.DESCRIBING, "fake", ("track",))
    monkeypatch.setitem(tasks.entities._PARSERS, "fake", described)  # pyright: ignore[reportPrivateUsage]
    for name, value in vars(World()).items():
        setattr(WORLD, name, value)
    made = Shelf(tmp_path, "spotify")
    made.sources["fake"] = {"connector": "fake", "items": False}
    made.spotify(
        {"id": track_id(1), "name": "Luna", "artist": "Bo"}, {"id": track_id(2), "name": "Sol", "artist": "Al"}
    )
    WORLD.hits |= {"Luna": [LUNA], "Sol": [SOL]}
    WORLD.tracks |= {"L": LUNA, "S": SOL}
    return made


def age(shelf: Shelf, days: float) -> None:
    """Let everything have happened some days earlier."""
    for table, columns in {"raw": ("fetched_at",), "inputs": ("retry_at",), "runs": ("retry_at",)}.items():
        updates = {name: f"{name} - interval '{days} days'" for name in columns}
        shelf.store.open(table).update(updates=updates, predicate=" and ".join(f"{n} is not null" for n in columns))


def isrcs(shelf: Shelf) -> dict[str, str | None]:
    run_one(shelf, "entities")
    return dict(shelf.sql("select title, isrc from entities where source = 'fake'"))


def test_what_a_search_told_whole_is_not_asked_for_and_the_rest_at_once(shelf: Shelf) -> None:
    WORLD.hits["Luna"] = [LUNA | {"isrc": "GBAAA0000001"}]
    shelf.run(until="fetch.fake")
    assert dict(WORLD.asked) == {"search:Luna": 1, "search:Sol": 1, "batch:S": 1}
    assert isrcs(shelf) == {"Luna": "GBAAA0000001", "Sol": None}


def test_what_changes_is_asked_for_again_when_it_is_old_and_stays_where_it_is_gone(shelf: Shelf) -> None:
    WORLD.hits["Luna"] = [LUNA | {"isrc": "GBAAA0000001"}]
    shelf.run(until="fetch.fake")
    WORLD.asked.clear()
    age(shelf, 89)
    assert run_one(shelf, "fetch.fake").done == 0
    WORLD.tracks["L"] = LUNA | {"isrc": "GBAAA0000002"}
    del WORLD.tracks["S"]
    age(shelf, 2)
    result = run_one(shelf, "fetch.fake")
    assert (result.done, dict(result.reasons)) == (1, {"not_found": 1})
    assert dict(WORLD.asked) == {"batch:L,S": 1}
    assert isrcs(shelf) == {"Luna": "GBAAA0000002", "Sol": None}
    assert run_one(shelf, "fetch.fake").status == "up_to_date"
    waits = shelf.sql("select retry_at - now() from inputs where source = 'fake' order by part")
    assert [round(wait / timedelta(days=1)) for wait in waits] == [90, 30]


def test_where_the_app_may_not_ask_for_many_each_is_asked_for_once(shelf: Shelf) -> None:
    WORLD.failing["batch"] = PermissionError()
    shelf.run(until="fetch.fake")
    assert {key: n for key, n in WORLD.asked.items() if "search" not in key} == {"batch": 1, "track:L": 1, "track:S": 1}


def test_other_thresholds_decide_anew_from_what_was_answered(shelf: Shelf) -> None:
    def states() -> dict[str, str]:
        return dict(shelf.sql("select source_id, state from links where source = 'fake' and source_id <> ''"))

    WORLD.hits["Luna"] = [LUNA | {"duration_ms": 203_000}]
    shelf.run(until="links.fake")
    before, asked = states(), dict(WORLD.asked)
    versions = shelf.sql("select distinct version from matches")
    assert before == {"L": "accepted", "S": "accepted"}
    shelf.sources["fake"]["live"] = {"accept": 1.0, "review": 0.5}
    shelf.run(until="links.fake")
    assert set(states().values()) == {"review"}
    assert shelf.sql("select distinct version from matches") != versions
    shelf.sources["fake"]["live"] = {}
    shelf.run(until="links.fake")
    assert states() == before
    assert asked == WORLD.asked


def test_who_was_rejected_is_not_tried_again_but_when_its_time_comes(shelf: Shelf) -> None:
    WORLD.hits["Luna"] = [LUNA | {"title": "Luna (Karaoke)"}]
    del WORLD.hits["Sol"]
    shelf.run(until="links.fake")
    asked = dict(WORLD.asked)
    shelf.store.delete("runs", "stage in ('match.fake', 'links.fake')")
    shelf.run(until="links.fake")
    assert asked == WORLD.asked
    assert shelf.results["match.fake"].done + shelf.results["match.fake"].failed == 0
    past = datetime.now(UTC) - timedelta(days=1)
    for table, column in (("matches", "retry_at"), ("runs", "retry_at"), ("raw", "expires_at")):
        shelf.store.open(table).update(
            updates={column: f"timestamp '{past:%Y-%m-%d %H:%M:%S}'"}, predicate=f"{column} is not null"
        )
    shelf.run(until="links.fake")
    assert WORLD.asked == asked | {"search:Sol": 2}
