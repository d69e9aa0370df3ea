"""docs/models.md has a row for every recommender, with all settings it takes and their defaults as they are."""

import re
from dataclasses import MISSING, fields
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from training.models.registry import MODELS, model_class
from training.task import LoopSettings

PAGE = (Path(__file__).parents[2] / "docs" / "models.md").read_text(encoding="utf-8")
ROWS = {name: row.split("|") for name, row in re.findall(r"^\| `(\w+)` (\|.*)\|$", PAGE, re.MULTILINE)}
SETTING = re.compile(r"`(\w+)`(?: \(([^)]*)\))?")
WORDS = {"true": True, "false": False}


def shown(text: str) -> dict[str, Any]:
    """Settings and the defaults beside them, as numbers, words and truth; "" where none is written."""
    return {name: _value(default.partition(";")[0].partition(":")[0]) for name, default in SETTING.findall(text)}


def _value(text: str) -> Any:
    text = text.strip("` ")
    return WORDS[text] if text in WORDS else float(text) if re.fullmatch(r"[\d.]+", text) else text


def test_every_recommender_has_a_row_and_no_other_has() -> None:
    assert ROWS.keys() == MODELS.keys()


@pytest.mark.parametrize("name", sorted(MODELS))
def test_a_row_names_the_settings_and_their_defaults(name: str) -> None:
    known = {f.name: f.default for f in fields(import_module(model_class(name).__module__).Config)}
    told = shown(ROWS[name][2])
    assert told.keys() == known.keys()
    wrong = {
        n: known[n]
        for n, v in told.items()
        if v != "" and isinstance(known[n], bool | float | int | str) and v != known[n]
    }
    assert not wrong, "the defaults as they are"


def test_settings_of_the_loop_are_shown_as_they_are() -> None:
    (line,) = re.findall(r"`loop` holds (.*?) and", PAGE, re.DOTALL)
    defaults = {f.name: f.default for f in fields(LoopSettings) if f.default is not MISSING}
    assert {name: defaults[name] for name in shown(line)} == shown(line)
