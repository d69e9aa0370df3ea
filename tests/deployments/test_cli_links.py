"""`mediateca links`: score answers a line by a line; review asks at a terminal, and works without one."""

import json
import os
import select
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.tasks.fake_live import searched_shelf
from tests.tasks.plant import plant

ITEM = {"title": "Paper Lanterns", "artists": ["Velvet Harbour"], "album": None, "duration_ms": 213400, "isrc": None}
RIGHT = {"id": "r", "title": "Paper Lanterns", "artists": ["Velvet Harbour"], "duration_ms": 213000, "kind": "song"}
WRONG = {"id": "w", "title": "Paper Lanterns (Live)", "artists": ["Velvet Harbour"], "album": None, "kind": "song"}


def links(*args: str, stdin: str | bytes = "") -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-c", "from deployments.cli import main; main()", "links", *args]
    return subprocess.run(command, input=stdin.encode() if isinstance(stdin, str) else stdin, capture_output=True)


def line(item: object, *candidates: object) -> str:
    return json.dumps({"item": item, "candidates": list(candidates)}) + "\n"


def test_a_line_is_answered_by_best_probability_state_and_scores(tmp_path: Path) -> None:
    file = tmp_path / "searches.jsonl"
    file.write_text(line(ITEM, WRONG, RIGHT) + line(ITEM, WRONG) + line(ITEM))
    ran = links("score", str(file), "--source", "youtube")
    assert ran.returncode == 0, ran.stderr
    first, second, third = map(json.loads, ran.stdout.splitlines())
    assert set(first) == {"best", "probability", "state", "scores"}
    assert (first["best"], first["state"]) == ("r", "accept")
    assert first["scores"]["r"] == first["probability"] > 0.9 > first["scores"]["w"]
    assert second["state"] != "accept"
    assert third == {"best": None, "probability": 0.0, "state": "reject", "scores": {}}


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ("{", "not JSON"),
        ("[1]", "expected an object with `item`"),
        ('{"item": {"title": 3}}', "`title` must be text or null"),
        ('{"item": {"title": "a", "artists": [1]}}', "`artists` must be a list of names"),
        ('{"item": {"title": "a", "duration_ms": "3:20"}}', "`duration_ms` must be a number or null"),
        ('{"item": {"title": "a", "duration_ms": NaN}}', "NaN is no number of JSON"),
        ('{"item": {"title": "a"}, "candidates": {}}', "`candidates` must be a list"),
        ('{"item": {"title": "a"}, "candidates": [{"title": "a"}]}', "candidate 0: a candidate needs `id`"),
        (
            '{"item": {"title": "a"}, "candidates": [{"id": "x", "title": "a", "duration_ms": 1e999}]}',
            "no number that can",
        ),
        ('{"item": {"title": "a", "duration_ms": 1' + "0" * 400 + '}, "candidates": []}', "item: `duration_ms` is no"),
    ],
)
def test_a_bad_line_is_told_by_its_number_and_the_others_are_answered(bad: str, said: str) -> None:
    ran = links("score", "-", stdin=line(ITEM, RIGHT) + bad + "\n\n" + line(ITEM, RIGHT))
    assert ran.returncode == 3
    first, error, last = map(json.loads, ran.stdout.splitlines())
    assert first == last != error
    assert list(error) == ["error"]
    assert error["error"].startswith("line 2: ")
    assert said in error["error"]
    assert error["error"] in ran.stderr.decode()


def test_fields_may_be_null() -> None:
    item = dict.fromkeys(("artists", "album", "duration_ms", "year", "isrc")) | {"title": "Paper Lanterns"}
    nothing = dict.fromkeys(("title", "artists", "album", "channel", "duration_ms", "kind"))
    ran = links("score", "-", stdin=line(item, RIGHT, nothing | {"id": "n"}))
    assert ran.returncode == 0
    assert json.loads(ran.stdout)["scores"]["n"] == 0.0


def test_bytes_that_are_no_text_are_a_bad_line() -> None:
    ran = links("score", "-", stdin=b'{"item": {"title": "\xff"}}\n')
    assert (ran.returncode, json.loads(ran.stdout)["error"].split(":")[0]) == (3, "line 1")


def test_numbers_may_be_ids_and_what_has_none_is_left_out() -> None:
    ran = links("score", "-", stdin=line(ITEM, RIGHT | {"id": 378195}, RIGHT | {"id": None}))
    answer = json.loads(ran.stdout)
    assert (ran.returncode, answer["best"], list(answer["scores"])) == (0, 378195, ["378195"])


