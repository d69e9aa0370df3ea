"""One local Prefect server per MEDIATECA_HOME, alive while a build uses it, killed builds included.

Prefect's ephemeral API is not used: its cold start exceeds its own time-out and a killed flow leaves it behind
(measured 2026-11). Every build holds a shared lock on `users.lock`; the kernel drops it with the process, however that
ends. The server watches the lock and leaves once nobody has held it for `GRACE_S`.
"""

import fcntl
import json
import os
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

GRACE_S = float(os.environ.get("MEDIATECA_SERVER_GRACE_S", "30"))
HEALTH_TIMEOUT_S = 120.0


_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy cannot reach our loopback


class ServerError(RuntimeError):
    """The local server did not come up; the message names its log."""


@contextmanager
def prefect_server(home: Path, *, keep: bool = False, tell: Callable[[str], None] = print) -> Generator[str]:
    """The API's URL, also set as PREFECT_API_URL: the environment's server, or a local one started when needed.

    Args:
        home: MEDIATECA_HOME; the server's files go to `home/server`.
        keep: Leave the server running for the next build.
        tell: Is told when a server is started.

    Raises:
        ServerError: It was not healthy within 120 s.
    """
    if url := os.environ.get("PREFECT_API_URL"):
        yield url
        return
    folder = home / "server"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "users.lock").open("w") as users:
        with _locked(folder / "start.lock", fcntl.LOCK_EX):
            fcntl.flock(users, fcntl.LOCK_SH)
            url = _running(folder) or _start(folder, tell)
        os.environ |= _environment(folder) | {"PREFECT_API_URL": url}
        try:
            yield url
        finally:
            del os.environ["PREFECT_API_URL"]
            with _locked(folder / "start.lock", fcntl.LOCK_EX):
                _leave(folder, users, keep=keep)


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
    if not _wait_healthy(described, HEALTH_TIMEOUT_S):
        raise ServerError(
            f"the local Prefect server did not answer within {HEALTH_TIMEOUT_S:.0f} s; see {folder / 'server.log'}"
        )
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
