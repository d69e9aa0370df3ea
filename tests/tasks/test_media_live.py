"""Sounds of live sources: where the accepted one cannot be had, another that was likely enough stands in."""

import io
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

import tasks.entities
from connectors import registry
from connectors.errors import QuotaExceeded
from tests.tasks import fake_live
from tests.tasks.fake_live import WORLD, World, described
from tests.tasks.shelf import Shelf, run_one, track_id

LUNA = {"title": "Luna", "artists": ["Bo"], "duration_ms": 200_000}


def sound(seconds: float) -> bytes:
    file = io.BytesIO()
    wave = 0.5 * np.sin(np.arange(int(seconds * 8_000)) / 9)
    soundfile.write(file, wave, 8_000, format="WAV", subtype="PCM_16")
    return file.getvalue()


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    """One track; its source offers five uploads of it, all as likely, and a live version."""
    monkeypatch.setitem(registry.LIVE, "fake", fake_live.LIVE)
    monkeypatch.setitem(tasks.entities.DESCRIBING, "fake", ("track",))
    monkeypatch.setitem(tasks.entities._PARSERS, "fake", described)  # pyright: ignore[reportPrivateUsage]
    for name, value in vars(World()).items():
        setattr(WORLD, name, value)
    made = Shelf(tmp_path, "spotify")
    made.sources["fake"] = {"connector": "fake", "items": False}
    made.spotify({"id": track_id(1), "name": "Luna", "artist": "Bo"})
    WORLD.hits["Luna"] = [LUNA | {"id": id_} for id_ in "ABCDE"] + [LUNA | {"id": "V", "title": "Luna (Live)"}]
    made.run(until="links.fake")
    return made


def heard(shelf: Shelf) -> tuple[Any, ...]:
    result = run_one(shelf, "audio")
    assert result.done + result.failed <= 1
    (row,) = shelf.sql("select source_url, reason, retry_at is null from media where kind = 'audio_window'")
    return row


def sounds() -> dict[str, int]:
    return {key.removeprefix("sound:"): n for key, n in WORLD.asked.items() if key.startswith("sound:")}


def due(shelf: Shelf, *tables: str) -> None:
    past = f"timestamp '{datetime.now(UTC) - timedelta(days=1):%Y-%m-%d %H:%M:%S}'"
    for table in (*tables, "runs"):
        shelf.store.open(table).update(updates={"retry_at": past}, predicate="retry_at is not null")


def test_the_next_likely_one_stands_in_and_the_first_is_remembered(shelf: Shelf) -> None:
    WORLD.sounds |= {"B": sound(2), "C": sound(0.1)}
    WORLD.failing["sound:B"] = QuotaExceeded("fake: used up", source="fake")
    assert heard(shelf) == ("B", "quota", False)
    WORLD.failing.clear()
    due(shelf, "media")
    assert heard(shelf) == ("B", None, True)
    assert sounds() == {"A": 1, "B": 2}
    assert shelf.sql("select source_id, reason from refusals") == [("A", "not_found")]
    assert shelf.sql("select source_id from links where source = 'fake' and state = 'accepted'") == ["A"]


def test_three_are_tried_and_then_none_before_its_time(shelf: Shelf) -> None:
    """B is too short for good; A and C are asked for again when theirs has come."""
    WORLD.sounds |= {"B": sound(0.1), "D": sound(2), "V": sound(2)}
    assert heard(shelf) == ("A", "not_found", False)
    assert sounds() == {"A": 1, "B": 1, "C": 1}
    due(shelf, "media")
    assert heard(shelf) == ("A", "not_found", False)
    assert sounds() == {"A": 1, "B": 1, "C": 1}
    WORLD.sounds["C"] = sound(2)
    due(shelf, "media", "refusals")
    assert heard(shelf) == ("C", None, True)
    assert sounds() == {"A": 2, "B": 1, "C": 2}