@pytest.mark.parametrize("name", ["album", "channel", "isrc", "kind", "url"])
def test_a_field_of_another_type_costs_its_own_line_only(name: str) -> None:
    ran = links("score", "-", stdin=line(ITEM, RIGHT | {name: {"text": 5}}) + line(ITEM, RIGHT))
    bad, good = map(json.loads, ran.stdout.splitlines())
    assert (ran.returncode, good["best"]) == (3, "r")
    assert bad["error"] == f"line 1: candidate 0: `{name}` must be text"


def test_a_length_of_nothing_is_not_known() -> None:
    unknown = line(ITEM | {"duration_ms": None}, RIGHT) + line(ITEM, RIGHT | {"duration_ms": None})
    nothing = line(ITEM | {"duration_ms": -1}, RIGHT) + line(ITEM, RIGHT | {"duration_ms": 0})
    assert links("score", "-", stdin=nothing).stdout == links("score", "-", stdin=unknown).stdout


def test_one_name_stands_for_a_list_of_artists() -> None:
    ran = links("score", "-", stdin=line(ITEM, RIGHT | {"artists": "Velvet Harbour"}))
    assert json.loads(ran.stdout)["best"] == "r"


def test_thresholds_the_wrong_way_round_are_refused() -> None:
    ran = links("score", "-", "--accept", "0.2", "--review", "0.8")
    assert ran.returncode == 2
    assert b"--review (0.8) is above --accept (0.2)" in ran.stderr


def test_thresholds_can_be_set_and_a_missing_file_is_said(tmp_path: Path) -> None:
    ran = links("score", "-", "--accept", "1", "--review", "0", stdin=line(ITEM, WRONG, RIGHT))
    assert json.loads(ran.stdout)["state"] == "review"
    ran = links("score", str(tmp_path / "none.jsonl"))
    assert ran.returncode == 2
    assert "there is no file" in ran.stderr.decode()


def test_reviewing_needs_a_terminal_or_says_what_else_there_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf = searched_shelf(tmp_path, monkeypatch)
    del shelf.sources["fake"]
    shelf.sources["youtube"] = {"connector": "youtube", "items": False}
    shelf.store.create()
    item = {"item_id": "i", "kind": "track", "title": "Luna", "creators": ["Bo"], "duration_ms": 200_000}
    plant(shelf.store, "items", item)
    said = '{"title": "Luna \\u001b[2J", "artists": ["Bo"], "channel": "Bo - Topic"}'
    link = {"item_id": "i", "source": "youtube", "source_id": "v", "probability": 0.5, "evidence": said}
    plant(shelf.store, "links", link | {"state": "review"})
    file = tmp_path / "shelf.yaml"
    file.write_text(shelf.catalogue.model_dump_json())
    ran = links("review", str(file))
    assert ran.returncode == 2
    assert "`--json` lists what is to be reviewed" in ran.stderr.decode()
    (pair,) = json.loads(links("review", str(file), "--json").stdout)
    assert pair["candidate"]["page"] == "https://www.youtube.com/watch?v=v"
    screen = at_a_terminal("review", str(file), keys=b"a")
    assert b"Bo - Topic" in screen
    assert b"[2J" in screen
    assert b"\x1b[2J" not in screen
    assert b"1 accepted, 0 rejected, 0 left" in screen
    assert json.loads(links("review", str(file), "--json").stdout) == []
    assert b"taken back: accept youtube:v" in links("review", str(file), "--undo").stdout
    ran = links("review", str(file), "--decide", "-", stdin=json.dumps(pair | {"decision": "reject"}))
    assert ran.stdout.startswith(b"1 decisions kept")


def at_a_terminal(*args: str, keys: bytes) -> bytes:
    """What the command shows at a terminal where these keys are pressed."""
    ours, theirs = os.openpty()
    command = [sys.executable, "-c", "from deployments.cli import main; main()", "links", *args]
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, close_fds=True) as process:
        os.close(theirs)
        screen, ends = b"", time.monotonic() + 60
        with suppress(OSError):  # a terminal whose last program has ended cannot be read
            while time.monotonic() < ends:
                if select.select([ours], [], [], 1.0)[0]:
                    if not (shown := os.read(ours, 4096)):
                        break
                    screen += shown
                # Again each second: what is pressed before the terminal is raw is thrown away, and the test hung on it.
                if b"[q]uit" in screen:
                    os.write(ours, keys)
        if process.poll() is None and time.monotonic() >= ends:
            process.kill()
        process.wait(20)
    os.close(ours)
    return screen


def test_a_source_without_a_model_is_told(tmp_path: Path) -> None:
    file = tmp_path / "searches.jsonl"
    file.write_text(line(ITEM, RIGHT))
    known, unknown = (links("score", str(file), "--source", source) for source in ("youtube", "deezer"))
    assert known.stderr == b""
    assert b"no model of 'deezer' (there are " in unknown.stderr
    assert b"youtube" in unknown.stderr
    assert json.loads(unknown.stdout)["best"] == "r"
