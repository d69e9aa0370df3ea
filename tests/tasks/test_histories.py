"""Histories, playlists and charts: read on where the last part ended, each play once, whatever ends the build."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import tasks.entities
from connectors import registry
from connectors.errors import QuotaExceeded, SchemaDrift, TransientError
from tasks import histories
from tasks.settings import CatalogueError, load_catalogue
from tasks.stage import StageResult
from tests.tasks import fake_live
from tests.tasks.fake_live import WORLD, World, clock_at
from tests.tasks.shelf import Shelf, run_one

QUOTA = QuotaExceeded("fake: used up", source="fake")


class Killed(BaseException):
    """The process ends here."""


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    """A live source whose histories have two plays a page, and are read in parts of two pages."""
    monkeypatch.setitem(registry.LIVE, "fake", fake_live.LIVE)
    monkeypatch.setitem(tasks.entities.DESCRIBING, "fake", ("track",))
    monkeypatch.setattr(histories, "PAGES", 2)
    for name, value in vars(World(page=2)).items():
        setattr(WORLD, name, value)
    made = Shelf(tmp_path)
    made.sources["fake"] = {"connector": "fake", "live": {"users": ["ann"]}}
    WORLD.plays["ann"] = [(f"Bo/_/{n}", 1_000 + n) for n in range(13)]
    return made


@pytest.fixture
def night(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], StageResult]:
    """Reads the histories on that night."""

    def read(number: int) -> StageResult:
        monkeypatch.setattr(histories, "period_of", lambda _: str(number))
        monkeypatch.setattr(histories, "clock", clock_at(5_000 + 100 * number))
        return run_one(shelf, "history.fake")

    return read


def heard(shelf: Shelf) -> list[str]:
    """The items played, in the order of time; one that counts twice stands twice."""
    names = shelf.sql("select entity_id, time from interactions order by time")
    known = {tasks.entities.entity_id("fake.fake", item): item for found in WORLD.plays.values() for item, _ in found}
    return [known[entity] for entity, _ in names]


def every(user: str = "ann") -> list[str]:
    return [item for item, _ in sorted(WORLD.plays[user], key=lambda play: play[1])]


def asked(user: str = "ann") -> dict[str, int]:
    return {key: n for key, n in WORLD.asked.items() if key.startswith(f"plays:{user}:")}


def due(shelf: Shelf) -> None:
    past = f"timestamp '{datetime.now(UTC) - timedelta(days=1):%Y-%m-%d %H:%M:%S}'"
    for table in ("inputs", "runs"):
        shelf.store.open(table).update(updates={"retry_at": past}, predicate="retry_at is not null")


def test_a_history_is_read_in_parts_and_then_only_what_is_new(shelf: Shelf, night: Any) -> None:
    assert (night(1).status, night(1).status) == ("completed", "up_to_date")
    assert heard(shelf) == every()
    assert set(asked().values()) == {1}
    assert shelf.sql("select count(*) from inputs where entity = 'plays'") == [4]
    WORLD.plays["ann"] += [("Bo/_/new", 5_150)]
    WORLD.asked.clear()
    night(2)
    assert heard(shelf) == every()
    assert asked() == {"plays:ann:5100:1": 1}


@pytest.mark.parametrize(("end", "page"), [(QUOTA, 4), (TransientError("fake: 503", source="fake"), 5), (Killed(), 4)])
def test_what_ended_in_the_middle_goes_on_there(shelf: Shelf, night: Any, end: BaseException, page: int) -> None:
    WORLD.failing[f"ann:{page}"] = end
    if isinstance(end, Killed):
        with pytest.raises(Killed):
            night(1)
    else:
        assert night(1).status == ("partial" if end is QUOTA else "completed")
    assert heard(shelf) == every()[13 - len(heard(shelf)) :]
    done = page - 1 if not isinstance(end, Killed) else (page - 1) // 2 * 2
    assert len(heard(shelf)) == 2 * done
    WORLD.failing.clear()
    WORLD.asked.clear()
    WORLD.plays["ann"] += [("Bo/_/new", 5_150)]
    due(shelf)
    night(2)
    assert heard(shelf) == every()
    assert asked() == {f"plays:ann:None:{n}": 1 for n in range(done + 1, 8)} | {"plays:ann:5100:1": 1}


def test_plays_sent_late_between_two_parts_double_none(shelf: Shelf, night: Any) -> None:
    WORLD.failing["ann:3"] = QUOTA
    night(1)
    WORLD.failing.clear()
    WORLD.plays["ann"] += [("Bo/_/late", 1_012)]  # as old as the newest: pushes all others one down
    due(shelf)
    night(1)
    assert heard(shelf) == [item for item in every() if item != "Bo/_/late"]


def test_with_other_options_the_window_is_read_from_its_start(shelf: Shelf, night: Any) -> None:
    """Pages of another size: the cursor's page begins elsewhere."""
    WORLD.failing["ann:3"] = QUOTA
    night(1)
    WORLD.failing.clear()
    WORLD.page = 3
    shelf.sources["fake"]["options"] = {"page_limit": 3}
    due(shelf)
    night(1)
    assert heard(shelf) == every()


