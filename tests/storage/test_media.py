"""Media files are named by what they hold, and are there whole or not at all."""

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from storage.errors import StoreFull, StoreReadOnly
from storage.media import MediaFiles, media_name

DATA = b"a picture" * 1_000
SHA256 = hashlib.sha256(DATA).hexdigest()


def listed(folder: Path) -> list[str]:
    """Every file beneath the folder."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_file_is_named_by_its_hash_and_read_back(tmp_path: Path) -> None:
    media = MediaFiles(str(tmp_path / "store"))
    assert not media.exists(SHA256, "jpeg")
    assert media.put(DATA, "jpeg") == SHA256
    assert media.read(SHA256, "jpeg") == DATA
    assert media.exists(SHA256, "jpeg")
    assert listed(tmp_path / "store") == [f"media/{SHA256[:2]}/{SHA256[2:4]}/{SHA256}.jpeg"]


def test_the_same_bytes_are_stored_once(tmp_path: Path) -> None:
    media = MediaFiles(str(tmp_path))
    media.put(DATA, "jpeg")
    path = tmp_path / media_name(SHA256, "jpeg")
    first = path.stat()
    assert media.put(DATA, "jpeg") == SHA256
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (first.st_ino, first.st_mtime_ns)


def test_a_deleted_file_is_gone_and_deleting_it_again_is_nothing(tmp_path: Path) -> None:
    media = MediaFiles(str(tmp_path))
    media.put(DATA, "flac")
    media.put(DATA, "ogg")
    media.delete(SHA256, "flac")
    media.delete(SHA256, "flac")
    assert (media.exists(SHA256, "flac"), media.exists(SHA256, "ogg")) == (False, True)
    with pytest.raises(FileNotFoundError):
        media.read(SHA256, "flac")


def test_many_writers_of_one_file_leave_one_whole_file(tmp_path: Path) -> None:
    media = MediaFiles(str(tmp_path))
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: media.put(DATA, "png"), range(64))) == {SHA256}
    assert listed(tmp_path) == [media_name(SHA256, "png")]
    assert media.read(SHA256, "png") == DATA


def test_a_write_that_fails_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(StoreFull, match="no space left"):
        MediaFiles(str(tmp_path)).put(DATA, "png")
    assert listed(tmp_path) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes anywhere")
def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(StoreReadOnly, match="cannot be written"):
        MediaFiles(str(tmp_path)).put(DATA, "png")


@pytest.mark.parametrize(("sha256", "format"), [("../" * 20, "png"), (SHA256.upper(), "png"), (SHA256, "../x")])
def test_a_name_that_leaves_the_folder_is_refused(tmp_path: Path, sha256: str, format: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        MediaFiles(str(tmp_path)).read(sha256, format)
