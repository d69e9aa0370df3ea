"""One local Prefect server per MEDIATECA_HOME, alive while a build uses it, killed builds included.

Prefect's ephemeral API is not used: its cold start exceeds its own time-out and a killed flow leaves it behind
(measured 2026-11). Every build holds a shared lock on `users.lock`; the kernel drops it with the process, however that
ends. The server watches the lock and leaves once nobody has held it for `GRACE_S`.
"""

import fcntl
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from storage.errors import free_bytes, free_space, make_folder, told

GRACE_S = float(os.environ.get("MEDIATECA_SERVER_GRACE_S", "30"))
HEALTH_TIMEOUT_S = 120.0
_WHAT = "local Prefect server"

_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy cannot reach our loopback


_NEEDED_BYTES = 8 << 20
"""What a new server writes before it answers: 5.4 MB (Prefect 3.8, measured 2026-11)."""
_FULL_BYTES = 1 << 20
"""A disk with less than this is full: SQLite gives back a little of what it could not use."""


class ServerError(RuntimeError):
    """No Prefect server can be used: it did not come up, does not answer, or its disk is full."""


@contextmanager
def prefect_server(home: Path, *, keep: bool = False, tell: Callable[[str], None] = print) -> Generator[str]:
    """The API's URL, also set as PREFECT_API_URL: the environment's server, or a local one started when needed.

    Args:
        home: MEDIATECA_HOME; the server's files go to `home/server`.
        keep: Leave the server running for the next build.
        tell: Is told when a server is started.

    Raises:
        ServerError: The local one did not come up, or the environment's is out of reach; or the disk of the home is
            full, also where it becomes so while the server is used.
        StoreError: The home can be no folder, or cannot be written.
    """
    if url := os.environ.get("PREFECT_API_URL"):
        with _reached(url):
            yield url
        return
    folder = home / "server"
    make_folder(folder, _WHAT)
    with told(str(folder), _WHAT):
        (folder / "users.lock").touch()
    with _room(home), (folder / "users.lock").open("w") as users:
        with _locked(folder / "start.lock", fcntl.LOCK_EX):
            fcntl.flock(users, fcntl.LOCK_SH)
            try:
                url = _running(folder) or _start(folder, tell)
            except BaseException:  # it did not come up, or Ctrl-C
                _leave(folder, users, keep=False)
                raise
        os.environ |= _environment(folder) | {"PREFECT_API_URL": url}
        try:
            yield url
        finally:
            del os.environ["PREFECT_API_URL"]
            with _locked(folder / "start.lock", fcntl.LOCK_EX):
                _leave(folder, users, keep=keep)


@contextmanager
def _reached(url: str) -> Generator[None]:
    """Say of an API that is out of reach which variable names it. Prefect knows how to ask it, proxies and all."""
    try:
        yield
    except Exception as exc:
        if _says_all(exc) or not any(_is_out_of_reach(cause) for cause in _causes(exc)):
            raise
        shown = re.sub("//[^/]*@", "//", url)  # it may hold a password
        raise ServerError(
            f"PREFECT_API_URL is {shown}, and no Prefect API answers there; start that server or correct the "
            "variable. Without it (`unset PREFECT_API_URL`) a build starts a local server of its own"
        ) from exc


def _says_all(exc: Exception) -> bool:
    """Whether it is an error of the layers below, whose message needs no other."""
    return type(exc).__module__.partition(".")[0] in ("connectors", "expectations", "featurizers", "storage", "tasks")


def _is_out_of_reach(exc: BaseException) -> bool:
    # By name: the client's library is imported with the flow, later than this module.
    names = {"ConnectError", "ConnectTimeout", "UnsupportedProtocol", "InvalidURL"}
    return "Failed to reach API" in str(exc) or type(exc).__name__ in names


def _causes(exc: BaseException) -> Generator[BaseException]:
    cause: BaseException | None = exc
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


@contextmanager
def _room(home: Path) -> Generator[None]:
    """Say of a build that failed for want of space that it did; what Prefect says of it is a page about a status."""
    try:
        yield
    except Exception as exc:
        if _says_all(exc) or free_bytes(home) > _FULL_BYTES:
            raise
        raise ServerError(
            f"MEDIATECA_HOME ({home}): its disk is full{free_space(str(home))}, so the local Prefect server cannot "
            "write what it must; nothing half-written is visible. Free some space, or set MEDIATECA_HOME to a folder "
            "on another disk, and run the same command again: it goes on where it stopped"
        ) from exc


