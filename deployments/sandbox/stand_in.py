"""A sandbox beside a build: a process of its own, and what makes the connectors ask it in place of the real sources."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from deployments.sandbox.faults import Faults, read_faults
from deployments.sandbox.serve import serve, settings_of
from deployments.sandbox.server import HOST
from storage.hashing import digest

FAULTS = "MEDIATECA_SANDBOX_FAULTS"
"""Preset or JSON file of the faults that builds meet; none if it is not set."""
LOG = "MEDIATECA_SANDBOX_LOG"
"""File that gets a line of JSON for each request."""
_PORTS = range(20_000, 30_000, 2)  # and the next one; below those that systems give to outgoing connections
_PORT_WAIT_S = 20.0
"""A sandbox whose build was killed takes a moment to end."""
_ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def running(world: Path) -> Generator[dict[str, dict[str, Any]]]:
    """Serve a world from another process while the context lasts; yields the settings of each connector by name.

    The process ends with this one, even when this one is killed: its standard input is then closed.

    Raises:
        ValueError: The folder is no world, or `MEDIATECA_SANDBOX_FAULTS` names no faults.
    """
    read_faults(os.environ.get(FAULTS))  # here, so that the message is seen
    paths = os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH"))))
    process = subprocess.Popen(
        [sys.executable, "-m", __name__, str(world)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": paths},
    )
    with process:
        assert process.stdin is not None  # both are pipes
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            process.wait()
            raise ValueError(
                f"sandbox: the world '{world}' cannot be served; try `mediateca sandbox serve --world {world}`"
            )
        try:
            yield json.loads(line)
        finally:
            process.stdin.close()


def port_of(world: Path) -> int:
    """The port of a world, the same every time: answers in `raw` say where covers lie, also after a killed build.

    Where somebody else has it or the next one: 0, for any others.
    """
    port = _PORTS[digest(str(world.resolve()).encode()) % len(_PORTS)]
    deadline = time.monotonic() + _PORT_WAIT_S
    while not (_is_free(port) and _is_free(port + 1)):
        if time.monotonic() > deadline:
            return 0
        time.sleep(0.1)
    return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def main(world: Path, faults: Faults, log: Path | None) -> None:
    """Serve until standard input is closed; the first line of the output is the settings."""
    with serve(world, faults, port=port_of(world), log=log) as sandbox:
        print(json.dumps(settings_of(sandbox)), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    file = os.environ.get(LOG)
    try:
        main(Path(sys.argv[1]), read_faults(os.environ.get(FAULTS)), Path(file) if file else None)
    except ValueError as bad:
        sys.exit(str(bad))
