"""Live sources: what is asked and what never twice, which candidates are believed, what failures become."""

import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from connectors.base import Request, Wanted
from connectors.errors import AuthError, BlockedPage, ConnectorError, QuotaExceeded, SchemaDrift, TransientError
from tasks.ask import REPLAY
from tests.tasks import fake_live
from tests.tasks.fake_live import LIVE_LUNA, LUNA, WORLD, searched_shelf
from tests.tasks.shelf import Shelf, track_id


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    """Two tracks in a file, and a live source that is searched for them."""
    return searched_shelf(tmp_path, monkeypatch)


def links(shelf: Shelf) -> dict[str, tuple[str, str | None]]:
    """source_id -> state, reason of the live source's links."""
    rows = shelf.sql("select source_id, state, reason from links where source = 'fake'")
    return {source_id: (state, reason) for source_id, state, reason in rows}


def due(shelf: Shelf) -> None:
    """Make every failure's time to try again come."""
    past = f"timestamp '{datetime.now(UTC) - timedelta(days=1):%Y-%m-%d %H:%M:%S}'"
    for table in ("matches", "inputs", "media", "runs"):
        if shelf.sql(f"select count(*) from {table} where retry_at is not null")[0]:
            shelf.store.open(table).update(updates={"retry_at": past}, predicate="retry_at is not null")
    shelf.store.open("raw").update(updates={"expires_at": past}, predicate="expires_at is not null")


def test_the_right_recording_is_linked_and_the_others_are_remembered(shelf: Shelf) -> None:
    shelf.run(until="items")
    assert links(shelf) == {"L": ("accepted", None), "V": ("rejected", None), "": (None, "not_found")}
    assert shelf.sql("select isrc from items where title = 'Luna'") == ["GBAAA0000001"]
    assert shelf.results["match.fake"].reasons == {"not_found": 1}


def test_what_is_asked_for_by_its_id_is_the_item_whatever_it_is_called(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    def by_id(self: Any, wanted: Wanted) -> tuple[Request, ...]:
        known = wanted.ids["spotify"]
        return (Request(entity="track", key=known), Request(entity="search", key=wanted.title))

    monkeypatch.setattr(fake_live.Fake, "questions", by_id)
    WORLD.tracks[track_id(1)] = {"id": "M", "title": "Der Mond ist aufgegangen", "artists": ["Jemand"]}
    WORLD.tracks["M"] = WORLD.tracks[track_id(1)]
    shelf.run(until="items")
    assert links(shelf) == {"M": ("accepted", None), "": (None, "not_found")}
    assert shelf.sql("select probability, method from links where source_id = 'M'") == [(1.0, "spotify")]
    assert "search:Luna" not in WORLD.asked


def test_nothing_is_asked_twice(shelf: Shelf) -> None:
    shelf.run()
    asked = dict(WORLD.asked)
    assert asked == {"search:Luna": 1, "search:Sol": 1, "batch:L": 1, "picture:L": 1, "sound:L": 1}
    shelf.run()
    assert {name: r.status for name, r in shelf.results.items() if r.status != "up_to_date"} == {}
    assert asked == WORLD.asked


def test_a_second_build_has_nothing_to_do_at_once(shelf: Shelf) -> None:
    from tasks.plan import make_plan

    shelf.build()
    assert [row["stage"] for row in make_plan(shelf.catalogue, shelf.store) if not row["up_to_date"]] == []


def test_what_was_not_found_is_asked_for_again_when_its_time_comes(shelf: Shelf) -> None:
    shelf.run(until="items")
    WORLD.hits["Sol"] = [{"id": "S", "title": "Sol", "artists": ["Al"], "duration_ms": 200_000}]
    WORLD.tracks["S"] = {"id": "S", "title": "Sol", "artists": ["Al"]}
    shelf.run(until="items")
    assert "S" not in links(shelf)
    due(shelf)
    shelf.run(until="items")
    assert links(shelf)["S"] == ("accepted", None)
    assert WORLD.asked["search:Luna"] == 1


def test_days_that_pass_against_a_sandbox_do_as_days_do(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDIATECA_SANDBOX", "{}")
    shelf.run(until="items")
    WORLD.hits["Sol"] = [{"id": "S", "title": "Sol", "artists": ["Al"], "duration_ms": 200_000}]
    WORLD.tracks["S"] = {"id": "S", "title": "Sol", "artists": ["Al"]}
    for days, found in (("29", False), ("31", True)):
        monkeypatch.setenv("MEDIATECA_DAYS_AHEAD", days)
        shelf.run(until="items")
        assert ("S" in links(shelf)) == found
    assert WORLD.asked["search:Sol"] == 2


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (BlockedPage("fake: a captcha", source="fake"), "blocked_page"),
        (QuotaExceeded("fake: used up", source="fake"), "quota"),
        (AuthError("fake: no key", source="fake"), "no_access"),
        (TransientError("fake: 503", source="fake"), "unreachable"),
        (SchemaDrift("fake: no hits", source="fake"), "schema_drift"),
    ],
)
def test_a_failure_is_a_reason_and_heals(shelf: Shelf, error: ConnectorError, reason: str) -> None:
    WORLD.failing["Luna"] = error
    shelf.run(until="items")
    reasons = shelf.sql("select reason from links where source = 'fake' and reason is not null")
    assert sorted(reasons) == sorted([reason, "not_found"])
    assert (shelf.results["match.fake"].status == "partial") == (reason == "quota")
    assert shelf.sql("select count(*) from raw where source = 'fake' and body is not null") == [0]
    WORLD.failing.clear()
    due(shelf)
    shelf.run(until="items")
    if reason != "schema_drift":  # waits for another version of the connector
        assert links(shelf)["L"] == ("accepted", None)


