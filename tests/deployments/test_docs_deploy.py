"""docs/deploy.md does what it says: its commands are run as they stand, on a free port and in a fresh home."""

import json
import os
import re
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from deployments.sandbox.serve import serve

ROOT = Path(__file__).resolve().parents[2]
QUICK = {
    "full --watch": "full -p catalogue=$MEDIATECA_HOME/few.yaml --watch",
    "status demo": "status $MEDIATECA_HOME/few.yaml",
}
"""`demo` takes minutes, and has tests of its own; three films say as much about a deployment."""
FILMS = "movieId,title,genres\n1,Toy Story (1995),Comedy\n2,Heat (1995),Crime\n3,Jaws (1975),Thriller\n"
RATINGS = "userId,movieId,rating,timestamp\n1,1,4.0,964982703\n1,2,3.5,964982800\n2,1,5.0,964983000\n"
KEY = "the-key-that-only-the-server-keeps"


def blocks() -> list[tuple[str, str]]:
    """(kind, commands) of each shell block; the first sets the environment."""
    text = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
    return [(m[1].strip(), m[2]) for m in re.finditer(r"```sh([^\n]*)\n(.*?)```", text, re.DOTALL)]


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def environment(home: Path, port: int) -> dict[str, str]:
    """What the page's first block sets, with the test's own home and port."""
    bin_ = str(ROOT / ".venv" / "bin")
    return os.environ | {
        "MEDIATECA_HOME": str(home),
        "PREFECT_HOME": str(home / "prefect"),
        "PATH": f"{bin_}:{os.environ['PATH']}",
        "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
    }


@pytest.fixture
def background(environment: dict[str, str], port: int, home: Path) -> Iterator[list["subprocess.Popen[bytes]"]]:
    """Processes in terminals of their own; ended with the test."""
    running: list[subprocess.Popen[bytes]] = []
    yield running
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


def wait_for(url: str) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(0.5)
    raise AssertionError(f"{url} did not answer")


def run_here(commands: str, environment: dict[str, str]) -> str:
    done = subprocess.run(["sh", "-ec", commands], env=environment, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def few_films(folder: Path) -> str:
    folder.mkdir()
    for name, text in {"movies": FILMS, "ratings": RATINGS, "links": "movieId,imdbId,tmdbId\n1,0114709,862\n"}.items():
        (folder / f"{name}.csv").write_text(text)
    return str(folder)


def test_the_page_ends_with_a_finished_run_a_release_and_keys_in_blocks(
    environment: dict[str, str],
    background: list["subprocess.Popen[bytes]"],
    port: int,
    home: Path,
    small_world: Path,
) -> None:
    films = {"connector": "movielens", "path": few_films(home / "few")}
    (home / "few.yaml").write_text(yaml.safe_dump({"catalogue": "few", "sources": {"movielens": films}}))
    said: list[str] = []
    for kind, commands in blocks()[1:]:
        commands = re.sub("4200|full --watch|status demo", lambda m: QUICK.get(m[0], str(port)), commands)
        if kind:
            background.append(in_background(commands, environment, home / f"{kind}.log"))
            if kind == "server":
                wait_for(f"http://127.0.0.1:{port}/api/health")
        else:
            said.append(run_here(commands, environment | {"LASTFM_API_KEY": KEY}))
    assert any("release v1" in text for text in said)
    store = str(home / "few")
    assert published(port) == {"catalogue": "few", "release": "v1", "partial": False, "store": store}
    assert "LASTFM_API_KEY in the Secret block lastfm-api-key" in run_here("mediateca doctor", environment)
    check_that_a_worker_finds_its_key(environment, home, small_world)


def check_that_a_worker_finds_its_key(environment: dict[str, str], home: Path, world: Path) -> None:
    """A live source is asked with the key of a Secret block, which then lies nowhere: no log, table or parameter."""
    save = "from prefect.blocks.system import Secret; Secret(value={!r}).save('tmdb-api-key')"
    run_here(f'python -c "{save.format(KEY)}"', environment)
    with serve(world) as sandbox:
        asked = {"connector": "tmdb", "items": False, "options": {"api_root": f"{sandbox.url}/tmdb/3/"}}
        films = {"connector": "movielens", "path": str(world / "movielens")}
        catalogue = {"catalogue": "films-live", "sources": {"movielens": films, "tmdb": asked}}
        (home / "films-live.yaml").write_text(yaml.safe_dump(catalogue))
        run_here(f"prefect deployment run build-features/full -p catalogue={home}/films-live.yaml --watch", environment)
    counts = "select state, reason, count(*) n from links where source = 'tmdb' group by all order by n desc"
    found = json.loads(run_here(f'mediateca sql {home}/films-live.yaml "{counts}" --json', environment))
    assert found[0]["state"] == "accepted"
    assert "no_access" not in {row["reason"] for row in found}
    assert [path for path in home.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()] == []


def published(port: int) -> dict[str, object]:
    """Payload of the event, as the server keeps it."""
    body = json.dumps({"filter": {"event": {"name": ["mediateca.release.published"]}}}).encode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/api/events/filter", body, {"Content-Type": "application/json"}, method="POST"
    )
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with urllib.request.urlopen(request, timeout=10) as answer:
            events = json.load(answer)["events"]
        if events:
            return dict(events[0]["payload"])
        time.sleep(0.5)
    raise AssertionError("the event did not arrive")