def test_a_page_that_cannot_be_read_holds_back_what_is_older_alone(shelf: Shelf, night: Any) -> None:
    shelf.sources["fake"]["live"]["users"] = ["ann", "bob"]
    WORLD.plays["bob"] = [("Bo/_/0", 900)]
    WORLD.failing["ann:6"] = SchemaDrift("fake: no artist", source="fake")
    assert night(1).reasons == {"schema_drift": 1}
    assert len(heard(shelf)) == 11
    assert asked("bob") == {"plays:bob:None:1": 1}


def test_what_a_former_form_of_the_ledger_says_is_read_on(shelf: Shelf, night: Any) -> None:
    night(1)
    shelf.store.open("inputs").update(updates={"stat": "'5100'"}, predicate="part = 'ann@1'")
    shelf.store.delete("inputs", "part like 'ann@5%'")
    WORLD.asked.clear()
    night(2)
    assert asked() == {"plays:ann:5100:1": 1}


# --- playlists and charts


def tracks(*names: str) -> list[str]:
    for name in names:
        WORLD.tracks[name] = {"id": name, "title": name, "artists": ["Bo"]}
    return list(names)


def positions(shelf: Shelf) -> list[tuple[str, int]]:
    rows = shelf.sql("select user_id, entity_id, position from interactions order by user_id, position")
    known = {tasks.entities.entity_id("fake.fake", item): item for item in WORLD.tracks}
    return [(f"{user}/{known[entity]}", at) for user, entity, at in rows]


def test_a_playlist_is_read_again_and_takes_the_place_of_its_former_self(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.sources["fake"] = {"connector": "fake", "live": {"playlists": ["p", "q"], "charts": True}}
    WORLD.playlists |= {"p": tracks("a", "b"), "q": tracks("c")}
    WORLD.chart = tracks("d")

    def read(number: int) -> StageResult:
        monkeypatch.setattr("tasks.listings.period_of", lambda _: str(number))
        return run_one(shelf, "lists.fake")

    assert (read(1).status, read(1).status) == ("completed", "up_to_date")
    assert positions(shelf) == [("fake:p/a", 0), ("fake:p/b", 1), ("fake:q/c", 0)]
    assert shelf.sql("select request_key from raw where entity = 'track' order by all") == ["a", "b", "c", "d"]
    WORLD.playlists["p"] = ["b"]
    WORLD.chart = tracks("e")
    WORLD.failing["q"] = QUOTA
    assert read(2).status == "partial"
    assert positions(shelf) == [("fake:p/b", 0), ("fake:q/c", 0)]
    assert shelf.sql("select request_key from raw where entity = 'track' order by all") == ["b", "c", "d", "e"]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (
            "connector: lastfm, live: {playlists: [x]}",
            "`live.playlists`: the connector 'lastfm' reads none; .*: spotify",
        ),
        ("connector: spotify, live: {charts: true}", "'spotify' reads none; those that do: lastfm"),
        ("connector: spotify, items: false, live: {playlists: [x]}", "name the connector twice"),
    ],
)
def test_a_list_that_cannot_be_read_is_told(tmp_path: Path, lines: str, said: str) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(f"catalogue: mine\nsources:\n  s: {{{lines}}}\n")
    with pytest.raises(CatalogueError, match=said):
        load_catalogue(str(file))
