"""Links held against one's own recordings: what sounds wrong gives way, what sounds right is believed."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from connectors import registry
from connectors.errors import NotFound
from connectors.registry import Live
from tasks.plan import make_plan
from tasks.settings import CatalogueError, load_catalogue
from tests.tasks import fake_live
from tests.tasks.fake_live import LIVE_LUNA, LUNA, WORLD, searched_shelf
from tests.tasks.shelf import Shelf

RATE_HZ = 22_050
HEARD: dict[str, int] = {}  # id of the source -> seed of the tune it plays
ASKED: list[str] = []


def tune(seed: int, *, seconds: int = 24, late_s: float = 0.0) -> Any:
    """Half-second notes in a random order, after some silence."""
    notes = np.random.default_rng(seed).integers(48, 72, 2 * seconds)
    at = np.arange(RATE_HZ // 2) / RATE_HZ
    wave = np.concatenate([0.3 * np.sin(2 * np.pi * 440 * 2 ** ((note - 69) / 12) * at) for note in notes])
    return np.concatenate([np.zeros(int(late_s * RATE_HZ)), wave]).astype(np.float32)


def fetch_audio(self: Any, source_id: str, folder: Path) -> Path:
    ASKED.append(source_id)
    if source_id not in HEARD:
        raise NotFound("fake: no sound", source="fake", status=404)
    path = folder / "sound.ogg"
    soundfile.write(path, tune(HEARD[source_id], late_s=2.0), RATE_HZ)
    return path


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    """A live source with sound; "Luna" lies in a folder too."""
    made = searched_shelf(tmp_path, monkeypatch)
    live = Live(made_by=fake_live.LIVE.made_by, details=("track",), described_by="track", media=("audio",))
    monkeypatch.setitem(registry.LIVE, "fake", live)
    monkeypatch.setattr(fake_live.Fake, "fetch_audio", fetch_audio, raising=False)
    made.sources["own"] = {"connector": "music_folder", "path": "music"}
    (tmp_path / "music").mkdir()
    soundfile.write(tmp_path / "music" / "Bo - Luna.ogg", tune(1), RATE_HZ)
    made.changes["audio"] = {"compare_with": ["own"], "start_s": 2, "length_s": 14}
    WORLD.tracks["V"] = LIVE_LUNA
    HEARD.clear()
    ASKED.clear()
    return made


def states(shelf: Shelf) -> dict[str, str]:
    return dict(shelf.sql("select source_id, state from links where source = 'fake' and reason is null"))


def test_the_same_recording_is_believed_and_compared_once(shelf: Shelf) -> None:
    HEARD["L"] = 1
    shelf.build()
    (found,) = shelf.sql("select source_id, similarity, lead_s, own_source, own_file from acoustics")
    assert found[0] == "L"
    assert found[1] > 0.85
    assert found[2] == pytest.approx(0.0, abs=0.2)  # two seconds late, and its window begins at two
    assert found[3:] == ("own", "Bo - Luna.ogg")
    assert states(shelf)["L"] == "accepted"
    assert shelf.sql("select probability > 0.99 from links where source_id = 'L'") == [True]
    assert "chroma" in shelf.sql("select evidence from links where source_id = 'L'")[0]
    asked = list(ASKED)
    shelf.build()
    assert asked == ASKED
    assert [row["stage"] for row in make_plan(shelf.catalogue, shelf.store) if not row["up_to_date"]] == []


def test_what_sounds_otherwise_gives_way_for_good(shelf: Shelf) -> None:
    WORLD.hits["Luna"] = [LUNA, LUNA | {"id": "M", "duration_ms": 201_000}]
    WORLD.tracks["M"] = LUNA | {"id": "M"}
    HEARD.update(L=2, M=1)
    shelf.build()
    assert states(shelf) == {"L": "rejected", "M": "accepted"}
    low, high = shelf.sql("select similarity from acoustics order by source_id")
    assert low < 0.5 < 0.85 < high
    shelf.build()  # what was heard of L is still known: it does not come back; what M is said to be is asked for
    assert states(shelf) == {"L": "rejected", "M": "accepted"}
    assert [row["stage"] for row in make_plan(shelf.catalogue, shelf.store) if not row["up_to_date"]] == []


def test_a_link_in_doubt_is_heard_without_being_kept(shelf: Shelf) -> None:
    shelf.sources["fake"]["live"] = {"accept": 0.999, "review": 0.01}
    HEARD["L"] = 1
    shelf.run(until="acoustic.fake")
    assert states(shelf)["L"] == "review"
    shelf.run()
    assert states(shelf)["L"] == "accepted"


def test_off_by_default_and_what_cannot_be_heard_is_a_reason(shelf: Shelf) -> None:
    shelf.run()
    assert shelf.sql("select reason from acoustics") == ["not_found"]
    assert states(shelf)["L"] == "accepted"
    del shelf.changes["audio"]["compare_with"]
    shelf.run()
    assert "acoustic.fake" not in shelf.results


def test_only_folders_of_recordings_can_be_compared_with(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("catalogue: c\nsources: {m: {connector: music_folder, path: x}}\naudio: {compare_with: [n]}\n")
    with pytest.raises(CatalogueError, match="unknown folder of recordings 'n'"):
        load_catalogue(str(file))
