"""The same store on an object store: moto's S3 server on loopback."""

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from storage import lock
from storage.errors import StoreLocked
from storage.lock import build_lock
from storage.media import MediaFiles
from storage.objects import Objects
from storage.releases import current_release, publish
from storage.store import Store
from tasks.pending import last_runs
from tasks.run_stage import run_stage
from tests.storage.test_store import FACTS, FEATURE, values, vectors, versions_of
from tests.tasks.toy import TABLE, toy_stage, write_texts


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """A moto server in a process of its own: delta-rs holds the interpreter while it waits for some answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for _ in range(600):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.1)
    yield f"http://127.0.0.1:{port}"
    server.terminate()
    server.wait()


@pytest.fixture
def bucket(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """URL of an empty bucket."""
    import boto3

    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    name = f"store-{time.time_ns()}"
    boto3.client("s3", region_name="us-east-1").create_bucket(Bucket=name)
    return f"s3://{name}"


def test_append_read_rewrite_release_vacuum(bucket: str) -> None:
    store = Store(f"{bucket}/films")
    store.create([FEATURE])
    store.append(FEATURE, vectors(["a", "b"], 1.0))
    first = publish(store, versions_of(store), partial=False, **FACTS)
    store.append(FEATURE, vectors(["b"], 2.0))
    store.rewrite(FEATURE)
    store.vacuum(FEATURE, [first.tables[FEATURE]], retention_hours=0)
    assert values(store) == {"a": 1.0, "b": 2.0}
    assert values(store, first.tables) == {"a": 1.0, "b": 1.0}
    assert current_release(store) == first


def test_a_stage_runs_the_same(bucket: str) -> None:
    store = Store(f"{bucket}/films")
    store.create([TABLE])
    write_texts(store, {f"i{n:03d}": "x" * n for n in range(25)})
    assert run_stage(store, toy_stage(), build_id="b1").done == 25
    assert run_stage(store, toy_stage(), build_id="b2", last=last_runs(store)["toy"]).status == "up_to_date"


def test_a_generation_is_served_the_same(bucket: str) -> None:
    store = Store(f"{bucket}/films")
    store.create([TABLE])
    write_texts(store, {"a": "x", "b": "xx"})
    run_stage(store, toy_stage(), build_id="b1")
    write_texts(store, {"b": "quota"})
    versions = "select distinct version from features_toy"
    assert run_stage(store, toy_stage(version="2", chunk_keys=1), build_id="b2").status == "partial"
    assert store.database(only=(TABLE,)).sql(versions).fetchall() == [("1",)]
    write_texts(store, {"b": "xx"})
    run_stage(store, toy_stage(version="2"), build_id="b3", again=True)
    assert store.database(only=(TABLE,)).sql(versions).fetchall() == [("2",)]


def test_media_files_are_put_read_and_deleted(bucket: str) -> None:
    media = MediaFiles(f"{bucket}/films")
    sha256 = media.put(b"a picture", "png")
    assert media.put(b"a picture", "png") == sha256
    assert (media.exists(sha256, "png"), media.read(sha256, "png")) == (True, b"a picture")
    media.delete(sha256, "png")
    assert not media.exists(sha256, "png")
    with pytest.raises(FileNotFoundError):
        media.read(sha256, "png")


def test_lease_is_held_refused_renewed_and_given_back(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "HEARTBEAT_S", 0.05)
    url = f"{bucket}/films"
    with build_lock(url):
        first, _ = Objects(url).read_json("build.lease.json")
        with pytest.raises(StoreLocked, match="is building it"), build_lock(url):
            pass
        deadline = time.monotonic() + 10
        while Objects(url).read_json("build.lease.json")[0] == first:
            assert time.monotonic() < deadline, "no heartbeat"
            time.sleep(0.05)
    assert Objects(url).read_json("build.lease.json") == (None, None)


def test_lease_of_a_dead_holder_is_taken_by_exactly_one(bucket: str) -> None:
    url = f"{bucket}/films"
    Objects(url).write_json("build.lease.json", {"host": "gone", "pid": 1, "since": "long ago", "beat": 0.0})
    held, refused = [], []

    def contend() -> None:
        try:
            with build_lock(url):
                held.append(1)
                time.sleep(1.0)
        except StoreLocked:
            refused.append(1)

    threads = [threading.Thread(target=contend) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(held), len(refused)) == (1, 3)
