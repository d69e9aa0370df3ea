"""Commands as people run them: in terminals of their own, or here until they end; and what a server tells."""

import json
import os
import signal
import subprocess
import time
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def terminals() -> Generator[list["subprocess.Popen[bytes]"]]:
    """Processes with terminals of their own; ended with the block, the last first."""
    running: list[subprocess.Popen[bytes]] = []
    try:
        yield running
    finally:
        for process in reversed(running):
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def in_background(command: str, environment: dict[str, str], log: Path) -> "subprocess.Popen[bytes]":
    with log.open("wb") as file:
        return subprocess.Popen(
            ["sh", "-c", f"exec {command.strip()}"],
            env=environment,
            cwd=ROOT,
            stdout=file,
            stderr=file,
            start_new_session=True,
        )


def run_here(commands: str, environment: dict[str, str]) -> str:
    done = subprocess.run(["sh", "-ec", commands], env=environment, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def wait_for(url: str) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(0.5)
    raise AssertionError(f"{url} did not answer")


def asked(api: str, what: str, **said: Any) -> Any:
    """What `POST /what/filter` of the server answers."""
    body = json.dumps(said).encode()
    request = urllib.request.Request(f"{api}/{what}/filter", body, {"Content-Type": "application/json"}, method="POST")
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)
