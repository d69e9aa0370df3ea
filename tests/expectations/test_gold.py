"""Gold sets: how they are read, and what they say of links."""

from pathlib import Path
from typing import Any

import pytest

from expectations.gold import GoldLine, read_gold
from expectations.links import Gold, links_suite
from expectations.suite import Asked, Verdict, run_suite
from storage.store import Store
from tests.tasks.plant import plant

JSON = '{"spotify": "s1", "youtube": ["y1", "y2"], "genius": [], "not": {"youtube": ["y9"]}}\n'
CSV = "spotify,youtube,genius,not:youtube\ns1,y1|y2,-,y9\n"


@pytest.mark.parametrize(("name", "text"), [("gold.jsonl", "\n" + JSON), ("gold.csv", CSV)])
def test_both_forms_say_the_same(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    right = {"spotify": ("s1",), "youtube": ("y1", "y2"), "genius": ()}
    assert read_gold(tmp_path / name) == [GoldLine(number=2, right=right, wrong={"youtube": ("y9",)})]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("gold.jsonl", None, "there is no file"),
        ("gold.jsonl", "\n", "an empty gold set would let everything pass"),
        ("gold.jsonl", JSON + "{", "line 2: not JSON"),
        ("gold.jsonl", "[]", "line 1: expected an object of sources"),
        ("gold.jsonl", '{"youtube": [1]}', "line 1: 'youtube' is .1.; expected an id or a list of ids"),
        ("gold.csv", CSV + "s2,y3\n", "line 3: 2 cells; the header has 4"),
    ],
)
def test_what_cannot_be_read_is_told_by_its_line(tmp_path: Path, name: str, text: str | None, said: str) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=said):
        read_gold(tmp_path / name)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Five items of a source `own`, each called like its id."""
    made = Store(str(tmp_path / "store"))
    made.create()
    plant(made, "items", *({"item_id": f"i{n}", "kind": "track", "title": f"Song {n}"} for n in range(5)))
    plant(made, "links", *(link(f"i{n}", f"o{n}", "accepted", source="own") for n in range(5)))
    return made


def link(item: str, source_id: str, state: str | None, *, source: str = "tube", **given: Any) -> dict[str, Any]:
    return {"item_id": item, "source": source, "source_id": source_id, "state": state} | given


def line(number: int, right: dict[str, tuple[str, ...]], **wrong: tuple[str, ...]) -> GoldLine:
    return GoldLine(number=number, right=right, wrong=wrong)


def judged(store: Store, *lines: GoldLine, asks: bool = True) -> dict[str, Verdict]:
    suite = links_suite("tube", Gold(lines=lines, anchors=("own",), asked=asks))
    asked = [Asked(check=c, severity=c.severity, threshold=c.threshold) for c in suite.checks]
    verdicts, _ = run_suite(suite, asked, store.database(only=suite.reads), None)
    return {verdict.asked.check.name: verdict for verdict in verdicts}


def test_precision_and_recall_are_those_worked_out_by_hand(store: Store) -> None:
    plant(
        store,
        "links",
        link("i0", "right", "accepted"),
        link("i1", "wrong", "accepted"),
        link("i1", "it", "review"),
        link("i2", "none", "accepted"),
        link("i3", "", None, reason="not_found"),
        link("i4", "", None, reason="quota"),
    )
    found = judged(
        store,
        line(1, {"own": ("o0",), "tube": ("right", "also")}),
        line(2, {"own": ("o1",), "tube": ("it",)}),  # accepted another, and the right one is in doubt
        line(3, {"own": ("o2",), "tube": ()}),  # nothing there is right
        line(4, {"own": ("o3",), "tube": ("missed",)}),  # asked for and not found
        line(5, {"own": ("o4",), "tube": ("later",)}),  # not answered yet: no miss
        line(6, {"own": ("nobody",), "tube": ("x",)}),
    )
    assert found["precision"].observed == {"value": pytest.approx(1 / 3), "right": 1, "wrong": 2}
    assert found["recall"].observed == {"value": pytest.approx(1 / 3), "found": 1, "missed": 2}
    assert found["judged"].observed == {"value": 3}
    wrong, none = found["precision"].examples
    assert wrong == {"item_id": "i1", "title": "Song 1", "linked": "wrong", "expected": "it"}
    assert (none["linked"], none["expected"]) == ("none", "")
    assert [(row["item_id"], row["state"]) for row in found["recall"].examples] == [
        ("i1", "review"),
        ("i3", "not offered"),
    ]


def test_an_item_without_a_row_is_a_miss_only_of_a_source_that_defines_items(store: Store) -> None:
    lines = [line(1, {"own": ("o0",), "tube": ("right",)}), line(2, {"own": ("o1",), "tube": ("it",)})]
    plant(store, "links", link("i0", "right", "accepted"))
    assert judged(store, *lines)["recall"].observed == {"value": 1.0, "found": 1, "missed": 0}
    assert judged(store, *lines, asks=False)["recall"].observed == {"value": 0.5, "found": 1, "missed": 1}


def test_a_line_that_only_says_what_is_wrong_judges_only_that(store: Store) -> None:
    plant(store, "links", link("i0", "bad", "accepted"), link("i1", "unknown", "accepted"))
    found = judged(store, line(1, {"own": ("o0",)}, tube=("bad",)), line(2, {"own": ("o1",)}, tube=("bad",)))
    assert found["precision"].observed == {"value": 0.0, "right": 0, "wrong": 1}
    assert found["recall"].observed["value"] is None
    assert found["recall"].success


def test_a_gold_set_that_can_judge_nothing_is_told(store: Store) -> None:
    found = judged(store, line(1, {"own": ("o0",), "tube": ("y",)}))
    assert (found["judged"].success, found["judged"].asked.severity) == (False, "warn")
