"""Files of folders become `media` rows: a value or a reason each, and no file outlives the rows that name it."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from featurizers.flac import decode_flac
from storage.media import MediaFiles
from storage.releases import kept_versions
from storage.store import Store, rows_of
from tasks.maintain import take_down, vacuum
from tests.featurizers.pictures import corners, saved
from tests.tasks.shelf import Shelf

RATE = 44_100


def record(path: Path, seconds: float, *, hz: float = 440.0, loud: float = 0.5) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    times = np.arange(int(seconds * RATE)) / RATE
    soundfile.write(path, np.column_stack([loud * np.sin(2 * np.pi * hz * times)] * 2), RATE, subtype="PCM_16")


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    """Four recordings and three pictures, one of each kind good and the rest bad in ways of their own."""
    music, images = tmp_path / "music", tmp_path / "images"
    record(music / "long.wav", 65.0)
    record(music / "short.wav", 0.3)
    record(music / "silent.wav", 5.0, loud=0.0)
    (music / "empty.mp3").touch()
    images.mkdir()
    (images / "good.png").write_bytes(saved(corners(), "png"))
    (images / "cut.jpg").write_bytes(saved(corners(), "jpeg")[:-200])
    (images / "notes.txt").write_text("not a picture", "utf-8")
    return Shelf(tmp_path, "music", "images", featurizers={"mel": {}, "audio_descriptors": {}, "image_descriptors": {}})


def media(store: Store) -> dict[str, dict[str, object]]:
    return {str(row["source_url"]): row for row in rows_of(store.database(only=("media",)).sql("select * from media"))}


def stored(store: Store) -> set[str]:
    return set(store.objects.names("media"))


def test_every_file_is_a_value_or_a_reason(shelf: Shelf) -> None:
    shelf.run(until="images")
    found = media(shelf.store)
    reasons = {file: row["reason"] for file, row in found.items()}
    assert reasons == {
        "long.wav": None,
        "short.wav": "too_short",
        "silent.wav": "silent",
        "empty.mp3": "decode_error",
        "good.png": None,
        "cut.jpg": "decode_error",
    }
    refused = shelf.store.database().sql("select file, reason from quarantine").fetchall()
    assert refused == [("notes.txt", "not_media")]
    window = found["long.wav"]
    assert (window["rate_hz"], window["channels"], window["offset_s"], window["duration_s"]) == (22_050, 1, 30.0, 30.0)
    assert found["good.png"]["width"] == 64


def test_the_stored_window_is_what_was_decoded(shelf: Shelf) -> None:
    shelf.run(until="images")
    row = media(shelf.store)["long.wav"]
    wave, rate_hz = decode_flac(MediaFiles(shelf.store.url).read(str(row["sha256"]), "flac"))
    assert (len(wave), rate_hz) == (661_500, 22_050)
    assert np.abs(wave).max() == pytest.approx(0.5, abs=1e-3)


def test_features_come_from_the_files_that_have_a_value(shelf: Shelf) -> None:
    shelf.run(until="audio_descriptors")
    con = shelf.store.database()
    assert con.sql("select bands, frames, octet_length(value) from features_mel").fetchall() == [(128, 1292, 165_376)]
    for name in ("audio_descriptors", "image_descriptors"):
        assert con.sql(f"select count(*) from features_{name} where value is not null").fetchall() == [(1,)]


def test_a_changed_recording_alone_is_decoded_again(shelf: Shelf) -> None:
    shelf.run(until="mel")
    record(shelf.folder / "music" / "long.wav", 65.0, hz=880.0)
    shelf.run(until="mel")
    assert shelf.results["audio"].done == 1
    assert shelf.results["images"].status == "completed"
    assert shelf.results["images"].done == 0
    assert shelf.results["mel"].done == 1


def test_the_native_window_is_a_row_of_its_own(shelf: Shelf) -> None:
    shelf.run(until="mel")
    shelf.changes["audio"] = {"keep_native_window": True}
    shelf.run(until="mel")
    assert shelf.results["audio"].done == 1  # the window itself is not cut again
    rows = shelf.store.database().sql(
        "select rate_hz, channels, duration_s from media where kind = 'audio_native' and reason is null"
    )
    assert rows.fetchall() == [(RATE, 2, 30.0)]


def test_files_that_no_row_names_go_and_those_of_kept_releases_stay(shelf: Shelf) -> None:
    shelf.build()
    before = stored(shelf.store)
    record(shelf.folder / "music" / "long.wav", 65.0, hz=880.0)
    shelf.build()
    orphan = MediaFiles(shelf.store.url).put(b"of a build that was killed before its row", "flac")
    with shelf.store.objects.draft(f"media/{orphan[:2]}") as draft:
        draft.write_bytes(b"half")
        vacuum(shelf.store)
        assert not draft.exists()
    assert not MediaFiles(shelf.store.url).exists(orphan, "flac")
    assert before < stored(shelf.store)  # the released window is still there beside the new one
    assert kept_versions(shelf.store, "media")


def test_a_take_down_leaves_no_file(shelf: Shelf) -> None:
    shelf.build()
    row = media(shelf.store)["long.wav"]
    take_down(shelf.store, [str(row["item_id"])])
    assert not MediaFiles(shelf.store.url).exists(str(row["sha256"]), "flac")
    assert "long.wav" not in media(shelf.store)
    assert MediaFiles(shelf.store.url).exists(str(media(shelf.store)["good.png"]["sha256"]), "png")
    shelf.build()
    assert "long.wav" not in media(shelf.store)


def test_a_file_two_items_share_stays_until_the_last_is_gone(shelf: Shelf) -> None:
    twin = shelf.folder / "music" / "twin.wav"
    twin.write_bytes((shelf.folder / "music" / "long.wav").read_bytes())
    shelf.run(until="images")
    rows = media(shelf.store)
    assert rows["twin.wav"]["sha256"] == rows["long.wav"]["sha256"]
    take_down(shelf.store, [str(rows["twin.wav"]["item_id"])])
    assert MediaFiles(shelf.store.url).exists(str(rows["long.wav"]["sha256"]), "flac")