@contextmanager
def _locked(path: Path, how: int) -> Generator[None]:
    with path.open("w") as file:
        fcntl.flock(file, how)
        yield


def _environment(folder: Path) -> dict[str, str]:
    return {
        "PREFECT_HOME": str(folder),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "NO_PROXY": ",".join(filter(None, (os.environ.get("NO_PROXY", os.environ.get("no_proxy")), "127.0.0.1"))),
        "PREFECT_LOGGING_LEVEL": os.environ.get("PREFECT_LOGGING_LEVEL", "CRITICAL"),
    }


def _running(folder: Path) -> str | None:
    """URL of the server that an earlier build left, if it answers."""
    described = _described(folder)
    return described["url"] if described and _alive(described["pid"]) and _wait_healthy(described, 30.0) else None


def _described(folder: Path) -> dict[str, Any] | None:
    file = folder / "server.json"
    return json.loads(file.read_text()) if file.exists() else None


def _start(folder: Path, tell: Callable[[str], None]) -> str:
    if not (folder / "prefect.db").exists() and free_bytes(folder) < _NEEDED_BYTES:
        raise ServerError(
            f"MEDIATECA_HOME ({folder.parent}): too little space on its disk{free_space(str(folder))}; the local "
            f"Prefect server needs {_NEEDED_BYTES >> 20} MB. Free some space, or set MEDIATECA_HOME to a folder "
            "on another disk"
        )
    tell("starting a local Prefect server (about 15 s) ...")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with (folder / "server.log").open("ab") as log:
        # A session of its own: Ctrl-C, or a kill of the build's group, is not the server's end; the lock is.
        server = subprocess.Popen(
            [sys.executable, "-m", "deployments.local_server", str(folder), str(port)],
            env=os.environ | _environment(folder),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    url = f"http://127.0.0.1:{port}/api"
    described: dict[str, Any] = {"url": url, "pid": server.pid}
    _write(folder / "server.json", described)
    began = time.monotonic()
    if not _wait_healthy(described, HEALTH_TIMEOUT_S):
        waited = f"{time.monotonic() - began:.0f} s"
        how = f"did not answer within {waited}" if _alive(server.pid) else f"ended after {waited}, before it answered"
        raise ServerError(f"the local Prefect server {how}{free_space(str(folder))}; see {folder / 'server.log'}")
    return url


def _write(path: Path, value: dict[str, Any]) -> None:
    new = path.with_suffix(".new")
    new.write_text(json.dumps(value))
    new.replace(path)


def _wait_healthy(described: dict[str, Any], timeout_s: float) -> bool:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline and _alive(described["pid"]):
        try:
            with _DIRECT.open(f"{described['url']}/health", timeout=5) as answer:
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    return False


def _alive(pid: int) -> bool:
    try:
        os.waitpid(pid, os.WNOHANG)  # a child of ours that died is a zombie until it is waited for
    except ChildProcessError:
        pass
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's by now
        return False
    return True


def _leave(folder: Path, users: IO[str], *, keep: bool) -> None:
    """Give up our share; end the server if it was the last."""
    (folder / "keep").touch() if keep else (folder / "keep").unlink(missing_ok=True)
    fcntl.flock(users, fcntl.LOCK_UN)
    described = _described(folder)
    if keep or described is None or not _unused(users):
        return
    if _alive(described["pid"]):
        os.kill(described["pid"], signal.SIGTERM)
        deadline = time.monotonic() + 15
        while _alive(described["pid"]) and time.monotonic() < deadline:
            time.sleep(0.05)
        if _alive(described["pid"]):
            os.kill(described["pid"], signal.SIGKILL)
    (folder / "server.json").unlink(missing_ok=True)


def _unused(users: IO[str]) -> bool:
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    fcntl.flock(users, fcntl.LOCK_UN)
    return True


# --- the server's own process


def _watch(folder: Path) -> None:
    """End this process once no build has held the lock for a while."""
    idle_since = time.monotonic()
    with (folder / "users.lock").open("r") as users:
        while time.monotonic() - idle_since < GRACE_S:
            time.sleep(1.0)
            if (folder / "keep").exists() or not _unused(users):
                idle_since = time.monotonic()
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(15)
    os._exit(0)


def serve(folder: Path, port: int) -> None:
    """Run Prefect's API on loopback until nobody needs it."""
    threading.Thread(target=_watch, args=(folder,), daemon=True).start()
    import uvicorn

    uvicorn.run("prefect.server.api.server:create_app", factory=True, host="127.0.0.1", port=port, log_level="warning")


if __name__ == "__main__":
    serve(Path(sys.argv[1]), int(sys.argv[2]))
