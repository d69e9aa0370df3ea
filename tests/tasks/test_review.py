"""Links in doubt: what is shown of them, what deciding does to the next build, and taking it back."""

import shutil
from pathlib import Path
from typing import Any

import pytest

import tasks.matches
from deployments.cli_review import ask_each, plain, read_decisions, rows_of_pair
from storage.errors import StoreLocked
from storage.lock import build_lock
from tasks.plan import make_plan
from tasks.review import Decided, Pair, decide, to_review, undo_last
from tests.tasks.fake_live import LIVE_LUNA, WORLD, searched_shelf
from tests.tasks.shelf import Shelf


def in_doubt(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    made = searched_shelf(folder, monkeypatch)
    made.sources["fake"]["live"] = {"accept": 1.0, "review": 0}
    WORLD.tracks["V"] = LIVE_LUNA
    return made


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two tracks that were searched for, so that the one with candidates is in doubt."""
    with pytest.MonkeyPatch.context() as patch:
        made = in_doubt(tmp_path_factory.mktemp("shelf"), patch)
        made.run(until="items")
    return made.folder


@pytest.fixture
def shelf(searched: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    """A copy of it that a test may change."""
    shutil.copytree(searched, tmp_path, dirs_exist_ok=True)
    return in_doubt(tmp_path, monkeypatch)


def pairs(shelf: Shelf) -> list[Pair]:
    return to_review(shelf.store, shelf.catalogue)


def say(shelf: Shelf, decision: Any, source_id: str = "L", title: str = "Luna") -> None:
    said = Decided(item_id=shelf.item(title), source="fake", source_id=source_id, decision=decision)
    decide(shelf.store, shelf.catalogue, [said])


def states(shelf: Shelf) -> dict[str, tuple[str, str]]:
    rows = shelf.sql("select source_id, state, method from links where source = 'fake' and reason is null")
    return {source_id: (state, method) for source_id, state, method in rows}


def test_a_pair_shows_item_beside_candidate_and_why(shelf: Shelf) -> None:
    (pair,) = pairs(shelf)
    assert (pair.source, pair.source_id, pair.wanted.title, pair.candidate.title) == ("fake", "L", "Luna", "Luna")
    assert 0.5 < pair.probability < 1
    assert ("length", "3:20", "3:20") in rows_of_pair(pair)
    said = pair.as_json()
    assert said["evidence"] == ["same title", "the artist is named", "same length"]
    assert said["candidate"]["artists"] == ["Bo"]
    assert Decided.of(said | {"decision": "accept"}).source_id == "L"


def test_what_is_accepted_is_a_decided_link_and_is_not_asked_again(shelf: Shelf) -> None:
    say(shelf, "accept")
    assert pairs(shelf) == []
    shelf.run(until="items")
    assert states(shelf) == {"L": ("accepted", "decided"), "V": ("rejected", "search")}
    assert pairs(shelf) == []
    shelf.build()
    assert [row["stage"] for row in make_plan(shelf.catalogue, shelf.store) if not row["up_to_date"]] == []


def test_what_is_rejected_is_never_offered_again_and_the_next_best_is(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    say(shelf, "reject")
    monkeypatch.setattr(tasks.matches, "VERSION", "another")  # searched and scored anew
    shelf.run(until="items")
    assert states(shelf)["L"] == ("rejected", "decided")
    assert [pair.source_id for pair in pairs(shelf)] == ["V"]
    say(shelf, "reject", "V")
    shelf.run(until="items")
    assert pairs(shelf) == []


def test_a_decision_is_taken_back(shelf: Shelf) -> None:
    assert undo_last(shelf.store, shelf.catalogue) is None
    say(shelf, "reject")
    say(shelf, "accept", "V")
    shelf.run(until="items")
    assert states(shelf) == {"L": ("rejected", "decided"), "V": ("accepted", "decided")}
    taken = [undo_last(shelf.store, shelf.catalogue) for _ in range(3)]
    assert [(one.source_id, one.decision) for one in taken if one] == [("V", "accept"), ("L", "reject")]
    shelf.run(until="items")
    assert states(shelf) == {"L": ("review", "search"), "V": ("rejected", "search")}


def test_of_two_accepted_the_last_one_counts(shelf: Shelf) -> None:
    say(shelf, "accept", "L")
    say(shelf, "accept", "V")
    shelf.run(until="items")
    assert states(shelf) == {"V": ("accepted", "decided"), "L": ("rejected", "decided")}


def test_an_id_that_no_search_offered_can_be_accepted(shelf: Shelf) -> None:
    WORLD.tracks["S"] = {"id": "S", "title": "Sol", "artists": ["Al"]}
    say(shelf, "accept", "S", "Sol")
    say(shelf, "accept", "X")
    WORLD.tracks["X"] = LIVE_LUNA
    shelf.run(until="items")
    found = shelf.sql("select source_id, state, reason from links where source = 'fake' and state = 'accepted'")
    assert sorted(found) == [("S", "accepted", None), ("X", "accepted", None)]
    assert shelf.sql("select count(*) from links where source_id = ''") == [0]


def test_a_decision_follows_an_item_that_is_merged_into_another(shelf: Shelf) -> None:
    say(shelf, "accept", "S", "Sol")
    luna, sol = shelf.item("Luna"), shelf.item("Sol")
    con = shelf.store.database(only=("links", "matches", "decisions"))
    con.sql("create temp table now_links as from links")
    con.sql(f"update now_links set item_id = '{luna}' where entity_id = '{sol}'")
    con.sql("create or replace temp view links as from now_links")
    decided = tasks.matches._decided("fake")  # pyright: ignore[reportPrivateUsage]
    assert con.sql(f"select item_id, source_id, decided from ({decided})").fetchall() == [(luna, "S", "accepted")]


def test_all_decisions_are_kept_or_none(shelf: Shelf) -> None:
    right = Decided(item_id=shelf.item("Luna"), source="fake", source_id="L", decision="accept")
    nobody = Decided(item_id="nobody", source="fake", source_id="L", decision="accept")
    nowhere = Decided(item_id=right.item_id, source="fakes", source_id="L", decision="accept")
    with pytest.raises(ValueError, match=r"no item 'nobody'(?s:.*)unknown source 'fakes'; did you mean 'fake'"):
        decide(shelf.store, shelf.catalogue, [right, nobody, nowhere])
    assert shelf.sql("select count(*) from decisions") == [0]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"{", "line 2: Expecting"),
        (b"[]", "line 2: expected an object"),
        (b'{"item_id": "a", "source": "b", "decision": "accept"}', "line 2: `source_id` is missing"),
        (b'{"item_id": "a", "source": "b", "source_id": "c", "decision": "maybe"}', "is 'maybe'; expected one of"),
    ],
)
def test_a_line_that_is_no_decision_is_told_by_its_number(line: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        list(read_decisions([b"", line]))


def test_deciding_waits_for_a_build_or_refuses(shelf: Shelf) -> None:
    with build_lock(shelf.store.url), pytest.raises(StoreLocked, match="is building it"):
        say(shelf, "accept")
    assert len(pairs(shelf)) == 1


def test_each_key_is_kept_at_once_and_can_be_taken_back(shelf: Shelf) -> None:
    (pair,) = pairs(shelf)
    kept: list[str] = []
    pressed = iter("asxuruq")

    def keep(said: Decided) -> None:
        kept.append(said.decision)

    counts = ask_each([pair] * 3, key=lambda: next(pressed), show=lambda *_: None, keep=keep)
    assert kept == ["accept", "undo", "reject", "undo"]  # s passed one over, x did nothing
    assert counts == {"accept": 0, "reject": 0}


def test_a_title_cannot_steer_the_terminal() -> None:
    assert plain("Luna\x1b[2J\u202e") == "Luna\ufffd[2J\ufffd"
