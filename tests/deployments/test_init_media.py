"""`mediateca init --music --images`: a catalogue over one's own folders that builds at once, whatever lies in them."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from connectors.folders import encode_name
from deployments.template import catalogue_text
from tasks.media_sources import media_path, media_roots
from tasks.settings import load_catalogue
from tests.deployments.test_cli import cli, say

NAMES = ["a song", "Füchse – 狐", 'say "hi"', "it's", "50%", "take [1]", "two\nlines", "${HOME}", "-rf", "a: b #c"]


def tone(path: Path, seconds: float = 0.2, **tags: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with soundfile.SoundFile(path, "w", 8_000, 1) as file:
        for name, text in tags.items():
            setattr(file, name, text)
        file.write(np.sin(np.arange(int(8_000 * seconds)) / 9).astype(np.float32))


def fill(music: Path, images: Path) -> None:
    """Folders as people have them, and worse."""
    for name in NAMES:
        tone(music / "odd ${names}" / f"{name}.wav")
    tone(music / "Ann" / "First" / "01.flac", title="Blue", artist="Ann", date="2001")
    tone(music / "Bo" / "01.flac")
    tone(music / "Ann - Luna.ogg")
    shutil.copy(music / "Ann - Luna.ogg", music / "Bo" / "Ann - Luna.ogg")  # the same once more
    for name in ("empty.mp3", "Bo/.hidden.mp3", "Bo/notes.txt", "Bo/cover.jpg"):
        (music / name).write_bytes(b"")
    (music / "broken.m4a").write_bytes(b"\x00\x00\x00\x18ftypM4A " + b"\xff" * 50)
    (music / os.fsdecode(b"not utf-8 \xff.mp3")).write_bytes(b"x")
    (music / "Bo" / "up").symlink_to("..")
    (music / "self.mp3").symlink_to("self.mp3")
    (music / "gone.mp3").symlink_to("nowhere")
    os.mkfifo(music / "pipe.mp3")
    (music / "locked.mp3").write_bytes(b"x")
    (music / "locked.mp3").chmod(0)  # root, whom nothing is locked for, gets a recording of one byte
    (images / "Ann" / "First").mkdir(parents=True)
    Image.new("RGB", (8, 8), "red").save(images / "Ann" / "First" / "01.jpg")
    Image.new("RGB", (8, 8), "blue").save(images / "alone [2].png")
    (images / "empty.jpg").write_bytes(b"")
    (images / "list.csv").write_text("a,b\n")


def files_of(folder: Path) -> set[str]:
    """Every name beneath a folder that is no folder itself, links included, as mediateca writes it."""
    found = [Path(at) / name for at, folders, files in os.walk(folder) for name in [*folders, *files]]
    return {encode_name(p.relative_to(folder).as_posix()) for p in found if p.is_symlink() or not p.is_dir()}


def ask(home: Path, sql: str) -> list[dict[str, str]]:
    return json.loads(cli(home, "sql", "mine.yaml", sql, "--json").stdout)


@pytest.mark.slow
def test_every_file_of_ones_own_folders_ends_as_an_item_or_a_refusal(tmp_path: Path) -> None:
    music, images = tmp_path / "my [1] 50% music: #1", tmp_path / 'the "images"'
    fill(music, images)
    assert cli(tmp_path, "init", "mine.yaml", "--music", str(music), "--images", str(images)).returncode == 0
    ran = cli(tmp_path, "build", "mine.yaml", "--json")
    assert ran.returncode == 0, say(ran)
    linked = ask(tmp_path, "select source, source_id, item_id from links where state = 'accepted'")
    refused = ask(tmp_path, "select source, file, reason from quarantine")
    items = {row["item_id"]: row for row in ask(tmp_path, "select * from items where reason is null")}
    for source, folder in (("music", music), ("images", images)):
        taken = {row["source_id"] for row in linked if row["source"] == source and row["item_id"] in items}
        bad = {row["file"] for row in refused if row["source"] == source}
        assert taken | bad == files_of(folder)
        assert not taken & bad
    reasons = {row["file"]: row["reason"] for row in refused}
    assert reasons.pop("locked.mp3", "unreadable") == "unreadable"
    unreadable = dict.fromkeys(["Bo/up", "self.mp3", "gone.mp3"], "unreadable")
    other = ["Bo/.hidden.mp3", "Bo/notes.txt", "Bo/cover.jpg", "pipe.mp3", "list.csv"]
    assert reasons == unreadable | dict.fromkeys(other, "not_media")
    item_of = {row["source_id"]: row["item_id"] for row in linked}
    assert item_of["Ann/First/01.jpg"] == item_of["Ann/First/01.flac"] != item_of["Bo/01.flac"]
    assert item_of["Ann - Luna.ogg"] != item_of["Bo/Ann - Luna.ogg"]
    blue = items[item_of["Ann/First/01.flac"]]
    assert (blue["title"], blue["creators"], blue["year"], blue["kind"]) == ("Blue", ["Ann"], 2001, "track")
    assert (items[item_of["alone [2].png"]]["kind"], items[item_of["empty.mp3"]]["title"]) == ("picture", "empty")
    again = json.loads(cli(tmp_path, "build", "mine.yaml", "--json").stdout)
    assert {stage["done"] for stage in again["stages"]} == {0}


@pytest.mark.parametrize(
    "name", ["music", "with: colon #1", "it's [1] 50%", 'say "hi"', "back\\slash", "new\nline", "狐 🦊"]
)
def test_a_folder_of_any_name_is_read_back_from_the_catalogue(tmp_path: Path, name: str) -> None:
    tone(tmp_path / name / "a.wav")
    written = tmp_path / "mine.yaml"
    written.write_text(catalogue_text(written, {"music_folder": tmp_path / name}), encoding="utf-8")
    catalogue = load_catalogue(str(written))
    assert catalogue.sources["music"].items
    assert media_path(media_roots(catalogue, "audio"), "music", "a.wav").is_file()


@pytest.mark.parametrize(
    ("name", "words"), [("${HOME}", "reads '\\${' as the start of a variable"), ("\udcff", "the name is not UTF-8")]
)
def test_a_folder_that_no_catalogue_can_name_is_refused(tmp_path: Path, name: str, words: str) -> None:
    (tmp_path / name).mkdir()
    with pytest.raises(ValueError, match=words):
        catalogue_text(tmp_path / "mine.yaml", {"music_folder": tmp_path / name})


def test_an_empty_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "music").mkdir()
    assert cli(tmp_path, "init", "mine.yaml", "--music", "music").returncode == 0
    ran = cli(tmp_path, "plan", "mine.yaml")
    assert (ran.returncode, "music_folder: no file in" in ran.stderr) == (2, True)


def test_live_sources_are_searched_for_what_the_others_have(tmp_path: Path) -> None:
    (tmp_path / "ml").mkdir()
    path, films = tmp_path / "mine.yaml", {"movielens": tmp_path / "ml"}
    path.write_text(catalogue_text(path, films, listeners=["rj", "yes", 'a "b": #c'], live=True), encoding="utf-8")
    found = load_catalogue(str(path))
    assert found.sources["lastfm"].live.users == ("rj", "yes", 'a "b": #c')
    assert list(found.sources) == ["movielens", "lastfm", "spotify", "youtube", "genius", "tmdb", "trailers"]
    assert [name for name, source in found.sources.items() if source.is_searched] == list(found.sources)[2:]
    assert set(found.featurizers.chosen) == {"minilm", "image_descriptors", "mel", "audio_descriptors", "tabular"}
    path.write_text(catalogue_text(path, films, live=True), encoding="utf-8")
    assert list(load_catalogue(str(path)).sources) == ["movielens", "tmdb", "trailers"]
    with pytest.raises(ValueError, match="--live searches for tracks or films"):
        catalogue_text(path, {"image_folder": tmp_path}, live=True)
