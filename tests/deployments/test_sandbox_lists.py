"""Playlists, charts and histories of the sandbox through the stages of a build, and a replay that opens no socket."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deployments.sandbox.faults import Faults
from deployments.sandbox.serve import serve, settings_of
from deployments.sandbox.tables import FanRow, PlaylistRow, read_table
from tasks.ask import REPLAY, SANDBOX
from tests.tasks.shelf import Shelf, run_one


@pytest.fixture
def shelf(tmp_path: Path, small_world: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shelf]:
    with serve(small_world, Faults()) as sandbox:
        monkeypatch.setenv(SANDBOX, json.dumps(settings_of(sandbox)))
        yield Shelf(tmp_path)


def test_playlists_give_positions_and_charts_tracks(shelf: Shelf, small_world: Path) -> None:
    playlists = sorted(read_table(small_world, "playlists", PlaylistRow), key=lambda row: -len(row.tracks))[:2]
    named: list[Any] = [row.id for row in playlists]
    shelf.sources = {
        "lists": {"connector": "spotify", "live": {"playlists": [*named, "nobody"]}},
        "lastfm": {"connector": "lastfm", "live": {"charts": True}, "options": {"chart_tracks": 20, "page_limit": 10}},
    }
    assert run_one(shelf, "lists.lists").done == 3
    rows = shelf.sql("select user_id, count(*), min(position), kind from interactions group by all order by all")
    assert rows == sorted((f"lists:{row.id}", len(row.tracks), 0, "playlist") for row in playlists)
    assert shelf.sql("select file, reason from quarantine") == [("nobody", "not_found")]
    run_one(shelf, "lists.lastfm")
    run_one(shelf, "entities")
    described = dict(shelf.sql("select source, count(*) from entities where reason is null group by all"))
    assert described == {"lists": len({id_ for row in playlists for id_ in row.tracks}), "lastfm": 20}


def test_a_history_is_whole_in_parts_of_a_page(
    shelf: Shelf, small_world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.histories.PAGES", 1)
    fans = [fan for fan in read_table(small_world, "fans", FanRow) if not fan.private and len(fan.plays) > 20]
    fan = min(fans, key=lambda fan: len(fan.plays))
    size = len(fan.plays) // 3 + 1
    shelf.sources = {"lastfm": {"connector": "lastfm", "live": {"users": [fan.name]}, "options": {"page_limit": size}}}
    assert run_one(shelf, "history.lastfm").done == 3
    assert sorted(int(at.timestamp()) for at in shelf.sql("select time from interactions")) == sorted(
        at for at, _ in fan.plays
    )


def test_a_replay_makes_everything_after_raw_anew_and_opens_no_socket(
    shelf: Shelf, small_world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fans = [fan for fan in read_table(small_world, "fans", FanRow) if not fan.private]
    fan = min(fans, key=lambda fan: len(fan.plays))
    shelf.sources = {
        "lastfm": {"connector": "lastfm", "live": {"users": [fan.name]}},
        "spotify": {"connector": "spotify", "items": False},
    }
    shelf.run(until="images")
    tables = ("entities", "matches", "links", "items", "users", "media")
    key = "select '{0}' as name, count(*), sum(value_hash::hugeint), count(reason) from {0}"

    def held() -> list[tuple[Any, ...]]:
        return shelf.sql(" union all ".join(key.format(name) for name in tables) + " order by all")

    def refused(*_: Any) -> None:
        raise AssertionError("a socket was opened")

    before, raw = held(), shelf.store.data_version("raw")
    assert all(count > failed for _, count, _, failed in before)
    monkeypatch.setenv(REPLAY, "1")
    monkeypatch.setattr(socket.socket, "connect", refused)
    monkeypatch.setattr(socket.socket, "connect_ex", refused)
    shelf.run(until="images", replay=True)
    assert held() == before
    assert {shelf.results[name].done for name in ("history.lastfm", "images")} == {0}
    assert min(shelf.results[name].done for name in ("entities", "match.spotify", "fetch.spotify", "items")) > 0
    assert shelf.store.data_version("raw") == raw
