"""Folders that are there whole or not at all."""

from pathlib import Path

import pytest

from storage.errors import StoreError
from storage.folders import drop_folder, folder_on_disk, folders, manifest_of, put_folder, sweep
from storage.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "store"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "made"
    (made / "inner").mkdir(parents=True)
    (made / "weights").write_bytes(b"123")
    (made / "inner" / "config.json").write_text("{}")
    return made


def test_a_folder_comes_back_with_what_is_said_of_it(store: Store, folder: Path) -> None:
    put_folder(store, "models", "m1", folder, {"recipe": "r"})
    assert folders(store, "models") == ["m1"]
    assert manifest_of(store, "models", "m1")["recipe"] == "r"
    with folder_on_disk(store, "models", "m1") as found:
        assert (found / "weights").read_bytes() == b"123"
        assert (found / "inner" / "config.json").read_text() == "{}"


def test_a_folder_without_its_manifest_is_nobodys_and_is_swept(store: Store, folder: Path) -> None:
    put_folder(store, "models", "m1", folder, {})
    put_folder(store, "models", "m2", folder, {})
    store.objects.delete("models/m2/manifest.json")
    assert folders(store, "models") == ["m1"]
    with pytest.raises(StoreError, match="models/m2 is not there"), folder_on_disk(store, "models", "m2"):
        pass
    assert sweep(store, "models", {"m1"}) == 2
    assert set(store.objects.names("models")) == {
        f"models/m1/{n}" for n in ("manifest.json", "weights", "inner/config.json")
    }


def test_an_altered_or_a_missing_file_is_refused(store: Store, folder: Path) -> None:
    put_folder(store, "models", "m1", folder, {})
    store.objects.write("models/m1/weights", b"124")
    with pytest.raises(StoreError, match="models/m1/weights: was altered"), folder_on_disk(store, "models", "m1"):
        pass
    with folder_on_disk(store, "models", "m1", only=["inner/config.json"]):
        pass  # what is not asked for is not read
    store.objects.delete("models/m1/weights")
    with pytest.raises(StoreError, match="weights is not there"), folder_on_disk(store, "models", "m1"):
        pass


def test_a_folder_is_never_changed_and_can_be_dropped(store: Store, folder: Path) -> None:
    put_folder(store, "models", "m1", folder, {})
    with pytest.raises(StoreError, match="never changed"):
        put_folder(store, "models", "m1", folder, {})
    drop_folder(store, "models", "m1")
    assert not store.objects.names("models")