def test_a_replay_asks_nobody_and_finds_what_was_answered(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf.run(until="items")
    before, asked = links(shelf), dict(WORLD.asked)
    for table in ("matches", "links"):
        shelf.store.delete(table, "source = 'fake'")
    shelf.store.delete("runs", "stage like '%fake'")
    monkeypatch.setenv(REPLAY, "1")
    shelf.run(until="items")
    assert links(shelf) == before
    assert asked == WORLD.asked


def test_a_decision_outweighs_the_probability_and_is_remembered(shelf: Shelf) -> None:
    shelf.run(until="items")
    item = shelf.item("Luna")
    shelf.store.log("decisions", item_id=item, source="fake", source_id="V", state="accepted")
    WORLD.tracks["V"] = LIVE_LUNA
    shelf.run(until="items")
    assert {k: v for k, v in links(shelf).items() if k} == {"V": ("accepted", None), "L": ("rejected", None)}
    shelf.store.log("decisions", item_id=item, source="fake", source_id="V", state="rejected")
    shelf.run(until="items")
    assert links(shelf)["L"] == ("accepted", None)


def test_an_answer_of_another_shape_is_kept_and_counted(shelf: Shelf) -> None:
    WORLD.hits["Luna"] = [LUNA]
    answers = fake_live.Fake.lookup

    def drifted(self: fake_live.Fake, request: Any) -> Any:
        record: Any = answers(self, request)
        return (
            record
            if request.entity != "search"
            else type(record)(**vars(record) | {"payload": {**record.payload, "new": 1}})
        )

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fake_live.Fake, "lookup", drifted)
        shelf.run(until="items")
    assert shelf.sql("select entity, request_key, unknown, missing from drifts") == [("search", "Luna", ["new"], [])]
    assert links(shelf)["L"] == ("accepted", None)


def test_pictures_of_linked_entities_are_fetched_and_proven(shelf: Shelf) -> None:
    file = io.BytesIO()
    Image.new("RGB", (30, 20), "red").save(file, "PNG")
    WORLD.pictures["L"] = file.getvalue()
    shelf.run(until="images")
    found = shelf.sql("select source, format, width, height, reason from media where kind = 'image'")
    assert found == [("fake", "png", 30, 20, None)]
    WORLD.pictures["L"] = b"<html>no picture</html>"
    assert shelf.sql("select count(*) from raw where body is null and entity = 'track'") == [0]


def test_an_exact_id_is_asked_first_and_is_certain(shelf: Shelf) -> None:
    WORLD.tracks[track_id(1)] = {"id": "X", "title": "Another name", "artists": ["Somebody"]}
    WORLD.tracks["X"] = WORLD.tracks[track_id(1)]
    shelf.run(until="items")
    exact = shelf.sql("select source_id, probability, state from links where source = 'fake' and method = 'spotify'")
    assert exact == [("X", 1.0, "accepted")]
    assert WORLD.asked["search:Luna"] == 0


def test_evidence_says_what_was_asked(shelf: Shelf) -> None:
    shelf.run(until="items")
    (said,) = shelf.sql("select evidence from matches where reason is null")
    assert json.loads(said)["asked"] == ["search:Luna"]
