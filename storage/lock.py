"""One build per store: a file lock on local disk, a lease with a heartbeat on object stores."""

import json
import os
import socket
import sys
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from obstore.exceptions import BaseError

from storage.errors import StoreLocked, make_folder, told
from storage.objects import Etag, Objects, is_local

HEARTBEAT_S = 20.0
LEASE_S = 120.0  # a holder silent for so long is taken for dead
_POLL_S = 0.5


@contextmanager
def build_lock(url: str, *, wait_s: float = 0.0) -> Generator[None]:
    """Hold the store's build lock.

    Args:
        url: The store's.
        wait_s: How long to wait for another build before refusing.

    Raises:
        StoreLocked: Another build still holds it; the message names the holder.
    """
    with _file_lock(url, wait_s) if is_local(url) else _lease(url, wait_s):
        yield


def _holder() -> dict[str, Any]:
    return {"host": socket.gethostname(), "pid": os.getpid(), "since": datetime.now(UTC).isoformat(timespec="seconds")}


def _refusal(url: str, holder: dict[str, Any] | None) -> StoreLocked:
    who = f"process {holder['pid']} on {holder['host']} since {holder['since']}" if holder else "another build"
    return StoreLocked(f"store {url}: {who} is building it; wait for it to end, or pass --wait SECONDS")


@contextmanager
def _file_lock(url: str, wait_s: float) -> Generator[None]:
    # The kernel drops the lock with its process, killed or not: no heartbeat is needed on local disk.
    from filelock import FileLock, Timeout

    make_folder(Path(url))
    with told(url):
        lock, note = FileLock(f"{url}/build.lock"), Path(url) / "build.lock.json"
        try:
            lock.acquire(timeout=wait_s, poll_interval=_POLL_S)
        except Timeout as exc:
            raise _refusal(url, json.loads(note.read_text()) if note.exists() else None) from exc
        try:
            note.write_text(json.dumps(_holder()))
        except OSError:
            lock.release()
            raise
    try:
        yield
    finally:
        note.unlink(missing_ok=True)
        lock.release()


@contextmanager
def _lease(url: str, wait_s: float) -> Generator[None]:
    objects, deadline = Objects(url), time.monotonic() + wait_s
    while not _take(objects):
        if time.monotonic() > deadline:
            raise _refusal(url, objects.read_json("build.lease.json")[0])
        time.sleep(_POLL_S)
    stop = threading.Event()
    beat = threading.Thread(target=_renew, args=(objects, stop), daemon=True)
    beat.start()
    try:
        yield
    finally:
        stop.set()
        beat.join()
        held, _ = objects.read_json("build.lease.json")
        if held is not None and _mine(held):
            objects.delete("build.lease.json")


def _take(objects: Objects) -> bool:
    held, mark = objects.read_json("build.lease.json")
    if held is None:
        return objects.write_json("build.lease.json", _lease_body(), only_new=True)
    return time.time() - held["beat"] > LEASE_S and objects.write_json(
        "build.lease.json", _lease_body(), replacing=mark
    )


def _lease_body() -> dict[str, Any]:
    return _holder() | {"beat": time.time()}


def _renew(objects: Objects, stop: threading.Event) -> None:
    last = time.monotonic()
    while not stop.wait(HEARTBEAT_S):
        try:
            held, mark = objects.read_json("build.lease.json")
            lost = held is None or not _mine(held) or not _renewed(objects, mark)
            last = time.monotonic()
        except (OSError, BaseError):  # the object store does not answer: the lease holds for a while yet
            lost = time.monotonic() - last > LEASE_S - HEARTBEAT_S
        if lost:
            # Another build may hold the store, and its rewrites would drop what we append: end at once. What was
            # committed is whole, and running again goes on from it.
            sys.stderr.write(f"store {objects.url}: the build lease was lost; ended. Run the same command again\n")
            sys.stderr.flush()
            os._exit(1)


def _mine(held: dict[str, Any]) -> bool:
    return held["pid"] == os.getpid() and held["host"] == socket.gethostname()


def _renewed(objects: Objects, mark: Etag) -> bool:
    return objects.write_json("build.lease.json", _lease_body(), replacing=mark)
