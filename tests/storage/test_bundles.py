"""`current` points at a whole bundle or does not move; a SIGKILL at any moment included."""

import itertools
import json
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from storage.bundle_delta import delta_of
from storage.bundles import NoSuchBundle, add_items, bundles, find_bundle, forget, new_id, publish, rollback, withdraw
from storage.store import Store
from storage.vector_index import VectorIndex
from tests.storage import test_s3
from tests.storage.bundled import SLOT, published

endpoint, bucket = test_s3.endpoint, test_s3.bucket
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(params=["local", "bucket"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """On disk and on an object store, empty."""
    return Store(str(tmp_path) if request.param == "local" else request.getfixturevalue("bucket"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Files to publish."""
    (made := tmp_path / "files" / "model").mkdir(parents=True)
    (made / "config.json").write_text("{}")
    np.save(made.parent / "ids.npy", np.array([b"a", b"b"]))
    return made.parent


def put(store: Store, folder: Path, name: str, keep: int = 3, slot: str = SLOT) -> None:
    about = {"bundle": name, "model": "m", "created_at": name, "index": {"dimension": 2}}
    assert publish(store, slot, name, folder, about, keep=keep).current


def test_the_last_one_published_is_served_and_an_earlier_one_after_a_rollback(store: Store, folder: Path) -> None:
    with pytest.raises(NoSuchBundle, match="no bundle is current; `mediateca index publish` makes one"):
        find_bundle(store)
    put(store, folder, "b1")
    put(store, folder, "b2")
    assert [(b.bundle_id, b.current) for b in bundles(store)] == [("b1", False), ("b2", True)]
    assert rollback(store, "b1").current
    assert find_bundle(store).bundle_id == "b1"
    with pytest.raises(NoSuchBundle, match="no bundle 'b9'; there are: b1, b2"):
        rollback(store, "b9")
    assert set(find_bundle(store).manifest["files"]) == {"ids.npy", "model/config.json"}


def test_the_newest_are_kept_and_the_served_one_whatever_its_age(store: Store, folder: Path) -> None:
    for name in ("b1", "b2", "b3"):
        put(store, folder, name)
    add_items(store, ["a"], np.ones((1, 2), np.float32))
    rollback(store, "b1")
    assert forget(store, SLOT, 1) == 4 - 1  # files and manifest of b2
    assert [b.bundle_id for b in bundles(store)] == ["b1", "b3"]
    put(store, folder, "b4", keep=1)
    assert [b.bundle_id for b in bundles(store)] == ["b4"]
    assert not [n for n in store.objects.names("bundles") if "/b3/" in n or "/b1/" in n]
    with pytest.raises(ValueError, match="keep 0: expected 1 or more"):
        put(store, folder, "b5", keep=0)


def test_what_a_killed_publish_left_is_no_bundle_and_goes(store: Store, folder: Path) -> None:
    put(store, folder, "b1")
    store.objects.write(f"bundles/{SLOT}/b2/ids.npy", b"half")
    assert [b.bundle_id for b in bundles(store)] == ["b1"]
    put(store, folder, "b3")
    assert not [n for n in store.objects.names("bundles") if "/b2/" in n]


def test_each_slot_has_bundles_and_a_current_one_of_its_own(store: Store, folder: Path) -> None:
    for slot, name in (("film", "f1"), ("track", "t1"), ("track", "t2"), ("film", "f2"), ("track", "t3")):
        put(store, folder, name, keep=2, slot=slot)
    assert [(b.slot, b.bundle_id) for b in bundles(store) if b.current] == [("film", "f2"), ("track", "t3")]
    assert [b.bundle_id for b in bundles(store, "track")] == ["t2", "t3"]  # films do not count among the two
    assert rollback(store, "f1").slot == "film"
    assert [find_bundle(store, slot=slot).bundle_id for slot in ("film", "track")] == ["f1", "t3"]
    with pytest.raises(NoSuchBundle, match="bundles of 2 slots are served, film, track; name one"):
        find_bundle(store)
    with pytest.raises(NoSuchBundle, match="no bundle 'f1' for 'track'; there are: t2, t3"):
        rollback(store, "f1", slot="track")
    add_items(store, ["new"], np.ones((1, 2), np.float32), slot="film")
    found = (delta_of(store, slot, name).added for slot, name in (("film", "f1"), ("track", "t3")))
    assert list(found) == [("new",), ()]


def test_a_slot_that_is_no_name_of_a_folder_is_refused(store: Store, folder: Path) -> None:
    for slot in ("", "..", "a/b", "current.json"):
        with pytest.raises(ValueError, match="expected small letters, digits, - and _"):
            put(store, folder, "b1", slot=slot)
    assert not store.objects.names("bundles")


@pytest.mark.parametrize("step", ["publish", "withdraw"])
def test_a_bundle_of_before_slots_is_told_and_goes(store: Store, folder: Path, step: str) -> None:
    """Neither a publish nor a take-down leaves what nobody can roll back to; other slots stay."""
    put(store, folder, "t1", slot="track")
    former = ["bundles/current.json", "bundles/b1/manifest.json", "bundles/b1/ids.npy", "bundles/b1/model/config.json"]
    for name in [*former, "bundles/half/b2/ids.npy"]:  # and a first publish that was killed
        store.objects.write(name, b"{}")
    if step == "publish":
        put(store, folder, "f1")
    else:
        assert withdraw(store, ["nowhere"]) == 0
    assert {name.split("/")[1] for name in store.objects.names("bundles")} == ({"track", SLOT}, {"track"})[
        step == "withdraw"
    ]
    assert find_bundle(store, slot="track").bundle_id == "t1"


def test_a_store_of_before_slots_says_what_to_do(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    store.objects.write("bundles/current.json", b"{}")
    with pytest.raises(
        NoSuchBundle, match="made before slots had bundles of their own; `mediateca index publish` makes one"
    ):
        VectorIndex(store.url)


def test_a_kill_at_any_moment_leaves_a_whole_bundle(tmp_path: Path) -> None:
    """One process publishes in a loop and is killed after random times; a reader opens what is current, each time."""
    url = str(tmp_path / "store")
    published(url)
    code = f"""
import itertools
from datetime import UTC, datetime
from pathlib import Path
from storage.bundles import find_bundle, publish
from storage.store import Store
store = Store({url!r})
files = Path({url!r}).parent / "files"
about = dict(find_bundle(store).manifest)
for n in itertools.count(int(open(files.parent / "next").read())):
    publish(store, {SLOT!r}, f"z{{n:08d}}", files, about | {{"bundle": f"z{{n:08d}}"}}, keep=2)
    print("published", flush=True)
"""
    first = find_bundle(Store(url))
    own = Path(url, "bundles", SLOT, first.bundle_id)
    (files := tmp_path / "files").mkdir()
    for name in first.manifest["files"]:
        (files / name).parent.mkdir(exist_ok=True)
        (files / name).write_bytes((own / name).read_bytes())
    dice, seen = np.random.default_rng(0), set()
    for round_ in range(6):
        (tmp_path / "next").write_text(str(round_ * 100_000))
        with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "published\n"  # once at least, however busy the machine is
            for _ in range(5):  # beside it, too
                time.sleep(float(dice.uniform(0, 0.06)))
                VectorIndex(url)
            process.send_signal(signal.SIGKILL)
        index = VectorIndex(url)
        seen.add(index.current().manifest["bundle"])
        assert index.recommend(["i00001"], k=3)[1] == "model"
    assert len(seen) > 1
    pointer = json.loads(Path(url, "bundles", SLOT, "current.json").read_text())
    assert pointer["bundle"] in {b.bundle_id for b in bundles(Store(url))}


def test_bundles_made_within_one_second_keep_their_order() -> None:
    times = [datetime(2026, 11, 22, 23, 15, 7, at, tzinfo=UTC) for at in (0, 1, 20, 300_000)]
    for salts in itertools.permutations("abcd"):
        names = [new_id(at, salt) for at, salt in zip(times, salts, strict=True)]
        assert names == sorted(names)
